import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { startNotificationServer } from '../../../apps/desktop/src/main/testing/fake-notification-server.ts';
import { until } from '../../harness/run.ts';
import { type Installed, openWorld, recentTraffic, signIn, type World } from './world.ts';

afterEach((context) => {
  if (!(context as unknown as { passed: boolean }).passed) console.log(`failed; lately:\n${recentTraffic()}`);
});

let world: World;
let shell: Installed;
let desktop: Awaited<ReturnType<typeof startNotificationServer>>;
before(async () => {
  desktop = await startNotificationServer(process.env.DBUS_SESSION_BUS_ADDRESS!, ['body', 'actions']);
  world = await openWorld();
  shell = await world.launchInstalled();
});
after(async () => {
  await world?.close();
  desktop?.close();
});

/** Processes of the installed program, by what they say they are. */
function processes(): { pid: number; type: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => {
      try {
        if (!readlinkSync(`/proc/${name}/exe`).startsWith('/opt/identree-console/')) return [];
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8');
        return [{ pid: Number(name), type: /--type=([a-z-]+)/.exec(words)?.[1] ?? 'main' }];
      } catch {
        return [];
      }
    });
}

describe('the installed console, as an ordinary user', () => {
  test('it starts without more rights, and its pages are in the sandbox', async () => {
    await shell.pageAt('setup');
    assert.notEqual(process.getuid?.(), 0);
    const renderers = processes().filter(({ type }) => type === 'renderer');
    assert.ok(renderers.length > 0);
    for (const { pid } of renderers) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      assert.match(status, /^Seccomp:\t2$/m, 'system calls are filtered');
      assert.match(status, /^NSpid:\t\d+\t\d+/m, 'in a namespace of its own');
      assert.match(status, /^CapEff:\t0+$/m);
    }
    for (const { pid } of processes()) {
      assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\t${process.getuid?.()}\t`, 'm'));
    }
  });

  test('nobody but root can change what it starts from', () => {
    const home = '/opt/identree-console';
    for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const { uid, mode } = statSync(path);
      assert.equal(uid, 0, path);
      assert.equal(mode & 0o022, 0, path);
      assert.equal((mode & 0o6000) !== 0, entry.name === 'chrome-sandbox', `${path} runs as somebody else`);
    }
  });

  test('it signs in, shows a request and denies it', async () => {
    await signIn(world, shell);
    const page = await shell.pageAt('console');
    const { code } = await world.ask(['sudo', 'rm', '-rf', '/srv/data']);
    const card = page.getByRole('article').filter({ hasText: code });
    await card.getByRole('button', { name: /^Deny/ }).click();
    await page.getByLabel('Reason').fill('Not today');
    await page.getByRole('button', { name: 'Deny request' }).click();
    await until('the denial', () => world.server.data.challenge(code)?.status === 'denied');
  });

  test('it tells of a request by a notification, whose Deny denies', async () => {
    const { code } = await world.ask(['sudo', 'cat', '/etc/notified']);
    const find = () => [...desktop.shown].find(([, { body }]) => body.includes('/etc/notified'));
    const [number] = await until('the notification', find);
    desktop.press(number, 'approve');
    desktop.press(number, 'deny');
    await until('the denial', () => world.server.data.challenge(code)?.status === 'denied');
    await until('its end', () => !desktop.shown.has(number));
  });

  test('a link that the desktop hands to it is opened in the window that is there', async () => {
    const { code } = await world.ask(['sudo', 'id']);
    const second = spawnSync('/usr/bin/identree-console', [...shell.command.slice(1), `identree://approve/${code}`], {
      env: shell.env,
      timeout: 30_000,
    });
    assert.equal(second.status, 0, second.stderr.toString('utf8'));
    const page = await shell.pageAt('console');
    await page.getByText(code).first().waitFor();
  });

  test('it runs nothing but itself: not as Node, not with options for Node, not another program', async () => {
    const run = (args: string[], env: Record<string, string>) =>
      spawnSync('/usr/bin/identree-console', args, {
        env: { ...shell.env, ...env },
        timeout: 30_000,
        encoding: 'utf8',
      });
    const folder = shell.dataFolder;
    const script = join(folder, 'other.cjs');
    const marker = join(folder, 'ran');
    const { writeFileSync, existsSync } = await import('node:fs');
    writeFileSync(script, `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
    const data = shell.command.slice(1);
    run([script, ...data], { ELECTRON_RUN_AS_NODE: '1' });
    run(data, { NODE_OPTIONS: `--require ${script}` });
    run([script, ...data], {});
    run(['--inspect-brk=127.0.0.1:0', ...data], {});
    assert.ok(!existsSync(marker));
  });
});
