import type { Change } from './plan.ts';
import type { RevertTimer } from './revert-timer.ts';
import { hasBegunSince, type Moment, type Session, sameSession } from './session.ts';
import {
  confirmUnconfirmed,
  forgetUnconfirmed,
  mergeUnconfirmed,
  readUnconfirmed,
  type Unconfirmed,
  writeUnconfirmed,
} from './unconfirmed.ts';

/**
 * Whoever changes how people get in can lock everybody out, and would not see it from a shell that is open already. So
 * what setup changes is put back after a time, unless somebody comes in anew and says that they could.
 */
export interface DeadMan {
  /** Before the first change. @returns why nothing may be changed; null: the way back is laid. */
  arm(changes: readonly Change[], added: readonly string[]): Promise<string | null>;
  /** All is in place. @returns false: it took too long and is being put back already. */
  finish(): Promise<boolean>;
  /** Setup has put its changes back by itself. @returns what is not put back by itself any more, in words; null: all is */
  abandon(): Promise<string | null>;
  /** What somebody reads who has to confirm. */
  words(): string[];
}

export interface DeadManDeps {
  /** Folder of the backups. */
  backup: string;
  timer: RevertTimer;
  session(): Promise<Session>;
  /** What no login that is open by now is beyond. */
  moment(): Promise<Moment>;
  /** The directory that is used before, as it stands in the state folder. */
  directory(): Promise<string | null>;
  minutes: number;
  now(): number;
}

const time = (at: number): string => new Date(at).toISOString().slice(11, 16);

export function createDeadMan(deps: DeadManDeps): DeadMan {
  const { backup, timer, minutes, now } = deps;
  let earlier: Unconfirmed | null = null;
  let waiting: Unconfirmed | null = null;

  async function abandon(): Promise<string | null> {
    if (earlier === null) {
      await forgetUnconfirmed(backup);
      await timer.disarm();
      return null;
    }
    // What an earlier setup changed still waits, and with a time of its own.
    await writeUnconfirmed(backup, earlier);
    const problem = await timer.arm(earlier.until);
    return problem === null
      ? null
      : `What an earlier setup changed still waits, and nothing puts it back any more: ${problem}\nNow run either of these:  identree setup --revert   identree setup --confirm`;
  }

  return {
    async arm(changes, added) {
      earlier = await readUnconfirmed(backup);
      const [session, directory, until] = [await deps.session(), await deps.directory(), now() + minutes * 60_000];
      waiting = mergeUnconfirmed(earlier, { until, session, changes, added, directory });
      await writeUnconfirmed(backup, waiting);
      const problem = await timer.arm(until);
      if (problem === null) return null;
      const left = await abandon();
      const words = `Nothing would put this back if nobody could get in any more: ${problem}`;
      return left === null ? words : `${words}\n${left}`;
    },
    async finish() {
      const since = await deps.moment();
      if (waiting === null || (await readUnconfirmed(backup)) === null) return false;
      await writeUnconfirmed(backup, { ...waiting, whole: true, since });
      return true;
    },
    abandon,
    words: () => [
      `At ${time(waiting?.until ?? now())} UTC, in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}, all of this is put back. To keep it, log in anew and run there, with sudo`,
      'if that is what you have set up:  identree setup --confirm',
    ],
  };
}

/** What became of a confirmation. */
export type Confirmation = 'confirmed' | 'nothing' | 'same_session' | 'old_session' | 'not_whole' | 'reverting';

/** Keeps what setup changed, if who says so has come in since. */
export async function confirm({
  backup,
  timer,
  session,
}: Pick<DeadManDeps, 'backup' | 'timer' | 'session'>): Promise<Confirmation> {
  if ((await readUnconfirmed(backup, 'reverting')) !== null) return 'reverting';
  const waiting = await readUnconfirmed(backup);
  if (waiting === null) return 'nothing';
  if (!waiting.whole) return 'not_whole';
  const own = await session();
  if (waiting.sessions.some((one) => sameSession(one, own))) return 'same_session';
  const { boot } = waiting.sessions.at(-1)!;
  if (waiting.since !== null && !hasBegunSince(own, { boot, ...waiting.since })) return 'old_session';
  if (!(await confirmUnconfirmed(backup))) return 'reverting';
  await timer.disarm();
  return 'confirmed';
}
