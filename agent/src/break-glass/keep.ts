import type { HostClient } from '../client/host-client.ts';
import type { BreakGlassConf } from '../config/client-conf.ts';
import { isNeverTaken } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import { confined } from '../platform/confined.ts';
import type { Log } from '../platform/log.ts';
import type { Run } from '../platform/run.ts';
import { readHashFile, type StoredHash } from './hash-file.ts';
import type { Journal } from './journal.ts';
import { dueFor, stateOf } from './rotate.ts';
import { sealingId } from './sealing.ts';

export interface KeepDeps {
  client: Pick<HostClient, 'breakGlassUse' | 'breakGlassState'>;
  journal: Pick<Journal, 'unreported' | 'reported' | 'lastOpened'>;
  conf: BreakGlassConf;
  /** Replaces the password where the server keeps it. Null: done; else why not. */
  rotate(): Promise<string | null>;
  clock: Clock;
  log: Log;
}

/** A reveal is followed by another password within a minute. */
const INTERVAL_MS = 45_000;
const JITTER = 0.2;

/** False: the server did not take it, and it is tried again later. */
async function reportUses({ client, journal, log }: KeepDeps): Promise<boolean> {
  for (const use of await journal.unreported()) {
    const reply = await client.breakGlassUse(use);
    if (reply.kind !== 'ok') {
      if (reply.kind === 'refused')
        log.warn(`the server did not take a use of the break-glass password: ${reply.message}`);
      if (!isNeverTaken(reply)) return false;
      log.error(`a use of the break-glass password cannot be told; the journal of this host has it: ${use.id}`);
    }
    await journal.reported(use);
  }
  return true;
}

/** What opens this host, and what is wrong with the file that says so. */
async function readCurrent(file: string): Promise<{ current: StoredHash | null; problem: string | null }> {
  try {
    return { current: await readHashFile(file), problem: null };
  } catch (error) {
    return { current: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Tells the server what was done with the password and how things are, and replaces it when it is due.
 *
 * @param before why the last change failed; null: it did not.
 * @returns the same for the next time.
 */
export async function lookAfter(deps: KeepDeps, before: string | null): Promise<string | null> {
  const { client, conf, journal, clock, log } = deps;
  await reportUses(deps);
  const { current, problem } = await readCurrent(conf.file);
  const reply = await client.breakGlassState(stateOf(current, conf.enabled, problem ?? before));
  if (reply.kind !== 'ok') return before;
  const { escrow, rotateBefore } = reply.value;
  if (!conf.enabled || problem !== null) return problem;
  const { maximumAgeMs } = conf;
  const wanted = {
    rotateBefore,
    maximumAgeMs,
    lastOpened: await journal.lastOpened(),
    sealedTo: sealingId(conf.sealing),
  };
  const due = dueFor(current, wanted, clock.now());
  if (due === null) return null;
  // Without it, nobody would learn the new one.
  if (!escrow)
    return current === null ? null : 'The password is due, and the server keeps none. Run: identree rotate-breakglass';
  const failed = await deps.rotate();
  if (failed === null) log.info(`the break-glass password was replaced (${due})`);
  else log.error(`the break-glass password is due (${due}) and could not be replaced: ${failed}`);
  return failed;
}

/** Looks after it until stopped. The pause varies so that a fleet started at once does not knock at once. */
export async function keepBreakGlass(deps: KeepDeps & { random: () => number }, signal: AbortSignal): Promise<void> {
  let problem: string | null = null;
  while (!signal.aborted) {
    try {
      problem = await lookAfter(deps, problem);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      deps.log.error(`break-glass: ${problem}`);
    }
    await deps.clock.sleep(INTERVAL_MS * (1 + JITTER * deps.random()), signal);
  }
}

/**
 * Replaces the password by `identree rotate-breakglass --unattended`, in a process of its own: what it knew goes when it
 * ends. The sandbox of the agent's unit may not write to /etc, so there the service manager starts it outside.
 *
 * @param program the command line of this very program.
 */
export function rotateOutside(program: readonly string[], args: readonly string[], run: Run) {
  return async (): Promise<string | null> => {
    const words = [...program, 'rotate-breakglass', '--unattended', ...args];
    const outside = await confined();
    const [command, ...rest] = (
      outside ? ['/usr/bin/systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--', ...words] : words
    ) as [string, ...string[]];
    const { code, output } = await run(command, rest);
    return code === 0 ? null : output.split('\n')[0] || `it ended with ${code}`;
  };
}
