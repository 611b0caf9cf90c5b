import { type Host, openHost } from '../app.ts';
import { createGate } from '../gate/gate.ts';
import { createResidentLogins } from '../gate/logins.ts';
import { createProcessReader } from '../gate/proc.ts';
import { systemClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { listen } from '../service/socket-server.ts';
import { connectHook, type FakeHook } from './fake-hook.ts';
import { createFakeServer, type FakeServer } from './fake-server.ts';
import { createEnrolledHost } from './host.ts';
import { createParent, type FakeParent } from './parent.ts';

/** A fake server, an enrolled host with a gate on a real socket, and a parent process. */
export interface TestGate extends AsyncDisposable {
  server: FakeServer;
  host: Host;
  dir: string;
  socket: string;
  state: string;
  parent: FakeParent;
  logged: string[];
  stop: AbortController;
  hello(change?: Record<string, string | number | null>): Record<string, string | number>;
  sudo(change?: Record<string, string | number | null>): FakeHook;
}

export async function createTestGate(
  options: { conf?: string; argv?: readonly (string | Buffer)[]; cwd?: string; environ?: Record<string, string> } = {},
): Promise<TestGate> {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server, options.conf);
  const parent = await createParent(enrolled.dir, {
    argv: options.argv ?? ['sudo', 'true'],
    cwd: options.cwd ?? '/usr',
    environ: options.environ ?? { LANG: 'C.UTF-8' },
  });
  const logged: string[] = [];
  const note = (message: string) => void logged.push(message);
  const log: Log = { info: note, warn: note, error: note };
  const host = await openHost(enrolled.paths, { log });
  const processes = createProcessReader(parent.proc);
  const stop = new AbortController();
  const gate = createGate({
    ask: host.ask,
    logins: createResidentLogins({ ask: host.ask, processes, clock: systemClock }),
    processes,
    sessionOrigin: async () => null,
    clock: systemClock,
    log,
    reportOutcome: 'after',
    stopping: stop.signal,
  });
  const listener = await listen(enrolled.paths.socket, gate.handle);
  const hello: TestGate['hello'] = (change = {}) => {
    const fields: Record<string, string | number | null> = {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'alice',
      ruser: 'alice',
      tty: '/dev/pts/3',
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
    host,
    dir: enrolled.dir,
    socket: enrolled.paths.socket,
    state: enrolled.paths.state,
    parent,
    logged,
    stop,
    hello,
    sudo: (change) => connectHook(enrolled.paths.socket, hello(change)),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listener.close();
      await host.background.drain(200);
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
}
