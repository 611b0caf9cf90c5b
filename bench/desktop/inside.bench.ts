import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from '@playwright/test';
import { createFakeInbox } from '../../apps/desktop/src/main/testing/fake-inbox.ts';
import { startNotificationServer } from '../../apps/desktop/src/main/testing/fake-notification-server.ts';
import { startFakeServer } from '../../apps/desktop/src/main/testing/fake-server.ts';
import { startTrayHost } from '../../e2e/desktop/inside/tray-host.ts';
import { type Installed, openWorld, type World } from '../../e2e/desktop/inside/world.ts';
import { until } from '../../e2e/harness/run.ts';
import { RESULT_FILE, type Samples, type Sizes } from './samples.ts';

/** Runs as an ordinary user beside the installed program, and leaves what it measured in a file. */

const { starts, requests, idleMs, settleMs } = JSON.parse(process.env.IDENTREE_BENCH!) as Sizes;
const samples: Samples = { windowMs: [], idleMb: [], idleCpuPercent: 0, notificationMs: [], processes: 0 };
const TICKS_PER_SECOND = 100;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let world: World;
let desktop: Awaited<ReturnType<typeof startNotificationServer>>;
let tray: Awaited<ReturnType<typeof startTrayHost>>;
const inboxes = [createFakeInbox(), createFakeInbox()];
const others: Awaited<ReturnType<typeof startFakeServer>>[] = [];
before(async () => {
  const address = process.env.DBUS_SESSION_BUS_ADDRESS!;
  desktop = await startNotificationServer(address, ['body', 'actions']);
  tray = await startTrayHost(address);
  world = await openWorld();
  for (const inbox of inboxes) others.push(await startFakeServer(inbox.answer));
});
after(async () => {
  writeFileSync(join(process.env.IDENTREE_RESULTS!, RESULT_FILE), JSON.stringify(samples));
  await world?.close();
  for (const other of others) await other.close();
  desktop?.close();
  tray?.close();
});

/** Ids of all processes of the installed program. */
function processes(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/exe`).startsWith('/opt/identree-console/');
    } catch {
      return false;
    }
  });
}

/** Memory of the program, each shared page counted once, MB. */
function memoryMb(): number {
  const kilobytes = processes().map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)![1]);
  });
  samples.processes = kilobytes.length;
  return kilobytes.reduce((sum, one) => sum + one, 0) / 1024;
}

/** Processor time that the program has used, seconds. */
function cpuSeconds(): number {
  const ticks = processes().map((pid) => {
    // The name in brackets may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
}

test('from the start of the process to the first picture of its window', async () => {
  for (let i = 0; i < starts; i++) {
    const shell = await world.launchInstalled();
    const page = await shell.pageAt('setup');
    // Both times are of one clock; how long it took to look does not count.
    const painted = await until('a picture', () =>
      page.evaluate<number | null>(
        `(() => { const [paint] = performance.getEntriesByName('first-contentful-paint'); return paint ? performance.timeOrigin + paint.startTime : null; })()`,
      ),
    );
    samples.windowMs.push(painted - shell.startedAt);
    await shell.close();
  }
});

async function signIn(shell: Installed, page: Page, agree: (url: string) => Promise<string>): Promise<void> {
  const before = shell.opened().length;
  await page.getByRole('button', { name: 'Open the browser' }).click();
  await fetch(await agree(await until('the browser', () => shell.opened()[before] ?? null)));
  await shell.pageAt('console');
}

test('three servers: idle, and from a request to its notification', async () => {
  const dataFolder = mkdtempSync(join(tmpdir(), 'three-'));
  const origins = [world.server.url, ...others.map(({ origin }) => origin)].map((url) => new URL(url).origin);
  const list = origins.map((origin, i) => ({ origin, name: `Server ${i + 1}`, colour: ['blue', 'red', 'green'][i] }));
  writeFileSync(join(dataFolder, 'profile.json'), JSON.stringify({ v: 2, active: origins[0], list }));
  const shell = await world.launchInstalled({ dataFolder });
  await signIn(shell, await shell.pageAt('setup'), (url) => world.consent(url));
  for (const [i, other] of others.entries()) {
    const line = await until('its line in the tray', async () =>
      (await tray.lines()).find(({ label }) => label.startsWith(`Server ${i + 2}`)),
    );
    await tray.click(line.id);
    await signIn(shell, await shell.pageAt('setup'), async (url) => {
      const asked = new URL(url).searchParams;
      const code = other.consent(asked.get('code_challenge')!);
      return `${asked.get('redirect_uri')}?${new URLSearchParams({ code, state: asked.get('state')! })}`;
    });
    await until('its connection', () => inboxes[i]!.followers() > 0);
  }
  const first = await until('the first', async () =>
    (await tray.lines()).find(({ label }) => label.startsWith('Server 1')),
  );
  await tray.click(first.id);
  // The window of the server before may still be there for a moment.
  await until('its inbox', async () => {
    const heading = (await shell.page()).getByRole('heading', { name: 'Inbox' });
    return (await heading.count().catch(() => 0)) > 0;
  });

  await pause(settleMs);
  const [cpu, at] = [cpuSeconds(), performance.now()];
  for (let i = 0; i < 5; i++) {
    samples.idleMb.push(memoryMb());
    await pause(idleMs / 5);
  }
  samples.idleCpuPercent = ((cpuSeconds() - cpu) / ((performance.now() - at) / 1000)) * 100;

  for (let i = 0; i < requests; i++) {
    const command = `/etc/bench${i}.`;
    const asked = Date.now();
    const { challengeId } = await world.ask(['sudo', 'cat', command]);
    const told = await until('the notification', () => desktop.log.find(({ text }) => text.body.includes(command)));
    samples.notificationMs.push(told.at - asked);
    await world.person.mutate('challenges.deny', { challengeId });
    await until('its end', () => desktop.shown.size === 0);
  }
  assert.equal(samples.notificationMs.length, requests);
  await shell.close();
});
