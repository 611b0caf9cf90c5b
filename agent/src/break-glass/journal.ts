import { type BreakGlassUse, breakGlassUse } from '#shared/break-glass-api.ts';
import type { HostRecord } from '#shared/decision.ts';
import { type Chain, openChain } from '../journal/chain.ts';
import { canBeTold } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

/** What happened at this host while no server could be asked. Each entry names the one before it by its hash. */
export interface Journal {
  /** Resolves once the entry would survive a power failure. @throws when it cannot be written: then nobody is let in. */
  append(outcome: BreakGlassUse['outcome'], record: HostRecord): Promise<void>;
  /** What the server does not have yet, oldest first. */
  unreported(): Promise<BreakGlassUse[]>;
  /** The server has everything up to this entry. */
  reported(entry: BreakGlassUse): Promise<void>;
  /** When the password last opened this host, milliseconds since the epoch; null: never. */
  lastOpened(): Promise<number | null>;
  /** See {@link Chain}. */
  position: Chain<BreakGlassUse>['position'];
}

export function openJournal(deps: {
  file: string;
  /** Says up to where the server has it. */
  cursor: string;
  lock: string;
  clock: Clock;
  log: Pick<Log, 'error'>;
}): Journal {
  /** Outlives the file that is laid aside: who guesses long enough must not have a use forgotten. */
  const openedFile = `${deps.file}.opened`;

  async function openedBefore(): Promise<number | null> {
    const told = (await readTrustedFile(openedFile, { private: true }))?.toString('utf8').trim();
    if (told === undefined) return null;
    if (!/^[0-9]{1,16}$/.test(told)) throw new UntrustedFile(openedFile, `${openedFile} is damaged.`);
    return Number(told);
  }

  const openedIn = (all: readonly BreakGlassUse[]): number | null =>
    all.findLast((entry) => entry.outcome === 'opened')?.at ?? null;

  const chain = openChain({
    ...deps,
    schema: breakGlassUse,
    async beforeLaidAside(all) {
      const opened = openedIn(all);
      if (opened !== null) await atomicWrite(openedFile, `${opened}\n`);
    },
  });

  return {
    // What is wrong is written down no more once the file is full, so that guessing fills no disk; what opens always is.
    async append(outcome, record) {
      if (!canBeTold(breakGlassUse, { outcome, record }))
        throw new Error('a break-glass use of which the server could not be told is refused: its request is too long');
      await chain.append({ outcome, record }, { evenIfFull: outcome === 'opened' });
    },
    unreported: chain.unreported,
    reported: chain.reported,
    position: chain.position,
    lastOpened: async () => openedIn(await chain.entries()) ?? (await openedBefore()),
  };
}
