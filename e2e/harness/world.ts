import { join } from 'node:path';
import { type HostRecord, hostRecord } from '#shared/decision.ts';
import type { EventRecord } from '#shared/events.ts';
import { type Host, type HostOptions, type Lab, type LabUser, openLab, whyNoLab } from './lab.ts';
import { CODE, newApprover, type Person } from './person.ts';
import type { Terminal } from './pty.ts';
import { type RunResult, until } from './run.ts';
import { type ChallengeRow, enrolmentToken, type Server, type ServerOptions, startServer } from './server.ts';

/** Everything there is: the lab, the server, hosts that are enrolled and gated, people with passkeys. */
export interface World {
  readonly lab: Lab;
  readonly server: Server;
  host(name?: string): Host;
  person(name: string): Person;
  /** Boots one more host, enrols it and puts identree into its PAM stacks. */
  addHost(name: string, options?: HostOptions & { pam?: string | null; sudo?: 'plugin' | 'pam' }): Promise<Host>;
  close(): Promise<void>;
}

export interface WorldOptions extends ServerOptions {
  hosts?: readonly string[];
  people?: readonly string[];
  /** Who asks for sudo on all hosts; the PAM stage if nothing is said. */
  sudo?: 'plugin' | 'pam';
  /** Told when there is a lab, long before there is a world. */
  onLab?: (lab: Lab) => void;
  /** What the server's name means to hosts; without it the server's address. */
  serverAddress?: (lab: Lab) => string;
}

/** Enrols a booted host with a token, as an operator does: one line of configuration, the token on standard input. */
export async function enroll(host: Host, server: Server, token: string): Promise<RunResult> {
  if (!host.exists('/etc/identree/client.conf')) {
    await host.write('/etc/identree/client.conf', `IDENTREE_SERVER_URL=${server.url}\n`, 0o600);
  }
  return host.exec(['identree', 'enroll', '--hostname', `${host.name}.example.com`], { input: `${token}\n` });
}

/** Waits until the agent takes questions. */
export const agentReady = (host: Host): Promise<true> =>
  until(
    `the agent on ${host.name}`,
    async () => (await host.exec(['test', '-S', '/run/identree/agent.sock'])).code === 0,
  );

/** Enrols a booted host with a fresh token and starts its agent. */
export async function enrol(host: Host, server: Server): Promise<void> {
  const result = await enroll(host, server, await enrolmentToken(server, `${host.name}.example.com`));
  if (result.code !== 0)
    throw new Error(`enroll on ${host.name}: exit ${result.code}\n${result.stdout}${result.stderr}`);
  await host.sh('systemctl reset-failed identree-agent 2>/dev/null || true; /usr/lib/identree/service restart');
  await agentReady(host);
}

/** Puts identree into the PAM stacks, as an operator does. */
export async function gate(host: Host, services = 'sudo,sudo-i', sudo: 'plugin' | 'pam' = 'pam'): Promise<void> {
  await until(
    'identree setup',
    async () => {
      const result = await host.exec(['identree', 'setup', '--pam', services, '--sudo', sudo, '--no-confirm']);
      if (result.code === 0) return true;
      // On a busy machine the first report of the agent may come too late; the next one follows within a minute.
      if (
        /has not spoken to the server lately|did not answer in time|could not be made in time/.test(
          result.stdout + result.stderr,
        )
      )
        return false;
      throw new Error(`identree setup: exit ${result.code}\n${result.stdout}${result.stderr}`);
    },
    150_000,
  );
}

/** Waits for all, then fails with the first failure: nothing may still be at work on a lab that is being closed. */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const lab = await openLab();
  options.onLab?.(lab);
  const hosts = new Map<string, Host>();
  const people = new Map<string, Person>();
  let started: Server | null = null;

  async function close(): Promise<void> {
    if (process.env.SHOW_LOGS) {
      for (const host of hosts.values()) {
        const log = await host.exec(['journalctl', '--no-pager', '-n', '120']);
        process.stderr.write(`--- ${host.name}\n${log.stdout}`);
      }
    }
    for (const person of people.values()) person.web.close();
    await started?.close();
    await lab.close();
  }

  try {
    const names = options.hosts ?? ['web1'];
    const seenAs = options.serverAddress ? { serverAddress: options.serverAddress(lab) } : {};
    await all([
      startServer(lab, options).then((running) => {
        started = running;
      }),
      ...names.map(async (name) => {
        hosts.set(name, await lab.up(name, seenAs));
      }),
    ]);
    const server = started as unknown as Server;
    await all([
      ...[...hosts.values()].map(async (host) => {
        await enrol(host, server);
        await gate(host, undefined, options.sudo);
      }),
      ...(options.people ?? ['alice', 'bob', 'olga']).map(async (name) => {
        people.set(name, await newApprover(server, name));
      }),
    ]);
    return {
      lab,
      server,
      host: (name = names[0] ?? 'web1') => hosts.get(name)!,
      person: (name) => people.get(name)!,
      async addHost(name, { pam = 'sudo,sudo-i', sudo = options.sudo, ...made } = {}) {
        const host = await lab.up(name, { ...seenAs, ...made });
        hosts.set(name, host);
        await enrol(host, server);
        if (pam) await gate(host, pam, sudo);
        return host;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A command line of sudo that leaves a mark when, and only when, it ran. */
export interface Asked {
  terminal: Terminal;
  /** What a person reads. */
  code: string;
  row: () => ChallengeRow;
  events: () => EventRecord[];
}

let marks = 0;

/** A path that no other test uses; on the disk of the host, so that it can be looked at from outside. */
export const mark = (): string => `/srv/mark-${process.pid}-${++marks}`;

/** Types a command and waits for the code on the screen. */
export async function ask(
  world: World,
  host: Host,
  user: LabUser,
  command: readonly string[],
  options?: Parameters<Host['terminal']>[2],
): Promise<Asked> {
  const terminal = host.terminal(user, command, options);
  const [code] = await terminal.see(CODE);
  return asked(world, terminal, code);
}

/** The same for a terminal that is open already. */
export function asked(world: World, terminal: Terminal, code: string): Asked {
  return {
    terminal,
    code,
    row: () => {
      const row = world.server.data.challenge(code);
      if (!row) throw new Error(`the server does not know ${code}`);
      return row;
    },
    events: () => world.server.data.events({ code }),
  };
}

export const recordOf = (request: Asked): HostRecord => hostRecord.parse(JSON.parse(request.row().record));

/** How many requests a host has made for a mark: what sudo refuses makes none. */
export const requestsFor = (world: World, word: string): number =>
  world.server.data.challenges().filter((row) => row.record.includes(word)).length;

export const eventNames = (request: Asked): string[] => request.events().map(({ event }) => event);

/** Waits until the server has written these events about a request, in this order and no others. */
export async function eventsBecome(request: Asked, names: readonly string[], timeoutMs = 90_000): Promise<void> {
  await until(
    `the events ${names.join(', ')}; there are: ${eventNames(request).join(', ')}`,
    () => {
      return eventNames(request).join() === names.join();
    },
    timeoutMs,
  ).catch(() => {
    throw new Error(`expected the events ${names.join(', ')}; there are ${eventNames(request).join(', ')}`);
  });
}

/** Reason to skip a real-host test, for the `skip` option of node:test. */
export const skip: string | false = whyNoLab() ?? false;

export const repository = join(import.meta.dirname, '../..');
