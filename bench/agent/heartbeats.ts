import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { type Endpoint, enrolFakeHost, type HostClient, payloadOf } from '../../e2e/harness/host-client.ts';

/** How often a host speaks: five minutes, and up to a fifth more. */
const BEATS_PER_HOUR = 3600 / (300 * 1.1);

/** A host looks at itself every quarter of an hour, so every third time it has something to tell. */
const LOOKS = 3;
const CHECKS = ['Server', 'Identity', 'Certificate', 'Authority', 'Break-glass', 'Setup', 'sudo', 'Agent'];

/** So long nobody asks anything, to know what the server costs by itself. */
const IDLE_MS = 5000;

/** Seconds of processor time that a process of this machine has used. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Linux counts them in hundredths of a second for everybody.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

interface Beating {
  client: HostClient;
  counter: number;
  head: string | null;
  beats: number;
}

/** One heartbeat as the agent sends it: it follows the log of the server, and now and then tells what it found. */
async function beat(host: Beating): Promise<void> {
  const { client, head } = host;
  host.beats += 1;
  host.counter += 1;
  const now = Date.now();
  const checks = {
    at: now,
    lines: CHECKS.map((what) => ({ what, value: 'as it should be, with some words', problem: null })),
  };
  const answer = await client.call<{ log?: { head: string } }>('POST', '/heartbeat', {
    counter: host.counter,
    machineId: client.identity.machineId,
    approverKeysVersion: 0,
    now,
    checkpointSeq: head === null ? 0 : payloadOf<{ seq: number }>(head).seq,
    agentVersion: 'bench',
    osInfo: 'Debian GNU/Linux 12 (bookworm)',
    ...(head === null ? {} : { log: { head, contradiction: null } }),
    ...(head !== null && host.beats % LOOKS === 0 ? { checks } : {}),
  });
  if (answer.status !== 200) throw new Error(`a heartbeat was refused: ${JSON.stringify(answer.body)}`);
  host.head = answer.body.log?.head ?? null;
  // The agent's connection is closed long before the next one.
  client.close();
}

/**
 * So many hosts that do nothing but live, in compressed time: each speaks `rounds` times, as many a second as asked for.
 *
 * @returns how long an answer took, counted from when its question was due, and what an hour costs the server
 */
export async function measureHeartbeats(
  server: { endpoint: Endpoint; pid: number },
  {
    hosts,
    rounds,
    perSecond,
    sharedSecret,
  }: { hosts: number; rounds: number; perSecond: number; sharedSecret: string },
  progress: (what: string, total: number) => { step(): void },
): Promise<{ cpuSecondsPerHour: number; answersMs: number[] }> {
  const fleet: Beating[] = [];
  const enrolling = progress('hosts enrolled', hosts);
  for (let n = 0; n < hosts; n += 1) {
    const { client } = await enrolFakeHost(server.endpoint, `fleet${n}.example.com`, { sharedSecret });
    client.close();
    fleet.push({ client, counter: 0, head: null, beats: 0 });
    enrolling.step();
  }
  // The first answer is larger: it holds what the next one only follows.
  const first = progress('first heartbeats', hosts);
  for (const host of fleet) {
    await beat(host);
    first.step();
  }
  const idleFrom = processorSeconds(server.pid);
  await setTimeout(IDLE_MS);
  const idlePerMs = (processorSeconds(server.pid) - idleFrom) / IDLE_MS;
  const beating = progress('heartbeats', hosts * rounds);
  const from = processorSeconds(server.pid);
  const start = performance.now();
  const answersMs = await Promise.all(
    Array.from({ length: hosts * rounds }, async (_, n) => {
      const due = start + (n * 1000) / perSecond;
      await setTimeout(Math.max(0, due - performance.now()));
      await beat(fleet[n % hosts]!);
      beating.step();
      return performance.now() - due;
    }),
  );
  const used = processorSeconds(server.pid) - from - idlePerMs * (performance.now() - start);
  return { cpuSecondsPerHour: (used / (hosts * rounds)) * hosts * BEATS_PER_HOUR, answersMs };
}
