import { order } from '../source/model.ts';
import { type AssignedNumber, excludedRange, LOWEST_NUMBER, ownerKey, reserved } from './ids.ts';
import { CHANGED, type NotRead, problemOf, readWritten, type UidMapFile, type UidMapSettings } from './uidmap-file.ts';

/** What `repairUidMap` would change. */
export interface Repair {
  readonly map: UidMapFile;
  /** Rows that get another number, as they will be, with the one they had. */
  readonly renumbered: readonly (AssignedNumber & { readonly was: number })[];
  /** Second numbers of an owner who has one already: reserved from now on. */
  readonly reserved: readonly AssignedNumber[];
  /** Second numbers that another owner has as well, or that are out of range: left out. */
  readonly dropped: readonly AssignedNumber[];
}

/**
 * What a file would have to say to be accepted. Of two owners of one number one keeps it, those who are there before
 * those who are gone and then by the order of identifiers, and the other gets one that was never given: whose files they
 * are, only people can tell. A file that was changed by hand is not repaired.
 */
export async function repairUidMap(
  path: string,
  settings: UidMapSettings,
  now: number,
): Promise<(Repair & { ok: true }) | NotRead> {
  const written = await readWritten(path, settings, now);
  if (!written.ok) return written;
  if (!written.checksumFits) return problemOf(path, CHANGED);
  const { map } = written;
  const { max, exclude } = settings.ids;
  const inRange = (n: number): boolean => n >= LOWEST_NUMBER && n <= max;
  const inRangeOf = (kind: 'uid' | 'gid'): number[] =>
    map.numbers.filter((row) => row.kind === kind && inRange(row.number)).map(({ number }) => number);
  const start = (kind: 'uid' | 'gid'): number =>
    inRangeOf(kind).reduce((top, number) => Math.max(top, number + 1), Math.max(LOWEST_NUMBER, written.next[kind]));
  const next = { uid: start('uid'), gid: start('gid') };
  const seen = { uid: new Set<number | string>(), gid: new Set<number | string>() };
  const renumbered: (AssignedNumber & { was: number })[] = [];
  const kept: AssignedNumber[] = [];
  const dropped: AssignedNumber[] = [];
  const inOrder = [...map.numbers].sort(
    (a, b) => Number(a.retiredAt !== null) - Number(b.retiredAt !== null) || order(ownerKey(a), ownerKey(b)),
  );
  const fresh = (kind: 'uid' | 'gid'): number => {
    for (;;) {
      const number = next[kind];
      const range = excludedRange(number, exclude);
      next[kind] = (range?.[1] ?? number) + 1;
      if (range === undefined) return number;
    }
  };
  const numbers = inOrder.flatMap((row): AssignedNumber[] => {
    const taken = seen[row.kind];
    const free = inRange(row.number) && !taken.has(row.number);
    taken.add(row.number);
    if (taken.has(ownerKey(row))) {
      if (!free) {
        dropped.push(row);
        return [];
      }
      kept.push(row);
      return [{ ...row, ...reserved(row.number), name: '', retiredAt: row.retiredAt ?? now }];
    }
    taken.add(ownerKey(row));
    if (free) return [row];
    const number = fresh(row.kind);
    renumbered.push({ ...row, number, was: row.number });
    return [{ ...row, number }];
  });
  if (next.uid - 1 > max || next.gid - 1 > max) return problemOf(path, 'no number is left');
  const mended = { ...map, nextUid: next.uid, nextGid: next.gid, numbers };
  return { ok: true, map: mended, renumbered, reserved: kept, dropped };
}
