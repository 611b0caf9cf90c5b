import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startSlapd, whyNoSlapd } from '../e2e/harness/slapd.ts';
import { installFor } from '../scripts/testing/prepare.ts';
import { createTestCa } from '../server/src/ldap/testing/certificates.ts';
import { BASE } from '../server/src/ldap/testing/sample-entries.ts';
import { type Comparison, compare, isSteady, resultsOf } from './ldap/compare.ts';
import { buildLoadClient } from './ldap/load.ts';
import { listOperations } from './ldap/operations.ts';
import { scale } from './ldap/scale.ts';
import { readServed } from './ldap/served.ts';
import { enumerateOurs, rssMb, SERVICE_DN, SERVICE_PASSWORD, startOurs } from './ldap/servers.ts';
import { type BenchResult, machineFacts, misses, note, printReport, round } from './report.ts';

/**
 * `npm run bench:ldap`: our LDAP server side by side with slapd, both up all the time, taking turns in slices of half a
 * second. What is compared is CPU time per operation of the server's threads: unlike throughput it can be repeated on a
 * machine that does other things as well. slapd is loaded with what ours enumerates, so that both send the same.
 *
 *   --json          one JSON object on standard output
 *   --quick         two minutes for every day: 1,000 people, two rounds, without LDAPS and the 100,000 users
 *   --users N       people in the directory (10,000; 1,000 with --quick)
 *   --rounds N      of which the first does not count (8; 2 with --quick)
 *   --only a,b      some operations, without LDAPS and the 100,000 users
 *   --gate          exit code 1 when a goal is missed, after another try of what missed it
 */

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    users: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
    gate: { type: 'boolean', default: false },
  },
});
const users = Number(options.users ?? (options.quick ? 1000 : 10_000));
const rounds = Number(options.rounds ?? (options.quick ? 2 : 8));
/** Side by side over plain connections is all. */
const short = options.quick || options.only !== undefined;
const folder = await mkdtemp(join(tmpdir(), 'identree-bench-'));
const stops: (() => Promise<void> | void)[] = [];

async function sideBySide(): Promise<{ results: BenchResult[]; steady: boolean }> {
  const load = await buildLoadClient(folder);
  const ca = await createTestCa('bench CA');
  note(`${users} users: starting both servers`);
  const ours = await startOurs(users, folder);
  stops.push(ours.stop);
  const ldif = await enumerateOurs(ours.port, folder, ['*', 'entryUUID', 'createTimestamp', 'modifyTimestamp']);
  const served = readServed(ldif);
  if (served.people.length !== users) throw new Error(`${served.people.length} of ${users} people are served`);
  const slapd = await startSlapd({
    ldif,
    baseDn: BASE,
    rootDn: SERVICE_DN,
    rootPassword: SERVICE_PASSWORD,
    tls: { ...(await ca.issue('ldap.test', 'server')), ca: ours.tls.ca },
    modules: ['deref'],
    database: 'overlay deref',
  });
  stops.push(slapd.stop);
  const wanted = options.only?.split(',');
  const operations = listOperations(served).filter(({ name }) => wanted?.includes(name) ?? true);
  const plain: Comparison = { load, ours, slapd, rounds };
  const cells = await compare(plain, operations);
  const results = resultsOf(cells, operations, slapd.version);
  let steady = isSteady(cells);
  const missed = misses(results).map(({ metric }) => metric);
  if (options.gate && (missed.length > 0 || !steady)) {
    note(`once more: ${steady ? missed.join(', ') : 'the machine changed during the measurement'}`);
    const again = steady ? operations.filter(({ name }) => missed.includes(`${name}_cpu_ratio`)) : operations;
    const more = await compare(plain, again);
    steady ||= isSteady(more);
    for (const result of resultsOf(more, again, slapd.version)) {
      results[results.findIndex(({ metric }) => metric === result.metric)] = result;
    }
  }
  if (!short && !load.tls) note('LDAPS is left out: the load client could not be built with OpenSSL');
  if (!short && load.tls) {
    const env: Record<string, string> = {};
    const { certificate, key } = ours.tls;
    for (const [name, pem] of Object.entries({
      CERT: certificate,
      KEY: key,
      CA: `${ours.tls.ca}\n${ca.certificate}`,
    })) {
      env[`LOAD_${name}`] = join(folder, `${name}.pem`);
      await writeFile(env[`LOAD_${name}`]!, pem);
    }
    const chosen = operations.filter(({ name }) => ['getpwnam', 'mix', 'users_enum', 'connect_search'].includes(name));
    note('over LDAPS');
    const overTls = {
      ...plain,
      ours: { ...ours, port: ours.tlsPort },
      slapd: { ...slapd, port: slapd.tlsPort! },
      env,
    };
    results.push(...resultsOf(await compare(overTls, chosen), chosen, slapd.version, '_ldaps'));
  }
  results.push({ metric: 'rss_mb', unit: 'MB', value: round(await rssMb(ours.pid)) });
  ours.stop();
  await slapd.stop();
  return { results, steady };
}

async function main(): Promise<number> {
  installFor('bench');
  const problem = whyNoSlapd();
  if (problem !== null) {
    note(`bench:ldap needs a reference: ${problem}`);
    return 1;
  }
  const loadBefore = round(loadavg()[0] ?? 0);
  const { results, steady } = await sideBySide();
  if (!short) results.push(...(await scale(await buildLoadClient(folder), folder, rounds)));
  const missed = misses(results).map(({ metric }) => metric);
  const run = { users, rounds, steady, loadBefore, missed };
  printReport({ bench: 'ldap', results, run, machine: machineFacts() }, options.json);
  if (missed.length > 0) note(`missed: ${missed.join(', ')}`);
  if (!steady) note('the machine changed during the measurement: slapd’s own cost differs by more than two');
  return options.gate && missed.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} finally {
  for (const stop of stops) await stop();
  await rm(folder, { recursive: true, force: true });
}
