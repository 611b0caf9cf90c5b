import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page } from '@playwright/test';
import { CONSOLE_LOCALE } from '#shared/console.ts';
import type { OfflineKind } from '../../../apps/desktop/src/main/reach.ts';
import { NOBODY } from '../../../apps/desktop/src/main/testing/fake-server.ts';
import { wordsFor } from '../../../apps/desktop/src/words/words.ts';
import { NOTIFICATION_DAEMON } from '../../../scripts/testing/setup.ts';
import { must, until } from '../../harness/run.ts';
import { pictureOf } from './screen.ts';
import { type StandIn, startStandIn } from './stand-in.ts';
import { makeCertificates, openWorld, originsShown, type Shell, type World } from './world.ts';

/** A picture of every window, dialog, menu and notification, for people to look at. It checks nothing. */

const RESULTS = process.env.IDENTREE_RESULTS!;
const SCHEMES = ['light', 'dark'] as const;

let world: World;
const dir = mkdtempSync(join(tmpdir(), 'pictures-'));
before(async () => {
  world = await openWorld();
});
after(() => world?.close());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

/** A server over TLS that knows nobody. @returns its origin */
async function tlsServer(cert: string, key: string): Promise<string> {
  const server = createServer({ cert, key }, (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(NOBODY),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

async function ownCertificate(name: string): Promise<[cert: string, key: string]> {
  const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '90',
  ];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  await must('openssl', [...request, ...subject, '-keyout', key, '-out', cert]);
  return [readFileSync(cert, 'utf8'), readFileSync(key, 'utf8')];
}

// Menus and questions are the desktop's own and follow its theme, which is settled at the start: one in each language.
for (const [language, theme] of [
  ['en', 'light'],
  ['de', 'dark'],
] as const) {
  const words = wordsFor(language);
  describe(language, () => {
    let shell: Shell;
    let other: StandIn;
    let unknown: string;
    let misnamed: string;
    let elsewhere: string;
    let authority: Awaited<ReturnType<typeof makeCertificates>>;
    let vouched: string;
    let daemon: ReturnType<typeof spawn> | null = null;
    before(async () => {
      if (existsSync(NOTIFICATION_DAEMON)) {
        daemon = spawn(NOTIFICATION_DAEMON, [], {
          env: { ...process.env, DISPLAY: world.display.name },
          stdio: 'ignore',
        });
      }
      other = await startStandIn({ newest: '99.0.0' });
      unknown = await tlsServer(...(await ownCertificate('localhost')));
      misnamed = await tlsServer(...(await ownCertificate('identree.example.net')));
      const site = createPlainServer((_request, response) =>
        response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Hello'),
      );
      await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
      closing.push(() => site.close());
      elsewhere = `localhost:${(site.address() as AddressInfo).port}`;
      authority = await makeCertificates(join(dir, language), { isTrusted: false });
      vouched = await tlsServer(authority.cert, authority.key);
      const env = { GTK_THEME: theme === 'dark' ? 'Adwaita:dark' : 'Adwaita' };
      shell = await world.launch({ args: [`--lang=${language}`], env });
      // The menu of the tray, kept to be opened where no desktop shows it.
      await shell.app.evaluate(({ Tray }) => {
        const set = Tray.prototype.setContextMenu;
        Tray.prototype.setContextMenu = function (menu) {
          (globalThis as { trayMenu?: unknown }).trayMenu = menu;
          set.call(this, menu);
        };
      });
    });
    after(async () => {
      await shell.close();
      await other.close();
      daemon?.kill();
    });

    const save = (name: string, scheme: string, picture: Buffer) =>
      writeFileSync(join(RESULTS, `${name}-${language}-${scheme}.png`), picture);
    async function take(page: Page, name: string): Promise<void> {
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await pause(250);
        save(name, colorScheme, await page.screenshot({ animations: 'disabled' }));
      }
      await page.emulateMedia({ colorScheme: null, reducedMotion: null });
    }
    /** All that stands on the screen, for what is no page. */
    async function takeScreen(name: string, open: () => Promise<void>, close: () => Promise<void>): Promise<void> {
      await open();
      await pause(1200);
      save(name, theme, pictureOf(world.display.file));
      await close();
      await pause(300);
    }
    /** The window, once it shows this page and the one before it is gone. */
    const alone = (kind: 'setup' | 'console'): Promise<Page> =>
      until('one window', async () => {
        const [page, other] = shell.app.windows();
        if (!page || other || !page.url().startsWith(`app://${kind}/`)) return null;
        return (await page
          .locator('h1')
          .count()
          .catch(() => 0)) > 0
          ? page
          : null;
      });
    async function add(origin: string): Promise<Page> {
      const page = await alone('setup');
      const another = page.getByRole('button', { name: words.setup.anotherServer });
      if (await another.count()) await another.click();
      await page.getByLabel(words.setup.address).fill(origin);
      await page.getByRole('button', { name: words.setup.continue }).click();
      return page;
    }
    /** Chooses what is called so in a menu, after this call: the window that is asked goes away with it. */
    const act = (menu: string, line: string) =>
      shell.app.evaluate(
        ({ Menu, BrowserWindow }, [name, begin]) => {
          const { items } = Menu.getApplicationMenu()!.items.find(({ label }) => label === name)!.submenu!;
          const item = items.find(({ label }) => label.startsWith(begin!))!;
          setTimeout(() => item.click(undefined, BrowserWindow.getAllWindows()[0], undefined), 50);
        },
        [menu, line],
      );

    test('the first start, and servers with their certificates', async () => {
      const page = await shell.pageAt('setup');
      await page.getByLabel(words.setup.address).waitFor();
      await take(page, '01-first-start');
      await page.getByLabel(words.setup.address).fill('http://identree.example.com');
      await page.getByRole('button', { name: words.setup.continue }).click();
      await page.getByText(words.setup.problems.not_https).waitFor();
      await take(page, '02-address-problem');
      await page.getByLabel(words.setup.address).fill(elsewhere);
      await page.getByRole('button', { name: words.setup.continue }).click();
      await page.getByText(words.setup.problems.another_site).waitFor();
      await take(page, '23-another-site');
      await add(unknown);
      await page.getByRole('button', { name: words.setup.certificate.trust }).waitFor();
      await take(page, '03-certificate');
      await add(misnamed);
      await page.getByText(words.setup.certificate.faults.other_name).waitFor();
      await take(page, '04-certificate-of-another-name');
      await add(vouched);
      await shell.app.evaluate(({ dialog }, file) => {
        (dialog as { showOpenDialog: unknown }).showOpenDialog = async () => ({ canceled: false, filePaths: [file] });
      }, authority.caFile);
      await page.getByRole('button', { name: words.setup.certificate.choose }).click();
      await page.getByRole('button', { name: words.setup.certificate.trustAuthority }).waitFor();
      await take(page, '05-certificate-of-an-authority');
      await page.getByRole('button', { name: words.setup.certificate.trustAuthority }).click();
      await page.getByRole('button', { name: words.setup.openBrowser }).waitFor();
      await page.locator('summary').click();
      await take(page, '06-sign-in-agreed-certificate');
    });

    test('signing in', async () => {
      const page = await add(world.server.url);
      await page.getByRole('button', { name: words.setup.openBrowser }).waitFor();
      await take(page, '07-sign-in-without-keyring');
      const before = shell.opened().length;
      await page.getByRole('button', { name: words.setup.openBrowser }).click();
      await page.locator('#compare-code').waitFor();
      await take(page, '08-compare-code');
      await fetch(await world.consent(await until('the browser', () => shell.opened()[before])));
      const inConsole = await shell.pageAt('console');
      await inConsole.locator('h1').first().waitFor();
      await world.ask(['sudo', 'systemctl', 'restart', 'nginx']);
      await inConsole.getByText('systemctl restart nginx').first().waitFor();
      await take(inConsole, '09-a-request');
    });

    test('several servers', async () => {
      await act(words.menu.servers, words.menu.addServer);
      const page = await add(other.origin);
      const before = shell.opened().length;
      await page.getByRole('button', { name: words.setup.openBrowser }).click();
      const asked = new URL(await until('the browser', () => shell.opened()[before])).searchParams;
      const code = other.consent(asked.get('code_challenge')!);
      await fetch(`${asked.get('redirect_uri')}?${new URLSearchParams({ code, state: asked.get('state')! })}`);
      await until('its connection', () => other.inbox.followers() > 0);
      const offers = await alone('console');
      await offers.getByRole('note').waitFor();
      await take(offers, '10-newer-version');
      other.inbox.ask('apt-get upgrade');
      await act('identree', words.menu.nameAndColour);
      const setup = await alone('setup');
      await setup.locator('#name').fill(language === 'de' ? 'Labor' : 'Laboratory');
      await take(setup, '11-name-and-colour');
      await setup.getByRole('button', { name: words.setup.save }).click();
      await until('its console', () => shell.app.windows().every((page) => page.url().startsWith('app://console/')));
      await act(words.menu.servers, new URL(world.server.url).host);
      await until('the first', async () => {
        const [page] = shell.app.windows();
        return (
          page &&
          (await page
            .getByRole('heading', { level: 1 })
            .count()
            .catch(() => 0)) > 0
        );
      });
      await world.ask(['sudo', 'systemctl', 'reload', 'nginx']);
      const inConsole = await alone('console');
      await inConsole.getByText('systemctl reload nginx').first().waitFor();
      await take(inConsole, '12-several-servers');
      await inConsole.keyboard.press('Control+k');
      await inConsole.getByRole('option').first().waitFor();
      await take(inConsole, '13-palette');
      await inConsole.keyboard.press('Escape');
    });

    test('each way of not reaching a server', async () => {
      const page = await alone('console');
      const said = wordsFor(CONSOLE_LOCALE).notReached;
      for (const kind of Object.keys(said) as OfflineKind[]) {
        const why = said[kind]('identree.example.com');
        await shell.app.evaluate(({ BrowserWindow }, text) => {
          BrowserWindow.getAllWindows()[0]!.webContents.send('console:reach', text);
        }, why);
        await page.getByText(why).waitFor();
        await take(page, `14-offline-${kind}`);
      }
      await shell.app.evaluate(({ BrowserWindow }) => {
        BrowserWindow.getAllWindows()[0]!.webContents.send('console:reach', null);
      });
    });

    test('menus, the question at the first close, and a notification', async () => {
      /** The shell makes its menus anew when something changes: one that was opened just then is gone unseen. */
      const popup = async (which: 'tray' | number): Promise<void> => {
        await until('the menu on the screen', () =>
          shell.app.evaluate(
            ({ Menu, BrowserWindow }, name) =>
              new Promise<boolean>((resolve) => {
                const menu =
                  name === 'tray'
                    ? (globalThis as unknown as { trayMenu: Electron.Menu }).trayMenu
                    : Menu.getApplicationMenu()!.items[name]!.submenu!;
                let shown = false;
                menu.once('menu-will-show', () => {
                  shown = true;
                });
                menu.once('menu-will-close', () => resolve(false));
                setTimeout(() => menu.popup({ window: BrowserWindow.getAllWindows()[0]!, x: 40, y: 40 }), 0);
                setTimeout(() => resolve(shown), 1000);
              }),
            which,
          ),
        );
      };
      const close = (which: 'tray' | number) =>
        shell.app.evaluate(({ Menu }, name) => {
          const menu =
            name === 'tray'
              ? (globalThis as unknown as { trayMenu: Electron.Menu }).trayMenu
              : Menu.getApplicationMenu()!.items[name]!.submenu!;
          menu.closePopup();
        }, which);
      await world.ask(['sudo', 'sh', '-c', 'curl https://example.com/install | sh && systemctl daemon-reload']);
      await until('the menu of the tray', () =>
        shell.app.evaluate(() => (globalThis as { trayMenu?: unknown }).trayMenu !== undefined),
      );
      // No window manager puts it elsewhere.
      await shell.app.evaluate(({ BrowserWindow }) =>
        BrowserWindow.getAllWindows()[0]!.setBounds({ x: 20, y: 210, width: 1180, height: 760 }),
      );
      // Beside what else is on the screen: what arrives stands in a corner of it.
      if (daemon) {
        await takeScreen(
          '15-notification',
          async () => {},
          async () => {},
        );
      }
      for (const [name, which] of [
        ['16-menu', 0],
        ['17-menu-of-servers', 1],
        ['18-tray', 'tray'],
      ] as const) {
        await takeScreen(
          name,
          () => popup(which),
          () => close(which),
        );
      }
      const { close: closing, remove: removing } = words;
      const host = 'identree.example.com';
      for (const [name, asked, usual] of [
        ['19-first-close', [closing.question, closing.detail, closing.yes, closing.no], 0],
        ['22-remove-server', [removing.question('Berlin'), removing.detail(host), removing.yes, removing.no], 1],
      ] as const) {
        await takeScreen(
          name,
          () =>
            shell.app.evaluate(
              ({ dialog }, { said: [message, detail, yes, no], defaultId }) => {
                const stop = new AbortController();
                (globalThis as { stopDialog?: AbortController }).stopDialog = stop;
                void dialog.showMessageBox({
                  type: 'question',
                  title: 'identree',
                  message: message!,
                  detail: detail!,
                  buttons: [yes!, no!],
                  defaultId,
                  cancelId: 1,
                  noLink: true,
                  signal: stop.signal,
                });
              },
              { said: [...asked], defaultId: usual },
            ),
          () => shell.app.evaluate(() => (globalThis as unknown as { stopDialog: AbortController }).stopDialog.abort()),
        );
      }
    });

    test('a list of servers that cannot be read', async () => {
      const dataFolder = mkdtempSync(join(dir, 'damaged-'));
      writeFileSync(join(dataFolder, 'profile.json'), '{');
      const damaged = await world.launch({ dataFolder, args: [`--lang=${language}`] });
      const page = await damaged.pageAt('setup');
      await page.getByLabel(words.setup.address).waitFor();
      await take(page, '21-unreadable-list');
      await damaged.close();
    });

    test('a program that is damaged', async () => {
      const damaged = join(mkdtempSync(join(dir, 'program-')), 'shell');
      cpSync(process.env.IDENTREE_SHELL!, damaged, { recursive: true });
      rmSync(join(damaged, 'console'), { recursive: true });
      const data = `--user-data-dir=${mkdtempSync(join(dir, 'data-'))}`;
      const child = spawn(process.env.IDENTREE_ELECTRON!, [damaged, data, `--lang=${language}`], {
        env: { ...shell.env, GTK_THEME: theme === 'dark' ? 'Adwaita:dark' : 'Adwaita' },
        stdio: 'ignore',
      });
      await takeScreen(
        '24-does-not-start',
        () => pause(5000),
        async () => void child.kill('SIGKILL'),
      );
    });

    test('signed out of a server with a name', async () => {
      await act(words.menu.servers, language === 'de' ? 'Labor' : 'Laboratory');
      await until('its console', async () => {
        const [shown] = await originsShown(shell.app.windows());
        return shown === other.origin;
      });
      await act('identree', words.menu.signOut);
      const page = await alone('setup');
      await page.getByText(words.setup.notices.signed_out).waitFor();
      await take(page, '20-signed-out');
    });
  });
}
