import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { endpointOf, enrolFakeHost, type HostClient } from '../e2e/harness/host-client.ts';
import { whyNoLab } from '../e2e/harness/lab.ts';
import { CODE, granted } from '../e2e/harness/person.ts';
import { openWorld, type World } from '../e2e/harness/world.ts';
import { buildForLab, installFor } from '../scripts/testing/prepare.ts';
import { PENDING_IN_TOTAL } from '../server/src/challenges/limits.ts';
import { type BenchResult, createProgress, machineFacts, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:approval`: what an approval and an automatic grant cost on a real host, and how many requests a server
 * takes. Needs root.
 *
 *   --json     one JSON object on standard output
 *   --quick    fewer of everything
 */

/** A person may change thirty things a minute; two approvers in turns keep below that at this distance, milliseconds. */
const PACE_MS = 1100;

/** For so long after a sudo its host and the server still write down what became of it. */
const QUIET_MS = 200;

/** The plugin is what `identree setup` chooses where it can; the PAM stage what is left elsewhere. */
type Gate = 'plugin' | 'pam';
const HOSTS: Record<Gate, string> = { plugin: 'web1', pam: 'web2' };
const suffix = (gate: Gate): string => (gate === 'pam' ? '_pam' : '');

/** From the approver's assertion leaving the phone to the first byte of the command's output on the terminal. */
async function assertionToCommand(world: World, gate: Gate, runs: number): Promise<BenchResult[]> {
  const host = world.host(HOSTS[gate]);
  const approvers = [world.person('alice'), world.person('olga')];
  const samples: number[] = [];
  const progress = createProgress(`approvals, ${gate}`, runs + 3);
  for (let i = 0; i < runs + 3; i++) {
    const terminal = host.terminal('alice', ['sudo', 'echo', 'it-runs']);
    const [code] = await terminal.see(CODE);
    const approver = approvers[i % approvers.length]!;
    const page = await approver.open(code);
    const assertion = approver.assert(page);
    const rested = new Promise((resolve) => setTimeout(resolve, PACE_MS));
    const sent = performance.now() - terminal.startedAt;
    const answer = approver.mutate('challenges.approve', {
      challengeId: page.view.id,
      assertion,
      confirmTruncated: false,
    });
    await Promise.all([terminal.see(/^it-runs/m), answer.then(granted)]);
    // At the beginning of a line: the words of the request name the command too.
    const shown = terminal.log.find(({ text }) => /(^|\n)it-runs/.test(text))?.at ?? Number.NaN;
    if ((await terminal.exit) !== 0) throw new Error(terminal.text());
    // The first ones pay for code that is compiled on the way.
    if (i >= 3) samples.push(shown - sent);
    await rested;
    progress.step();
  }
  const metric = `assertion_to_command${suffix(gate)}_ms`;
  const [value, slow] = [round(percentile(samples, 0.5)), round(percentile(samples, 0.99))];
  if (gate === 'pam') return [{ metric, unit: 'ms', value, p99: slow, goal: 100 }];
  return [
    { metric, unit: 'ms', value, p99: slow, goal: 20 },
    { metric: `assertion_to_command${suffix(gate)}_p99_ms`, unit: 'ms', value: slow, goal: 60 },
  ];
}

/** What a policy of `none` adds to plain sudo, run in turns on two hosts of the same image. */
async function autoGrant(world: World, gate: Gate, runs: number): Promise<BenchResult> {
  const gated = world.host(HOSTS[gate]);
  const plain = await world.lab.up(`plain${suffix(gate)}`.replace('_', '-'));
  // Plain: a sudo that asks nobody, with everything else of its PAM stack in place.
  const stack = await gated.read('/etc/pam.d/sudo');
  const open = stack.replace(/^auth\b.*\/pam_identree\.so\b.*$/m, 'auth sufficient pam_permit.so');
  if (open === stack) throw new Error(`no line of identree's in /etc/pam.d/sudo:\n${stack}`);
  await plain.write('/etc/pam.d/sudo', open, 0o644);
  await world.server.setPolicy([{ name: 'default', approval: 'none' }]);
  // Measured inside the host by one shell, so that entering it does not count: $EPOCHREALTIME is in microseconds.
  const loop = (n: number): string =>
    `for i in $(seq ${n}); do a=$EPOCHREALTIME; sudo true >/dev/null; b=$EPOCHREALTIME; echo $(( \${b/./} - \${a/./} )); done`;
  const measure = async (host: typeof plain, n: number): Promise<number[]> => {
    const terminal = host.terminal('alice', ['bash', '-c', loop(n)]);
    if ((await terminal.exit) !== 0) throw new Error(terminal.text());
    const times =
      terminal
        .text()
        .match(/^\d+$/gm)
        ?.map((text) => Number(text) / 1000) ?? [];
    if (times.length !== n) throw new Error(`expected ${n} times:\n${terminal.text()}`);
    return times;
  };
  await measure(gated, 5);
  await measure(plain, 5);
  const added: number[] = [];
  const base: number[] = [];
  for (let i = 0; i < runs; i++) {
    const [gatedMs = 0] = await measure(gated, 1);
    // What is reported afterwards is no part of the next sudo, least of all of a plain one.
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const [plainOnceMs = 0] = await measure(plain, 1);
    added.push(gatedMs - plainOnceMs);
    base.push(plainOnceMs);
  }
  await world.server.setPolicy([{ name: 'default', approval: 'passkey' }]);
  await plain.down();
  const version = /version (\S+)/.exec((await gated.exec(['sudo', '--version'])).stdout)?.[1] ?? '';
  const plainMs = percentile(base, 0.5);
  const addedMs = percentile(added, 0.5);
  return {
    metric: `auto_grant_added${suffix(gate)}_ms`,
    unit: 'ms',
    value: round(addedMs),
    p99: round(percentile(added, 0.99)),
    goal: gate === 'plugin' ? 10 : 20,
    peer: { name: 'sudo', version, value: round(plainMs) },
    ratio: round((plainMs + addedMs) / plainMs),
  };
}

/** As many requests as may wait at a server, less one for each of the 50 connections. */
const MOST_WAITING = PENDING_IN_TOTAL - 50;

/** Durable creations per second: 50 hosts, each with one connection and its own key, for `seconds` or until all may wait. */
async function creates(world: World, seconds: number): Promise<BenchResult> {
  const endpoint = endpointOf(world.server, world.lab);
  const clients: HostClient[] = [];
  for (let i = 0; i < 50; i++) {
    const name = `bench${i}.example.com`;
    clients.push((await enrolFakeHost(endpoint, name, { sharedSecret: SECRET })).client);
  }
  let done = 0;
  let failed = '';
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  await Promise.all(
    clients.map(async (client, index) => {
      for (let i = 0; performance.now() < end && done < MOST_WAITING && failed === ''; i++) {
        // A user has at most ten requests waiting on one host.
        const at = performance.now();
        const answer = await client.create(client.record({ user: `u${index}-${Math.floor(i / 9)}` }));
        if (answer.status !== 201) failed = JSON.stringify(answer.body);
        else {
          done++;
          latencies.push(performance.now() - at);
        }
      }
    }),
  );
  const took = (performance.now() - started) / 1000;
  for (const client of clients) client.close();
  if (failed !== '') throw new Error(`a creation was refused: ${failed}`);
  return {
    metric: 'challenge_creates_per_s',
    unit: '1/s',
    value: round(done / took),
    p99: round(percentile(latencies, 0.99)),
    goal: 1000,
  };
}

/** Resident set of a process of this machine, megabytes. */
function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return round(Number(match?.[1] ?? Number.NaN) / 1024);
}

async function agentPid(world: World): Promise<number> {
  const inside = (await world.host().sh('systemctl show -p MainPID --value identree-agent')).trim();
  const rss = await world.host().sh(`grep VmRSS /proc/${inside}/status`);
  return Number(/(\d+) kB/.exec(rss)?.[1]);
}

// Fifty hosts enrol at once: with tokens that would take fifty commands.
const SECRET = randomBytes(32).toString('hex');
const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
installFor('lab');
const reason = whyNoLab();
if (reason) {
  process.stderr.write(`bench:approval needs a lab host: ${reason}\n`);
  process.exit(2);
}
if (!buildForLab()) process.exit(1);

note('starting server and host ...');
const world = await openWorld({
  people: ['alice', 'olga'],
  sudo: 'plugin',
  challengeTtl: '300s',
  env: { IDENTREE_SHARED_SECRET: SECRET, IDENTREE_ENROLMENT_AUTO_CONFIRM: 'true' },
});
try {
  await world.addHost(HOSTS.pam, { sudo: 'pam' });
  const startedAt = performance.now();
  const idle = quick ? 5_000 : 60_000;
  note(`idle for ${idle / 1000} s ...`);
  await new Promise((resolve) => setTimeout(resolve, idle - (performance.now() - startedAt)));
  const results: BenchResult[] = [
    { metric: 'server_rss_mb', unit: 'MB', value: residentMb(world.server.pid()) },
    { metric: 'agent_rss_mb', unit: 'MB', value: round((await agentPid(world)) / 1024) },
  ];
  const measured: BenchResult[] = [];
  for (const gate of ['plugin', 'pam'] as const) {
    note(`approvals, ${gate} ...`);
    measured.push(...(await assertionToCommand(world, gate, quick ? 10 : 100)));
    note(`automatic grants against plain sudo, ${gate} ...`);
    measured.push(await autoGrant(world, gate, quick ? 10 : 100));
  }
  note('creations ...');
  measured.push(await creates(world, quick ? 2 : 8));
  printReport({ bench: 'approval', results: [...measured, ...results], machine: machineFacts() }, json);
} finally {
  await world.close();
}
