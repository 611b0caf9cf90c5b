import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { openHost } from '../app.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { type Paths, stateFiles } from '../paths.ts';
import type { Log } from '../platform/log.ts';
import { systemRun } from '../platform/run.ts';
import type { Health } from '../service/heartbeat.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { prepareDirectory } from '../sssd/prepare-directory.ts';
import { writeDirectoryUse } from '../sssd/settings.ts';
import { loadEnrolment, prepareStateFolder } from '../state/identity.ts';
import { SERVICES, type Service } from './pam-stacks.ts';
import { type SetupDeps, setUp, undo } from './setup.ts';
import type { SudoGate } from './sudo-gate.ts';

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

/** `systemctl enable --now` returns before the agent listens. */
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

async function readHealth(paths: Paths): Promise<Health | null> {
  const deadline = Date.now() + FIRST_REPORT_MS;
  for (;;) {
    const text = await readFile(stateFiles(paths.state).health, 'utf8').catch(() => null);
    if (text !== null) return JSON.parse(text) as Health;
    if (Date.now() >= deadline || !(await agentAnswers(paths.socket))) return null;
    await setTimeout(200);
  }
}

async function serverAccepts(paths: Paths): Promise<string | null> {
  const health = await readHealth(paths);
  const now = Date.now();
  if (health === null || now - health.at > FRESH_MS)
    return 'The agent has not spoken to the server lately. Run: identree status';
  if (health.result !== 'ok') return `The server does not serve this host: ${health.message ?? health.result}`;
  return health.hostState === 'active'
    ? null
    : `The server has this host as "${health.hostState}". An operator confirms it in the console.`;
}

export interface SetupOptions {
  /** Services, comma-separated; null: PAM stays as it is. */
  pam: string | null;
  /** Who asks for sudo, `plugin` or `pam`; null: the plugin where it can be. */
  sudo: string | null;
  sssd: boolean;
  sudoLdap: boolean;
  undo: boolean;
  dryRun: boolean;
  force: boolean;
  allowPlainLdap: boolean;
  startTls: boolean;
  hostAccess: boolean;
}

/** @throws CommandError when the options do not go together. */
export function checkOptions(options: SetupOptions): void {
  const wanted = options.pam !== null || options.sssd || options.sudoLdap;
  const usage = (message: string) => new CommandError(EXIT.usage, message);
  if (options.undo === wanted)
    throw usage('Say what to set up: identree setup --pam sudo,sudo-i,sshd and/or --sssd   (or --undo)');
  if (options.sssd && options.sudoLdap)
    throw usage('With --sssd the rules come through sssd; --sudo-ldap is for hosts whose sssd asks another directory.');
  if (options.sudo !== null && !SUDO_GATES.includes(options.sudo as SudoGate))
    throw usage(`--sudo takes ${SUDO_GATES.join(' or ')}; not: ${options.sudo}`);
  if (options.sudo !== null && options.pam === null) throw usage('--sudo goes with --pam.');
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

export async function runSetup(
  paths: Paths,
  options: SetupOptions,
  { print, log }: { print: (line: string) => void; log: Log },
): Promise<number> {
  checkOptions(options);
  await prepareStateFolder(paths.state);
  const deps: SetupDeps = {
    root: '',
    run: systemRun,
    ownerUid: 0,
    enrolment: () =>
      loadEnrolment(paths.state).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
    agentAnswers: () => answersSoon(paths.socket),
    serverAccepts: () => serverAccepts(paths),
    backup: stateFiles(paths.state).backup,
    now: Date.now,
    print,
  };
  const { dryRun } = options;
  const sudo = options.sudo as SudoGate | null;
  if (options.undo) {
    const done = await undo({ dryRun }, deps);
    if (done && !dryRun) await writeDirectoryUse(stateFiles(paths.state).directory, null);
    return done ? EXIT.ok : EXIT.failed;
  }
  const services = options.pam === null ? [] : parseServices(options.pam);
  if (!options.sssd && !options.sudoLdap)
    return (await setUp(services, { dryRun, sudo }, deps)) ? EXIT.ok : EXIT.failed;

  const host = await openHost(paths, { log });
  try {
    const client = options.sssd ? 'sssd' : 'sudo';
    const addition = await prepareDirectory(host, paths, { ...options, client }, { log, print });
    if (addition === null) return EXIT.failed;
    return (await setUp(services, { dryRun, sudo }, deps, addition)) ? EXIT.ok : EXIT.failed;
  } finally {
    host.close();
  }
}
