import { readFile } from 'node:fs/promises';
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

async function serverAccepts(paths: Paths, now: number): Promise<string | null> {
  const health = await readFile(stateFiles(paths.state).health, 'utf8').then(
    (text) => JSON.parse(text) as Health,
    () => null,
  );
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
    serverAccepts: () => serverAccepts(paths, Date.now()),
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
