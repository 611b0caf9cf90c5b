import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page } from '@playwright/test';
import { createClient, type MessageBus } from 'dbus-native';
import { COLOURS } from '../../../apps/desktop/src/colours.ts';
import { wordsFor } from '../../../apps/desktop/src/words/words.ts';
import { must, until } from '../../harness/run.ts';
import { openKeyboard } from './keyboard.ts';
import { startRoad } from './road.ts';
import { agree, type StandIn, startStandIn } from './stand-in.ts';
import { startTrayHost } from './tray-host.ts';
import {
  consoleOf,
  type Installed,
  inPage,
  isInColour,
  makeCertificates,
  openWorld,
  originsShown,
  signIn,
  tellProgress,
  type World,
} from './world.ts';

tellProgress();

const DAEMON = '/usr/bin/gnome-keyring-daemon';
const GONE = 'gone.example.com';
const address = process.env.DBUS_SESSION_BUS_ADDRESS!;
const words = wordsFor('en');
/** Longer than any of these tests. */
const WAITS = { leftMs: 3_600_000 };
const dir = mkdtempSync(join(tmpdir(), 'servers-'));

let world: World;
let tray: Awaited<ReturnType<typeof startTrayHost>>;
/** What this program shows as the part of the system that puts the computer to sleep. */
let login: MessageBus;
/** Between the program and the world's server. */
let road: Awaited<ReturnType<typeof startRoad>>;
/** With a certificate that vouches for itself. */
let own: StandIn;
/** Known by a name that is not always found. */
let gone: StandIn;
let goneOrigin: string;
before(async () => {
  // Reads the password of the keyring from its input; the D-Bus session is this test run's own. Another one may be there
  // and locked: the bus starts it for the first program that asks.
  execFileSync(DAEMON, ['--replace', '--unlock', '--components=secrets'], { input: 'test\n', timeout: 60_000 });
  tray = await startTrayHost(address);
  login = createClient({ busAddress: address });
  await login.requestName('org.freedesktop.login1', 0);
  world = await openWorld();
  const unknown = await ownCertificate('unknown');
  road = await startRoad({ port: Number(new URL(world.server.url).port), right: world.certs, wrong: unknown });
  own = await startStandIn({ tls: unknown, newest: '99.0.0' });
  gone = await startStandIn({ tls: await makeCertificates(join(dir, 'gone'), { name: GONE }) });
  goneOrigin = `https://${GONE}:${gone.port}`;
});
after(async () => {
  await world?.close();
  await road?.close();
  await own?.close();
  await gone?.close();
  tray?.close();
  login?.connection.end();
  rmSync(dir, { recursive: true, force: true });
});

/** A certificate that vouches for itself. */
async function ownCertificate(name: string): Promise<{ cert: string; key: string }> {
  const files = { key: join(dir, `${name}.key`), cert: join(dir, `${name}.crt`) };
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await must('openssl', [...request, ...subject, '-keyout', files.key, '-out', files.cert]);
  return { key: readFileSync(files.key, 'utf8'), cert: readFileSync(files.cert, 'utf8') };
}

/** Each would have Chromium take every certificate. */
const TRUST_SWITCHES = ['--ignore-certificate-errors', '--allow-insecure-localhost'];

/**
 * Starts the installed program with a keyring, and with the world's server at the end of the road. What is told here of
 * certificates is told although the program is started with the switches that have all of them trusted.
 */
function start(options: { dataFolder?: string; gone?: string } = {}): Promise<Installed> {
  const { dataFolder } = options;
  const rules = [`MAP ${new URL(world.server.url).host} 127.0.0.1:${road.port}`];
  if (options.gone) rules.push(`MAP ${GONE} ${options.gone}`);
  return world.launchInstalled({
    ...(dataFolder === undefined ? {} : { dataFolder }),
    args: [...TRUST_SWITCHES, '--password-store=gnome-libsecret', `--host-resolver-rules=${rules.join(',')}`],
    env: { DBUS_SYSTEM_BUS_ADDRESS: address },
  });
}

/** The line of the tray that begins so. */
const line = (begin: string) =>
  until(`${begin} in the tray`, async () => (await tray.lines()).find(({ label }) => label.startsWith(begin)));
const lineIs = (label: string) =>
  until(`${label} in the tray`, async () => (await tray.lines()).some((one) => one.label === label));
/** The world's server is told to be lost in this way, whether or not something waits there. */
const lost = (kind: 'unreachable' | 'certificate' | 'unavailable') =>
  until(`the word of it (${words.offline[kind]})`, async () =>
    (await line(nameOf(world.server.url))).label.endsWith(`${words.offline[kind]})`),
  );
const nameOf = (origin: string) => new URL(origin).host;

test('without a keyring the installed console says that the session is not kept, keeps nothing, and asks again', async () => {
  const shell = await world.launchInstalled();
  const page = await shell.pageAt('setup');
  await page.getByLabel('Server address').fill(world.server.url);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Your session is not kept.').waitFor();
  await page.getByText('No keyring (GNOME Keyring or KWallet) runs on this computer').waitFor();
  await page.getByRole('button', { name: 'Open the browser' }).click();
  await fetch(await world.consent(await until('the browser', () => shell.opened()[0])));
  await (await shell.pageAt('console')).getByRole('heading', { name: 'Inbox' }).waitFor();
  const kept = join(shell.dataFolder, 'profile.json');
  await until('the note of the server', () => existsSync(kept));
  await shell.close();
  assert.ok(!existsSync(join(shell.dataFolder, 'credential.json')));
  const again = await world.launchInstalled({ dataFolder: shell.dataFolder });
  const asks = await again.pageAt('setup');
  await asks.getByText(nameOf(world.server.url)).waitFor();
  await asks.getByText('Your session is not kept.').waitFor();
  assert.deepEqual(again.opened(), []);
  await again.close();
});

describe('several servers in the installed console, with a keyring:', () => {
  let shell: Installed;
  before(async () => {
    shell = await start({ gone: '127.0.0.1' });
    await signIn(world, shell);
  });
  const restart = async (options: { gone?: string } = {}) => {
    const { dataFolder } = shell;
    await shell.close();
    shell = await start({ dataFolder, ...options });
  };

  test('the next start is signed in, and the file on the disk is encrypted', async () => {
    const file = join(shell.dataFolder, 'credential.json');
    await until('the file', () => existsSync(file));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const sealed = Buffer.from(JSON.parse(readFileSync(file, 'utf8')).sealed, 'base64').toString('latin1');
    assert.doesNotMatch(sealed, /secret|origin|identree/);
    assert.doesNotMatch(sealed, /^v10/, 'that key is the same on every computer');
    await restart({ gone: '127.0.0.1' });
    const page = await consoleOf(shell, world.server.url);
    await page.getByText('Alice Ahlberg').first().waitFor();
    assert.deepEqual(shell.opened(), []);
  });

  test('another is added once its certificate was shown and agreed to', async () => {
    const page = await consoleOf(shell, world.server.url);
    await inPage(page, 'void window.identreeDesktop.signOut()').catch(() => {});
    const setup = await shell.pageAt('setup');
    await setup.getByRole('button', { name: 'Use another server' }).click();
    await setup.getByLabel('Server address').fill(own.origin);
    await setup.getByRole('button', { name: 'Continue' }).click();
    await setup.getByRole('heading', { name: 'Is this your server?' }).waitFor();
    await setup.getByRole('button', { name: 'Trust this certificate' }).click();
    await agree(shell, setup, own);
    await consoleOf(shell, own.origin);
    await lineIs(`${nameOf(world.server.url)} (signed out)`);
  });

  test('that a server offers a newer version is told in one line', async () => {
    const page = await consoleOf(shell, own.origin);
    await page.getByRole('note').filter({ hasText: 'identree 99.0.0 is out; this is ' }).waitFor();
  });

  test('who is signed out of one hears of the others, and can add more and come back', async () => {
    own.inbox.ask('id', WAITS);
    await lineIs(`${nameOf(own.origin)} (1)`);

    await tray.click((await line(nameOf(world.server.url))).id);
    let setup = await shell.pageAt('setup');
    await setup.getByRole('button', { name: 'Use another server' }).click();
    await setup.getByLabel('Server address').fill(goneOrigin);
    await setup.getByRole('button', { name: 'Continue' }).click();
    await agree(shell, setup, gone);
    await consoleOf(shell, goneOrigin);
    gone.inbox.ask('id', WAITS);
    await lineIs(`${nameOf(goneOrigin)} (1)`);

    await tray.click((await line(nameOf(world.server.url))).id);
    setup = await shell.pageAt('setup');
    const before = shell.opened().length;
    await setup.getByRole('button', { name: 'Open the browser' }).click();
    await fetch(await world.consent(await until('the browser', () => shell.opened()[before])));
    const page = await consoleOf(shell, world.server.url);
    await lineIs(nameOf(world.server.url));
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
    assert.equal(await page.getByRole('note').count(), 0, 'it offers the version that runs');
  });

  test('what waits is told of all at once', async () => {
    await world.ask(['sudo', 'cat', '/etc/first']);
    await lineIs(`${nameOf(world.server.url)} (1)`);
    await lineIs(`${nameOf(own.origin)} (1)`);
    await lineIs(`${nameOf(goneOrigin)} (1)`);
    assert.equal(await tray.tooltip(), 'identree: 3 requests wait');
  });

  test('a line of the tray changes to its server, each in its colour', async () => {
    const all = [world.server.url, own.origin, goneOrigin];
    for (const [index, origin] of [...all.entries()].reverse()) {
      await tray.click((await line(nameOf(origin))).id);
      const page = await consoleOf(shell, origin);
      await until('its colour', () => isInColour(page, COLOURS[index]!));
    }
  });

  test('what the page of one server keeps, or a server has kept, is never with another one', async () => {
    const kept = (page: Page) =>
      inPage<unknown>(
        page,
        `const databases = (await indexedDB.databases()).map(({ name }) => name);
        return [localStorage.getItem('kept'), databases.includes('kept'), document.cookie];`,
      );
    const turnTo = async (origin: string) => {
      await tray.click((await line(nameOf(origin))).id);
      return consoleOf(shell, origin);
    };
    await inPage(
      await turnTo(own.origin),
      `localStorage.setItem('kept', 'here');
      document.cookie = 'kept=here';
      await new Promise((resolve, reject) => {
        const opening = indexedDB.open('kept');
        opening.onsuccess = () => resolve(opening.result.close());
        opening.onerror = reject;
      });`,
    );
    assert.deepEqual(await kept(await turnTo(goneOrigin)), [null, false, '']);
    assert.deepEqual(await kept(await turnTo(world.server.url)), [null, false, '']);
    assert.deepEqual(await kept(await turnTo(own.origin)), ['here', true, '']);
    for (const { seen } of [own, gone]) {
      assert.ok(seen.length > 0);
      for (const { headers, url } of seen) assert.equal(headers.cookie, undefined, url);
    }
    await turnTo(world.server.url);
  });

  test('Ctrl with a number changes to the server of that number', async () => {
    const keyboard = await openKeyboard(world.display.name);
    await keyboard.point(300, 300);
    for (const [key, origin] of [
      ['2', own.origin],
      ['3', goneOrigin],
      ['1', world.server.url],
    ] as const) {
      await until(`the console of ${origin}`, async () => {
        await keyboard.press('Control', key);
        return (await originsShown(shell.windows())).includes(origin);
      });
    }
    keyboard.close();
  });

  test('the palette opens by Ctrl+K, goes to a page and a request, and changes the server', async () => {
    const keyboard = await openKeyboard(world.display.name);
    await keyboard.point(300, 300);
    const { code } = await world.ask(['sudo', 'cat', '/etc/palette']);
    const page = await consoleOf(shell, world.server.url);
    const field = page.getByRole('combobox', { name: 'Search and go' });
    const choose = async (typed: string) => {
      await until('the palette', async () => {
        if ((await field.count()) > 0) return true;
        await keyboard.press('Control', 'k');
        return field.waitFor({ timeout: 5000 }).then(
          () => true,
          () => false,
        );
      });
      await page.keyboard.type(typed);
      await page.getByRole('option', { selected: true }).waitFor();
      await keyboard.press('Return');
    };
    await choose('sessions');
    await page.getByRole('heading', { level: 1, name: 'Sessions' }).waitFor();
    await choose('palette cat');
    const dialog = page.getByRole('dialog', { name: 'Request' });
    await dialog.getByText(code).first().waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await choose(`servers ${nameOf(own.origin)}`);
    await consoleOf(shell, own.origin);
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
    await tray.click((await line(nameOf(world.server.url))).id);
    await consoleOf(shell, world.server.url);
    keyboard.close();
  });

  test('each way of losing a server has its words, and nothing is decided until it is back', async () => {
    const page = await consoleOf(shell, world.server.url);
    const { code } = await world.ask(['sudo', 'cat', '/etc/lost']);
    const card = page.getByRole('article').filter({ hasText: code });
    const buttons = (disabled: boolean) =>
      [/^Deny/, /^(Review|View) the request/].map((name) => card.getByRole('button', { name, disabled }).waitFor());
    for (const kind of ['unreachable', 'certificate', 'unavailable'] as const) {
      await Promise.all(buttons(false));
      road.lead(kind);
      await page.getByText(words.notReached[kind](nameOf(world.server.url))).waitFor();
      await Promise.all(buttons(true));
      await lost(kind);
      assert.match(await tray.tooltip(), / is not reached$/);
      // The others are not disturbed by it.
      await lineIs(`${nameOf(own.origin)} (1)`);
      // A window that opens meanwhile says the same, and is there by itself once the server is: it asks anew who is
      // signed in each minute, and comes sooner.
      await page.reload();
      await page
        .getByRole('alert')
        .getByText(words.notReached[kind](nameOf(world.server.url)))
        .waitFor();
      road.lead('through');
      await card.waitFor({ timeout: 30_000 });
      await Promise.all(buttons(false));
    }
    const showsAgain = {
      cert: readFileSync(join(dir, 'unknown.crt'), 'utf8'),
      key: readFileSync(join(dir, 'unknown.key'), 'utf8'),
    };
    own.showCertificate(await ownCertificate('other'));
    await lineIs(`${nameOf(own.origin)} (1, ${words.offline.other_certificate})`);
    own.showCertificate(showsAgain);
    await lineIs(`${nameOf(own.origin)} (1)`);
  });

  test('after the computer slept it is back within three seconds', async () => {
    // Whatever the page of a server asks would be heard on the road too.
    await tray.click((await line(nameOf(own.origin))).id);
    await consoleOf(shell, own.origin);
    // A machine may be busy with something else once.
    let backAfter = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 3 && backAfter > 3000; tries++) {
      road.lead('unreachable');
      await lost('unreachable');
      await until('a longer pause', () => road.quietMs() > 4100);
      road.lead('through');
      const awake = Date.now();
      for (const asleep of [true, false]) {
        const at = ['/org/freedesktop/login1', 'org.freedesktop.login1.Manager'] as const;
        login.sendSignal(...at, 'PrepareForSleep', 'b', [asleep]);
      }
      await until('the server', async () => !(await tray.tooltip()).endsWith(' is not reached'));
      backAfter = Date.now() - awake;
    }
    console.log(`back after ${backAfter} ms`);
    assert.ok(backAfter <= 3000, `${backAfter} ms`);
  });

  test('a name that is not found, and no network at all', async () => {
    await restart({ gone: '^NOTFOUND' });
    await lineIs(`${nameOf(goneOrigin)} (${words.offline.name_not_found})`);
    await lineIs(`${nameOf(own.origin)} (1)`);
    // There is only the loopback here, which is no network for Chromium: it asks nobody for a name then.
    await restart();
    await lineIs(`${nameOf(goneOrigin)} (${words.offline.no_network})`);
    await lineIs(`${nameOf(own.origin)} (1)`);
    await shell.close();
  });
});
