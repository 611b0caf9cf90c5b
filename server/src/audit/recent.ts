/** What was delivered when, for as far back as it may have to come again. */
export interface Recent {
  /** Events up to this one have been delivered now. */
  note(seq: number): void;
  /**
   * The newest event that had been delivered this long ago; what came after it may be lost. Null: nothing was delivered
   * since.
   */
  before(windowMs: number): number | null;
  forget(): void;
}

/** One mark for so long, milliseconds: what is remembered of an hour stays small, however much happens. */
const GRAIN_MS = 500;

/** @param deps.now milliseconds of a clock that nobody sets */
export function createRecent(deps: { now: () => number; longestMs: number }): Recent {
  const { now, longestMs } = deps;
  /** Each: how far it had come when this began, and when it ended. */
  let marks: { after: number; from: number; until: number }[] = [];
  let newest: number | null = null;
  return {
    note(seq) {
      const at = now();
      const last = marks.at(-1);
      // The first one may have been preceded by others, of another process: it is behind its own number only.
      if (last && at - last.from < GRAIN_MS) last.until = at;
      else marks.push({ after: newest ?? seq - 1, from: at, until: at });
      newest = seq;
      while (marks.length > 1 && at - marks[0]!.until > longestMs) marks.shift();
    },
    before(windowMs) {
      const since = now() - windowMs;
      return marks.find(({ until }) => until >= since)?.after ?? null;
    },
    forget() {
      marks = [];
      newest = null;
    },
  };
}
