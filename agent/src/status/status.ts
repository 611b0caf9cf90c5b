import { readFile } from 'node:fs/promises';
import { JOURNAL_NAMES } from '#shared/journal-head.ts';
import { accountName } from '#shared/names.ts';
import { visibleText } from '#shared/visible-text.ts';
import { knownPlugins, loadSettings, openCertificates } from '../app.ts';
import { openHostJournal } from '../break-glass/host-journal.ts';
import { breakGlassStatus } from '../break-glass/status-line.ts';
import { fingerprintsOf, readGranted } from '../certificates/authorities.ts';
import { certificateProblem, lifetimeOf, splitPem } from '../certificates/check.ts';
import { isLate, readAttempt } from '../certificates/schedule.ts';
import { readableFingerprint } from '../enrol/fingerprint.ts';
import { EXIT } from '../exit-codes.ts';
import { readGateSettings, readGrants } from '../grants/read-grants.ts';
import { sayGrants } from '../grants/say-grants.ts';
import { JOURNAL_WORDS, journalProblemText } from '../journal/words.ts';
import { DEFAULT_PATHS, type Paths, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { type Run, systemRun } from '../platform/run.ts';
import type { Health } from '../service/heartbeat.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { type Init, initOf, NO_INIT, serviceCommand, serviceProblems } from '../setup/agent-service.ts';
import { type GateState, readSettledGateState } from '../setup/gate-state.ts';
import { pamFile } from '../setup/pam-stacks.ts';
import { sudoersProblems } from '../setup/self-test.ts';
import { readUnconfirmed, untilWhen } from '../setup/unconfirmed.ts';
import { probeDirectory } from '../sssd/probe.ts';
import { accessOf, readDirectoryUse } from '../sssd/settings.ts';
import { openApproverKeys } from '../state/approver-keys.ts';
import { readCheckpoint, type StoredCheckpoint } from '../state/checkpoint.ts';
import { readCounter } from '../state/counter.ts';
import { loadEnrolment } from '../state/identity.ts';
import { AGENT_VERSION } from '../version.ts';
import type { Line } from './line.ts';
import { addressLines, serverLines } from './server-lines.ts';
import { settingsLines } from './settings-lines.ts';

const STALE_MS = 11 * 60_000;

function heartbeatLine(health: Health | null, init: Init | null, now: number): Line {
  const what = 'Last contact';
  if (health === null)
    return {
      what,
      value: 'none yet',
      problem: `The agent has not spoken to the server. Run: ${serviceCommand(init, 'look')}`,
    };
  const value = `${new Date(health.at).toISOString()}, ${health.result}${health.hostState ? `, this host is ${health.hostState}` : ''}`;
  if (health.result === 'refused' || health.result === 'unreachable' || health.result === 'unproven')
    return { what, value, problem: health.message };
  if (health.hostState !== null && health.hostState !== 'active') {
    return { what, value, problem: 'An operator has to confirm this host in the console.' };
  }
  if (now - health.at > STALE_MS)
    return {
      what,
      value,
      problem: `The agent has stopped speaking to the server. Run: ${serviceCommand(init, 'restart')}`,
    };
  return { what, value, problem: null };
}

/** What the server knows of the journals of this host, as it said last; nothing where it said nothing. */
function journalLines(health: Health | null): Line[] {
  const kept = health?.journals ?? null;
  if (kept === null) return [];
  const what = 'Journals seen';
  const said = JOURNAL_NAMES.map((name) => `${kept[name]?.seq ?? 0} of ${JOURNAL_WORDS[name]}`).join(', ');
  const problems = JOURNAL_NAMES.flatMap((name) => {
    const problem = kept[name]?.problem ?? null;
    return problem === null ? [] : [`The journal of ${JOURNAL_WORDS[name]}: ${journalProblemText(problem)}`];
  });
  return (problems.length === 0 ? [null] : problems).map((problem) => ({ what, value: said, problem }));
}

/** What the server's log was found to be instead of a continuation, and what an operator can do. */
function contradictionText(
  seen: StoredCheckpoint,
  { kind, seq, at }: NonNullable<StoredCheckpoint['contradiction']>,
): string {
  const what = kind === 'rolled_back' ? `ended at ${seq}` : `was another one, up to ${seq},`;
  return (
    `The server's log ${what} on ${new Date(at).toISOString()}; this host has seen it up to ${seen.seq}. ` +
    'Its decisions are refused until it shows the log that this host has seen. ' +
    'If a backup was put back on purpose, run on the server: identree-server restore accept. ' +
    'If none was, its history was changed: identree doctor --json has the head that was signed, for identree-server verify-log --head'
  );
}

function seenText({ seq, signed, restored }: StoredCheckpoint): string {
  const date = (at: number) => new Date(at).toISOString();
  const head = `up to ${seq}, ${signed === null ? 'not signed' : `signed ${date(signed.at)}`}`;
  if (restored === null) return head;
  const who = visibleText(`${restored.operator} (${restored.reason})`);
  return `${head}; put back to ${restored.seq} by ${who} on ${date(restored.at)}, when this host had seen ${restored.seen}`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 86_400_000;

/** In the last third of its life the certificate should have been renewed. */
/** A day, and of a certificate that does not live for three of them the time of day, UTC. */
function endOf({ from, until }: { from: number; until: number }): string {
  const text = new Date(until).toISOString();
  return until - from < 3 * DAY_MS ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : text.slice(0, 10);
}

/** @param left milliseconds */
export function timeLeft(left: number): string {
  if (left < 0) return 'has ended';
  const [size, unit] =
    left < 2 * HOUR_MS ? [MINUTE_MS, 'minute'] : left < 2 * DAY_MS ? [HOUR_MS, 'hour'] : [DAY_MS, 'day'];
  const count = Math.floor(left / Number(size));
  return `${count} ${unit}${count === 1 ? '' : 's'} left`;
}

async function certificateLine(paths: Paths, now: number): Promise<Line> {
  const what = 'Certificate';
  const set = await openCertificates(paths).current();
  if (set === null) return { what, value: 'none', problem: 'Run: identree renew-cert' };
  const { hostname, hostId } = (await loadEnrolment(paths.state)).identity;
  const expected = { key: set.key, hostname, hostId, now: 0 };
  const broken = certificateProblem({ certificate: set.certificate, caBundle: set.ca }, expected);
  if (broken !== null) return { what, value: 'not in order', problem: `${broken}. Run: identree renew-cert` };
  const life = lifetimeOf(set.certificate);
  const value = `until ${endOf(life)}, ${timeLeft(life.until - now)}`;
  if (!isLate(life, now)) return { what, value, problem: null };
  const last = await readAttempt(stateFiles(paths.state).renewal);
  const why = last?.problem ? `The last attempt failed: ${last.problem}` : 'Run: identree renew-cert';
  return { what, value, problem: `It should have been renewed by now. ${why}` };
}

/** Ends of the authorities that came with the certificate: two while one takes the place of the other. */
async function authorityLine(paths: Paths, now: number): Promise<Line[]> {
  const set = await openCertificates(paths).current();
  const granted = await readGranted(stateFiles(paths.state).authorities);
  if (set === null || granted === null) return [];
  const known = splitPem(set.ca).filter((pem) => granted.includes(fingerprintsOf(pem)[0] ?? ''));
  const ends = known.map((pem) => lifetimeOf(pem).until);
  const value = ends.map((until) => `until ${new Date(until).toISOString().slice(0, 10)}`).join(', another ');
  const isEnding = ends.length > 0 && ends.every((until) => until - now < 30 * DAY_MS);
  const problem = isEnding ? 'An operator has to put another one in its place: identree-server ca rotate' : null;
  return [{ what: 'Authority', value, problem }];
}

async function breakGlassLine(paths: Paths, now: number): Promise<Line> {
  const { breakGlass } = (await loadSettings(paths)).conf;
  const unreported = await openHostJournal(paths, { clock: systemClock, log: silentLog }).unreported();
  return { what: 'Break-glass', ...(await breakGlassStatus(breakGlass, unreported.length, now)) };
}

/** What waits for somebody to confirm it; nothing where nothing does. */
async function setupLines(paths: Paths): Promise<Line[]> {
  const { backup } = stateFiles(paths.state);
  const what = 'Setup';
  if ((await readUnconfirmed(backup, 'reverting')) !== null)
    return [{ what, value: 'is being put back', problem: 'It has not come to its end. Run: identree setup --revert' }];
  const waiting = await readUnconfirmed(backup);
  if (waiting === null) return [];
  if (!waiting.whole)
    return [{ what, value: 'is at work, or was interrupted', problem: 'Run it again, or: identree setup --revert' }];
  return [{ what, value: 'waits to be confirmed', problem: untilWhen(waiting.until) }];
}

/** The directory as sssd reaches it, and sssd itself; nothing where none was set up. */
async function directoryLines(paths: Paths, run: Run): Promise<Line[]> {
  const use = await readDirectoryUse(stateFiles(paths.state).directory);
  if (use === null) return [];
  const set = await openCertificates(paths).current();
  if (set === null) return [];
  const probed = await probeDirectory(accessOf(use, set));
  const lines: Line[] = [
    {
      what: 'Directory',
      value: `${use.settings.ldapUrl}, ${probed.ok ? 'answers' : 'does not serve this host'}`,
      problem: probed.ok ? null : probed.problem,
    },
  ];
  if (use.client !== 'sssd') return lines;
  const what = 'sssd';
  const active = (await run('systemctl', ['is-active', 'sssd.service'])).output.trim();
  if (active !== 'active') {
    const problem = 'Run: systemctl restart sssd; journalctl -u sssd -n 20';
    return [...lines, { what, value: active === '' ? 'not running' : active, problem }];
  }
  if (!probed.ok) return [...lines, { what, value: 'running, on what it remembers', problem: null }];
  const { person } = probed;
  if (person === null || !accountName.safeParse(person).success)
    return [...lines, { what, value: 'running', problem: null }];
  const known = (await run('getent', ['-s', 'sss', 'passwd', person])).code === 0;
  const problem = `sssd does not know ${person}, whom the directory knows. Run: systemctl restart sssd; journalctl -u sssd -n 20`;
  return [...lines, { what, value: known ? 'running, online' : 'running, offline', problem: known ? null : problem }];
}

const byRemoval = (problem: string): string => `${problem}. Remove it.`;

const ASKS = { plugin: 'the plugin in sudo asks', pam: 'the PAM stage asks' } as const;

/** Who asks for sudo, and what is not as setup left it. */
async function sudoLines({ gate, drift }: GateState, run: Run, host: string): Promise<Line[]> {
  const overridden =
    gate === null ? [] : [...(await sudoersProblems(run)), ...(await readGateSettings(host)).forSome.map(byRemoval)];
  // No problem of a host that is meant to be so, and nobody takes it for one that asks.
  const value = gate === null ? 'nobody asks, until: identree setup --pam sudo,sudo-i' : ASKS[gate];
  const remedy = (problem: string) =>
    `Run: identree setup --pam ${problem.startsWith(pamFile('sshd')) ? 'sshd' : 'sudo,sudo-i'}`;
  const problems = [...drift.map((problem) => `${problem}. ${remedy(problem)}`), ...overridden];
  return (problems.length === 0 ? [null] : problems).map((problem) => ({ what: 'sudo', value, problem }));
}

/** What starts the agent of this host again, where that is not systemd. */
async function serviceLines(paths: Paths, run: Run): Promise<Line[]> {
  const init = paths.socket === DEFAULT_PATHS.socket ? await initOf(run) : 'systemd';
  if (init === 'systemd') return [];
  const problems = init === null ? [NO_INIT] : await serviceProblems(run);
  const value = init === null ? 'started again by nobody' : 'started again by cron';
  return (problems.length === 0 ? [null] : problems).map((problem) => ({ what: 'Service', value, problem }));
}

/** Failing to look at something is a finding about it. */
async function looked(what: string, work: () => Promise<Line[]>): Promise<Line[]> {
  try {
    return await work();
  } catch (error) {
    return [{ what, value: 'not in order', problem: error instanceof Error ? error.message : String(error) }];
  }
}

/** How it stands with everything on this host that identree rests on, by its files and services. */
export async function hostLines(paths: Paths, gate: GateState, run: Run = systemRun, root = '/'): Promise<Line[]> {
  const now = Date.now();
  // What a host that is not enrolled does not have is not damaged.
  const ofEnrolled = (work: () => Promise<Line[]>) => async () => {
    await loadEnrolment(paths.state);
    return work();
  };
  return [
    ...(await looked(
      'Certificate',
      ofEnrolled(async () => [await certificateLine(paths, now)]),
    )),
    ...(await looked(
      'Authority',
      ofEnrolled(() => authorityLine(paths, now)),
    )),
    ...(await looked('Settings', async () => settingsLines(await loadSettings(paths)))),
    ...(await looked('Break-glass', async () => [await breakGlassLine(paths, now)])),
    ...(await looked('Setup', () => setupLines(paths))),
    ...(await looked('Service', () => serviceLines(paths, run))),
    ...(await looked('sudo', () => sudoLines(gate, run, root))),
    ...(await looked('Directory', () => directoryLines(paths, run))),
  ];
}

/**
 * `identree doctor`: what this host is, everything that keeps it from working, and what gives power on it besides.
 * Exit 1 when something keeps it from working; what others were granted does not.
 *
 * @param host folder of the host's files.
 */
export async function reportStatus(
  paths: Paths,
  options: { json: boolean },
  print: (line: string) => void,
  run: Run = systemRun,
  host = '/',
): Promise<number> {
  const files = stateFiles(paths.state);
  const lines: Line[] = [{ what: 'Version', value: AGENT_VERSION, problem: null }];
  const add = async (what: string, work: () => Promise<string>) => {
    try {
      lines.push({ what, value: await work(), problem: null });
    } catch (error) {
      lines.push({ what, value: 'not in order', problem: error instanceof Error ? error.message : String(error) });
    }
  };
  const checked = async (what: string, work: () => Promise<Line[]>) => {
    lines.push(...(await looked(what, work)));
  };
  await checked('Server', () => addressLines(paths));
  await add('Identity', async () => {
    const { identity } = await loadEnrolment(paths.state);
    return `${identity.hostname} (${identity.hostId}) at ${identity.externalUrl}`;
  });
  await add('Server key', async () => readableFingerprint((await loadEnrolment(paths.state)).trust.trustRoot.kid));
  await add('Approver keys', async () => {
    const set = (await openApproverKeys(files.approverKeys, (await loadEnrolment(paths.state)).trust)).current();
    return `version ${set.version}, ${set.keys.length} ${set.keys.length === 1 ? 'key' : 'keys'}`;
  });
  // What a host that is not enrolled does not have is not damaged.
  const ofEnrolled =
    <T>(work: () => Promise<T>) =>
    async () => {
      await loadEnrolment(paths.state);
      return work();
    };
  const requestsMade = async () => String(await readCounter(files.counter));
  await add('Requests made', ofEnrolled(requestsMade));
  let logHead: { head: string; key: string } | null = null;
  const logSeen = async () => {
    const seen = await readCheckpoint(files.checkpoint);
    if (seen.signed !== null) logHead = { head: seen.signed.head, key: seen.signed.key };
    if (seen.contradiction !== null) throw new Error(contradictionText(seen, seen.contradiction));
    return seenText(seen);
  };
  await add('Event log seen', ofEnrolled(logSeen));
  await checked('Server', () => serverLines(paths, systemClock));
  const state = await readSettledGateState(host, knownPlugins, systemClock);
  lines.push(...(await hostLines(paths, state, run, host)));
  const running = await agentAnswers(paths.socket);
  const init = await initOf(run);
  lines.push({
    what: 'Agent',
    value: running ? `running on ${paths.socket}` : 'not running',
    problem: running ? null : `Run: ${serviceCommand(init, 'start')}`,
  });
  const health = await readFile(files.health, 'utf8').then(
    (text) => JSON.parse(text) as Health,
    () => null,
  );
  lines.push(heartbeatLine(health, init, Date.now()), ...journalLines(health));

  const healthy = lines.every((line) => line.problem === null);
  const grants = await readGrants(host);
  const { gate } = state;
  if (options.json) print(JSON.stringify({ healthy, lines, health, gate, grants, logHead }));
  else {
    const width = Math.max(...lines.map((line) => line.what.length)) + 2;
    const said = new Set<string>();
    for (const { what, value, problem } of lines) {
      print(`${what.padEnd(width)}${value}`);
      // What is not enrolled is nine times not in order, for one reason.
      if (problem !== null && !said.has(problem)) print(`${''.padEnd(width)}${problem}`);
      if (problem !== null) said.add(problem);
    }
    print('');
    print('What this host grants besides');
    const found = sayGrants(grants, { gate });
    for (const line of found.length === 0 ? ['Nothing was found.'] : found) print(`  ${line}`);
  }
  return healthy ? EXIT.ok : EXIT.failed;
}
