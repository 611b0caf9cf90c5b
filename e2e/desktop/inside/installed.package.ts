import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Page } from '@playwright/test';
import { Resvg } from '@resvg/resvg-js';
import { createClient } from 'dbus-native';
import { CONSOLE_PAGES } from '#shared/console.ts';
import { startNotificationServer } from '../../../apps/desktop/src/main/testing/fake-notification-server.ts';
import { must, until } from '../../harness/run.ts';
import { EXPOSED } from './exposed.ts';
import { openKeyboard } from './keyboard.ts';
import { startTrayHost } from './tray-host.ts';
import { type Installed, inPage, openWorld, signIn, tellProgress, type World } from './world.ts';

tellProgress();

let world: World;
let shell: Installed;
let desktop: Awaited<ReturnType<typeof startNotificationServer>>;
let tray: Awaited<ReturnType<typeof startTrayHost>>;
before(async () => {
  const address = process.env.DBUS_SESSION_BUS_ADDRESS!;
  desktop = await startNotificationServer(address, ['body', 'actions']);
  tray = await startTrayHost(address);
  world = await openWorld();
  shell = await world.launchInstalled();
});
after(async () => {
  await world?.close();
  desktop?.close();
  tray?.close();
});

/** Processes of the installed program, by what they say they are, with what the kernel says of each. */
function processes(): { type: string; status: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => {
      try {
        if (!readlinkSync(`/proc/${name}/exe`).startsWith('/opt/identree-console/')) return [];
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8');
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        return [{ type: /--type=([a-z-]+)/.exec(words)?.[1] ?? 'main', status }];
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
    for (const { status } of renderers) {
      assert.match(status, /^Seccomp:\t2$/m, 'system calls are filtered');
      assert.match(status, /^NSpid:\t\d+\t\d+/m, 'in a namespace of its own');
      assert.match(status, /^CapEff:\t0+$/m);
    }
    for (const { status } of processes()) {
      assert.match(status, new RegExp(`^Uid:\t${process.getuid?.()}\t`, 'm'));
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
      timeout: 120_000,
    });
    assert.equal(second.status, 0, second.stderr.toString('utf8'));
    const page = await shell.pageAt('console');
    await page.getByText(code).first().waitFor();
  });

  test('the desktop gives it the links that begin with identree:', async () => {
    // PATH has a stand-in for xdg-open, but not for what that one asks.
    assert.equal(
      (await must('/usr/bin/xdg-mime', ['query', 'default', 'x-scheme-handler/identree'])).trim(),
      'org.identree.Console.desktop',
    );
    // The program that says so waits for the desktop, without a limit: it is for the package and the person to ask.
    assert.deepEqual(shell.settingsAsked(), []);
  });

  test('its window has the icon with it, and the class by which its desktop file knows it', async () => {
    const file = readFileSync('/usr/share/applications/org.identree.Console.desktop', 'utf8');
    const [, wanted] = /^StartupWMClass=(.+)$/m.exec(file)!;
    const keyboard = await openKeyboard(world.display.name);
    const { _NET_WM_ICON: icon } = await until('the window', async () =>
      (await keyboard.properties('WM_CLASS', '_NET_WM_ICON')).find(
        ({ WM_CLASS: said }) => said.toString('latin1').split('\0')[1] === wanted,
      ),
    );
    keyboard.close();
    const size = icon.length > 0 ? icon.readUInt32LE(0) : 0;
    assert.ok(size >= 64, `${size} pixels`);
    const drawn = new Resvg(readFileSync('apps/console/src/icon.svg'), {
      fitTo: { mode: 'width', value: size },
    }).render();
    const { pixels } = drawn;
    let opaque = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      // What is at its edge half there is rounded in more than one way.
      if (pixels[at + 3] !== 255) continue;
      opaque += 1;
      const [red, green, blue] = pixels.subarray(at, at + 3);
      assert.equal(icon.readUInt32LE(8 + at).toString(16), Buffer.from([255, red!, green!, blue!]).toString('hex'));
    }
    assert.ok(opaque > (size * size) / 2);
  });

  test('it runs nothing but itself: not as Node, not with options for Node, not another program', async () => {
    const run = (args: string[], env: Record<string, string>) =>
      spawnSync('/usr/bin/identree-console', args, {
        env: { ...shell.env, ...env },
        timeout: 120_000,
        encoding: 'utf8',
      });
    const folder = shell.dataFolder;
    const script = join(folder, 'other.cjs');
    const marker = join(folder, 'ran');
    writeFileSync(script, `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
    const data = shell.command.slice(1);
    run([script, ...data], { ELECTRON_RUN_AS_NODE: '1' });
    run(data, { NODE_OPTIONS: `--require ${script}` });
    run([script, ...data], {});
    run(['--inspect-brk=127.0.0.1:0', ...data], {});
    assert.ok(!existsSync(marker));
  });
});

describe('what it is started with', () => {
  const attribute = 'data-extended';
  /** The desktop of this file belongs to the one that all other tests are about. */
  const apart = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' };
  const webSwitches = [
    '--disable-web-security',
    '--allow-running-insecure-content',
    '--allow-file-access-from-files',
    '--disable-site-isolation-trials',
    '--disable-features=IsolateOrigins,site-per-process',
    '--js-flags=--allow-natives-syntax',
    '--enable-blink-features=MojoJS',
    '--enable-features=MojoJS',
    '-enable-blink-features=MojoJS,MojoJSTest',
    '--ignore-certificate-errors',
    '--unsafely-treat-insecure-origin-as-secure=http://localhost',
  ];

  test('no switch of Chromium opens the page, and none brings an extension into it', async () => {
    const extension = join(shell.dataFolder, 'extension');
    mkdirSync(extension);
    const script = { matches: ['<all_urls>'], js: ['in.js'], run_at: 'document_start' };
    const manifest = { manifest_version: 3, name: 'x', version: '1', content_scripts: [script] };
    writeFileSync(join(extension, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(join(extension, 'in.js'), `document.documentElement.setAttribute('${attribute}', '')`);
    const open = await world.launchInstalled({ args: [...webSwitches, `--load-extension=${extension}`], env: apart });
    const page = await open.pageAt('setup');
    const seen = await inPage<Record<string, unknown>>(
      page,
      `const ask = (url) => fetch(url, { mode: 'no-cors' }).then(() => 'answered', () => 'failed');
      const framed = () => new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.onload = () => resolve(frame.contentDocument?.body?.textContent ?? null);
        frame.src = 'file:///etc/passwd';
        document.body.append(frame);
        setTimeout(() => resolve(null), 500);
      });
      return {
        asked: await Promise.all(['${world.server.url}/healthz', 'file:///etc/passwd', 'app://console/index.html'].map(ask)),
        framed: await framed() || null,
        extended: document.documentElement.hasAttribute('${attribute}'),
        inside: ['require', 'process', 'Mojo', 'MojoHandle'].filter((name) => name in window),
      };`,
    );
    assert.deepEqual(seen, {
      asked: ['failed', 'failed', 'failed'],
      framed: null,
      extended: false,
      inside: [],
    });
    await open.close();
  });

  test('it does not start without a part of the sandbox', () => {
    const folder = join(shell.dataFolder, 'without');
    for (const word of ['--no-sandbox', '-no-sandbox', '--disable-seccomp-filter-sandbox', '--disable-gpu-sandbox']) {
      const args = [`--user-data-dir=${folder}`, word];
      const env = { ...shell.env, ...apart };
      const end = spawnSync('/usr/bin/identree-console', args, { env, timeout: 120_000, encoding: 'utf8' });
      assert.equal(end.status, 1, word);
      assert.ok(end.stderr.includes(`identree: ${word} is refused`), end.stderr);
    }
    assert.ok(!existsSync(join(folder, 'profile.json')));
  });

  // All other tests of the installed program look into it so: with a folder of theirs.
  test('no port opens to look into it where it works with the servers and sessions of the person', async () => {
    const config = join(shell.dataFolder, 'config');
    const own = join(config, 'identree');
    for (const folder of [[], [`--user-data-dir=${own}`], [`--user-data-dir=${config}/../config/identree/`]]) {
      const env = { ...shell.env, ...apart, XDG_CONFIG_HOME: config };
      const args = [...folder, '--remote-debugging-port=0', '--remote-debugging-address=0.0.0.0'];
      const windows = processes().filter(({ type }) => type === 'renderer').length;
      const child = spawn('/usr/bin/identree-console', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8');
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // Whoever listens does so before there is a page.
      await until('its window', () => processes().filter(({ type }) => type === 'renderer').length > windows);
      child.kill();
      await ended;
      assert.ok(existsSync(own), 'this is the folder');
      assert.ok(!existsSync(join(own, 'DevToolsActivePort')), folder.join());
      assert.doesNotMatch(said, /DevTools listening/, folder.join());
    }
  });
});

/** Each way into the installed program from outside of the person's browser. None of them approves, or opens a browser. */
describe('nothing from outside approves:', () => {
  let page: Page;
  let opened: number;
  let code: string;
  let challengeId: string;
  let number: number;
  beforeEach(async () => {
    page = await shell.pageAt('console');
    ({ code, challengeId } = await world.ask(['sudo', 'cat', `/etc/outside`]));
    [number] = await until(
      'the notification',
      () => [...desktop.shown].find(([, { body }]) => body.includes('/etc/outside')) ?? null,
    );
    opened = shell.opened().length;
  });
  afterEach(async () => {
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
    assert.deepEqual(world.server.data.events({ event: 'challenge_approved' }), []);
    assert.deepEqual(shell.opened().slice(opened), []);
    await world.person.mutate('challenges.deny', { challengeId });
    await until('its end', () => !desktop.shown.has(number));
  });

  /** Comes back once everything that was said on the bus before has been heard: it is heard in order. */
  async function heard(): Promise<void> {
    desktop.press(number, 'review');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Request' }).waitFor({ state: 'detached' });
  }

  test('a press in a notification under every other name', async () => {
    for (const key of [
      'approve',
      'Approve',
      'allow',
      'accept',
      'yes',
      'default',
      'Deny',
      'deny ',
      '',
      'inline-reply',
    ]) {
      desktop.press(number, key);
    }
    await heard();
  });

  test('a signal of a notification that is malformed', async () => {
    for (const [member, signature, body] of [
      ['ActionInvoked', 'u', [number]],
      ['ActionInvoked', 'su', ['deny', number]],
      ['ActionInvoked', 'uu', [number, number]],
      ['ActionInvoked', 'us', [number + 1, 'deny']],
      ['ActivationToken', 'us', [number, 'deny']],
      ['NotificationReplied', 'us', [number, 'approve']],
    ] as const) {
      desktop.signal(member, signature, [...body]);
    }
    await heard();
  });

  test('a press in a notification that is gone, or of one that was never shown', async () => {
    for (const other of [0, number + 1, number + 1000]) desktop.press(other, 'deny');
    desktop.putAway(number);
    for (const key of ['deny', 'approve', 'review']) desktop.press(number, key);
    // The next one is heard after all of them.
    const { code: next } = await world.ask(['sudo', 'cat', '/etc/later']);
    const [shown] = await until(
      'the next notification',
      () => [...desktop.shown].find(([, { body }]) => body.includes('/etc/later')) ?? null,
    );
    desktop.press(shown, 'deny');
    await until('the denial', () => world.server.data.challenge(next)?.status === 'denied');
  });

  test('a press that another program makes up, Deny among them', async () => {
    const stranger = createClient({ busAddress: process.env.DBUS_SESSION_BUS_ADDRESS! });
    for (const key of ['approve', 'deny', 'review', 'default']) {
      const at = ['/org/freedesktop/Notifications', 'org.freedesktop.Notifications'] as const;
      stranger.sendSignal(...at, 'ActionInvoked', 'us', [number, key]);
    }
    // An answer to it says that the bus has passed on what it sent before.
    await stranger.invoke({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'GetId',
    });
    stranger.connection.end();
    await heard();
  });

  test('a link, an option or an argument of a second start', async () => {
    const link = `identree://approve/${code}`;
    const starts = [
      [link, '--approve'],
      [`${link}?decision=approved`],
      [`identree:approve/${code}`, link],
      [`--approve=${code}`, `--deep-link=${link}`],
      [`${world.server.url}/approve/${code}`],
      ['--background', link, `identree://deny/${code}`],
    ];
    const ends = starts.map(
      (args) =>
        new Promise<number | null>((resolve, reject) => {
          const all = [...shell.command.slice(1), ...args];
          const child = spawn('/usr/bin/identree-console', all, { env: shell.env, stdio: 'ignore', timeout: 120_000 });
          child.on('error', reject);
          child.on('close', resolve);
        }),
    );
    assert.deepEqual(new Set(await Promise.all(ends)), new Set([0]));
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    await page.keyboard.press('Escape');
  });

  test('the icon in the tray: every call, and every event of every line', async () => {
    const lines = await until('its line', async () => {
      const all = (await tray.lines()).filter(({ label, enabled }) => enabled && !['', 'Quit'].includes(label));
      return all.some(({ label }) => label.includes('/etc/outside')) && all;
    });
    const at = (member: string): [string, string, unknown[]] => [member, 'ii', [0, 0]];
    const events = ['opened', 'hovered', 'approve', 'clicked', 'closed'];
    await tray.assail(
      [...['Activate', 'SecondaryActivate', 'ContextMenu', 'Approve'].map(at), ['Scroll', 'is', [1, 'vertical']]],
      lines.flatMap(({ id }) => events.map((event): [number, string] => [id, event])),
    );
    // The menu is made anew with each change: what was clicked last in it is undone here.
    await until('notifications, as before', async () => {
      const line = (await tray.lines()).find(({ label }) => /^(Resume|Pause)/.test(label));
      if (line?.label.startsWith('Resume')) await tray.click(line.id);
      return line?.label.startsWith('Pause');
    });
    await page.keyboard.press('Escape');
  });

  test('the palette: whatever is typed into it, and whatever it offers', async () => {
    const field = page.getByRole('combobox', { name: 'Search and go' });
    const open = async (typed: string) => {
      await until('the palette', async () => {
        await page.keyboard.press('Control+k');
        const isOpen = await field.waitFor({ timeout: 5000 }).then(
          () => true,
          () => false,
        );
        // A request that a line of the tray has shown may lie over the page still.
        if (!isOpen) await page.keyboard.press('Escape');
        return isOpen;
      });
      await field.fill(typed);
    };
    for (const typed of ['approve', 'Approve', 'deny', 'allow', 'yes', `approve ${code}`, 'identree://approve']) {
      await open(typed);
      await page.getByRole('status').filter({ hasText: 'Nothing' }).waitFor();
      await page.keyboard.press('Enter');
      await page.keyboard.press('Escape');
      await field.waitFor({ state: 'detached' });
    }
    await open(code);
    assert.equal(await page.getByRole('option').count(), 1);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Request' }).getByText(code).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Request' }).waitFor({ state: 'detached' });
  });

  test('a file, a link or a page that is dropped on the window', async () => {
    const url = page.url();
    const input = await page.context().newCDPSession(page);
    const dropped = [
      { items: [], files: ['/etc/passwd'], dragOperationsMask: 1 },
      ...['text/uri-list', 'text/html', 'text/plain'].map((mimeType) => ({
        items: [{ mimeType, data: `${world.server.url}/approve/${code}` }],
        dragOperationsMask: 1,
      })),
    ];
    for (const data of dropped) {
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await input.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
    }
    await input.detach();
    // In the next turn of the page it would be on its way.
    await inPage(page, 'await new Promise((resolve) => setTimeout(resolve, 200))');
    assert.equal(page.url(), url);
    assert.equal(shell.windows().length, 1);
  });

  test('a worker that the page leaves behind', async () => {
    const answers = await inPage<string[]>(
      page,
      `const made = async (make) => { try { await make(); return 'made'; } catch (error) { return 'refused'; } };
      const source = URL.createObjectURL(new Blob(['fetch("/trpc/challenges.approve", { method: "POST" })']));
      const started = (worker) => new Promise((resolve, reject) => { worker.onerror = reject; worker.onmessage = resolve; });
      return await Promise.all([
        made(() => navigator.serviceWorker.register('/push-worker.js')),
        made(() => navigator.serviceWorker.register(source)),
        made(() => started(new Worker(source))),
        made(() => started(new SharedWorker(source))),
      ]);`,
    );
    assert.deepEqual(new Set(answers), new Set(['refused']));
  });

  test('what the page asks the server through the program', async () => {
    const statuses = await inPage<(number | string)[]>(
      page,
      `const json = { 'content-type': 'application/json' };
      const body = JSON.stringify({ challengeId: '${challengeId}', assertion: null });
      const ask = (path, init) => fetch(path, init).then(({ status }) => status, () => 'failed');
      return await Promise.all([
        ask('/trpc/challenges.approve', { method: 'POST', headers: json, body }),
        ask('/trpc/challenges.deny,challenges.approve?batch=1', { method: 'POST', headers: json, body: JSON.stringify({ 0: {}, 1: {} }) }),
        ask('/trpc/challenges%2Eapprove', { method: 'POST', headers: json, body }),
        ask('/trpc/me.get', { method: 'POST', headers: { ...json, 'x-http-method-override': 'challenges.approve' }, body }),
        ask('/api/v1/requests/${code}/approve', { method: 'POST', headers: json, body }),
        ask('/approve/${code}', { method: 'POST', headers: json, body }),
        ask('${world.server.url}/trpc/challenges.approve', { method: 'POST', mode: 'no-cors', body }),
        ask('app://setup/trpc/challenges.approve', { method: 'POST', mode: 'no-cors', body }),
        String(navigator.sendBeacon('${world.server.url}/trpc/challenges.approve', body) && 'failed'),
      ]);`,
    );
    for (const status of statuses) assert.ok([400, 403, 404, 405, 'failed'].includes(status), String(statuses));
  });

  test('a page, a frame, a form, a webview or a window of another place', async () => {
    const url = page.url();
    const windows = processes().filter(({ type }) => type === 'renderer').length;
    const target = `${world.server.url}/trpc/challenges.approve`;
    for (const script of [
      `location.href = '${world.server.url}/approve/${code}'`,
      `window.open('${world.server.url}/approve/${code}')`,
      `window.open('identree://approve/${code}')`,
      `location.href = 'identree://approve/${code}'`,
      `const f = document.createElement('form'); f.method = 'post'; f.action = '${target}'; document.body.append(f); f.submit(); f.remove()`,
      `const i = document.createElement('iframe'); i.src = '${world.server.url}/approve/${code}'; document.body.append(i); setTimeout(() => i.remove(), 50)`,
      `const w = document.createElement('webview'); w.src = '${target}'; document.body.append(w); w.remove()`,
    ]) {
      await inPage(
        page,
        `setTimeout(() => { ${script} }, 0); await new Promise((resolve) => setTimeout(resolve, 120));`,
      );
      assert.equal(page.url(), url, script);
    }
    // There may be fewer: one of a page that is gone ends in its own time.
    assert.ok(processes().filter(({ type }) => type === 'renderer').length <= windows);
  });

  test('messages that the page makes up for itself', async () => {
    await inPage(
      page,
      `const forged = { kind: 'approve', code: '${code}', decision: 'approved' };
      for (const channel of ['console:deep-link', 'console:approve', 'console:open-approval']) {
        window.postMessage({ channel, ...forged }, '*');
        new BroadcastChannel(channel).postMessage(forged);
        window.dispatchEvent(new CustomEvent(channel, { detail: forged }));
      }
      new MessageChannel().port1.postMessage(forged);
      await new Promise((resolve) => setTimeout(resolve, 200));`,
    );
  });

  test('all that the program gives the page, called with what means nothing', async () => {
    const broken = [`${code}/../x`, `${code}?decision=approved`];
    const forged = JSON.stringify([...broken, { code, challengeId }, [code], challengeId, '', null, 1]);
    // These two are what a person does with a window; that they decide nothing is seen like the rest.
    const last = ['signIn', 'signOut'] as const;
    for (const name of [...EXPOSED.filter((one) => !(last as readonly string[]).includes(one)), last[1]]) {
      await inPage(
        page,
        `const given = window.identreeDesktop[${JSON.stringify(name)}];
        for (const one of ${forged}) {
          if (typeof given === 'function') await Promise.race([Promise.resolve().then(() => given(one)).catch(() => {}), new Promise((resolve) => setTimeout(resolve, 100))]);
        }`,
      ).catch((error) => {
        // The page goes away with the session.
        if (name !== 'signOut') throw error;
      });
    }
    await shell.pageAt('setup');
  });
});

describe('every page of the installed console', () => {
  test('asks for nothing that is refused, has no error, and keeps to the policy', async () => {
    const setup = await shell.pageAt('setup');
    const before = shell.opened().length;
    await setup.getByRole('button', { name: 'Open the browser' }).click();
    const url = await until('the browser', () => shell.opened()[before]);
    await fetch(await world.consent(url, world.admin));
    const page = await shell.pageAt('console');
    await page.getByRole('heading', { level: 1, name: 'Inbox' }).waitFor();

    const faults: string[] = [];
    const asked = new Set<string>();
    const open = new Set<unknown>();
    const isStream = (address: string) => address.endsWith('/api/events');
    page.on('request', (request) => isStream(request.url()) || open.add(request));
    page.on('requestfinished', (request) => open.delete(request));
    page.on('requestfailed', (request) => {
      open.delete(request);
      // One that the page gave up because it shows something else.
      if (request.failure()?.errorText !== 'net::ERR_ABORTED') faults.push(`${request.url()} failed`);
    });
    page.on('response', (response) => {
      asked.add(new URL(response.url()).pathname);
      if (response.status() >= 400) faults.push(`${response.url()} ${response.status()}`);
    });
    page.on('console', (entry) => {
      if (entry.type() === 'error' || entry.text().includes('Content Security Policy')) faults.push(entry.text());
    });
    page.on('pageerror', (error) => faults.push(error.message));
    const quiet = () => until('the answers', () => open.size === 0);

    for (const { title } of CONSOLE_PAGES) {
      await page
        .getByRole('navigation')
        .getByRole('link', { name: new RegExp(`^${title}`) })
        .first()
        .click();
      await page.getByRole('heading', { level: 1, name: title }).waitFor();
      await quiet();
      const tabs = page.getByRole('tab');
      for (let at = 0; at < (await tabs.count()); at++) {
        await tabs.nth(at).click();
        await quiet();
      }
      console.log(`${title}: ${open.size} open, ${asked.size} asked so far`);
    }
    assert.deepEqual(faults, []);
    assert.ok(asked.size > CONSOLE_PAGES.length, [...asked].join(' '));
  });
});
