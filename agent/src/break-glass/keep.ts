import { STATE_WAIT_SECONDS } from '#shared/break-glass-api.ts';
import type { HostClient } from '../client/host-client.ts';
import type { BreakGlassConf } from '../config/client-conf.ts';
import type { ServerDefaults } from '../config/server-defaults.ts';
import { isNeverTaken } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import { confined } from '../platform/confined.ts';
import type { Log } from '../platform/log.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { Run } from '../platform/run.ts';
import { readHashFile, type StoredHash } from './hash-file.ts';
import type { Journal } from './journal.ts';
import { dueFor, stateOf } from './rotate.ts';
import { sealingId } from './sealing.ts';

export interface KeepDeps {
  client: Pick<HostClient, 'breakGlassUse' | 'breakGlassState'>;
  journal: Pick<Journal, 'unreported' | 'reported' | 'lastOpened'>;
  /** What counts now: the server may tell something else with any answer. */
  conf(): BreakGlassConf;
  /** Told what answers say of settings of this host. */
  defaults: Pick<ServerDefaults, 'heard' | 'hear' | 'forget'>;
  /** Makes nonces. */
  nonces: Random;
  /** Replaces the password where the server keeps it. Null: done; else why not. */
  rotate(): Promise<string | null>;
  /** The server says that this host may not speak any more. */
  refused(): void;
  clock: Clock;
  log: Log;
}

/**
 * The longest that one turn takes, milliseconds. The server keeps its answer for as long, and gives it as soon as another
 * password is wanted; one that answers at once, because it knows no better or stops, is asked again only then.
 */
const TURN_MS = STATE_WAIT_SECONDS * 1000;
/** Turns are shorter by up to this: a fleet started at once does not knock at once. */
const JITTER = 0.2;
/** The least between two turns, milliseconds. */
const LEAST_MS = 500;

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

/** A setting that cannot be kept keeps nobody from replacing the password: the server tells it again. */
async function hearDefaults({ defaults, log }: KeepDeps, token: string, nonce: string): Promise<void> {
  try {
    await defaults.hear(token, nonce);
  } catch (error) {
    log.error(`what the server tells of settings: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What looking after the password came to. */
export interface LookedAfter {
  /** Why the last change failed; null: it did not. */
  problem: string | null;
  /** There is another password, and the server has not heard of it yet. */
  replaced: boolean;
}

/**
 * Tells the server what was done with the password and how things are, and replaces it when it is due.
 *
 * @param before why the last change failed; null: it did not.
 * @param wait how long the server may keep its answer while it wants nothing
 */
export async function lookAfter(
  deps: KeepDeps,
  before: string | null,
  wait?: { seconds: number; signal: AbortSignal },
): Promise<LookedAfter> {
  const { client, journal, clock, log } = deps;

  /** What there is, and why it is due. */
  async function look(rotateBefore: number | null) {
    const conf = deps.conf();
    const { current, problem } = await readCurrent(conf.file);
    const wanted = {
      rotateBefore,
      maximumAgeMs: conf.maximumAgeMs,
      lastOpened: await journal.lastOpened(),
      sealedTo: sealingId(conf.sealing),
    };
    const due = conf.enabled && problem === null ? dueFor(current, wanted, clock.now()) : null;
    return { current, problem, due };
  }

  await reportUses(deps);
  const found = await look(null);
  const state = stateOf(found.current, deps.conf().enabled, found.problem ?? before);
  const nonce = randomText(deps.nonces);
  // What is due by itself waits for nothing but to hear whether the server keeps passwords.
  const heard = { heard: deps.defaults.heard(), nonce };
  const reply = await client.breakGlassState(state, found.due === null ? wait : undefined, heard);
  if (reply.kind === 'refused' && reply.code.startsWith('host_')) deps.refused();
  if (reply.kind === 'refused' && reply.code === 'host_revoked') await deps.defaults.forget();
  if (reply.kind !== 'ok') return { problem: before, replaced: false };
  const { escrow, rotateBefore, clientDefaults } = reply.value;
  if (clientDefaults !== undefined) await hearDefaults(deps, clientDefaults, nonce);
  // Anew: somebody may have replaced it by hand while the answer was waited for.
  const { current, problem, due } = await look(rotateBefore);
  if (due === null) return { problem, replaced: false };
  // Without it, nobody would learn the new one.
  if (!escrow) {
    const nobody = 'The password is due, and the server keeps none. Run: identree rotate-breakglass';
    return { problem: current === null ? null : nobody, replaced: false };
  }
  const failed = await deps.rotate();
  if (failed === null) log.info(`the break-glass password was replaced (${due})`);
  else log.error(`the break-glass password is due (${due}) and could not be replaced: ${failed}`);
  return { problem: failed, replaced: failed === null };
}

/** Looks after it until stopped. */
export async function keepBreakGlass(deps: KeepDeps & { random: () => number }, signal: AbortSignal): Promise<void> {
  const { clock } = deps;
  let last: LookedAfter = { problem: null, replaced: false };
  while (!signal.aborted) {
    const began = clock.monotonic();
    const turnMs = TURN_MS * (1 - JITTER * deps.random());
    let next: LookedAfter;
    try {
      next = await lookAfter(deps, last.problem, { seconds: Math.floor(turnMs / 1000), signal });
    } catch (error) {
      next = { problem: error instanceof Error ? error.message : String(error), replaced: false };
      deps.log.error(`break-glass: ${next.problem}`);
    }
    // That there is another one is told at once. One that is due again and again is no news.
    const isNews = next.replaced && !last.replaced;
    last = next;
    await clock.sleep(isNews ? 0 : Math.max(LEAST_MS, began + turnMs - clock.monotonic()), signal);
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
