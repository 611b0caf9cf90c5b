import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from '@playwright/test';
import { parse } from 'yaml';
import { type ChecklistItem, checklistTest } from '../checklist.ts';
import { EXPOSED } from './exposed.ts';
import { openWorld, type Shell, signedIn, tellProgress, type World } from './world.ts';

tellProgress();

const root = join(import.meta.dirname, '../../..');
let world: World;
/** Both kinds of window: where a server is added, and the console. */
let setup: Shell;
let signed: Shell;
let page: Page;
before(async () => {
  world = await openWorld();
  setup = await world.launch();
  await setup.pageAt('setup');
  signed = await signedIn(world);
  page = await signed.pageAt('console');
  await page.getByRole('heading', { name: 'Inbox' }).waitFor();
});
after(async () => {
  await world?.close();
});

const inPage = <T>(script: string): Promise<T> => page.evaluate(`(async () => { ${script} })()`) as Promise<T>;

/** What the windows really run with, as Electron says. */
async function preferences(): Promise<Record<string, unknown>[]> {
  const all = await Promise.all(
    [setup, signed].map((shell) =>
      shell.app.evaluate(({ webContents }) =>
        webContents
          .getAllWebContents()
          .map((one) => (one as unknown as { getLastWebPreferences(): object }).getLastWebPreferences())
          .map((one) => JSON.parse(JSON.stringify(one)) as Record<string, unknown>),
      ),
    ),
  );
  assert.equal(all.flat().length, 2);
  return all.flat();
}

async function preference(name: string, wanted: unknown): Promise<void> {
  for (const one of await preferences()) assert.equal(one[name], wanted, name);
}

/** Runs something in the page as if its own script did, and gives it time to happen. */
async function asScript(script: string): Promise<void> {
  await inPage(`setTimeout(() => { ${script} }, 0); await new Promise((resolve) => setTimeout(resolve, 150));`);
}

/** One check for each item but the fuses: one that is left out does not compile. */
const CHECKS: { [N in Exclude<ChecklistItem, 19>]: () => Promise<void> } = {
  async 1() {
    const loaded = await inPage<string[]>(
      "return [...document.querySelectorAll('script[src], link[href], img[src]')].map((one) => one.src ?? one.href).map(String)",
    );
    assert.ok(loaded.length > 0);
    for (const url of loaded) assert.match(url, /^(app:\/\/console\/|data:)/);
    let asked = 0;
    const server = createServer((_request, response) => {
      asked += 1;
      response.end('');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const plain = `http://localhost:${(server.address() as AddressInfo).port}/`;
    await asScript(
      `fetch('${plain}', { mode: 'no-cors' }).catch(() => {}); const i = new Image(); i.src = '${plain}'; navigator.sendBeacon('${plain}')`,
    );
    server.close();
    assert.equal(asked, 0);
  },
  async 2() {
    for (const name of ['nodeIntegration', 'nodeIntegrationInWorker', 'nodeIntegrationInSubFrames']) {
      for (const one of await preferences()) assert.ok(!one[name], name);
    }
    const seen = await inPage('return [typeof require, typeof process, typeof module, typeof Buffer, typeof global]');
    assert.deepEqual(new Set(seen as string[]), new Set(['undefined']));
  },
  async 3() {
    await preference('contextIsolation', true);
    // What the page does to its own world is not what the preload works with.
    const kept = await inPage<boolean>(
      `const before = Array.prototype.push; let stolen = 0;
      Array.prototype.push = function (...args) { stolen += 1; return before.apply(this, args); };
      try { window.identreeDesktop.profile(); } finally { Array.prototype.push = before; }
      return stolen === 0 && typeof window.ipcRenderer === 'undefined';`,
    );
    assert.equal(kept, true);
  },
  async 4() {
    await preference('sandbox', true);
    for (const shell of [setup, signed]) {
      const pids = await shell.app.evaluate(({ webContents }) =>
        webContents.getAllWebContents().map((one) => one.getOSProcessId()),
      );
      for (const pid of pids) assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Seccomp:\t2$/m);
    }
  },
  async 5() {
    const states = await inPage<string[]>(
      `const states = [];
      for (const name of ['geolocation', 'notifications', 'camera', 'microphone', 'clipboard-read', 'midi']) {
        states.push(await navigator.permissions.query({ name }).then(({ state }) => state, () => 'denied'));
      }
      states.push(await navigator.mediaDevices.getUserMedia({ video: true }).then(() => 'granted', () => 'denied'));
      states.push(await navigator.mediaDevices.getDisplayMedia().then(() => 'granted', () => 'denied'));
      states.push(await new Promise((r) => navigator.geolocation.getCurrentPosition(() => r('granted'), () => r('denied'))));
      return states;`,
    );
    assert.deepEqual(new Set(states), new Set(['denied']));
  },
  async 6() {
    await preference('webSecurity', true);
    const other = await inPage("return fetch('app://setup/index.html').then(() => 'read', () => 'refused')");
    assert.equal(other, 'refused');
  },
  async 7() {
    const policy = await inPage<string>(
      "return (await fetch('/index.html')).headers.get('content-security-policy') ?? ''",
    );
    assert.match(policy, /^default-src 'none'; script-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    await asScript(
      "const s = document.createElement('script'); s.textContent = 'window.injected = 1'; document.body.append(s)",
    );
    assert.equal(await inPage('return typeof window.injected'), 'undefined');
  },
  8: () => preference('allowRunningInsecureContent', false),
  9: () => preference('experimentalFeatures', false),
  async 10() {
    for (const one of await preferences()) assert.ok(!one.enableBlinkFeatures);
  },
  async 11() {
    await preference('webviewTag', false);
    await asScript(
      "const w = document.createElement('webview'); w.setAttribute('allowpopups', ''); w.src = 'https://evil.example/'; document.body.append(w)",
    );
    assert.equal((await preferences()).length, 2, 'no page of a webview');
  },
  async 12() {
    for (const shell of [setup, signed]) {
      const prevented = await shell.app.evaluate(({ webContents }) =>
        webContents.getAllWebContents().map((one) => {
          let stopped = false;
          const event = { preventDefault: () => (stopped = true) };
          (one.emit as (name: string, ...args: unknown[]) => void)('will-attach-webview', event, {}, {});
          return stopped;
        }),
      );
      assert.deepEqual(prevented, [true]);
    }
  },
  async 13() {
    const url = page.url();
    for (const to of ['https://evil.example/', `${world.server.url}/`, 'app://setup/', 'file:///etc/passwd']) {
      await asScript(`location.href = '${to}'`);
      assert.equal(page.url(), url);
    }
  },
  async 14() {
    await asScript("window.opened = window.open('https://evil.example/') || window.open('app://console/')");
    assert.equal(await inPage('return window.opened'), null);
    assert.equal(signed.app.windows().length, 1);
  },
  async 15() {
    const before = signed.opened().length;
    for (const bad of ['https://evil.example/', 'file:///etc/passwd', '../admin', 'ABCDEF-123456/../x', 'smb://x']) {
      await inPage(`window.identreeDesktop.openApproval(${JSON.stringify(bad)})`);
    }
    await inPage('await new Promise((resolve) => setTimeout(resolve, 300))');
    assert.deepEqual(signed.opened().slice(before), []);
  },
  async 16() {
    // Which version that is, is one line; what is tested, built and typed is the same one.
    const running = await signed.app.evaluate(() => process.versions.electron);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const builder = parse(readFileSync(join(root, 'electron-builder.yml'), 'utf8'));
    assert.deepEqual([manifest.devDependencies.electron, String(builder.electronVersion)], [running, running]);
  },
  async 17() {
    // A page that is not ours, with the very preload of the console: nothing that it asks is answered.
    const answers = await signed.app.evaluate(async ({ BrowserWindow, app }) => {
      const preload = `${app.getAppPath()}/preload-console.cjs`;
      const window = new BrowserWindow({ show: false, webPreferences: { preload, sandbox: true } });
      await window.loadURL('data:text/html,<p>not ours');
      const script = `(async () => {
        const said = [];
        for (const ask of ['signIn', 'signOut', 'otherServers']) {
          said.push(await window.identreeDesktop[ask]().then(() => 'answered', (error) => error.message));
        }
        return said;
      })()`;
      const said = (await window.webContents.executeJavaScript(script)) as string[];
      window.destroy();
      return said;
    });
    assert.equal(answers.length, 3);
    for (const answer of answers) assert.match(answer, /refused/);
    assert.match(page.url(), /^app:\/\/console\//);
  },
  async 18() {
    const read = await inPage("return fetch('file:///etc/passwd').then(() => 'read', () => 'refused')");
    assert.equal(read, 'refused');
    for (const shell of [setup, signed]) {
      const urls = await shell.app.evaluate(({ webContents }) =>
        webContents.getAllWebContents().map((one) => one.getURL()),
      );
      for (const url of urls) assert.match(url, /^app:/);
    }
  },
  async 20() {
    const exposed = await inPage<string[]>('return Object.keys(window.identreeDesktop).sort()');
    assert.deepEqual(exposed, EXPOSED);
    // Nothing of Electron comes along with what is given back or called.
    const shapes = await inPage<string[]>(
      `return [typeof window.identreeDesktop.onDeepLink(() => {}), JSON.stringify(Object.keys(window.identreeDesktop.profile()))]`,
    );
    assert.deepEqual(shapes, ['function', '["origin"]']);
    assert.deepEqual(await inPage('return Object.keys(window).filter((name) => /electron|ipc|node/i.test(name))'), []);
  },
};

for (const [item, check] of Object.entries(CHECKS)) test(checklistTest(Number(item) as ChecklistItem), check);
