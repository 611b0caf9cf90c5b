import { type Paths, stateFiles } from '../paths.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { type Journal, openJournal } from './journal.ts';

/** The journal of this host. */
export function openHostJournal(paths: Paths, deps: { clock: Clock; log: Pick<Log, 'error'> }): Journal {
  const files = stateFiles(paths.state);
  return openJournal({
    file: files.breakGlassJournal,
    cursor: files.breakGlassCursor,
    lock: files.breakGlassJournalLock,
    ...deps,
  });
}
