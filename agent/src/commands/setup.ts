import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { CommandError, EXIT } from '../exit-codes.ts';
import { type Paths, stateFiles } from '../paths.ts';
import type { Health } from '../service/heartbeat.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { SERVICES, type Service } from '../setup/pam-stacks.ts';
import { type SetupDeps, setUp, undo } from '../setup/setup.ts';
import { systemRun } from '../setup/tools.ts';
import { loadEnrolment, prepareStateFolder } from '../state/identity.ts';

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

export async function setupCommand(
  paths: Paths,
  options: { pam: string | null; undo: boolean; dryRun: boolean },
  print: (line: string) => void,
): Promise<number> {
  if (options.undo === (options.pam !== null)) {
    throw new CommandError(EXIT.usage, 'Say what to set up: identree setup --pam sudo,sudo-i,sshd   (or --undo)');
  }
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
    agentAnswers: () => agentAnswers(paths.socket),
    serverAccepts: () => serverAccepts(paths),
    backup: stateFiles(paths.state).backup,
    now: Date.now,
    print,
  };
  const done =
    options.pam === null
      ? await undo({ dryRun: options.dryRun }, deps)
      : await setUp(parseServices(options.pam), { dryRun: options.dryRun }, deps);
  return done ? EXIT.ok : EXIT.failed;
}
