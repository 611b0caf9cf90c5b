import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { relative } from 'node:path';
import { it } from 'node:test';
import { MAIN } from './testing/cli.ts';
import { connectHook } from './testing/fake-hook.ts';
import { createFakeServer } from './testing/fake-server.ts';
import { createEnrolledHost } from './testing/host.ts';

/** What an agent that stays works with. Each package that is added here is in the memory of every host, for good. */
const PACKAGES = ['dijkstrajs', 'jose', 'qrcode', 'zod'];

/** Of what enrols a host and sets it up, only what a look at the host reads: how it is gated, and what waits. */
const OF_SETUP = [
  ...[
    'enrol/fingerprint',
    'enrol/os-info',
    'setup/addition',
    'setup/agent-service',
    'setup/backup',
    'setup/gate-state',
    'setup/gate-watch',
  ],
  ...[
    'setup/known-plugins',
    'setup/pam-stacks',
    'setup/self-test',
    'setup/session',
    'setup/snapshot',
    'setup/sudo-conf',
    'setup/sudo-gate',
  ],
  'setup/unconfirmed',
];

const HOOK = `import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) { console.log(url); return next(url, context); } });`;

it('an agent that waits has loaded nothing of what enrols a host, sets it up or makes a key', {
  timeout: 180_000,
}, async () => {
  const server = await createFakeServer();
  const host = await createEnrolledHost(server);
  const { config, state, socket } = host.paths;
  const loading = ['--import', `data:text/javascript,${encodeURIComponent(HOOK)}`];
  const flags = ['--config', config, '--state', state, '--socket', socket];
  const agent = spawn(process.execPath, [...loading, MAIN, 'agent', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    let [printed, log] = ['', ''];
    agent.stdout.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    agent.stderr.on('data', (chunk: Buffer) => {
      log += chunk;
    });
    const ended = new Promise<void>((resolve) => agent.once('close', () => resolve()));
    while (!log.includes('ready on') && agent.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(agent.exitCode, null, log);
    // Once asked and answered: what only a request needs belongs to it.
    const hook = connectHook(socket, {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'root',
      uid: 0,
      ppid: 1,
      pstart: '1',
    });
    await hook.result;
    while (!server.calls.some(({ path }) => path === '/heartbeat'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    agent.kill('SIGTERM');
    await ended;
    const urls = printed.split('\n').filter((url) => url.startsWith('file:'));
    const packages = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
    assert.deepEqual([...new Set(packages)].sort(), PACKAGES);
    const own = urls.map((url) => relative(import.meta.dirname, new URL(url).pathname));
    assert.ok(own.includes('gate/gate.ts'), printed);
    const others = own.filter((path) => /^(enrol|install|setup)\//.test(path)).map((path) => path.replace(/\.ts$/, ''));
    assert.deepEqual(others.sort(), OF_SETUP);
  } finally {
    agent.kill('SIGKILL');
    await server.close();
    await host.remove();
  }
});
