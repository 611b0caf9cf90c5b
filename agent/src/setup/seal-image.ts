import { lstat, rm } from 'node:fs/promises';
import { openHostJournal } from '../break-glass/host-journal.ts';
import { loadClientConf } from '../config/client-conf.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { certificateFolder, type Paths, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { type Run, systemRun } from '../platform/run.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { initOf, serviceCommand } from './agent-service.ts';
import { stillNamed } from './uninstall.ts';

export interface SealDeps {
  print: (line: string) => void;
  log: Log;
  /** Tests hand in their own. */
  run?: Run;
}

const there = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** Why a copy of this disk would be of no use, or something would be lost; null: it may be sealed. */
async function whyNot(paths: Paths, { log, run = systemRun }: SealDeps): Promise<string | null> {
  if (await agentAnswers(paths.socket)) return `The agent runs. Run first: ${serviceCommand(await initOf(run), 'off')}`;
  const named = await stillNamed(run);
  if (named !== '')
    return `identree is in ${named.split('\n').join(', ')}: a copy without an identity would refuse every sudo. Run first: identree setup --undo`;
  const written = await there(stateFiles(paths.state).breakGlassJournal);
  const unreported = written ? await openHostJournal(paths, { clock: systemClock, log }).unreported() : [];
  if (unreported.length > 0)
    return 'The server has not heard of every use of the break-glass password yet. Let the agent run until identree doctor says so.';
  return null;
}

/**
 * `identree seal-image`: takes away what makes this host itself, so that its disk can be copied. The program and
 * client.conf stay; each copy enrols by itself. Two copies of a host that was not sealed would both be quarantined.
 *
 * @throws CommandError, ConfigError
 */
export async function sealImage(paths: Paths, { dryRun }: { dryRun: boolean }, deps: SealDeps): Promise<number> {
  const { print } = deps;
  const { breakGlass } = await loadClientConf(paths.config);
  const problem = await whyNot(paths, deps);
  if (problem !== null) throw new CommandError(EXIT.busy, `Nothing is removed. ${problem}`);
  // The identity first: whatever stops this afterwards, no copy speaks as this host.
  const own = [stateFiles(paths.state).identity, breakGlass.file, certificateFolder(paths.state), paths.state];
  for (const path of own) {
    if (!(await there(path))) continue;
    if (!dryRun) await rm(path, { recursive: true, force: true });
    print(`${path} (removed)`);
  }
  if (dryRun) return EXIT.ok;
  const on = serviceCommand(await initOf(deps.run ?? systemRun), 'on');
  print('This disk can be copied. Each copy needs a token of its own: identree enroll, and then');
  print(`${on}. It also needs a machine id of its own: empty /etc/machine-id.`);
  print('The server still knows this host: revoke it in the console.');
  return EXIT.ok;
}
