import { join } from 'node:path';
import { type Host, openHost } from '../app.ts';
import { createGate } from '../gate/gate.ts';
import { createLogin } from '../gate/login.ts';
import { createResidentLogins } from '../gate/logins.ts';
import { createProcessReader } from '../gate/proc.ts';

import { createRegisteredSudos } from '../gate/registered-sudos.ts';
import { createSudoPlugin } from '../gate/sudo-plugin.ts';

import type { SudoPolicy } from '../gate/sudo-policy.ts';

import { systemClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { listen } from '../service/socket-server.ts';
import { MAIN } from './cli.ts';
import { connectHook, type FakeHook } from './fake-hook.ts';
import { createFakeServer, type FakeServer } from './fake-server.ts';
import { createEnrolledHost } from './host.ts';
import { createParent, type FakeParent } from './parent.ts';

/** The build of the plugin that belongs to the gate here. */
export const TEST_BUILD = 'b'.repeat(32);

/** A fake server, an enrolled host with a gate on a real socket, and a parent process. */
export interface TestGate extends AsyncDisposable {
  server: FakeServer;
  /** One more address of the server, where there is one. */
  replica: { url: string; close(): Promise<void> } | null;
  host: Host;
  dir: string;
  socket: string;
  state: string;
  parent: FakeParent;
  /** What the rules of the host's sudo say from now on. */
  policy: { now: SudoPolicy | null };
  /** The build of the plugin that sudo loads as setup left it, once `found` has resolved. */
  loads: { now: string | null; found: Promise<void> };
  logged: string[];
  stop: AbortController;
  hello(change?: Record<string, string | number | null>): Record<string, string | number>;
  sudo(change?: Record<string, string | number | null>): FakeHook;
  /** One more agent of the same host, on a socket of its own. */
  again(): Promise<AsyncDisposable & { socket: string }>;
}

export async function createTestGate(
  options: {
    conf?: string;
    argv?: readonly (string | Buffer)[];
    cwd?: string;
    environ?: Record<string, string>;
    replica?: boolean;
    sinceBoot?: () => number | null;
  } = {},
): Promise<TestGate> {
  const server = await createFakeServer();
  const replica = options.replica ? await server.replica() : null;
  const enrolled = await createEnrolledHost(server, options.conf, replica ? [replica.url] : []);
  const parent = await createParent(enrolled.dir, {
    argv: options.argv ?? ['sudo', 'true'],
    cwd: options.cwd ?? '/usr',
    environ: options.environ ?? { LANG: 'C.UTF-8' },
  });
  const policy: TestGate['policy'] = {
    now: { kind: 'sudo', securePath: ['/usr/bin', '/bin'], runAsDefault: 'root', keeps: [] },
  };
  const loads: TestGate['loads'] = { now: TEST_BUILD, found: Promise.resolve() };
  const logged: string[] = [];
  const note = (message: string) => void logged.push(message);
  const log: Log = { info: note, warn: note, error: note };
  const host = await openHost(enrolled.paths, {
    program: [process.execPath, MAIN],
    log,
    ...(options.sinceBoot ? { sinceBoot: options.sinceBoot } : {}),
  });
  const processes = createProcessReader(parent.proc, async () => policy.now);
  const start = (path: string, stopping: AbortSignal) => {
    const registered = createRegisteredSudos(processes);
    const gate = createGate({
      plugin: {
        registered,
        sudo: createSudoPlugin({
          ask: host.ask,
          breakGlass: host.breakGlass,
          runByGrant: host.runByGrant,
          quiet: host.quiet,
          processes,
          registered,
          loads: async () => {
            await loads.found;
            return loads.now;
          },
          sessionOrigin: async () => null,
          build: TEST_BUILD,
          noninteractive: host.conf.noninteractive,
          contact: host.conf.contact,
          log,
        }),
      },
      ask: host.ask,
      breakGlass: host.breakGlass,
      login: createLogin({ ask: host.ask, breakGlass: host.breakGlass, processes, clock: systemClock }),
      logins: createResidentLogins({
        ask: host.ask,
        breakGlass: host.breakGlass,
        processes,
        contact: host.conf.contact,
        clock: systemClock,
      }),
      processes,
      sessionOrigin: async () => null,
      noninteractive: host.conf.noninteractive,
      contact: host.conf.contact,
      clock: systemClock,
      log,
      reportOutcome: 'after',
      stopping,
    });
    return listen(path, gate.handle);
  };
  const stop = new AbortController();
  const listener = await start(enrolled.paths.socket, stop.signal);
  const hello: TestGate['hello'] = (change = {}) => {
    const fields: Record<string, string | number | null> = {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'alice',
      ruser: 'alice',
      tty: '/dev/null',
      ppid: parent.pid,
      pstart: parent.startTime,
      uid: 1000,
      ruid: 1000,
      cols: 80,
      rows: 24,
      fg: 1,
      ...change,
    };
    return Object.fromEntries(
      Object.entries(fields).filter((entry): entry is [string, string | number] => entry[1] !== null),
    );
  };
  return {
    server,
    replica,
    host,
    dir: enrolled.dir,
    socket: enrolled.paths.socket,
    state: enrolled.paths.state,
    parent,
    policy,
    loads,
    logged,
    stop,
    hello,
    sudo: (change) => connectHook(enrolled.paths.socket, hello(change)),
    async again() {
      const socket = join(enrolled.dir, 'again', 'agent.sock');
      const other = new AbortController();
      const next = await start(socket, other.signal);
      return {
        socket,
        async [Symbol.asyncDispose]() {
          other.abort();
          await next.close();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listener.close();
      await host.background.drain(200);
      host.close();
      await server.close();
      await replica?.close();
      await enrolled.remove();
    },
  };
}
