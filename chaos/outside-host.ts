import { setTimeout as sleep } from 'node:timers/promises';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { type Host, openHost } from '../agent/src/app.ts';
import { createTransport } from '../agent/src/client/transport.ts';
import { enrol } from '../agent/src/enrol/enrol.ts';
import type { Paths } from '../agent/src/paths.ts';
import { systemClock } from '../agent/src/platform/clock.ts';
import { silentLog } from '../agent/src/platform/log.ts';
import { systemRandom } from '../agent/src/platform/random.ts';
import { createHostFolders } from '../agent/src/testing/host.ts';
import type { Told } from '../server/src/testing/journal.ts';
import type { Load, LoadedServer } from '../server/src/testing/load.ts';
import type { LoadPorts } from '../server/src/testing/load-child.ts';
import { openTcpGate } from '../server/src/testing/tcp-gate.ts';
import type { Scope } from './fault.ts';
import { directorySettings } from './observe.ts';

/** An address that outlives the servers behind it, as that of a balancer does. */
export interface LastingAddress {
  readonly url: string;
  /** Settings of a server that is reached there, with a directory. */
  readonly env: Record<string, string>;
  /** Who connects from now on reaches this one. */
  leadTo(server: LoadedServer): void;
}

/** Opens an address for servers of a load. It leads to none of them yet. */
export async function openLastingAddress(scope: Pick<Scope, 'after'>, load: Load): Promise<LastingAddress> {
  let port = 0;
  const gate = await openTcpGate(() => port);
  scope.after(() => gate.close());
  const url = `http://localhost:${gate.port}`;
  return {
    url,
    env: { ...(await directorySettings(load.folder)), IDENTREE_EXTERNAL_URL: url },
    leadTo(server) {
      port = server.ports.http;
    },
  };
}

/** The folders of a host that is enrolled at a server, and outlives it. */
export interface OutsideHost {
  hostname: string;
  paths: Paths;
  dir: string;
}

/** Enrols a host with what a real one has: its files, and a connection to the server. */
export async function enrolOutside(
  scope: Pick<Scope, 'after'>,
  serverUrl: string,
  { outside }: LoadPorts,
): Promise<OutsideHost> {
  const { paths, dir, remove } = await createHostFolders(serverUrl);
  scope.after(remove);
  const transport = createTransport({ serverUrl, ca: null });
  const { hostname, token } = outside;
  const input = { credential: { token }, serverUrl, hostname, state: paths.state, replace: false };
  const enrolled = await enrol({ transport, clock: systemClock, random: systemRandom }, input);
  transport.close();
  if (!enrolled.ok) throw new Error(enrolled.message);
  return { hostname, paths, dir };
}

/** What somebody hears who waits at such a host. */
export interface Waiting {
  readonly id: string;
  readonly told: readonly Told[];
  /** Withdraws the request. Resolves when the one who waits has heard how it ended. */
  cancel(): Promise<string>;
}

/** Opens such a host, so that requests can be made at it. */
export async function openOutside(scope: Pick<Scope, 'after'>, { paths }: OutsideHost): Promise<Host> {
  const host = await openHost(paths, { log: silentLog });
  scope.after(() => host.close());
  return host;
}

/** How soon who could not ask asks again, milliseconds. */
const AGAIN_MS = 50;

/** Asks for something that nobody answers, and waits as the agent does: for as long as nothing else is said. */
export async function waitOutside({ client, enrolment }: Host): Promise<Waiting> {
  const told: Told[] = [];
  const record = sampleRecord({ hostId: enrolment.identity.hostId, user: 'carol' });
  let at = Date.now();
  let made = await client.createChallenge(record, 0, true);
  while (made.kind === 'unavailable') {
    await sleep(AGAIN_MS);
    at = Date.now();
    made = await client.createChallenge(record, 0, true);
  }
  if (made.kind !== 'ok') throw new Error(`it could not be asked for: ${JSON.stringify(made)}`);
  const id = made.value.challengeId;
  told.push({ kind: 'created', id, status: 'pending', at, ms: Date.now() - at });

  async function wait(): Promise<string> {
    for (;;) {
      const asked = Date.now();
      const reply = await client.poll(id, 0);
      const when = { at: asked, ms: Date.now() - asked };
      if (reply.kind === 'ok') {
        const { status } = reply.value;
        told.push({ kind: 'waited', id, status, ...when });
        if (status !== 'pending') return status;
      } else if (reply.kind === 'unavailable') {
        told.push({ kind: 'refused', what: 'wait', code: '', message: reply.message, ...when });
        await sleep(AGAIN_MS);
      } else return `refused: ${JSON.stringify(reply)}`;
    }
  }
  const ended = wait();
  return {
    id,
    told,
    async cancel() {
      while ((await client.cancel(id)).kind === 'unavailable') await sleep(AGAIN_MS);
      return ended;
    },
  };
}
