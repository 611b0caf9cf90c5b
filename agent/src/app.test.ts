import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { identree, MAIN } from './testing/cli.ts';
import { attachHook, connectHook } from './testing/fake-hook.ts';
import { createFakeServer } from './testing/fake-server.ts';
import { createEnrolledHost } from './testing/host.ts';

const OPTIONS = { timeout: 120_000, concurrency: 3 };

describe('agent, direct gate and status as processes', OPTIONS, () => {
  it('the agent answers hooks until it is told to stop; status tells how it is', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server);
    const flags = ['--config', host.paths.config, '--state', host.paths.state, '--socket', host.paths.socket];
    const before = await identree(['status', ...flags, '--json']);
    assert.equal(before.code, 1, 'no agent yet');
    const agent = spawn(process.execPath, [MAIN, 'agent', ...flags], { stdio: ['ignore', 'inherit', 'pipe'] });
    let log = '';
    agent.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    while (!server.calls.some(({ path }) => path === '/heartbeat') || !log.includes('ready'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    // The agent notes what came of its report after the server has had it.
    let status = await identree(['status', ...flags]);
    while (status.stdout.includes('none yet')) status = await identree(['status', ...flags]);
    assert.equal(status.code, 0, status.stdout);
    assert.match(status.stdout, /Agent +running/);
    const second = await identree(['agent', ...flags]);
    assert.equal(second.code, 8, 'one agent per host');

    const stat = await readFile(`/proc/${process.pid}/stat`, 'latin1');
    const pstart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const hook = connectHook(host.paths.socket, {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'root',
      uid: 0,
      ppid: process.pid,
      pstart,
    });
    const challenge = await server.challenge();
    assert.equal(challenge.record.mode, 'unparsed', 'this test is not sudo');
    await server.approve(challenge);
    assert.equal((await hook.result).granted, true);

    agent.kill('SIGTERM');
    assert.equal(await new Promise((resolve) => agent.on('close', resolve)), 0);
    await server.close();
    await host.remove();
  });

  it('an agent whose question is kept hears in its answer that its host was revoked, and looks at once', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server, 'IDENTREE_BREAKGLASS_ENABLED=false\n');
    const { promise: kept, resolve: keep } = Promise.withResolvers<ServerResponse>();
    server.intercept = ({ path, response }) => {
      if (!path.startsWith('/break-glass/state?wait=')) return false;
      keep(response);
      return true;
    };
    const flags = ['--config', host.paths.config, '--state', host.paths.state, '--socket', host.paths.socket];
    const agent = spawn(process.execPath, [MAIN, 'agent', ...flags], { stdio: 'ignore' });
    const ended = new Promise((resolve) => agent.on('close', resolve));
    const heartbeats = async (count: number) => {
      while (server.calls.filter(({ path }) => path === '/heartbeat').length < count)
        await new Promise((resolve) => setTimeout(resolve, 20));
    };
    const question = await kept;
    await heartbeats(1);
    // The next one comes after five minutes by itself.
    server.refuse(question, 403, 'host_revoked', 'This host was revoked.');
    await heartbeats(2);
    agent.kill('SIGTERM');
    assert.equal(await ended, 0);
    await server.close();
    await host.remove();
  });

  it('what the server tells of settings counts at once, and when it is away, where client.conf says nothing', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server, 'IDENTREE_TIMEOUT=10m\n');
    server.clientDefaults = { timeoutMs: 60_000, breakGlassPasswordType: 'passphrase', breakGlassRotationDays: 7 };
    const flags = ['--config', host.paths.config, '--state', host.paths.state];
    const settings = async () => {
      const { stdout } = await identree(['status', '--json', ...flags, '--socket', host.paths.socket]);
      const { lines }: { lines: { what: string; value: string }[] } = JSON.parse(stdout);
      return lines.find(({ what }) => what === 'Settings')?.value;
    };
    const agent = spawn(process.execPath, [MAIN, 'agent', ...flags, '--socket', host.paths.socket], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => agent.on('close', resolve));
    // It makes its first password as it was told.
    while (server.breakGlass.kept.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(server.breakGlass.kept[0]?.type, 'passphrase');
    agent.kill('SIGTERM');
    await ended;
    await server.close();
    assert.equal(
      await settings(),
      'timeout 10m (client.conf), break-glass on (built in), its password passphrase (server), replaced after 7 days (server)',
    );
    await host.remove();
  });

  it('the direct gate speaks on its standard input', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server, 'IDENTREE_CONTACT=ops@example.com\n');
    const run = (state: string) => {
      const child = spawn(
        process.execPath,
        [MAIN, 'gate', '--direct', '--config', host.paths.config, '--state', state],
        { stdio: ['pipe', 'ignore', 'ignore'] },
      );
      // What Node gives a child as a "pipe" is one end of a socket pair; this takes the other for both directions.
      const handle = (child.stdin as unknown as { _handle: unknown })._handle;
      return new net.Socket({ handle, readable: true, writable: true } as net.SocketConstructorOpts);
    };
    const stat = await readFile(`/proc/${process.pid}/stat`, 'latin1');
    const pstart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const hello = { v: 1, mode: 'sudo', service: 'sudo', user: 'root', uid: 0, ppid: process.pid, pstart };
    const hook = attachHook(run(host.paths.state), hello);
    const challenge = await server.challenge();
    await server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, true, result.text);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);

    const lost = await attachHook(run(join(host.dir, 'nowhere')), hello).result;
    assert.equal(lost.granted, false);
    assert.match(lost.text, /not enrolled/);
    assert.match(lost.text.replace(/\s+/g, ' '), /Help: ops@example\.com/);
    await server.close();
    await host.remove();
  });
});
