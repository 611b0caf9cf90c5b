import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { must, run } from '../e2e/harness/run.ts';
import { type Slapd, startSlapd, whyNoSlapd } from '../e2e/harness/slapd.ts';
import { createTestCa } from '../server/src/ldap/testing/certificates.ts';
import { search } from '../server/src/ldap/testing/messages.ts';
import { BASE } from '../server/src/ldap/testing/sample-entries.ts';
import { encodeRequests, listOperations, type Operation } from './ldap/operations.ts';
import { type BenchResult, machineFacts, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:ldap`: our LDAP server side by side with slapd, both up all the time, taking turns in slices of half a
 * second. What is compared is CPU time per operation of the server's threads: unlike throughput it can be repeated on a
 * machine that does other things as well. slapd is loaded with what ours enumerates, so that both send the same.
 */

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    users: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '8' },
    only: { type: 'string' },
    /** Scale, memory and fairness with 100,000 users. */
    scale: { type: 'boolean', default: true },
    'no-scale': { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
  },
});
const users = Number(options.users);
const rounds = Number(options.rounds);
const note = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

interface Candidate {
  port: number;
  tlsPort: number | null;
  pid: number;
  buildMs: number;
  entries: number;
  stop(): void;
}

interface Slice {
  ops: number;
  entries: number;
  cpuNs: number;
  wallNs: number;
  p50: number;
  p99: number;
}

const folder = await mkdtemp(join(tmpdir(), 'identree-bench-'));
const running: ChildProcess[] = [];
const stops: (() => Promise<void> | void)[] = [];

async function startOurs(
  count: number,
  tls: { certificate: string; key: string; ca: string } | null,
): Promise<Candidate> {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'ldap/server.ts'),
      JSON.stringify({ users: count, tls }),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  running.push(child);
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    child.on('exit', () => reject(new Error('the server ended')));
  });
  return { ...(JSON.parse(line) as Omit<Candidate, 'stop'>), stop: () => child.kill('SIGKILL') };
}

/** Everything that ours serves, as LDIF. */
async function enumerateOurs(port: number): Promise<string> {
  const file = join(folder, 'enumeration.ldif');
  const names = ['*', 'entryUUID', 'createTimestamp', 'modifyTimestamp'].map((name) => `'${name}'`).join(' ');
  const program = `ldapsearch -x -LLL -o ldif-wrap=no -H ldap://127.0.0.1:${port} -b ${BASE} '(objectClass=*)' ${names} > ${file}`;
  await must('/bin/sh', ['-c', program], { timeoutMs: 300_000, env: { PATH: '/usr/bin:/bin', LDAPCONF: '/dev/null' } });
  return readFile(file, 'utf8');
}

async function buildLoadClient(): Promise<{ program: string; tls: boolean }> {
  const source = join(import.meta.dirname, 'ldap/load.c');
  const program = join(folder, 'load');
  const common = ['-O2', '-o', program, source];
  if ((await run('cc', [...common, '-DWITH_TLS', '-lssl', '-lcrypto'])).code === 0) return { program, tls: true };
  await must('cc', common);
  return { program, tls: false };
}

async function slice(
  load: string,
  server: { port: number; pid: number },
  operation: Operation,
  connections: number,
  env: Record<string, string> = {},
): Promise<Slice> {
  const file = join(folder, `${operation.name}.requests`);
  const [warm, length, least] = operation.perEntry ? [300, 1500, 3] : [200, 500, 1];
  const args = [server.port, server.pid, connections, operation.depth, warm, length, least, operation.mode, file].map(
    String,
  );
  const result = await run(load, args, {
    timeoutMs: 120_000,
    env: { ...process.env, ...env } as Record<string, string>,
  });
  if (result.code !== 0) throw new Error(`${operation.name}: the run is void: ${result.stderr}`);
  return JSON.parse(result.stdout) as Slice;
}

const median = (values: readonly number[]): number => percentile(values, 0.5);
const costOf = (operation: Operation, { cpuNs, ops, entries }: Slice): number =>
  cpuNs / 1000 / (operation.perEntry ? Math.max(1, entries) : Math.max(1, ops));

interface Cell {
  ours: number[];
  theirs: number[];
  ratios: number[];
  p50: number[];
  p99: number[];
  theirP99: number[];
}

async function compare(
  load: string,
  ours: { port: number; pid: number },
  slapd: { port: number; pid: number },
  operations: readonly Operation[],
  env: Record<string, string> = {},
): Promise<Map<string, Cell>> {
  const cells = new Map<string, Cell>();
  for (const operation of operations)
    await writeFile(join(folder, `${operation.name}.requests`), encodeRequests(operation));
  for (let turn = 0; turn < rounds; turn++) {
    note(`round ${turn + 1} of ${rounds}`);
    for (const operation of operations) {
      for (const connections of operation.connections) {
        const measured: { ours?: Slice; theirs?: Slice } = {};
        for (const which of turn % 2 === 0 ? (['theirs', 'ours'] as const) : (['ours', 'theirs'] as const)) {
          measured[which] = await slice(load, which === 'ours' ? ours : slapd, operation, connections, env);
        }
        // The first one pays for code that is compiled on the way.
        if (turn === 0 && rounds > 1) continue;
        const cell = cells.get(operation.name) ?? { ours: [], theirs: [], ratios: [], p50: [], p99: [], theirP99: [] };
        cells.set(operation.name, cell);
        const [mine, theirs] = [costOf(operation, measured.ours!), costOf(operation, measured.theirs!)];
        cell.ours.push(mine);
        cell.theirs.push(theirs);
        cell.ratios.push(theirs / mine);
        cell.p50.push(measured.ours!.p50);
        cell.p99.push(measured.ours!.p99);
        cell.theirP99.push(measured.theirs!.p99);
      }
    }
  }
  return cells;
}

function report(cells: Map<string, Cell>, operations: readonly Operation[], slapd: Slapd, suffix = ''): BenchResult[] {
  return operations.flatMap((operation) => {
    const cell = cells.get(operation.name);
    if (cell === undefined) return [];
    const unit = operation.perEntry ? 'us CPU/entry' : 'us CPU/op';
    note(
      `${(operation.name + suffix).padEnd(24)} ${round(median(cell.ours))} against ${round(median(cell.theirs))} ${unit}, ratio ${round(median(cell.ratios))} (${round(percentile(cell.ratios, 0.25))} … ${round(percentile(cell.ratios, 0.75))}), must ${operation.must}, goal ${operation.goal}, p99 ${median(cell.p99)} against ${median(cell.theirP99)} us`,
    );
    return [
      {
        metric: `${operation.name}${suffix}_cpu_ratio`,
        unit,
        value: round(median(cell.ours)),
        p99: median(cell.p99),
        goal: operation.must,
        peer: { name: 'slapd', version: slapd.version, value: round(median(cell.theirs)) },
        ratio: round(median(cell.ratios)),
        upperQuartile: round(percentile(cell.ratios, 0.75)),
      },
    ];
  });
}

/** slapd's own cost must be about the same at both ends, else the machine changed under the measurement. */
function isSteady(cells: Map<string, Cell>): boolean {
  const { theirs = [] } = cells.get('getpwnam') ?? {};
  const third = Math.floor(theirs.length / 3);
  if (third === 0) return true;
  const [first, last] = [median(theirs.slice(0, third)), median(theirs.slice(-third))];
  return Math.max(first, last) / Math.min(first, last) <= 2;
}

async function rssMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
}

/** Lookups on one connection while another one enumerates all users again and again. */
async function fairness(
  load: string,
  server: { port: number; pid: number },
  operations: readonly Operation[],
): Promise<Slice> {
  const [lookup, bulk] = ['getpwnam', 'users_enum'].map(
    (name) => operations.find((operation) => operation.name === name)!,
  );
  for (const operation of [lookup!, bulk!])
    await writeFile(join(folder, `${operation.name}.requests`), encodeRequests(operation));
  const args = [server.port, server.pid, 1, 1, 0, 6000, 1, 'plain', join(folder, 'users_enum.requests')].map(String);
  const greedy = run(load, args, { timeoutMs: 120_000 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const found = await slice(load, server, { ...lookup!, perEntry: false }, 1);
  await greedy;
  return found;
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

async function scale(load: string): Promise<BenchResult[]> {
  note('scale: 1,000 and 100,000 users');
  const large = await startOurs(100_000, null);
  const small = await startOurs(1000, null);
  const [many, few] = [listOperations(100_000), listOperations(1000)];
  const costs: Record<'large' | 'small', number[]> = { large: [], small: [] };
  const lookup = (list: Operation[]) => ({ ...list[0]!, connections: [16] });
  for (let turn = 0; turn < Math.max(4, rounds); turn++) {
    for (const [name, server, list] of [
      ['small', small, few],
      ['large', large, many],
    ] as const) {
      const operation = { ...lookup(list), name: `getpwnam-${name}` };
      await writeFile(join(folder, `${operation.name}.requests`), encodeRequests(operation));
      const found = await slice(load, server, operation, 16);
      if (turn > 0) costs[name].push(costOf(operation, found));
    }
  }
  small.stop();
  await slice(load, large, { ...many.find(({ name }) => name === 'users_enum')!, name: 'users_enum' }, 1).catch(
    async () => {
      const operation = many.find(({ name }) => name === 'users_enum')!;
      await writeFile(join(folder, 'users_enum.requests'), encodeRequests(operation));
      return slice(load, large, operation, 1);
    },
  );
  const alone = await slice(load, large, { ...lookup(many), name: 'getpwnam-large' }, 1);
  const fair = await fairness(load, large, many);
  const rss = await rssMb(large.pid);
  const perConnection = await neverReading(large);
  large.stop();
  return [
    {
      metric: 'lookup_cpu_100k_over_1k',
      unit: 'ratio',
      value: round(median(costs.large) / median(costs.small)),
      goal: 2,
    },
    { metric: 'rss_100k_mb', unit: 'MB', value: round(rss), goal: 450 },
    { metric: 'snapshot_build_100k_s', unit: 's', value: round(large.buildMs / 1000), goal: 15 },
    { metric: 'lookup_alone_100k_ms', unit: 'ms', value: round(alone.p50 / 1000), p99: round(alone.p99 / 1000) },
    {
      metric: 'lookup_during_enumeration_100k_ms',
      unit: 'ms',
      value: round(fair.p50 / 1000),
      p99: round(fair.p99 / 1000),
      goal: 1,
    },
    { metric: 'never_reading_rss_mb_per_connection', unit: 'MB', value: round(perConnection), goal: 1 },
  ];
}

async function main(): Promise<number> {
  const problem = whyNoSlapd();
  if (problem !== null) {
    note(`bench:ldap needs a reference: ${problem}`);
    return 1;
  }
  const { program, tls } = await buildLoadClient();
  const ca = await createTestCa('bench CA');
  const own = { ...(await ca.issue('ldap.test', 'server')), ca: ca.certificate };
  note(`${users} users: starting both servers`);
  const ours = await startOurs(users, own);
  const slapd = await startSlapd({
    ldif: await enumerateOurs(ours.port),
    baseDn: BASE,
    rootDn: `cn=sssd,${BASE}`,
    rootPassword: 'secret',
    tls: own,
  });
  stops.push(() => slapd.stop());
  const all = listOperations(users);
  const wanted = options.only?.split(',');
  const operations = wanted === undefined ? all : all.filter(({ name }) => wanted.includes(name));
  const cells = await compare(program, ours, slapd, operations);
  if (!isSteady(cells)) note('the machine changed during the measurement: slapd’s own cost differs by more than two');
  const results = report(cells, operations, slapd);
  if (tls && wanted === undefined) {
    const client = await ca.issue('web1.example.com', 'client');
    for (const [name, pem] of Object.entries({ ...client, ca: ca.certificate }))
      await writeFile(join(folder, `${name}.pem`), pem);
    const env = {
      LOAD_CA: join(folder, 'ca.pem'),
      LOAD_CERT: join(folder, 'certificate.pem'),
      LOAD_KEY: join(folder, 'key.pem'),
    };
    const chosen = operations.filter(({ name }) => ['getpwnam', 'mix', 'users_enum', 'connect_search'].includes(name));
    const overTls = await compare(
      program,
      { ...ours, port: ours.tlsPort! },
      { ...slapd, port: slapd.tlsPort! },
      chosen,
      env,
    );
    results.push(...report(overTls, chosen, slapd, '_ldaps').map(({ goal: _, ...result }) => result));
  } else if (!tls) note('ldaps rows are left out: the load client could not be built with OpenSSL');
  results.push({ metric: 'rss_mb', unit: 'MB', value: round(await rssMb(ours.pid)) });
  ours.stop();
  await slapd.stop();
  stops.length = 0;
  if (!options['no-scale'] && wanted === undefined) results.push(...(await scale(program)));
  printReport({ bench: 'ldap', results, machine: machineFacts() }, options.json);
  return 0;
}

try {
  process.exitCode = await main();
} finally {
  for (const stop of stops) await stop();
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
