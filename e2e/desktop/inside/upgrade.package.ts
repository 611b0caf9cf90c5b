import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Locator } from '@playwright/test';
import { startNotificationServer } from '../../../apps/desktop/src/main/testing/fake-notification-server.ts';
import { wordsFor } from '../../../apps/desktop/src/words/words.ts';
import { until } from '../../harness/run.ts';
import { NEXT_VERSION } from '../next-version.ts';
import { chooseFromMenu, openKeyboard } from './keyboard.ts';
import { agree, type StandIn, startStandIn } from './stand-in.ts';
import { startTrayHost } from './tray-host.ts';
import {
  consoleOf,
  type Installed,
  isInColour,
  makeCertificates,
  openWorld,
  signIn,
  tellProgress,
  type World,
} from './world.ts';

tellProgress();

const address = process.env.DBUS_SESSION_BUS_ADDRESS!;
const words = wordsFor('en');
const dir = mkdtempSync(join(tmpdir(), 'kept-'));

let world: World;
let desktop: Awaited<ReturnType<typeof startNotificationServer>>;
let tray: Awaited<ReturnType<typeof startTrayHost>>;
let keyboard: Awaited<ReturnType<typeof openKeyboard>>;
/** Of an authority that this computer does not know. */
let own: StandIn;
let ownCertificate: Awaited<ReturnType<typeof makeCertificates>>;
let shell: Installed;
before(async () => {
  execFileSync('/usr/bin/gnome-keyring-daemon', ['--replace', '--unlock', '--components=secrets'], {
    input: 'test\n',
    timeout: 60_000,
  });
  desktop = await startNotificationServer(address, ['body', 'actions']);
  tray = await startTrayHost(address);
  world = await openWorld();
  keyboard = await openKeyboard(world.display.name);
  ownCertificate = await makeCertificates(join(dir, 'private'), { isTrusted: false });
  own = await startStandIn({ tls: ownCertificate });
  shell = await start();
  await signIn(world, shell);
});
after(async () => {
  keyboard?.close();
  await world?.close();
  await own?.close();
  desktop?.close();
  tray?.close();
  rmSync(dir, { recursive: true, force: true });
});

const start = (dataFolder?: string): Promise<Installed> =>
  world.launchInstalled({ ...(dataFolder ? { dataFolder } : {}), args: ['--password-store=gnome-libsecret'] });

async function restart(): Promise<void> {
  await shell.close();
  shell = await start(shell.dataFolder);
}

/** Chooses the server in the tray whose line begins so. Its menu is made anew with each change: a line may be gone by then. */
const turnTo = (begin: string) =>
  until(`${begin} in the tray`, async () => {
    const found = (await tray.lines()).find(({ label }) => label.startsWith(begin));
    return (
      found &&
      tray.click(found.id).then(
        () => true,
        () => false,
      )
    );
  });
/** Chooses a line of a menu of the window. That one is made anew too, and is closed by it when it stands open. */
async function choose(at: Parameters<typeof chooseFromMenu>[2], isDone: () => boolean): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    const page = await consoleOf(shell, world.server.url);
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
    await chooseFromMenu(keyboard, page, at);
    if (await until('what was chosen', isDone, 5000).catch(() => false)) return;
    await keyboard.press('Escape');
  }
  assert.fail(`line ${at.line} of the menu does nothing`);
}
const isSetup = () => shell.windows().some((page) => page.url().startsWith('app://setup/'));
const lineIs = (label: string) =>
  until(`${label} in the tray`, async () => (await tray.lines()).some((one) => one.label === label));
/**
 * Names a file in the dialog of the desktop, which stands in the upper left corner: no window manager places it, or gives it
 * the keys. How far it is nobody tells, so that it gets more time with each try.
 *
 * @param chosen what the page shows once it has the file
 */
async function chooseFile(path: string, open: () => Promise<void>, chosen: Locator): Promise<void> {
  for (let pause = 1000; pause <= 4000; pause *= 2) {
    const drawn = () => new Promise((resolve) => setTimeout(resolve, pause));
    await open();
    await drawn();
    await keyboard.point(300, 300);
    // Opens the field for a path, which has the keys once it was clicked.
    await keyboard.type('/');
    await drawn();
    await keyboard.click(600, 22);
    await drawn();
    await keyboard.type(path.slice(1));
    await drawn();
    // Open. Return would only close the list of what the path could go on with.
    await keyboard.click(1075, 799);
    const isChosen = await chosen.waitFor({ timeout: pause * 4 }).then(
      () => true,
      () => false,
    );
    if (isChosen) return;
    await keyboard.press('Escape');
    await drawn();
  }
  assert.fail(`${path} was not chosen`);
}
const nameOf = (origin: string) => new URL(origin).host;
interface Kept {
  active: string;
  list: { origin: string; name: string; colour: string; pin?: string }[];
}
const kept = (): Kept => JSON.parse(readFileSync(join(shell.dataFolder, 'profile.json'), 'utf8')) as Kept;

describe('what a person has set up in the installed console', () => {
  test('a server by the file of its authority: nothing else vouches for it, at the next start neither', async () => {
    const file = '/tmp/authority.pem';
    writeFileSync(file, ownCertificate.ca);
    await choose({ menu: 'servers', line: -1 }, isSetup);
    const page = await shell.pageAt('setup');
    await page.getByLabel('Server address').fill(own.origin);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'Is this your server?' }).waitFor();
    const trust = page.getByRole('button', { name: 'Trust this authority' });
    await chooseFile(file, () => page.getByRole('button', { name: 'Choose its authority' }).click(), trust);
    await trust.click();
    await agree(shell, page, own);
    await consoleOf(shell, own.origin);
    assert.equal(
      kept()
        .list.find(({ origin }) => origin === own.origin)
        ?.pin?.trim(),
      ownCertificate.ca.trim(),
    );

    // One that this computer trusts, for the same name: not of the authority that was agreed to.
    own.showCertificate(world.certs);
    await lineIs(`${nameOf(own.origin)} (${words.offline.other_certificate})`);
    await restart();
    await lineIs(`${nameOf(own.origin)} (${words.offline.other_certificate})`);
    own.showCertificate(ownCertificate);
    await lineIs(nameOf(own.origin));
  });

  test('a name and a colour for a server, which are there at the next start', async () => {
    await turnTo(nameOf(world.server.url));
    await choose({ line: 1 }, isSetup);
    const page = await shell.pageAt('setup');
    await page.getByLabel('Name').fill('Work in Berlin');
    await page.getByLabel('Violet').check({ force: true });
    await page.getByRole('button', { name: 'Save' }).click();
    await until('its colour', async () => isInColour(await consoleOf(shell, world.server.url), 'violet'));
    await lineIs('Work in Berlin');
    await restart();
    await until('its colour', async () => isInColour(await consoleOf(shell, world.server.url), 'violet'));
    await lineIs('Work in Berlin');
    assert.deepEqual(shell.opened(), [], 'nobody had to sign in again');
  });

  test('a list of servers that is damaged: it starts, says so, and loses nothing else', async () => {
    const settings = join(shell.dataFolder, 'settings.json');
    const hides = () => existsSync(settings) && readFileSync(settings, 'utf8').includes('"hideCommand":true');
    await choose({ line: 5 }, hides);
    await shell.close();
    const at = (name: string) => readFileSync(join(shell.dataFolder, name), 'utf8');
    const file = join(shell.dataFolder, 'profile.json');
    const [list, session, chosen] = ['profile.json', 'credential.json', 'settings.json'].map(at);
    const damaged = list!.slice(0, -20);
    writeFileSync(file, damaged);
    shell = await start(shell.dataFolder);
    const page = await shell.pageAt('setup');
    const [what = '', how = ''] = words.setup.unreadable(file);
    await page.getByText(what).waitFor();
    await page.getByText(how).waitFor();
    assert.deepEqual([at('profile.json'), at('credential.json'), at('settings.json')], [damaged, session, chosen]);

    // Mended, all of it is there again.
    await shell.close();
    writeFileSync(file, list!);
    shell = await start(shell.dataFolder);
    await consoleOf(shell, world.server.url);
    await lineIs('Work in Berlin');
    await lineIs(nameOf(own.origin));
    assert.deepEqual(shell.opened(), []);
    await choose({ line: 5 }, () => !hides());
  });
});

test('a newer package under the open console: it goes on, and the next start is the newer one', async () => {
  /** What the program said of itself when it asked last. */
  const version = () => /^identree-desktop\/(\S+)/.exec(own.seen.at(-1)?.headers['user-agent'] ?? '')?.[1];
  const before = version();
  assert.ok(before && before !== NEXT_VERSION, before);
  writeFileSync('/tmp/upgrade', '');
  await until('the newer package', () => {
    if (existsSync('/tmp/upgraded')) return true;
    const said = existsSync('/tmp/upgrade.log') ? readFileSync('/tmp/upgrade.log', 'utf8') : '';
    if (/error/i.test(said)) throw new Error(said);
    return false;
  });
  assert.match(execFileSync('dpkg-query', ['-W', 'identree-console'], { encoding: 'utf8' }), /~test2$/m);

  // What is told, and what a button does.
  const { code } = await world.ask(['sudo', 'cat', '/etc/upgraded']);
  const [number] = await until('the notification', () =>
    [...desktop.shown].find(([, { body }]) => body.includes('/etc/upgraded')),
  );
  desktop.press(number, 'deny');
  await until('the denial', () => world.server.data.challenge(code)?.status === 'denied');
  // Pages of another server and of the shell itself: new windows, and processes that start now.
  await turnTo(nameOf(own.origin));
  await (await consoleOf(shell, own.origin)).getByRole('heading', { name: 'Inbox' }).waitFor();
  await turnTo('Work in Berlin');
  const page = await consoleOf(shell, world.server.url);
  await page.getByRole('heading', { name: 'Inbox' }).waitFor();
  assert.equal(version(), before, 'it is still the one that was started');
  // A start of the newer one leads to the window that is there.
  const second = spawnSync('/usr/bin/identree-console', [...shell.command.slice(1), `identree://approve/${code}`], {
    env: shell.env,
    timeout: 60_000,
  });
  assert.equal(second.status, 0, second.stderr.toString('utf8'));
  await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
  await page.keyboard.press('Escape');
  assert.deepEqual([shell.process.exitCode, shell.process.signalCode], [null, null]);

  const list = kept();
  await restart();
  assert.deepEqual(kept(), list);
  await lineIs('Work in Berlin');
  await lineIs(nameOf(own.origin));
  assert.equal(version(), NEXT_VERSION);
  assert.deepEqual(shell.opened(), [], 'nobody had to sign in again');
  await shell.close();
});
