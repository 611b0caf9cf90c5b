import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Page } from '@playwright/test';
import Database from 'better-sqlite3';
import { createFakeInbox } from '../../../apps/desktop/src/main/testing/fake-inbox.ts';
import { startFakeServer } from '../../../apps/desktop/src/main/testing/fake-server.ts';
import { until } from '../../harness/run.ts';
import { EXPOSED } from './exposed.ts';
import { openKeyboard } from './keyboard.ts';
import { inPage, openWorld, type Shell, signedIn, tellProgress, type World } from './world.ts';

const RESULTS = process.env.IDENTREE_RESULTS!;

tellProgress();

let world: World;
before(async () => {
  world = await openWorld();
});
after(async () => {
  await world?.close();
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Script that ends once nothing on the page is on its way any more. */
const STILL = `await document.fonts.ready;
  for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
  const finite = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(finite.map(({ finished }) => finished));`;

const faults = new Set<string>();

/** Takes a picture in light and in dark, and has both checked for accessibility. */
async function pictures(page: Page, name: string): Promise<void> {
  await page.evaluate(AXE);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const run = "return (await axe.run()).violations.map(({ id, nodes }) => id + ': ' + nodes[0].html)";
    let found: string[] = [];
    // Colours that are still on their way are no fault; what stays is one.
    await inPage(page, STILL);
    for (let looks = 0; looks < 40; looks++) {
      found = await inPage<string[]>(page, run);
      if (found.length === 0) break;
      await page.waitForTimeout(250);
    }
    for (const fault of found) faults.add(`${name}, ${colorScheme}: ${fault}`);
    await page.screenshot({ path: join(RESULTS, `desktop-${name}-${colorScheme}.png`), animations: 'disabled' });
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
}

describe('first run and sign-in', () => {
  let shell: Shell;
  before(async () => {
    shell = await world.launch();
  });
  after(() => shell.close());

  test('the window asks for the server, and refuses one without https', async () => {
    const page = await shell.pageAt('setup');
    await page.getByRole('heading', { name: 'Connect to your server' }).waitFor();
    await pictures(page, 'first-run');
    await page.getByLabel('Server address').fill('http://identree.example.com');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('The address has to begin with https://.').waitFor();
    await pictures(page, 'first-run-problem');
  });

  test('sign-in in the system browser: window and consent page show the same code', async () => {
    const page = await shell.pageAt('setup');
    await page.getByLabel('Server address').fill(`${world.server.url}/inbox`);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('Your session is not kept.').waitFor();
    await pictures(page, 'sign-in');
    assert.equal(shell.opened().length, 0, 'nothing opens before a click');
    await page.getByRole('button', { name: 'Open the browser' }).click();
    const code = await page.locator('#compare-code').textContent();
    await pictures(page, 'compare-code');
    const url = await until('the browser', () => shell.opened()[0]);
    assert.ok(url.startsWith(`${world.server.url}/desktop/sign-in?`));
    const consent = await world.consentInBrowser(url);
    assert.equal(consent.compareCode, code);
    assert.match(consent.end, /You are signed in/);
    const inbox = await shell.pageAt('console');
    await inbox.getByText('Alice Ahlberg').first().waitFor();
  });

  test('signing out ends the session on the server, and the window asks to sign in', async () => {
    const signedOut = () => world.server.data.events({ event: 'user_logged_out' }).length;
    const before = signedOut();
    const page = await shell.pageAt('console');
    await inPage(page, 'void window.identreeDesktop.signOut()').catch(() => {});
    const setup = await shell.pageAt('setup');
    await setup.getByText('You are signed out.').waitFor();
    await until('the end of the session', () => signedOut() > before);
  });
});

describe('signed in', () => {
  let shell: Shell;
  let page: Page;
  before(async () => {
    shell = await signedIn(world);
    page = await shell.pageAt('console');
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
  });
  after(() => shell.close());

  test('the window shows the console under app://, sandboxed, without Node', async () => {
    assert.match(page.url(), /^app:\/\/console\//);
    assert.match(await page.title(), /identree$/);
    const seen = await inPage<Record<string, string>>(
      page,
      'return { require: typeof require, process: typeof process, module: typeof module, buffer: typeof Buffer, electron: typeof window.electron }',
    );
    assert.deepEqual(new Set(Object.values(seen)), new Set(['undefined']));
    assert.deepEqual(await inPage(page, 'return Object.keys(window.identreeDesktop).sort()'), EXPOSED);
    assert.equal(await inPage(page, 'return typeof window.identreeSetup'), 'undefined');
    const pids = await shell.app.evaluate(({ app }) =>
      app.getAppMetrics().map(({ type, sandboxed, pid }) => ({ type, sandboxed, pid })),
    );
    // Linux does not report the flag, so the kernel is asked: a renderer has a system call filter and its own pid namespace.
    const renderer = pids.find(({ type }) => type === 'Tab');
    assert.ok(renderer);
    const status = readFileSync(`/proc/${renderer.pid}/status`, 'utf8');
    assert.match(status, /^Seccomp:\t2$/m);
  });

  test('a request appears in the inbox without a reload', async () => {
    await inPage(page, 'window.notReloaded = true');
    const { code } = await world.ask(['sudo', 'systemctl', 'restart', 'nginx']);
    await page.getByText(code).waitFor();
    await page.getByText('systemctl restart nginx').first().waitFor();
    await pictures(page, 'inbox');
    assert.equal(await inPage(page, 'return window.notReloaded'), true);
  });

  test('denying in the window denies on the server, by this person', async () => {
    const { code } = await world.ask(['sudo', 'rm', '-rf', '/srv/data']);
    const card = page.getByRole('article').filter({ hasText: code });
    await card.getByRole('button', { name: /^Deny/ }).click();
    await page.getByLabel('Reason').fill('Not today');
    await pictures(page, 'deny');
    await page.getByRole('button', { name: 'Deny request' }).click();
    const row = await until('the denial', () => {
      const found = world.server.data.challenge(code);
      return found?.status === 'denied' ? found : null;
    });
    assert.equal(row.reason, 'Not today');
    const [event] = world.server.data.events({ event: 'challenge_rejected', code });
    assert.equal(event?.actor ?? event?.username, 'alice');
    await card.waitFor({ state: 'detached' });
    await page.getByRole('alert').filter({ hasText: 'Denied' }).getByRole('button').click();
  });

  test('reviewing opens the approval page in the system browser, nothing in the window', async () => {
    const { code } = await world.ask();
    const before = shell.opened().length;
    await page
      .getByRole('article')
      .filter({ hasText: code })
      .getByRole('button', { name: /^(Review|View) the request/ })
      .click();
    const url = await until('the browser', () => shell.opened()[before]);
    assert.equal(url, `${world.server.url}/approve/${code}`);
    assert.match(page.url(), /^app:\/\/console\//);
  });

  test('a deep link reaches the window that is open, and opens nothing by itself', async () => {
    const { code } = await world.ask();
    const before = shell.opened().length;
    const started = Date.now();
    const second = await startAgain(shell, `identree://approve/${code}`);
    assert.equal(second, 0, 'the second process ends by itself');
    const drawer = page.getByRole('dialog', { name: 'Request' });
    await drawer.getByText(code).waitFor();
    await pictures(page, 'deep-link');
    assert.equal(shell.opened().length, before);
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
    await page.waitForTimeout(Math.max(0, 1000 - (Date.now() - started)));
    await drawer.getByRole('button', { name: /^(Review|View) the request/ }).click();
    assert.equal(await until('the browser', () => shell.opened()[before]), `${world.server.url}/approve/${code}`);
    await page.keyboard.press('Escape');
  });

  test('links that are not ours change nothing', async () => {
    const url = page.url();
    for (const link of [
      'identree://deny/ABCDEF-123456',
      'identree://approve/../../admin',
      'identree://approve/<script>',
    ]) {
      assert.equal(await startAgain(shell, link), 0);
    }
    // What is said to the first process is heard in order: once this one is shown, those before it were heard.
    const { code } = await world.ask(['sudo', 'cat', '/etc/after']);
    assert.equal(await startAgain(shell, `identree://approve/${code}`), 0);
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    assert.equal(await page.getByRole('dialog').count(), 1);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Request' }).waitFor({ state: 'detached' });
    assert.equal(page.url(), url);
  });

  test('script in the page cannot open the browser: only a click can', async () => {
    const before = shell.opened().length;
    // What Playwright runs in the page counts as the person's own act for five seconds: the script has to come later.
    await inPage(
      page,
      "await new Promise((resolve) => setTimeout(resolve, 5500)); window.identreeDesktop.openApproval('ABCDEF-123456')",
    );
    // With a click, but not a code.
    for (const bad of ['https://evil.example/', '../admin', 'ABCDEF-123456/../x', '']) {
      await inPage(page, `window.identreeDesktop.openApproval(${JSON.stringify(bad)})`);
    }
    // With a click and a code: the only one of all that opens anything.
    await inPage(page, "window.identreeDesktop.openApproval('GHJKLM-123456')");
    await until('the browser', () => shell.opened()[before]);
    assert.deepEqual(shell.opened().slice(before), [`${world.server.url}/approve/GHJKLM-123456`]);
  });

  test('the page cannot reach a path off the list', async () => {
    const statuses = await inPage<Record<string, number | string>>(
      page,
      `const asks = [
        ['POST', '/trpc/challenges.approve'], ['POST', '/trpc/challenges.deny,challenges.approve?batch=1'],
        ['POST', '/trpc/hosts.createToken'], ['POST', '/trpc/passkeys.registrationOptions'], ['POST', '/trpc/sessions.revokeOthers'],
        ['POST', '/trpc/directory.confirm'], ['POST', '/trpc/sudoRules.create'], ['POST', '/trpc/scim.createClient'],
        ['GET', '/trpc/unknown.thing'], ['GET', '/trpc/me.get%2Cunknown.thing'], ['POST', '/trpc/me.get'],
        ['POST', '/api/desktop/token'], ['GET', '/api/host/v1/heartbeat'], ['POST', '/signout'], ['GET', '/..%2f..%2fmain.cjs'],
        ['GET', '/%2e%2e/main.cjs'], ['GET', '/static/..%5c..%5cpackage.json'], ['GET', '/main.cjs'], ['GET', '/../../main.cjs'], ['GET', '/package.json'],
      ];
      const out = {};
      for (const [method, path] of asks) {
        out[method + ' ' + path] = await fetch(path, { method, ...(method === 'POST' ? { body: '{}', headers: { 'content-type': 'application/json' } } : {}) }).then((r) => r.status, () => 'failed');
      }
      return out;`,
    );
    for (const [what, status] of Object.entries(statuses)) {
      assert.ok([400, 403, 404, 405].includes(status as number), `${what}: ${status}`);
    }
    const foreign = await inPage<string[]>(
      page,
      `const out = [];
      for (const url of ['${world.server.url}/healthz', 'https://evil.example/', 'app://setup/index.html', 'file:///etc/passwd', 'http://127.0.0.1:9/']) {
        out.push(await fetch(url).then((r) => url + ' ' + r.status, () => 'failed'));
        out.push(await fetch(url, { mode: 'no-cors' }).then((r) => url + ' ' + r.type, () => 'failed'));
      }
      return out;`,
    );
    assert.deepEqual(new Set(foreign), new Set(['failed']));
  });

  test('the session of the page has no network but app://, whatever the page gets round', async () => {
    const outcome = await shell.app.evaluate(async ({ BrowserWindow }, url) => {
      const session = BrowserWindow.getAllWindows()[0]!.webContents.session;
      return session.fetch(url).then(
        (answer) => String(answer.status),
        (error: Error) => error.message,
      );
    }, `${world.server.url}/healthz`);
    assert.match(outcome, /ERR_BLOCKED_BY_CLIENT/);
  });

  test('the credential is nowhere in the page, nor on the disk when there is no keychain', async () => {
    const known = new Set(
      (
        new Database(world.server.databaseFile, { readonly: true }).prepare('select id_hash from sessions').all() as {
          id_hash: string;
        }[]
      ).map((row) => row.id_hash),
    );
    assert.ok(known.size > 0);
    /** A session's value is 43 characters of base64url, whose hash the server keeps. */
    const isCredential = (text: string) =>
      [...text.matchAll(/(?=([A-Za-z0-9_-]{43}))/g)].some(([, token]) =>
        known.has(createHash('sha256').update(token!).digest('base64url')),
      );
    const visible = await inPage<string>(
      page,
      `const parts = [document.documentElement.outerHTML, document.cookie, JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }),
        JSON.stringify(performance.getEntriesByType('resource')), JSON.stringify(window.identreeDesktop.profile()), navigator.userAgent];
      for (const path of ['/trpc/me.get', '/trpc/sessions.list', '/trpc/challenges.inbox', '/index.html']) {
        const answer = await fetch(path);
        parts.push(JSON.stringify([...answer.headers]), await answer.text());
      }
      return parts.join('\\n');`,
    );
    assert.match(visible, /Alice Ahlberg/);
    assert.ok(!isCredential(visible));
    assert.doesNotMatch(visible, /bearer/i);
    const files = readdirSync(shell.dataFolder, { recursive: true }).map((name) =>
      join(shell.dataFolder, String(name)),
    );
    for (const file of files) {
      const info = statSync(file, { throwIfNoEntry: false });
      if (info?.isFile() && info.size < 20_000_000) assert.ok(!isCredential(readFileSync(file, 'latin1')), file);
    }
    assert.ok(!files.some((file) => file.endsWith('credential.json')));
    // The check can see one: the person's own browser session is known to the server too.
    const cookie = [...world.person.web.cookies(world.server.url).values()].join(' ');
    assert.ok(isCredential(cookie));
  });

  test('the policy of the page holds: no inline script, no eval, nothing from elsewhere', async () => {
    const result = await inPage<Record<string, unknown>>(
      page,
      `const blocked = [];
      document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
      const script = document.createElement('script'); script.textContent = 'window.injected = 1'; document.body.append(script);
      const remote = document.createElement('script'); remote.src = 'https://evil.example/x.js'; document.body.append(remote);
      const style = document.createElement('style'); style.textContent = 'body { --injected: 1 }'; document.body.append(style);
      const image = new Image(); image.src = 'https://evil.example/?leak'; document.body.append(image);
      const event = document.createElement('div'); event.setAttribute('onclick', 'window.injected = 2'); document.body.append(event); event.click();
      for (let looks = 0; looks < 500 && new Set(blocked).size < 4; looks++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const injectedStyle = getComputedStyle(document.body).getPropertyValue('--injected');
      for (const node of [script, remote, style, image, event]) node.remove();
      return { injected: window.injected, injectedStyle, blocked: [...new Set(blocked)].sort() };`,
    );
    assert.equal(result.injected, undefined);
    assert.equal(result.injectedStyle, '');
    assert.deepEqual(result.blocked, ['img-src', 'script-src-attr', 'script-src-elem', 'style-src-elem']);
  });

  test('no permission is granted', async () => {
    const states = await inPage<string[]>(
      page,
      `const states = [];
      for (const name of ['notifications', 'geolocation', 'camera', 'microphone', 'clipboard-read', 'midi']) {
        states.push(await navigator.permissions.query({ name }).then((status) => status.state, () => 'denied'));
      }
      states.push(await navigator.mediaDevices.getUserMedia({ audio: true }).then(() => 'granted', () => 'denied'));
      states.push(await navigator.clipboard.readText().then(() => 'granted', () => 'denied'));
      states.push(Notification.permission);
      return states;`,
    );
    assert.deepEqual(new Set(states), new Set(['denied']));
  });

  test('console errors: none', async () => {
    const errors: string[] = [];
    page.on('console', (entry) => {
      if (entry.type() === 'error') errors.push(entry.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    const live = page.waitForResponse(/\/api\/events$/);
    await reload(shell);
    await live;
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
    await page.waitForLoadState('load');
    await inPage(page, STILL);
    assert.deepEqual(errors, []);
  });

  test('reloading often leaves no streams behind: the inbox stays live', async () => {
    for (let i = 0; i < 8; i++) {
      const live = page.waitForResponse(/\/api\/events$/);
      await reload(shell);
      await live;
    }
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
    const { code } = await world.ask(['sudo', 'true']);
    await page.getByText(code).waitFor();
  });

  test('the server refuses an approval with a desktop credential', async () => {
    const credential = await desktopCredential(world);
    const { code, challengeId } = await world.ask();
    const assertion = {
      id: 'AAAA',
      rawId: 'AAAA',
      type: 'public-key',
      clientExtensionResults: {},
      response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' },
    };
    for (const body of [
      { challengeId, assertion },
      { challengeId, assertion: null },
    ]) {
      const answer = await world.person.web.send(`${world.server.url}/trpc/challenges.approve`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
        body: JSON.stringify(body),
      });
      assert.equal(answer.status, 403);
      assert.equal(JSON.parse(answer.text).error.data.reason, 'session_kind');
    }
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
  });

  test('the server goes away and comes back: the window says so, nothing can be decided meanwhile, and it is live again', async () => {
    const { code: shown } = await world.ask(['sudo', 'hostname']);
    const card = page.getByRole('article').filter({ hasText: shown });
    await card.getByRole('button', { name: /^Deny/ }).waitFor();
    await world.server.stop('SIGKILL');
    await page.getByText('The server does not answer.').waitFor();
    // Nothing is decided about what may be old.
    for (const name of [/^Deny/, /^(Review|View) the request/]) {
      await card.getByRole('button', { name, disabled: true }).waitFor();
    }
    await pictures(page, 'offline');
    await world.server.start();
    const { code } = await world.ask(['sudo', 'uptime']);
    await page.getByText(code).waitFor();
    await card.getByRole('button', { name: /^Deny/, disabled: false }).waitFor();
  });

  test('a session that is ended on the server ends in the window', async () => {
    const list = await world.person.query<{ handle: string; kind: string; current?: boolean }[]>('sessions.list');
    assert.ok(list.ok);
    for (const session of list.data.filter(({ kind }) => kind === 'desktop')) {
      const ended = await world.person.mutate('sessions.revoke', { handle: session.handle });
      assert.ok(ended.ok);
    }
    await reload(shell).catch(() => {});
    const setup = await shell.pageAt('setup');
    await setup.getByText('Your session has ended.').waitFor();
    await pictures(setup, 'session-ended');
  });
});

describe('several servers', () => {
  let shell: Shell;
  const inbox = createFakeInbox();
  let other: Awaited<ReturnType<typeof startFakeServer>>;
  before(async () => {
    other = await startFakeServer(inbox.answer);
    shell = await signedIn(world);
  });
  after(async () => {
    await shell.close();
    await other.close();
  });

  const choose = (menu: string, item: RegExp) =>
    shell.app.evaluate(
      ({ Menu, BrowserWindow }, [name, pattern]) => {
        const items = Menu.getApplicationMenu()!.items.find(({ label }) => label === name)!.submenu!.items;
        const found = items.find(({ label }) => new RegExp(pattern!).test(label))!;
        found.click(undefined, BrowserWindow.getAllWindows()[0], undefined);
      },
      [menu, item.source],
    );
  /** While a page goes, Electron's main process now and then forgets that it was asked: it is asked once more. */
  async function twice<T>(look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (error) {
      if (!/Resulting promise was garbage collected/.test(String(error))) throw error;
      return look();
    }
  }
  const servers = () =>
    twice(() =>
      shell.app.evaluate(({ Menu }) =>
        Menu.getApplicationMenu()!
          .items.find(({ label }) => label === 'Servers')!
          .submenu!.items.map(({ label, checked, accelerator }) => `${checked ? '*' : ''}${label} ${accelerator}`),
      ),
    );
  const title = () =>
    twice(() => shell.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]!.getTitle()));

  test('a second one is added, and what waits is told of both at once', async () => {
    await choose('Servers', /^Add server/);
    const setup = await shell.pageAt('setup');
    await setup.getByRole('heading', { name: 'Add a server' }).waitFor();
    await pictures(setup, 'add-server');
    await setup.getByLabel('Server address').fill(other.origin);
    await setup.getByRole('button', { name: 'Continue' }).click();
    const before = shell.opened().length;
    await setup.getByRole('button', { name: 'Open the browser' }).click();
    const asked = new URL(await until('the browser', () => shell.opened()[before])).searchParams;
    const code = other.consent(asked.get('code_challenge')!);
    await fetch(`${asked.get('redirect_uri')}?${new URLSearchParams({ code, state: asked.get('state')! })}`);
    await until('its connection', () => inbox.followers() > 0);
    inbox.ask();
    await until('the count', async () => (await servers()).some((line) => /^\*localhost:\d+ \(1\)/.test(line)));
    assert.match((await servers())[0]!, /^identree\.example\.com:\d+ (\(\d+\) )?CmdOrCtrl\+1$/);
  });

  test('a name and a colour tell them apart', async () => {
    await choose('Servers', /^identree\.example\.com/);
    await until('the first', async () => /^identree\.example\.com:\d+ · Inbox/.test(await title()));
    await choose('identree', /^Name and colour/);
    const setup = await shell.pageAt('setup');
    await setup.getByLabel('Name').fill('Production');
    await setup.getByLabel('Red').check({ force: true });
    await pictures(setup, 'name-and-colour');
    await setup.getByRole('button', { name: 'Save' }).click();
    const page = await shell.pageAt('console');
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
    await until('the title', async () => /^Production · Inbox/.test(await title()));
    assert.equal(
      await inPage(page, "return getComputedStyle(document.documentElement, '::before').backgroundColor"),
      'rgb(224, 49, 49)',
    );
    await pictures(page, 'two-servers');
  });

  test('script in the page cannot change the server: only a click or a key can', async () => {
    const page = await shell.pageAt('console');
    const origin = JSON.stringify(other.origin);
    await inPage(
      page,
      `await new Promise((resolve) => setTimeout(resolve, 5500)); window.identreeDesktop.showServer(${origin})`,
    );
    await inPage(page, 'await new Promise((resolve) => setTimeout(resolve, 300))');
    assert.match((await servers())[0]!, /^\*Production/);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('servers localhost');
    await page.getByRole('option', { selected: true }).waitFor();
    // The page may be gone before the key is up.
    await page.keyboard.press('Enter').catch(() => {});
    await until('the other server', async () => (await servers())[1]!.startsWith('*localhost'));
    await choose('Servers', /^Production/);
    await until('the first', async () => /^Production · Inbox/.test(await title()));
  });

  test('signed out of one, the other stays', async () => {
    const page = await shell.pageAt('console');
    await inPage(page, 'void window.identreeDesktop.signOut()').catch(() => {});
    const setup = await shell.pageAt('setup');
    await setup.getByText('You are signed out.').waitFor();
    const { host } = new URL(world.server.url);
    await setup.getByText(`You sign in at Production (${host}) in your browser.`).waitFor();
    await pictures(setup, 'signed-out');
    await setup.getByRole('button', { name: 'Open the browser' }).click();
    await setup.getByText(`Production (${host}) asks there whether this computer may sign in.`).waitFor();
    await setup.getByRole('button', { name: 'Cancel' }).click();
    await setup.getByRole('button', { name: 'Open the browser' }).waitFor();
    const lines = await servers();
    assert.match(lines[0]!, /^\*Production \(signed out\)/);
    assert.match(lines[1]!, /^localhost:\d+ \(1\)/);
    assert.ok(inbox.followers() > 0);
  });

  test('one is removed once a question of the desktop was answered, which Return answers with no', async () => {
    await choose('identree', /^Name and colour/);
    const setup = await shell.pageAt('setup');
    const answer = (answers: 'usual' | 'first') =>
      shell.app.evaluate(({ dialog }, how) => {
        const asked = dialog as unknown as {
          asked?: Electron.MessageBoxOptions;
          showMessageBox: (options: Electron.MessageBoxOptions) => Promise<{ response: number }>;
        };
        asked.showMessageBox = async (options) => {
          asked.asked = options;
          return { response: how === 'usual' ? options.defaultId! : 0 };
        };
      }, answers);
    const asked = () =>
      until('the question', () =>
        shell.app.evaluate(({ dialog }) => (dialog as { asked?: Electron.MessageBoxOptions }).asked ?? null),
      );
    const remove = setup.getByRole('button', { name: 'Remove this server…' });
    await answer('usual');
    await remove.click();
    const { message, detail, buttons, defaultId, cancelId } = await asked();
    assert.deepEqual([message, buttons, defaultId, cancelId], ['Remove Production?', ['Remove', 'Cancel'], 1, 1]);
    assert.equal(detail?.split('\n')[0], new URL(world.server.url).host);
    assert.match((await servers())[0]!, /^\*Production/);
    await answer('first');
    await remove.click();
    await until('the other server', async () => /^\*localhost:/.test((await servers())[0]!));
  });
});

describe('an administrator', () => {
  let shell: Shell;
  let page: Page;
  before(async () => {
    shell = await signedIn(world, { as: world.admin });
    page = await shell.pageAt('console');
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
  });
  after(() => shell.close());

  test('sees what waits in the directory, and is sent to the browser to decide', async () => {
    world.writeDirectory(['alice', 'bob']);
    await page.getByRole('link', { name: 'Directory 1 waiting' }).click();
    await page.getByRole('article', { name: 'bob would join operators' }).waitFor();
    await page.getByText('You decide about the directory in the browser').waitFor();
    assert.equal(await page.getByRole('button', { name: /Let it through|Keep out|Fetch now/ }).count(), 0);
    await pictures(page, 'directory');
  });

  test('sees whose number is whose', async () => {
    await page.getByRole('tab', { name: 'Accounts' }).click();
    await page.getByText('A number belongs to one account for ever.').waitFor();
    await page.getByText('sub-alice').first().waitFor();
    await pictures(page, 'accounts');
  });

  test('sees the sudo rules and tries a command, and changes none', async () => {
    await page.getByRole('link', { name: 'Sudo rules' }).click();
    await page.getByRole('heading', { name: 'operators' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /New rule|Edit|Delete|Import/ }).count(), 0);
    await page.getByRole('tab', { name: 'Try a command' }).click();
    await page.getByRole('textbox', { name: 'User', exact: true }).fill('alice');
    await page.getByRole('combobox', { name: 'Host' }).fill('web1.example.com');
    await page.getByRole('textbox', { name: 'Command' }).fill('/usr/bin/systemctl restart nginx');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.getByRole('heading', { name: 'Allowed by operators' }).waitFor();
    await pictures(page, 'try');
  });

  test('gets nothing done by asking the server itself with the credential of the window', async () => {
    const credential = await desktopCredential(world, world.admin);
    const answer = await world.admin.web.send(`${world.server.url}/trpc/directory.confirm`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
      body: JSON.stringify({ id: '00000000-0000-4000-8000-000000000000', digest: 'x' }),
    });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /session_kind/);
  });
});

// In a shell of its own: navigation that is refused leaves Playwright waiting for its end.
describe('navigation', () => {
  let shell: Shell;
  let page: Page;
  before(async () => {
    shell = await signedIn(world);
    page = await shell.pageAt('console');
    await page.getByRole('heading', { name: 'Inbox' }).waitFor();
  });
  after(() => shell.close());

  test('navigation is refused: the window stays on the console', async () => {
    const url = page.url();
    const windows = shell.app.windows().length;
    for (const script of [
      "location.href = 'https://evil.example/'",
      `location.assign('${world.server.url}/')`,
      "location.replace('app://setup/')",
      "location.href = 'app://console/index.html'",
      "location.href = 'file:///etc/passwd'",
      "location.href = 'data:text/html,<p>x'",
      "window.open('https://evil.example/')",
      "window.open('about:blank')",
      "const a = document.createElement('a'); a.href = 'https://evil.example/'; a.target = '_blank'; document.body.append(a); a.click(); a.remove()",
      "const f = document.createElement('form'); f.action = 'https://evil.example/'; document.body.append(f); f.submit(); f.remove()",
      "const i = document.createElement('iframe'); i.src = 'https://evil.example/'; document.body.append(i); setTimeout(() => i.remove(), 50)",
      "const w = document.createElement('webview'); w.src = 'https://evil.example/'; document.body.append(w); w.remove()",
    ]) {
      await inPage(page, `setTimeout(() => { ${script} }, 0)`);
      await page.waitForTimeout(100);
      assert.equal(page.url(), url, script);
      assert.equal(shell.app.windows().length, windows, script);
    }
    assert.equal(await inPage(page, "return document.querySelector('h1').textContent"), 'Inbox');
  });
});

describe('starting', () => {
  test('a link given at the first start waits until the person has signed in', async () => {
    const { code } = await world.ask();
    const shell = await signedIn(world, { args: [`identree://approve/${code}`] });
    const page = await shell.pageAt('console');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    assert.equal(shell.opened().length, 1, 'the sign-in page alone');
    await shell.close();
  });

  test('the window and the server are remembered, the session without a keychain is not', async () => {
    const shell = await signedIn(world);
    await shell.app.evaluate(({ BrowserWindow }) =>
      BrowserWindow.getAllWindows()[0]?.setBounds({ x: 60, y: 50, width: 900, height: 640 }),
    );
    const kept = join(shell.dataFolder, 'window.json');
    await until('the note of where the window is', () => {
      return existsSync(kept) && /"width":\s*900\b/.test(readFileSync(kept, 'utf8'));
    });
    await shell.close();
    const again = await world.launch({ dataFolder: shell.dataFolder });
    const page = await again.pageAt('setup');
    await page.getByText(new URL(world.server.url).host).waitFor();
    await page.getByRole('button', { name: 'Open the browser' }).click();
    await fetch(await world.consent(await until('the browser', () => again.opened()[0])));
    await again.pageAt('console');
    await until('its place', async () => {
      const bounds = await again.app.evaluate(({ BrowserWindow }) =>
        BrowserWindow.getAllWindows().map((window) => window.getBounds()),
      );
      return isDeepStrictEqual(bounds, [{ x: 60, y: 50, width: 900, height: 640 }]);
    });
    await again.close();
  });
});

test('a program that is damaged says so, and ends as one that failed once the person has read it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'damaged-'));
  const shell = join(folder, 'shell');
  cpSync(process.env.IDENTREE_SHELL!, shell, { recursive: true });
  rmSync(join(shell, 'console'), { recursive: true });
  const keyboard = await openKeyboard(world.display.name);
  const dialogs = async () =>
    (await keyboard.properties('_NET_WM_NAME', '_NET_WM_WINDOW_TYPE')).filter(
      ({ _NET_WM_NAME: name, _NET_WM_WINDOW_TYPE: type }) => name.toString('utf8') === 'identree' && type.length > 0,
    ).length;
  const before = await dialogs();
  const child = spawn(process.env.IDENTREE_ELECTRON!, [shell, `--user-data-dir=${join(folder, 'data')}`], {
    env: { ...process.env, DISPLAY: world.display.name },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  try {
    await until('what it says', async () => (await dialogs()) > before);
    assert.match(said, /ENOENT.*console/);
    assert.equal(child.exitCode, null, 'it is there as long as the person reads');
    // Without a window manager it stands in the upper left corner.
    await keyboard.point(100, 20);
    await until('its end', async () => {
      if (child.exitCode !== null) return true;
      await keyboard.press('Return');
      return false;
    });
    assert.equal(await ended, 1);
  } finally {
    child.kill('SIGKILL');
    keyboard.close();
  }
});

test('nothing in the window is inaccessible, in light or dark', () => {
  assert.deepEqual([...faults], []);
});

/** Starts the shell a second time on the same data, as the desktop does for a link; gives its exit status. */
function startAgain(shell: Shell, ...args: string[]): Promise<number | null> {
  const [program = '', ...first] = shell.command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], { env: shell.env, stdio: 'ignore', timeout: 120_000 });
    child.on('error', reject);
    child.on('close', resolve);
  });
}

async function reload(shell: Shell): Promise<void> {
  const page = await shell.pageAt('console');
  const loaded = page.waitForEvent('load');
  await shell.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.reload());
  await loaded;
}

/** A desktop session of the same person, got as the shell gets its own. */
async function desktopCredential(world: World, as = world.person): Promise<string> {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    redirect_uri: 'http://127.0.0.1:1/callback',
    state: randomBytes(32).toString('base64url'),
  });
  const back = new URL(await world.consent(`${world.server.url}/desktop/sign-in?${query}`, as));
  const answer = await as.web.send(`${world.server.url}/api/desktop/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code: back.searchParams.get('code'), code_verifier: verifier }),
  });
  assert.equal(answer.status, 200, answer.text);
  return (JSON.parse(answer.text) as { credential: string }).credential;
}
