import {
  JOURNAL_NAMES,
  type JournalHeads,
  type JournalName,
  type JournalPosition,
  type JournalSaid,
  type JournalsKept,
} from '#shared/journal-head.ts';
import { signToken, tokenType } from '#shared/token.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Enrolment } from '../state/identity.ts';
import type { Chain, Chained } from './chain.ts';

/** What goes up of the journals of this host with each heartbeat. */
export interface JournalHeadsToTell {
  /** JWS by the key of this host; null: the server has not said that it takes any. */
  said(): Promise<string | null>;
  /** What the server has, as its answer says; null: it is an earlier one. */
  heard(kept: JournalsKept | null): void;
  /** What it said last. */
  kept(): JournalsKept | null;
  /** The server does not have the newest heads yet. */
  areAwaited(): boolean;
}

export function createJournalHeads(deps: {
  journals: Record<JournalName, Pick<Chain<Chained>, 'position'>>;
  enrolment: Pick<Enrolment, 'identity' | 'apiKey'>;
  clock: Pick<Clock, 'now'>;
  log: Pick<Log, 'error'>;
}): JournalHeadsToTell {
  const { journals, clock, log } = deps;
  const { identity, apiKey } = deps.enrolment;
  let kept: JournalsKept | null = null;
  let told: Record<JournalName, JournalPosition | null> | null = null;

  async function saidOf(name: JournalName): Promise<JournalSaid | null> {
    try {
      return await journals[name].position(kept?.[name]?.seq ?? null);
    } catch (error) {
      log.error(`a journal of this host cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }

  return {
    async said() {
      if (kept === null) return null;
      // Before they are read: an entry of after that, which the server may have sooner, is not missing from them.
      const at = clock.now();
      const heads: JournalHeads = {
        v: 1,
        iss: identity.hostId,
        aud: identity.serverId,
        at,
        journals: { breakGlass: await saidOf('breakGlass'), offlineGrants: await saidOf('offlineGrants') },
      };
      told = heads.journals;
      return signToken(tokenType.journalHeads, heads, apiKey);
    },
    heard(now) {
      kept = now;
      if (now === null) told = null;
    },
    kept: () => kept,
    areAwaited: () =>
      kept !== null &&
      JOURNAL_NAMES.some((name) => {
        const [has, says] = [kept?.[name] ?? null, told?.[name] ?? null];
        if (has === null || told === null) return true;
        return says !== null && has.problem === null && has.seq < says.seq;
      }),
  };
}
