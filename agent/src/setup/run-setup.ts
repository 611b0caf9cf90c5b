import { readFile, rm } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { normaliseHostName } from '#shared/names.ts';
import { openHost } from '../app.ts';
import { type Proof, proveBreakGlass } from '../break-glass/prove.ts';
import { createDenial, ownProgram } from '../break-glass/verify.ts';
import { loadClientConf } from '../config/client-conf.ts';
import { osInfo } from '../enrol/os-info.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { certificateFolder, DEFAULT_PATHS, type Paths, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { type Log, silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { systemRun } from '../platform/run.ts';
import type { Health } from '../service/heartbeat.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { prepareDirectory } from '../sssd/prepare-directory.ts';
import { readDirectoryUse, writeDirectoryUse } from '../sssd/settings.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { loadEnrolment, prepareStateFolder } from '../state/identity.ts';
import { joinAdditions } from './addition.ts';
import { initOf, keepAgent, serviceCommand } from './agent-service.ts';
import { type Audited, createAuditAddition } from './auditd.ts';
import { readOriginals } from './backup.ts';
import { type Confirmation, confirm, createDeadMan } from './dead-man.ts';
import { pamFile, SERVICES, type Service } from './pam-stacks.ts';
import { revert } from './revert.ts';
import { createRevertTimer, type RevertTimer } from './revert-timer.ts';
import { momentOf, sessionOf } from './session.ts';
import { type SetupDeps, setUp, undo } from './setup.ts';
import type { SudoGate } from './sudo-gate.ts';
import { unconfirmedFiles } from './unconfirmed.ts';

const SUDO_GATES: readonly SudoGate[] = ['plugin', 'pam'];

/** `sudo,sudo-i,sshd` as a list. @throws CommandError */
export function parseServices(text: string): Service[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  const unknown = names.filter((name) => !(SERVICES as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw new CommandError(EXIT.usage, `--pam takes ${SERVICES.join(', ')}; not: ${unknown.join(', ')}`);
  }
  return SERVICES.filter((service) => names.includes(service));
}

const FRESH_MS = 15 * 60_000;

/** An agent that was started a moment ago, as in a script that enrols, gets the time for its first report. */
const FIRST_REPORT_MS = 10_000;

/** Who starts the agent is told so before it listens. */
const AGENT_START_MS = 5000;

/** Whether an agent answers on a socket, at once or within `patienceMs`. */
export async function answersSoon(socket: string, patienceMs = AGENT_START_MS): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    if (await agentAnswers(socket)) return true;
    if (Date.now() >= deadline) return false;
    await setTimeout(100);
  }
}

/** The agent of these folders answers, and where it is the one of this host, is started again; otherwise the reason. */
async function agentProblem(paths: Paths): Promise<string | null> {
  const problem = paths.socket === DEFAULT_PATHS.socket ? await keepAgent(systemRun) : null;
  if (problem !== null) return problem;
  if (await answersSoon(paths.socket)) return null;
  return `The agent does not answer. Run: ${serviceCommand(await initOf(systemRun), 'on')}`;
}

async function readHealth(paths: Paths): Promise<Health | null> {
  const deadline = Date.now() + FIRST_REPORT_MS;
  for (;;) {
    const text = await readFile(stateFiles(paths.state).health, 'utf8').catch(() => null);
    if (text !== null) return JSON.parse(text) as Health;
    if (Date.now() >= deadline || !(await agentAnswers(paths.socket))) return null;
    await setTimeout(200);
  }
}

/** What the server says of this host now. */
async function askServer(paths: Paths): Promise<Pick<Health, 'hostState' | 'message'>> {
  const host = await openHost(paths, { log: silentLog });
  try {
    const { keys, checkpoints, client } = host;
    const reply = await client.heartbeat({
      approverKeysVersion: keys.current().version,
      checkpointSeq: checkpoints.current().seq,
      osInfo: await osInfo(),
    });
    if (reply.kind === 'ok') return { hostState: reply.value.state, message: null };
    return { hostState: null, message: reply.kind === 'aborted' ? 'cancelled' : reply.message };
  } finally {
    host.close();
  }
}

async function serverAccepts(paths: Paths): Promise<string | null> {
  const health = await readHealth(paths);
  const now = Date.now();
  if (health === null || now - health.at > FRESH_MS)
    return 'The agent has not spoken to the server lately. Run: identree doctor';
  // The agent asks again within a minute: meanwhile the server may be back, or an operator may have confirmed this host.
  const passes = health.result === 'unreachable' || health.result === 'refused';
  if (!passes && health.result !== 'ok')
    return `The server does not serve this host: ${health.message ?? health.result}`;
  const { hostState, message } = passes ? await askServer(paths) : health;
  if (hostState === null) return `The server does not serve this host: ${message ?? health.result}`;
  return hostState === 'active'
    ? null
    : `The server has this host as "${hostState}". An operator confirms it in the console.`;
}

export interface SetupOptions {
  /** Services, comma-separated; null: PAM stays as it is. */
  pam: string | null;
  /** Who asks for sudo, `plugin` or `pam`; null: the plugin where it can be. */
  sudo: string | null;
  sssd: boolean;
  sudoLdap: boolean;
  /** Keep what was set up; from another login than the one that did it. */
  confirm: boolean;
  /** Minutes until it is put back; null: ten. */
  confirmWithin: string | null;
  /** Keep it at once, without anybody having come in anew. */
  noConfirm: boolean;
  /** Put back what waits to be confirmed. */
  revert: boolean;
  undo: boolean;
  dryRun: boolean;
  force: boolean;
  allowPlainLdap: boolean;
  startTls: boolean;
  hostAccess: boolean;
  /** Have the kernel write down who reads or changes what identree rests on. */
  auditd: boolean;
  /** The name that this host is to have; null: whichever it has. */
  hostname: string | null;
}

/** What `--sudo` alone sets up. */
const OF_SUDO: readonly Service[] = ['sudo', 'sudo-i'];

const DEFAULT_MINUTES = 10;
const MAX_MINUTES = 24 * 60;

function parseMinutes(text: string | null): number {
  if (text === null) return DEFAULT_MINUTES;
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) > MAX_MINUTES)
    throw new CommandError(EXIT.usage, `--confirm-within takes minutes, 1 to ${MAX_MINUTES}; not: ${text}`);
  return Number(text);
}

/** @throws CommandError when the options do not go together. */
export function checkOptions(options: SetupOptions): void {
  const wanted = options.pam !== null || options.sudo !== null || options.sssd || options.sudoLdap || options.auditd;
  const usage = (message: string) => new CommandError(EXIT.usage, message);
  const ends = [options.undo, options.confirm, options.revert].filter(Boolean).length;
  if (ends + Number(wanted) !== 1)
    throw usage(
      'Say what to set up: identree setup --pam sudo,sudo-i and/or --sssd   (or --undo, --confirm or --revert alone)',
    );
  if (options.dryRun && (options.confirm || options.revert)) throw usage('--dry-run goes with a setup or --undo.');
  if (!wanted && (options.noConfirm || options.confirmWithin !== null))
    throw usage('--confirm-within and --no-confirm go with what is set up.');
  if (options.noConfirm && options.confirmWithin !== null)
    throw usage('Either --confirm-within or --no-confirm, not both.');
  if (options.hostname !== null && !wanted) throw usage('--hostname goes with what is set up.');
  parseMinutes(options.confirmWithin);
  if (options.sssd && options.sudoLdap)
    throw usage('With --sssd the rules come through sssd; --sudo-ldap is for hosts whose sssd asks another directory.');
  if (options.sudo !== null && !SUDO_GATES.includes(options.sudo as SudoGate))
    throw usage(`--sudo takes ${SUDO_GATES.join(' or ')}; not: ${options.sudo}`);
  if (options.sudo !== null && options.pam !== null && parseServices(options.pam).every((name) => name === 'sshd'))
    throw usage('--sudo goes with sudo in --pam, or stands without --pam.');
  const isDirectory = options.sssd || options.sudoLdap;
  for (const [name, given] of [
    ['--force', options.force],
    ['--allow-plain-ldap', options.allowPlainLdap],
    ['--start-tls', options.startTls],
    ['--host-access', options.hostAccess],
  ] as const) {
    if (given && !isDirectory) throw usage(`${name} goes with --sssd.`);
  }
  if (options.hostAccess && options.sudoLdap) throw usage('--host-access goes with --sssd.');
}

const SAME_SESSION = `This is the login that ran setup, or one that was started from it (sudo -i, su, a window of tmux or screen). That it
is still open does not show that anybody can get in. Log in anew, by ssh or on the console, and run there:
  sudo identree setup --confirm`;

const OLD_SESSION = `This login was open before everything was in place, so it does not show that anybody can get in. Log in anew, by ssh or
on the console, and run there:
  sudo identree setup --confirm`;

const CONFIRMATION: Record<Confirmation, { words: string; code: number }> = {
  confirmed: {
    words: 'Confirmed: what setup changed stays. The way back from now on:  identree setup --undo',
    code: EXIT.ok,
  },
  nothing: { words: 'Nothing waits to be confirmed.', code: EXIT.ok },
  same_session: { words: SAME_SESSION, code: EXIT.failed },
  old_session: { words: OLD_SESSION, code: EXIT.failed },
  not_whole: {
    words: 'Setup did not come to its end. Run it again, or put back what it did:  identree setup --revert',
    code: EXIT.failed,
  },
  reverting: { words: 'Too late: what setup changed is being put back.', code: EXIT.failed },
};

async function breakGlass(paths: Paths, log: Log): Promise<Proof> {
  const host = await openHost(paths, { log });
  try {
    const saysNo = createDenial(ownProgram(), ['--config', paths.config, '--state', paths.state], systemRandom);
    return await proveBreakGlass({ conf: host.conf.breakGlass, client: host.client, saysNo, clock: systemClock });
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error), note: null };
  } finally {
    host.close();
  }
}

/** The timer that runs `identree setup --revert` for these folders. */
function revertTimer(paths: Paths): RevertTimer {
  const defaults = paths.state === DEFAULT_PATHS.state && paths.config === DEFAULT_PATHS.config;
  const where = defaults ? [] : ['--config', paths.config, '--state', paths.state];
  return createRevertTimer({
    root: '',
    run: systemRun,
    init: () => initOf(systemRun),
    command: [...ownProgram(), 'setup', '--revert', ...where],
    waiting: unconfirmedFiles(stateFiles(paths.state).backup),
    now: Date.now,
  });
}

/** A script that was meant for another host, or a host that was enrolled under another name. */
async function nameProblem(paths: Paths, wanted: string): Promise<string | null> {
  const { hostname } = (await loadEnrolment(paths.state)).identity;
  return normaliseHostName(wanted) === hostname ? null : `This host is enrolled as ${hostname}, not as ${wanted}.`;
}

/** What is worth a record of the kernel, as this host is configured. */
async function audited(paths: Paths, services: readonly Service[], options: SetupOptions): Promise<Audited> {
  const { breakGlass } = await loadClientConf(paths.config);
  const files = stateFiles(paths.state);
  const gates = await readOriginals(files.backup);
  return {
    config: paths.config,
    breakGlassFile: breakGlass.file,
    attempts: files.breakGlassAttempts,
    journal: files.breakGlassJournal,
    identity: [files.identity, files.trust, files.approverKeys],
    apiKey: files.apiKey,
    certificates: certificateFolder(paths.state),
    sshd: services.includes('sshd') || gates.has(pamFile('sshd')),
    sssd: options.sssd || (await readDirectoryUse(files.directory))?.client === 'sssd',
  };
}

export async function runSetup(
  paths: Paths,
  options: SetupOptions,
  { print, log }: { print: (line: string) => void; log: Log },
): Promise<number> {
  checkOptions(options);
  await prepareStateFolder(paths.state);
  const { backup, directory } = stateFiles(paths.state);
  const timer = revertTimer(paths);
  const session = () => sessionOf(process.pid);
  if (options.confirm) {
    const { words, code } = CONFIRMATION[await confirm({ backup, timer, session })];
    print(words);
    return code;
  }
  if (options.revert) {
    const putDirectory = (text: string | null) =>
      text === null ? rm(directory, { force: true }) : atomicWrite(directory, text);
    const done = await revert({ root: '', run: systemRun, backup, timer, now: Date.now, print, putDirectory });
    return done ? EXIT.ok : EXIT.failed;
  }
  const deps: SetupDeps = {
    root: '',
    run: systemRun,
    ownerUid: 0,
    enrolment: () =>
      loadEnrolment(paths.state).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
    agent: () => agentProblem(paths),
    serverAccepts: () => serverAccepts(paths),
    breakGlass: () => breakGlass(paths, log),
    backup,
    now: Date.now,
    print,
    timer,
    deadMan: options.noConfirm
      ? null
      : createDeadMan({
          backup,
          timer,
          session,
          moment: momentOf,
          directory: () => readFile(directory, 'utf8').catch(() => null),
          minutes: parseMinutes(options.confirmWithin),
          now: Date.now,
        }),
  };
  const { dryRun } = options;
  const sudo = options.sudo as SudoGate | null;
  if (options.undo) {
    const done = await undo({ dryRun }, deps);
    if (done && !dryRun) await writeDirectoryUse(stateFiles(paths.state).directory, null);
    return done ? EXIT.ok : EXIT.failed;
  }
  const problem = options.hostname === null ? null : await nameProblem(paths, options.hostname);
  if (problem !== null) throw new CommandError(EXIT.failed, `${problem} Nothing is changed.`);
  const services = options.pam === null ? (sudo === null ? [] : OF_SUDO) : parseServices(options.pam);
  const audit = options.auditd ? [createAuditAddition(await audited(paths, services, options), deps)] : [];
  if (!options.sssd && !options.sudoLdap)
    return (await setUp(services, { dryRun, sudo }, deps, joinAdditions(audit))) ? EXIT.ok : EXIT.failed;

  const host = await openHost(paths, { log });
  try {
    const client = options.sssd ? 'sssd' : 'sudo';
    const addition = await prepareDirectory(host, paths, { ...options, client }, { log, print });
    if (addition === null) return EXIT.failed;
    const all = joinAdditions([addition, ...audit]);
    return (await setUp(services, { dryRun, sudo }, deps, all)) ? EXIT.ok : EXIT.failed;
  } finally {
    host.close();
  }
}
