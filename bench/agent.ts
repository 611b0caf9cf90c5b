import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeBare } from '../e2e/harness/bare-host.ts';
import { endpointOf } from '../e2e/harness/host-client.ts';
import { whyNoLab } from '../e2e/harness/lab.ts';
import { enrolmentToken } from '../e2e/harness/server.ts';
import { openWorld, repository, type World } from '../e2e/harness/world.ts';
import { packageAgent } from '../scripts/package-agent.ts';
import { buildForLab, installFor } from '../scripts/testing/prepare.ts';
import { measureHeartbeats } from './agent/heartbeats.ts';
import { measureOfflineGrant } from './agent/offline-grant.ts';
import { type BenchResult, createProgress, machineFacts, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:agent`: what the agent costs a host and a fleet costs the server: size and start of the executable, size of
 * the package, time to install it, memory of the resident service, 1,000 hosts that do nothing but live, and what a command
 * by an offline grant takes. Needs root.
 *
 *   --json     one JSON object on standard output
 *   --quick    fewer of everything, and a package that is larger by half
 */

const run = promisify(execFile);
const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const GOALS = { packageMb: 35, installS: 30, residentMb: 64, dirtyMb: 24 };
const STARTS = quick ? 10 : 50;
/** What an hour of one request a minute comes to; the minutes are left out. */
const REQUESTS = 60;
/** After the last one, as long as it takes until nothing is at work any more. */
const QUIET_MS = 15_000;
const FLEET = quick ? { hosts: 100, rounds: 3, perSecond: 20 } : { hosts: 1000, rounds: 3, perSecond: 50 };
/** One grant is good for 100 uses. */
const OFFLINE_RUNS = quick ? 20 : 90;
const HOSTNAME = 'fresh.example.com';
const SECRET = randomBytes(32).toString('hex');
const MB = 1024 * 1024;

async function executable(): Promise<BenchResult[]> {
  const file = join(repository, 'dist/agent/identree');
  const times: number[] = [];
  for (let n = 0; n < STARTS + 2; n += 1) {
    const started = performance.now();
    await run(file, ['--version']);
    // The first ones read it from the disk.
    if (n >= 2) times.push(performance.now() - started);
  }
  return [
    { metric: 'executable_mb', unit: 'MB', value: round((await stat(file)).size / MB) },
    {
      metric: 'executable_start_ms',
      unit: 'ms',
      value: round(percentile(times, 0.5)),
      p99: round(percentile(times, 0.99)),
    },
  ];
}

/** From a package on the disk of a host that knows nothing of identree to one whose sudo asks. */
async function install(world: World, deb: string): Promise<BenchResult> {
  const host = await world.lab.up('fresh');
  await makeBare(host);
  await host.write(`/root/${basename(deb)}`, await readFile(deb));
  const token = await enrolmentToken(world.server, HOSTNAME);
  const started = performance.now();
  const { code, stdout, stderr } = await host.exec(
    [
      'bash',
      '-ec',
      `DEBIAN_FRONTEND=noninteractive dpkg --install /root/${basename(deb)} </dev/null
      install -m 600 /dev/stdin /etc/identree/client.conf <<< IDENTREE_SERVER_URL=${world.server.url}
      identree enroll --hostname ${HOSTNAME}
      systemctl restart identree-agent
      identree setup --pam sudo,sudo-i,sshd`,
    ],
    { timeoutMs: 300_000, input: `${token}\n` },
  );
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`the installation failed: ${stdout}${stderr}`);
  await host.down();
  return { metric: 'install_s', unit: 's', value: round(seconds), goal: GOALS.installS };
}

/** The service as it is installed, over TLS, once it is ready and after requests that a policy grants. */
async function resident(world: World): Promise<BenchResult[]> {
  const host = world.host();
  const pid = (await host.sh('systemctl show -p MainPID --value identree-agent')).trim();
  const kept = async (): Promise<Record<string, number>> => {
    const text = await host.sh(`cat /proc/${pid}/smaps_rollup`);
    return Object.fromEntries(
      [...text.matchAll(/^(\w+): +(\d+) kB$/gm)].map(([, name, kb]) => [name!, round(Number(kb) / 1024)]),
    );
  };
  const ready = await kept();
  const requests = createProgress('requests', REQUESTS);
  for (let n = 0; n < REQUESTS; n += 1) {
    const terminal = host.terminal('alice', ['sudo', 'true']);
    if ((await terminal.exit) !== 0) throw new Error(terminal.text());
    requests.step();
  }
  await setTimeout(QUIET_MS);
  const after = await kept();
  return [
    { metric: 'agent_ready_rss_mb', unit: 'MB', value: ready.Rss! },
    { metric: 'agent_ready_dirty_mb', unit: 'MB', value: ready.Private_Dirty! },
    { metric: 'agent_hour_rss_mb', unit: 'MB', value: after.Rss!, goal: GOALS.residentMb },
    { metric: 'agent_hour_pss_mb', unit: 'MB', value: after.Pss! },
    { metric: 'agent_hour_dirty_mb', unit: 'MB', value: after.Private_Dirty!, goal: GOALS.dirtyMb },
  ];
}

async function heartbeats(world: World): Promise<BenchResult[]> {
  const { cpuSecondsPerHour, answersMs } = await measureHeartbeats(
    { endpoint: endpointOf(world.server, world.lab), pid: world.server.pid() },
    { ...FLEET, sharedSecret: SECRET },
    createProgress,
  );
  const per1000 = (cpuSecondsPerHour * 1000) / FLEET.hosts;
  return [
    { metric: 'heartbeat_1000_hosts_cpu_s_per_hour', unit: 's', value: round(per1000) },
    {
      metric: 'heartbeat_answer_ms',
      unit: 'ms',
      value: round(percentile(answersMs, 0.5)),
      p99: round(percentile(answersMs, 0.99)),
    },
  ];
}

installFor('lab');
const reason = whyNoLab();
if (reason) {
  process.stderr.write(`bench:agent needs a lab host: ${reason}\n`);
  process.exit(2);
}
if (!buildForLab()) process.exit(1);

const results: BenchResult[] = [];
note('the executable ...');
results.push(...(await executable()));
note('starting server and host ...');
const world = await openWorld({
  people: [],
  sudo: 'plugin',
  policy: [{ name: 'default', approval: 'none' }],
  env: { IDENTREE_SHARED_SECRET: SECRET, IDENTREE_ENROLMENT_AUTO_CONFIRM: 'true' },
});
try {
  note(`the package is made${quick ? '' : ', as small as it goes'} ...`);
  const out = join(world.lab.dir, 'packages');
  const { deb } = await packageAgent({ out, formats: ['deb'], compression: quick ? 'quick' : 'small' });
  const size: BenchResult = { metric: 'package_mb', unit: 'MB', value: round((await stat(deb)).size / MB) };
  results.push(quick ? size : { ...size, goal: GOALS.packageMb });
  note('it is installed on a host that knows nothing of it ...');
  results.push(await install(world, deb));
  note(`${REQUESTS} requests at a resident agent ...`);
  results.push(...(await resident(world)));
  note(`${FLEET.hosts} hosts live ...`);
  results.push(...(await heartbeats(world)));
  note('a host without a network runs commands by a grant ...');
  const commands = createProgress('commands, each in turns with plain sudo', OFFLINE_RUNS);
  results.push(await measureOfflineGrant(world, OFFLINE_RUNS, () => commands.step()));
} finally {
  await world.close();
}
const { hosts, rounds, perSecond } = FLEET;
const facts = {
  quick,
  requests: REQUESTS,
  heartbeats: hosts * rounds,
  hosts,
  heartbeatsPerSecond: perSecond,
  offlineRuns: OFFLINE_RUNS,
};
printReport({ bench: 'agent', results, run: facts, machine: machineFacts() }, json);
