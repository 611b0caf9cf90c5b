import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from 'dbus-native';
import { until } from '../../harness/run.ts';
import { type Installed, openWorld, tellProgress, type World } from './world.ts';

tellProgress();

let world: World;
/** Of each test: what it unlocks or silences is there for no other. */
let bus: { address: string; end(): void };
before(async () => {
  world = await openWorld();
});
after(async () => {
  await world?.close();
});

async function startBus(env: Record<string, string> = {}): Promise<typeof bus> {
  const args = ['--session', '--nofork', '--nopidfile', '--print-address=1'];
  const child = spawn('dbus-daemon', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
  let said = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const address = await until('the bus', () => /^(unix:\S+)\n/.exec(said)?.[1]);
  return { address, end: () => void child.kill() };
}

/** Adds the server, signs in, and comes back when the console is there. */
async function signInWithout(shell: Installed): Promise<void> {
  const setup = await shell.pageAt('setup');
  await setup.getByLabel('Server address').fill(world.server.url);
  await setup.getByRole('button', { name: 'Continue' }).click();
  await setup.getByText('The keyring of this computer is locked or does not answer').waitFor();
  await setup.getByRole('button', { name: 'Open the browser' }).click();
  await fetch(await world.consent(await until('the browser', () => shell.opened()[0])));
  const page = await shell.pageAt('console');
  await page.getByRole('heading', { name: 'Inbox' }).waitFor();
  // What is kept is written before the server is: once that one is there, this one would be too.
  await until('the note of the server', () => existsSync(join(shell.dataFolder, 'profile.json')));
}

const launch = (dataFolder?: string) =>
  world.launchInstalled({
    ...(dataFolder === undefined ? {} : { dataFolder }),
    args: ['--password-store=gnome-libsecret'],
    env: { DBUS_SESSION_BUS_ADDRESS: bus.address },
  });

test('a keyring that is locked: the session is not kept under a key that everybody has', async () => {
  bus = await startBus();
  // Started by the bus, as nobody unlocks it; there is nobody to ask for its password either.
  const shell = await launch();
  await signInWithout(shell);
  const file = join(shell.dataFolder, 'credential.json');
  assert.ok(!existsSync(file), existsSync(file) ? readFileSync(file, 'utf8') : '');
  await shell.close();
  bus.end();
});

test('a keyring that is locked where a desktop would ask for its password: nobody waits for that, and unlocked it keeps the session', async () => {
  const data = mkdtempSync(join(tmpdir(), 'keyrings-'));
  // With a display, as the programs that ask for passwords have one.
  const env = { DISPLAY: world.display.name, XDG_DATA_HOME: data, XDG_RUNTIME_DIR: data };
  bus = await startBus(env);
  const startKeyring = async (password: string | null) => {
    const args = ['--foreground', '--components=secrets', ...(password === null ? [] : ['--unlock'])];
    const around = { ...process.env, ...env, DBUS_SESSION_BUS_ADDRESS: bus.address };
    const daemon = spawn('/usr/bin/gnome-keyring-daemon', args, { stdio: ['pipe', 'ignore', 'ignore'], env: around });
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.stdin!.end(password ?? '');
    const client = createClient({ busAddress: bus.address });
    const get = ['org.freedesktop.Secret.Collection', 'Locked'];
    const [path, of] = ['/org/freedesktop/secrets/collection/login', 'org.freedesktop.DBus.Properties'];
    const question = { destination: 'org.freedesktop.secrets', path, interface: of, member: 'Get', signature: 'ss' };
    const runs = {
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
    };
    const body = ['org.freedesktop.secrets'];
    await until('the keyring', async () => {
      // Asked before it is there, the bus would start another one.
      if (!(await client.invoke<boolean>({ ...runs, member: 'NameHasOwner', signature: 's', body }))) return false;
      const locked = await Promise.resolve(client.invoke<unknown>({ ...question, body: get })).catch(() => undefined);
      return locked !== undefined && [locked].flat().at(-1) === (password === null);
    });
    client.connection.end();
    return async () => {
      daemon.kill();
      await ended;
    };
  };
  // The first password makes it.
  await (await startKeyring('test'))();
  const lock = await startKeyring(null);
  const shell = await launch();
  await signInWithout(shell);
  const isAsking = readdirSync('/proc').some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('gcr-prompter');
    } catch {
      return false;
    }
  });
  assert.ok(!isAsking, 'nobody is asked for a password that this run has no use for');
  assert.ok(!existsSync(join(shell.dataFolder, 'credential.json')));
  await shell.close();
  await lock();
  const end = await startKeyring('test');
  const next = await launch(shell.dataFolder);
  await (await next.pageAt('setup')).getByRole('button', { name: 'Open the browser' }).click();
  await fetch(await world.consent(await until('the browser', () => next.opened()[0])));
  await (await next.pageAt('console')).getByRole('heading', { name: 'Inbox' }).waitFor();
  await until('the session', () => existsSync(join(next.dataFolder, 'credential.json')));
  await next.close();
  const last = await launch(shell.dataFolder);
  await (await last.pageAt('console')).getByRole('heading', { name: 'Inbox' }).waitFor();
  assert.deepEqual(last.opened(), []);
  await last.close();
  await end();
  bus.end();
});

test('a keyring that never answers holds up neither the window nor signing in, and nothing is kept', async () => {
  bus = await startBus();
  const keyring = createClient({ busAddress: bus.address });
  await keyring.requestName('org.freedesktop.secrets', 0);
  // It is there, and hears nothing any more.
  keyring.connection.removeAllListeners('message');
  const started = Date.now();
  const shell = await launch();
  await shell.pageAt('setup');
  // As the calls of Chromium wait by themselves it would be more than a minute.
  const took = Date.now() - started;
  assert.ok(took < 25_000, `a window after ${took} ms`);
  await signInWithout(shell);
  assert.ok(!existsSync(join(shell.dataFolder, 'credential.json')));
  await shell.close();
  keyring.connection.end();
  bus.end();
});
