import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { startNotificationServer } from '../../../apps/desktop/src/main/testing/fake-notification-server.ts';
import { must, until } from '../../harness/run.ts';
import { chooseFromMenu, openKeyboard } from './keyboard.ts';
import { startTrayHost } from './tray-host.ts';
import { type Installed, openWorld, signIn, tellProgress, type World } from './world.ts';

tellProgress();

const RESULTS = process.env.IDENTREE_RESULTS!;
let world: World;
let desktop: Awaited<ReturnType<typeof startNotificationServer>>;
let tray: Awaited<ReturnType<typeof startTrayHost>>;
let shell: Installed;
before(async () => {
  const address = process.env.DBUS_SESSION_BUS_ADDRESS!;
  desktop = await startNotificationServer(address, ['body', 'body-markup', 'actions']);
  tray = await startTrayHost(address);
  world = await openWorld();
  shell = await world.launchInstalled();
  await signIn(world, shell);
});
after(async () => {
  await world?.close();
  desktop?.close();
  tray?.close();
});

const shownFor = (command: string) =>
  until(`a notification of ${command}`, () => [...desktop.shown].find(([, { body }]) => body.includes(command)));
const statusOf = (code: string) => world.server.data.challenge(code)?.status;

/** Denies whatever waits, so that the next test begins with nothing. */
async function settle(): Promise<void> {
  for (const one of world.server.data.challenges()) {
    if (one.status === 'pending') await world.person.mutate('challenges.deny', { challengeId: one.id });
  }
  await until('an empty desktop', () => desktop.shown.size === 0);
}

describe('notifications of the installed console', () => {
  afterEach(settle);

  test('a request is told with who, what, where and how long; what somebody typed is no markup', async () => {
    const started = Date.now();
    await world.ask(['sudo', 'echo', '<b>bold</b>']);
    const [, text] = await shownFor('bold');
    assert.match(text.title, /asks for root on web1\.example\.com$/);
    assert.match(text.body, /&lt;b&gt;bold&lt;\/b&gt;/);
    assert.match(text.body, /\d+ (s|min) left/);
    assert.deepEqual(text.actions, ['default', 'Review', 'review', 'Review', 'deny', 'Deny']);
    console.log(`from the request to the notification: ${Date.now() - started} ms`);
  });

  test('Deny in a notification denies on the server, by this person', async () => {
    const { code } = await world.ask(['sudo', 'rm', '-rf', '/srv/one']);
    const [number] = await shownFor('/srv/one');
    desktop.press(number, 'deny');
    await until('the denial', () => statusOf(code) === 'denied');
    const [event] = world.server.data.events({ event: 'challenge_rejected', code });
    assert.equal(event?.actor ?? event?.username, 'alice');
    await until('its end', () => !desktop.shown.has(number));
  });

  test('Review shows the request in the window, and opens no browser', async () => {
    const before = shell.opened().length;
    const { code } = await world.ask(['sudo', 'cat', '/etc/review']);
    const [number] = await shownFor('/etc/review');
    desktop.press(number, 'review');
    const page = await shell.pageAt('console');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    assert.equal(shell.opened().length, before);
    assert.equal(statusOf(code), 'pending');
    await page.keyboard.press('Escape');
  });

  test('nothing that is pressed in a notification approves', async () => {
    const { code } = await world.ask(['sudo', 'cat', '/etc/approve']);
    const [number] = await shownFor('/etc/approve');
    const before = shell.opened().length;
    for (const key of ['approve', 'Approve', 'allow', 'yes', 'default', 'review', '', '0']) desktop.press(number, key);
    const page = await shell.pageAt('console');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    assert.equal(statusOf(code), 'pending');
    assert.equal(shell.opened().length, before);
    assert.deepEqual(world.server.data.events({ event: 'challenge_approved', code }), []);
    await page.keyboard.press('Escape');
  });

  test('what is decided elsewhere is taken back', async () => {
    const { challengeId } = await world.ask(['sudo', 'cat', '/etc/elsewhere']);
    const [number] = await shownFor('/etc/elsewhere');
    await world.person.mutate('challenges.deny', { challengeId });
    await until('its end', () => !desktop.shown.has(number));
  });

  test('more than three become one', async () => {
    for (let i = 0; i < 5; i++) await world.ask(['sudo', 'cat', `/etc/many${i}`]);
    await until('one for all', () => {
      const titles = [...desktop.shown.values()].map(({ title }) => title);
      return titles.length === 1 && titles[0] === '5 requests wait';
    });
  });
});

describe('tray of the installed console', () => {
  const label = (wanted: RegExp) =>
    until(`${wanted} in the tray`, async () => (await tray.lines()).find((line) => wanted.test(line.label)) ?? null);

  test('count in icon, tooltip and menu', async () => {
    await label(/^Nothing waits$/);
    const before = await tray.picture();
    await world.ask(['sudo', 'cat', '/etc/tray']);
    await label(/^alice: .*\/etc\/tray \(web1\.example\.com\)$/);
    assert.equal(await tray.tooltip(), 'identree: 1 request waits');
    assert.notDeepEqual(await tray.picture(), before);
  });

  test('a line of the tray shows the request in the window and decides nothing', async () => {
    const { code } = await world.ask(['sudo', 'cat', '/etc/second']);
    const before = shell.opened().length;
    await tray.click((await label(/\/etc\/second/)).id);
    const page = await shell.pageAt('console');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    assert.equal(statusOf(code), 'pending');
    assert.equal(shell.opened().length, before);
    await page.keyboard.press('Escape');
  });

  test('notifications rest for an hour, and come back when they are told to', async () => {
    await settle();
    await tray.click((await label(/^Pause notifications/)).id);
    await label(/^Resume notifications$/);
    await world.ask(['sudo', 'cat', '/etc/quiet']);
    await label(/\/etc\/quiet/);
    assert.deepEqual([...desktop.shown.values()], []);
    await tray.click((await label(/^Resume notifications$/)).id);
    await label(/^Pause notifications/);
    await world.ask(['sudo', 'cat', '/etc/loud']);
    await shownFor('/etc/loud');
    assert.equal(desktop.shown.size, 1);
    await settle();
  });

  const closeWindow = async () => {
    await (await shell.pageAt('console')).close({ runBeforeUnload: true });
    await until('no window', () => shell.windows().length === 0);
  };

  test('the first close asks whether it stays, and the answer is kept', async () => {
    const settings = join(shell.dataFolder, 'settings.json');
    assert.ok(!existsSync(settings));
    const keyboard = await openKeyboard(world.display.name);
    await closeWindow();
    // Without a window manager the question stands in the upper left corner.
    await keyboard.point(100, 20);
    await until('the answer', async () => {
      if (existsSync(settings))
        return (JSON.parse(readFileSync(settings, 'utf8')) as { background: boolean }).background;
      await keyboard.press('Return');
      return false;
    });
    keyboard.close();
  });

  test('without its window it still tells, and starting it again brings the window back', async () => {
    await world.ask(['sudo', 'cat', '/etc/windowless']);
    await shownFor('/etc/windowless');
    const [program = '', ...first] = shell.command;
    await must(program, first, { env: shell.env });
    const page = await shell.pageAt('console');
    await page.getByText('/etc/windowless').first().waitFor();
    await settle();
    // Closed again, it goes on as was answered.
    await closeWindow();
    await world.ask(['sudo', 'cat', '/etc/windowless-again']);
    await shownFor('/etc/windowless-again');
    writeFileSync(
      join(RESULTS, 'desktop-tray.txt'),
      `${await tray.tooltip()}\n${(await tray.lines()).map((line) => line.label).join('\n')}\n`,
    );
    await settle();
  });

  test('its menu switches the start at login on and off, and has commands hidden in notifications', async () => {
    await tray.click((await label(/^Open identree$/)).id);
    const page = await shell.pageAt('console');
    await page.getByRole('heading', { level: 1 }).waitFor();
    const file = join(process.env.XDG_CONFIG_HOME!, 'autostart/org.identree.Console.desktop');
    const settings = () => JSON.parse(readFileSync(join(shell.dataFolder, 'settings.json'), 'utf8'));
    const keyboard = await openKeyboard(world.display.name);
    const choose = (line: number) => chooseFromMenu(keyboard, page, { line });
    const [startAtLogin, hideCommands] = [4, 5];
    await choose(startAtLogin);
    await until('the file', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
    assert.match(readFileSync(file, 'utf8'), /^Exec="\/opt\/identree-console\/identree-console" "--background"$/m);
    await must('desktop-file-validate', [file]);
    await choose(hideCommands);
    await until('the note of it', () => settings().hideCommand);
    await world.ask(['sudo', 'cat', '/etc/hidden']);
    const [text] = await until('its notification', () => desktop.shown.size === 1 && [...desktop.shown.values()]);
    assert.doesNotMatch(`${text!.title}${text!.body}`, /hidden|cat/);
    assert.match(text!.title, /asks for root on web1/);
    await settle();
    await choose(startAtLogin);
    await until('no file', () => !existsSync(file));
    keyboard.close();
  });

  test('Quit ends it', async () => {
    const ended = new Promise((resolve) => shell.process.once('exit', resolve));
    await tray.click((await label(/^Quit$/)).id);
    await ended;
  });
});

test('on a desktop without tray, notifications and keyring it shows, denies and comes back all the same', async () => {
  const alone = await world.launchInstalled({ env: { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' } });
  await signIn(world, alone);
  const page = await alone.pageAt('console');
  const { code } = await world.ask(['sudo', 'cat', '/etc/alone']);
  const [program = '', ...first] = alone.command;
  await must(program, [...first, `identree://approve/${code}`], { env: alone.env });
  await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Request' }).waitFor({ state: 'detached' });
  const card = page.getByRole('article').filter({ hasText: code });
  await card.getByRole('button', { name: /^Deny/ }).click();
  await page.getByLabel('Reason').fill('Not today');
  await page.getByRole('button', { name: 'Deny request' }).click();
  await until('the denial', () => statusOf(code) === 'denied');
  assert.equal(
    desktop.log.some(({ text }) => text.body.includes('/etc/alone')),
    false,
  );
  await alone.close();
});
