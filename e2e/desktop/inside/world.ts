import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import {
  type Browser,
  type BrowserContext,
  chromium,
  type ElectronApplication,
  _electron as electron,
  errors,
  type Page,
} from '@playwright/test';
import { COLOUR_VALUES, type Colour } from '../../../apps/desktop/src/colours.ts';
import { fileGroup, fileIdOf, fileUser } from '../../../server/src/testing/directory-file.ts';
import { endpointOf, enrolFakeHost, type HostClient } from '../../harness/host-client.ts';
import type { Certificates, Lab } from '../../harness/lab.ts';
import { createPerson, type Person } from '../../harness/person.ts';
import { must, run, until, within } from '../../harness/run.ts';
import { enrolmentToken, type Server, startServer } from '../../harness/server.ts';

const root = join(import.meta.dirname, '../../..');
const SERVER_NAME = 'identree.example.com';
const SHELL = process.env.IDENTREE_SHELL!;
/** Longer than anything takes to end here that ends at all. */
const END_MS = 30_000;

/** Everything around the shell: display, server with identity provider, a host, a person with a browser. */
export interface World {
  server: Server;
  /** The server's certificates, by a throw-away authority that this user trusts. */
  certs: Certificates;
  host: HostClient;
  person: Person;
  /** An administrator with a browser. */
  admin: Person;
  /** The directory's source says something else from now on. */
  writeDirectory(operators: readonly string[]): void;
  /** Somebody on the host runs a command; gives the code of the request. */
  ask(argv?: string[]): Promise<{ code: string; challengeId: string }>;
  /** Starts the shell. Its data folder is kept between starts of the same name. */
  launch(options?: LaunchOptions): Promise<Shell>;
  /** Starts the installed program, as its menu entry does. */
  launchInstalled(options?: LaunchOptions): Promise<Installed>;
  /** Says yes on the consent page, as the person or somebody else; gives the address that the browser is sent back to. */
  consent(url: string, as?: Person): Promise<string>;
  /** The same with a real browser, from the sign-in at the identity provider to the page that says it is done. */
  consentInBrowser(url: string): Promise<{ compareCode: string; end: string }>;
  /** The display of the shells, and the file in which it keeps what stands on it. */
  display: { name: string; file: string };
  close(): Promise<void>;
}

export interface LaunchOptions {
  dataFolder?: string;
  args?: string[];
  /** Who signs in; the person when not given. */
  as?: Person;
  /** Variables beside those of every start. */
  env?: Record<string, string>;
}

/** A shell whose window can be driven. */
export interface Driven {
  windows(): Page[];
  /** The window that is open now. */
  page(): Promise<Page>;
  /** The window, once it shows this page of the shell. */
  pageAt(page: 'setup' | 'console'): Promise<Page>;
  /** What was handed to the system browser so far. */
  opened(): string[];
  /** What was asked of `xdg-settings` so far, by any shell. */
  settingsAsked(): string[];
  dataFolder: string;
  /** How it was started, for starting it once more. */
  command: string[];
  env: Record<string, string>;
  close(): Promise<void>;
}

/** The shell as it is built, in an Electron whose main process can be asked things. */
export interface Shell extends Driven {
  app: ElectronApplication;
}

/** The shell as it is installed. Its fuses let nobody into the main process. */
export interface Installed extends Driven {
  process: ChildProcess;
  /** Milliseconds since the Unix epoch. */
  startedAt: number;
}

/**
 * Certificates of a server, by an authority of its own.
 *
 * @param options.isTrusted whether this user trusts it
 * @param options.name of the server; that of the world's when not given
 */
export async function makeCertificates(
  dir: string,
  { isTrusted = true, name = SERVER_NAME } = {},
): Promise<Certificates> {
  const certs = join(dir, 'certs');
  await must(join(root, 'e2e/lab/mkcerts.sh'), [certs, name, '127.0.0.1']);
  const file = (name: string) => join(certs, name);
  const pem = (name: string) => readFileSync(file(name), 'utf8');
  // The trust store of this user's Chromium and Electron.
  const nss = join(process.env.HOME!, '.pki/nssdb');
  if (!existsSync(nss)) {
    mkdirSync(nss, { recursive: true });
    await must('certutil', ['-d', `sql:${nss}`, '-N', '--empty-password']);
  }
  const trust = ['-d', `sql:${nss}`, '-A', '-t', 'C,,', '-n', `${name}-${process.pid}`, '-i', file('ca.crt')];
  if (isTrusted) await must('certutil', trust);
  return {
    ca: pem('ca.crt'),
    caFile: file('ca.crt'),
    caKeyFile: file('ca.key'),
    cert: pem('server.crt'),
    certFile: file('server.crt'),
    key: pem('server.key'),
    keyFile: file('server.key'),
  };
}

async function startDisplay(folder: string): Promise<{ name: string; file: string; close(): void }> {
  const screen = ['-screen', '0', '1440x1000x24', '-fbdir', folder];
  const args = ['-displayfd', '3', ...screen, '-nolisten', 'tcp', '-noreset'];
  const child: ChildProcess = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  let number = '';
  child.stdio[3]!.on('data', (chunk: Buffer) => {
    number += chunk.toString('utf8');
  });
  await until('the display', () => number.endsWith('\n'));
  return { name: `:${number.trim()}`, file: join(folder, 'Xvfb_screen0'), close: () => void child.kill() };
}

/** Alice and Bob, and a group whose members have root. */
function directoryOf(operators: readonly string[]): string {
  return JSON.stringify({
    users: ['alice', 'bob'].map((username) => fileUser(username)),
    groups: [fileGroup('operators', operators.map(fileIdOf), { sudoCommands: '/usr/bin/systemctl' })],
  });
}

export async function openWorld(): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'world-'));
  const certs = await makeCertificates(dir);
  const display = await startDisplay(dir);
  const lab = { dir, certs, serverAddress: '127.0.0.1', adopt: () => {} } as unknown as Lab;
  const directoryFile = join(dir, 'directory.json');
  const writeDirectory = (operators: readonly string[]) =>
    writeFileSync(directoryFile, directoryOf(operators), { mode: 0o600 });
  writeDirectory(['alice']);
  const server = await startServer(lab, {
    env: {
      IDENTREE_LDAP_ENABLED: 'true',
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
      IDENTREE_LDAP_EXTERNAL_URL: 'ldaps://identree.example.com',
      IDENTREE_LDAP_UID_MAP_FILE: join(dir, 'uidmap.json'),
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: directoryFile,
    },
  });
  const token = await enrolmentToken(server, 'web1.example.com');
  const { client: host } = await enrolFakeHost(endpointOf(server, lab), 'web1.example.com', { token });
  const person = createPerson(server, 'alice');
  await person.signIn();
  const admin = createPerson(server, 'olga');
  await admin.signIn();
  let browser: Browser | null = null;
  const shells = new Set<Driven>();

  /** Stands for the desktop's own browser: notes the address, in a file that appears whole. */
  const openedFolder = join(dir, 'opened');
  const bin = join(dir, 'bin');
  mkdirSync(openedFolder);
  mkdirSync(bin);
  /** And for the program that says what opens which links. */
  const settingsFolder = join(dir, 'settings');
  mkdirSync(settingsFolder);
  for (const [program, folder] of [
    ['xdg-open', openedFolder],
    ['xdg-settings', settingsFolder],
  ] as const) {
    const note = [`note=$(mktemp -p ${dir})`, `printf '%s' "$*" > "$note"`, `mv "$note" ${folder}/$(date +%s%N)`];
    writeFileSync(join(bin, program), `#!/bin/sh\n${note.join('\n')}\n`);
    chmodSync(join(bin, program), 0o755);
  }
  const noted = (folder: string) =>
    readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name), 'utf8'));
  const opened = () => noted(openedFolder);

  const surroundings = (options: LaunchOptions) => ({
    dataFolder: options.dataFolder ?? mkdtempSync(join(dir, 'data-')),
    env: {
      ...(process.env as Record<string, string>),
      DISPLAY: display.name,
      PATH: `${bin}:${process.env.PATH}`,
      ...options.env,
    },
  });

  function driven(windows: () => Page[], { dataFolder, env }: ReturnType<typeof surroundings>, command: string[]) {
    const before = opened().length;
    return {
      windows,
      page: async () => until('a window', () => windows().at(-1) ?? null),
      pageAt: async (name: 'setup' | 'console') => {
        const found = await until(
          `the ${name} page`,
          () => windows().find((window) => window.url().startsWith(`app://${name}/`)) ?? null,
        );
        await found.waitForLoadState();
        return found;
      },
      opened: () => opened().slice(before),
      settingsAsked: () => noted(settingsFolder),
      dataFolder,
      command,
      env,
    };
  }

  /**
   * Playwright and the program that it starts wait for each other's first word, and now and then miss it: Playwright ends it
   * then. The installed program, which nobody looks into, is started once.
   */
  async function launchElectron(options: Parameters<typeof electron.launch>[0]): Promise<ElectronApplication> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await electron.launch({ ...options, timeout: 60_000 });
      } catch (error) {
        if (attempt === 3 || !(error instanceof errors.TimeoutError)) throw error;
      }
    }
  }

  /**
   * Looks into the installed program. One that is connected to while it opens its first window is now and then waited for
   * without end: that the window is there says the program itself first.
   */
  async function look(endpoint: string): Promise<Browser> {
    await until(
      'its window',
      async () => {
        const address = `http://${new URL(endpoint).host}/json/list`;
        const answer = await fetch(address, { signal: AbortSignal.timeout(30_000) });
        return ((await answer.json()) as { url: string }[]).some(({ url }) => url.startsWith('app://'));
      },
      60_000,
    );
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await chromium.connectOverCDP(endpoint, { noDefaults: true, timeout: 15_000 });
      } catch (error) {
        if (attempt === 4 || !(error instanceof errors.TimeoutError)) throw error;
        console.log(`${new Date().toISOString()} the program has a window, and the connection to it hangs: once more`);
      }
    }
  }

  async function launch(options: LaunchOptions = {}): Promise<Shell> {
    const around = surroundings(options);
    const executablePath = process.env.IDENTREE_ELECTRON!;
    const first = [SHELL, `--user-data-dir=${around.dataFolder}`];
    const args = [...first, ...(options.args ?? [])];
    const app = await launchElectron({ executablePath, chromiumSandbox: true, args, env: around.env });
    watch(app.context());
    app.process().stderr?.on('data', noteOutput);
    app.context().setDefaultTimeout(60_000);
    const shell: Shell = {
      app,
      ...driven(() => app.windows(), around, [executablePath, ...first]),
      async close() {
        shells.delete(shell);
        // Playwright itself would wait for ever.
        await within('the shell to end', app.close(), END_MS).catch((error: unknown) => {
          app.process().kill('SIGKILL');
          throw error;
        });
      },
    };
    shells.add(shell);
    return shell;
  }

  async function launchInstalled(options: LaunchOptions = {}): Promise<Installed> {
    const around = surroundings(options);
    const first = [`--user-data-dir=${around.dataFolder}`];
    const program = '/usr/bin/identree-console';
    const args = [...first, '--remote-debugging-port=0', ...(options.args ?? [])];
    const startedAt = Date.now();
    const child = spawn(program, args, { env: around.env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      noteOutput(chunk);
    });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const endpoint = await until('the program', () => {
      if (child.exitCode !== null || child.signalCode)
        throw new Error(`it ended (${child.exitCode ?? child.signalCode}): ${said}`);
      // With what follows it: the address may arrive in two pieces.
      return /DevTools listening on (ws:\S+)\s/.exec(said)?.[1] ?? null;
    });
    const remote = await look(endpoint).catch(async (error) => {
      // Something that it started or waits for is among these.
      const { stdout } = await run('ps', ['-eo', 'pid,ppid,etimes,stat,wchan:20,args']);
      child.kill('SIGKILL');
      throw new Error(`the program does not answer: ${error}\n${said}\n${stdout.replace(/^(.{200}).*$/gm, '$1')}`);
    });
    const context = remote.contexts()[0]!;
    watch(context);
    context.setDefaultTimeout(60_000);
    const shell: Installed = {
      process: child,
      startedAt,
      ...driven(() => context.pages(), around, [program, ...first]),
      async close() {
        shells.delete(shell);
        await within('the connection to the program to end', remote.close(), END_MS);
        child.kill();
        await within('the program to end after SIGTERM', ended, END_MS).catch((error: unknown) => {
          child.kill('SIGKILL');
          throw error;
        });
      },
    };
    shells.add(shell);
    return shell;
  }

  return {
    server,
    certs,
    host,
    person,
    admin,
    writeDirectory,
    async ask(argv = ['sudo', 'systemctl', 'restart', 'nginx']) {
      const answer = await host.create(host.record({ argv }));
      if (answer.status !== 201) throw new Error(`create: ${answer.status} ${JSON.stringify(answer.body)}`);
      return { code: answer.body.userCode, challengeId: answer.body.challengeId };
    },
    display,
    launch,
    launchInstalled,
    async consent(url, as = person) {
      const page = await as.web.visit(url);
      const fields = [...page.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
      const body = new URLSearchParams(
        Object.fromEntries(fields.map(([, name = '', value = '']) => [name, unescapeHtml(value)])),
      );
      const answer = await as.web.send(`${server.url}/desktop/sign-in`, {
        method: 'POST',
        headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
        body: body.toString(),
      });
      if (answer.status !== 303) throw new Error(`consent: ${answer.status} ${answer.text.slice(0, 500)}`);
      return answer.headers.location!;
    },
    async consentInBrowser(url) {
      browser ??= await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
      });
      const context = await browser.newContext();
      context.setDefaultTimeout(60_000);
      try {
        const page = await context.newPage();
        await page.goto(url);
        await page.getByRole('link', { name: 'Alice' }).click();
        const code = (await page.locator('.compare-code').textContent()) ?? '';
        await page.getByRole('button', { name: 'connect' }).click();
        await page.waitForURL(/^http:\/\/127\.0\.0\.1:/);
        return { compareCode: code, end: (await page.locator('h1').textContent()) ?? '' };
      } finally {
        await context.close();
      }
    },
    async close() {
      // One that does not end keeps none of the others.
      const ends = await Promise.allSettled([
        ...[...shells].map((shell) => shell.close()),
        within('the browser to end', Promise.resolve(browser?.close()), END_MS),
      ]);
      person.web.close();
      admin.web.close();
      host.close();
      await within('the server and the identity provider to end', server.close(), END_MS);
      display.close();
      rmSync(dir, { recursive: true, force: true });
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
  };
}

const TRACE_LINES = 80;
const trace: string[] = [];

/**
 * Has each test of the file that calls it say when it begins, which is where a run that hangs got to, and, when it fails, what
 * the windows of all shells asked and were answered lately.
 */
export function tellProgress(): void {
  beforeEach((context) => console.log(`${new Date().toISOString()} ${context.name}`));
  afterEach((context) => {
    if (!(context as unknown as { passed: boolean }).passed) console.log(`failed; lately:\n${trace.join('\n')}`);
  });
}

function note(line: string): void {
  trace.push(`${new Date().toISOString()} ${line}`);
  if (trace.length > TRACE_LINES) trace.shift();
}

const noteOutput = (chunk: Buffer) => note(`electron ${chunk.toString('utf8').trimEnd()}`);

function watch(context: BrowserContext): void {
  context.on('request', (request) => note(`ask ${request.method()} ${request.url()}`));
  context.on('requestfailed', (request) => note(`failed ${request.url()} ${request.failure()?.errorText}`));
  context.on('response', (response) => note(`answer ${response.status()} ${response.url()}`));
  context.on('console', (entry) => note(`console ${entry.type()} ${entry.text()}`));
  context.on('weberror', (error) => note(`error ${error.error().message}`));
}

const unescapeHtml = (text: string) =>
  text
    .replace(/&#(x?)([0-9a-f]+);/gi, (_, hex, digits) => String.fromCodePoint(Number.parseInt(digits, hex ? 16 : 10)))
    .replaceAll('&amp;', '&');

/** Starts the shell and goes through first run and sign-in. */
export async function signedIn(world: World, options: LaunchOptions = {}): Promise<Shell> {
  const shell = await world.launch(options);
  await signIn(world, shell, options);
  return shell;
}

/** First run and sign-in in a shell that was just started for the first time. */
export async function signIn(world: World, shell: Driven, options: LaunchOptions = {}): Promise<void> {
  const setup = await shell.pageAt('setup');
  await setup.getByLabel('Server address').fill(world.server.url);
  await setup.getByRole('button', { name: 'Continue' }).click();
  await setup.getByRole('button', { name: 'Open the browser' }).click();
  const url = await until('the browser', () => shell.opened()[0]);
  await fetch(await world.consent(url, options.as));
  await shell.pageAt('console');
}

/** Runs script text in the page; text, because these files are checked without the types of a browser. */
export const inPage = <T>(page: Page, script: string): Promise<T> =>
  page.evaluate(`(async () => { ${script} })()`) as Promise<T>;

/** Which server each of these pages is the console of; null for one that is none. */
export function originsShown(pages: readonly Page[]): Promise<(string | null)[]> {
  const script = 'return window.identreeDesktop.profile().origin';
  const ask = async (page: Page) =>
    page.url().startsWith('app://console/') ? inPage<string>(page, script).catch(() => null) : null;
  return Promise.all(pages.map(ask));
}

/** The window, once it shows the console of this server. */
export const consoleOf = (shell: Driven, origin: string): Promise<Page> =>
  until(`the console of ${origin}`, async () => {
    const pages = shell.windows();
    return pages[(await originsShown(pages)).indexOf(origin)];
  });

/** Does the console tell its server by this colour? */
export async function isInColour(page: Page, colour: Colour): Promise<boolean> {
  const value = Number.parseInt(COLOUR_VALUES[colour].slice(1), 16);
  const script = "return getComputedStyle(document.documentElement, '::before').backgroundColor";
  return (await inPage(page, script)) === `rgb(${value >> 16}, ${(value >> 8) & 255}, ${value & 255})`;
}
