import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { search } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { type BenchResult, createProgress, note, percentile, round } from '../report.ts';
import { costOf, type LoadClient } from './load.ts';
import { listOperations, type Operation } from './operations.ts';
import { READ, readServed } from './served.ts';
import { type Candidate, enumerateOurs, rssMb, startOurs, type Took } from './servers.ts';

const MANY = 100_000;
const FEW = 1000;

const named = (operations: readonly Operation[], name: string): Operation =>
  operations.find((operation) => operation.name === name)!;
const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Memory once it no longer shrinks: what a thread that has ended used takes some seconds to be given back. */
async function settledRssMb({ pid }: Candidate): Promise<number> {
  for (let last = await rssMb(pid); ; ) {
    await sleep(5000);
    const now = await rssMb(pid);
    if (now > last * 0.99) return now;
    last = now;
  }
}

/** Memory per connection that asks for everything and reads nothing. */
async function neverReading(server: Candidate): Promise<number> {
  const before = await rssMb(server.pid);
  const sockets: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(search(1, { base: BASE }));
    sockets.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const after = await rssMb(server.pid);
  for (const socket of sockets) socket.destroy();
  return Math.max(0, after - before) / sockets.length;
}

/** Builds the directory that so many users make, in a thread that does nothing else. */
async function build(users: number): Promise<Took> {
  const builder = new Worker(new URL('./builder.ts', import.meta.url), { workerData: { users } });
  const [took] = (await once(builder, 'message')) as [Took];
  await once(builder, 'exit');
  return took;
}

/** How ours does with a hundred thousand users: cost of a lookup, memory, time to build, fairness. */
export async function scale(load: LoadClient, folder: string, rounds: number): Promise<BenchResult[]> {
  note(`scale: ${FEW} and ${MANY} users`);
  note(`  building the directory of ${MANY} users`);
  const built = await build(MANY);
  note('  starting both servers');
  const small = await startOurs(FEW, folder);
  const large = await startOurs(MANY, folder);
  const operationsOf = async ({ port }: Candidate): Promise<Operation[]> =>
    listOperations(readServed(await enumerateOurs(port, folder, READ)));
  const [few, many] = [await operationsOf(small), await operationsOf(large)];
  const ratios: number[] = [];
  const progress = createProgress('rounds of lookups', rounds);
  for (let turn = 0; turn < rounds; turn++) {
    const costs: number[] = [];
    for (const [server, operations] of [
      [small, few],
      [large, many],
    ] as const) {
      const lookup = named(operations, 'getpwnam');
      costs.push(costOf(lookup, await load.slice(server, lookup, 16)));
    }
    if (turn > 0 || rounds === 1) ratios.push(costs[1]! / costs[0]!);
    progress.step();
  }
  small.stop();
  const lookup = named(many, 'getpwnam');
  const enumeration = named(many, 'users_enum');
  note('  enumerations, until memory no longer shrinks');
  // In service: the whole directory has been touched, and what the builder needed has been given back.
  await load.slice(large, enumeration, 1);
  await load.slice(large, named(many, 'mix'), 16);
  const rss = await settledRssMb(large);
  note('  lookups while somebody enumerates');
  const alone = await load.slice(large, lookup, 1);
  const greedy = load.background(large, enumeration, 6000);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const fair = [
    await load.slice(large, lookup, 1),
    await load.slice(large, lookup, 1),
    await load.slice(large, lookup, 1),
  ];
  await greedy;
  const perConnection = await neverReading(large);
  const { first, change } = large;
  large.stop();
  return [
    { metric: 'lookup_cpu_100k_over_1k', unit: 'ratio', value: round(median(ratios)), goal: 2, target: 1.3 },
    { metric: 'rss_100k_mb', unit: 'MB', value: round(rss), goal: 450, target: 280 },
    // Time of the processor: the thread is of its own, and how long it waits for one says nothing about it.
    { metric: 'snapshot_build_100k_s', unit: 's CPU', value: round(built.cpuMs / 1000), goal: 15, target: 5 },
    { metric: 'snapshot_build_100k_wall_s', unit: 's', value: round(built.ms / 1000) },
    // From a file of people to answers, with everything between them: numbers, guards, events, the database.
    { metric: 'first_sync_100k_s', unit: 's', value: round(first.ms / 1000) },
    { metric: 'first_sync_100k_cpu_s', unit: 's CPU', value: round(first.cpuMs / 1000) },
    { metric: 'change_100k_s', unit: 's', value: round(change.ms / 1000) },
    { metric: 'change_100k_cpu_s', unit: 's CPU', value: round(change.cpuMs / 1000) },
    {
      metric: 'lookup_alone_100k_p50_ms',
      unit: 'ms',
      value: round(alone.p50 / 1000),
      p99: round(alone.p99 / 1000),
    },
    {
      metric: 'lookup_during_enumeration_100k_p50_ms',
      unit: 'ms',
      value: round(median(fair.map(({ p50 }) => p50)) / 1000),
      goal: 1,
      target: 0.3,
    },
    {
      metric: 'lookup_during_enumeration_100k_p99_ms',
      unit: 'ms',
      value: round(median(fair.map(({ p99 }) => p99)) / 1000),
      goal: 10,
      target: 3,
    },
    { metric: 'never_reading_rss_mb_per_connection', unit: 'MB', value: round(perConnection), goal: 1, target: 0.3 },
  ];
}
