import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import { claimOf, type DirectoryGroup, type DirectorySnapshot, type DirectoryUser } from '../source/model.ts';

/** Whose number or name it is. */
export interface Owner {
  readonly owner: 'user' | 'group';
  readonly issuer: string;
  readonly subject: string;
}

/** One number of one owner. Numbers are never taken away, nor given to another owner unless an operator says so by name. */
export interface AssignedNumber extends Owner {
  readonly kind: 'uid' | 'gid';
  readonly number: number;
  readonly name: string;
  readonly assignedAt: number;
  readonly retiredAt: number | null;
}

export interface Counters {
  readonly nextUid: number;
  readonly nextGid: number;
  readonly upgPolicy: 'match' | 'separate';
}

/** The whole map, indexed. */
export interface NumberMap extends Counters {
  readonly uids: NumberSpace;
  readonly gids: NumberSpace;
}

export interface NumberSpace {
  readonly byOwner: Map<string, AssignedNumber>;
  readonly byNumber: Map<number, AssignedNumber>;
}

export function ownerKey(of: Owner): string {
  return `${of.owner} ${of.issuer} ${of.subject}`;
}

export const userOwner = (user: Pick<DirectoryUser, 'issuer' | 'id'>): Owner => ({
  owner: 'user',
  issuer: user.issuer,
  subject: user.id,
});

export const groupOwner = (group: Pick<DirectoryGroup, 'issuer' | 'id'>): Owner => ({
  owner: 'group',
  issuer: group.issuer,
  subject: group.id,
});

/** Issuer of numbers that an operator reserved. No source has it. */
export const RESERVED = 'identree:reserved';

/** Owner of a number that an operator reserved. */
export const reserved = (number: number): Owner => ({ owner: 'user', issuer: RESERVED, subject: String(number) });

/** Lowest number that may ever be given: below live the system's own accounts. */
export const LOWEST_NUMBER = 1000;
// "nobody" and the two spellings of -1.
const NEVER: readonly (readonly [number, number])[] = [
  [65_534, 65_535],
  [4_294_967_295, 4_294_967_295],
];

/** The range that holds a number which is never given, or undefined. @param exclude the configured ones */
export function excludedRange(number: number, exclude: DirectorySettings['ids']['exclude']) {
  return [...NEVER, ...exclude].find(([low, high]) => number >= low && number <= high);
}

/**
 * Indexes a map and checks it.
 *
 * @returns a problem when one number has two owners or one owner two numbers. Then nothing may be served or assigned:
 * every guess could hand files to a stranger.
 */
export function indexNumbers(
  rows: Iterable<AssignedNumber>,
  counters: Counters,
): { ok: true; map: NumberMap } | { ok: false; problem: string } {
  const spaces = { uid: emptySpace(), gid: emptySpace() };
  for (const row of rows) {
    const { byOwner, byNumber } = spaces[row.kind];
    const who = ownerKey(row);
    if (!Number.isSafeInteger(row.number) || row.number < LOWEST_NUMBER || row.number > 0xfffffffe) {
      return { ok: false, problem: `${row.kind} ${row.number} of ${who} is out of range` };
    }
    const other = byNumber.get(row.number);
    if (other) return { ok: false, problem: `${row.kind} ${row.number} belongs to both ${ownerKey(other)} and ${who}` };
    if (byOwner.has(who)) return { ok: false, problem: `${who} has more than one ${row.kind}` };
    byOwner.set(who, row);
    byNumber.set(row.number, row);
  }
  return { ok: true, map: { ...counters, uids: spaces.uid, gids: spaces.gid } };
}

function emptySpace(): NumberSpace {
  return { byOwner: new Map(), byNumber: new Map() };
}

/** What a snapshot changes in the map. Nothing is applied yet. */
export interface NumberPlan {
  readonly added: readonly AssignedNumber[];
  /** Known numbers whose name or retirement changed, as they are from now on. */
  readonly updated: readonly AssignedNumber[];
  readonly counters: Counters;
  readonly lints: readonly Lint[];
}

/**
 * Assigns numbers on first sight, in canonical order, so that a first sync gives the same numbers wherever it
 * runs. Retires the numbers of owners that are gone and gives them back when they return.
 */
export function planNumbers(
  map: NumberMap,
  snapshot: DirectorySnapshot,
  settings: DirectorySettings['ids'],
  now: number,
): NumberPlan {
  const taken = { uid: new Set<number>(), gid: new Set<number>() };
  const added: AssignedNumber[] = [];
  const updated: AssignedNumber[] = [];
  const lints: Lint[] = [];
  const seen = new Set<string>();
  let { nextUid, nextGid } = map;
  const match = map.upgPolicy === 'match';

  const space = (kind: 'uid' | 'gid') => (kind === 'uid' ? map.uids : map.gids);
  const inUse = (kind: 'uid' | 'gid', n: number) => space(kind).byNumber.has(n) || taken[kind].has(n);

  /** First number from `from` on that is free in all spaces named; null when there is none left. */
  function free(from: number, ...kinds: ('uid' | 'gid')[]): number | null {
    for (let n = Math.max(from, LOWEST_NUMBER); n <= settings.max; n += 1) {
      const range = excludedRange(n, settings.exclude);
      if (range) n = range[1];
      else if (!kinds.some((kind) => inUse(kind, n))) return n;
    }
    return null;
  }

  function give(kind: 'uid' | 'gid', number: number, owner: Owner, name: string): void {
    taken[kind].add(number);
    added.push({ ...owner, kind, number, name, assignedAt: now, retiredAt: null });
  }

  /** A number that a claim asks for: only at the first assignment, inside the range, never one that is taken. */
  function claimed(kind: 'uid' | 'gid', of: DirectoryUser | DirectoryGroup, subject: string): number | null {
    const text = settings.claimRange === null ? undefined : claimOf(of, `${kind}Number`);
    if (text === undefined) return null;
    const number = /^[0-9]{1,10}$/.test(text.trim()) ? Number(text) : Number.NaN;
    const [low, high] = settings.claimRange!;
    const barred = excludedRange(number, []) !== undefined;
    if (number >= Math.max(low, LOWEST_NUMBER) && number <= high && !barred && !inUse(kind, number)) return number;
    lints.push({ code: 'id_claim_refused', subject, detail: `${kind}Number ${text.slice(0, 20)} cannot be given` });
    return null;
  }

  function known(kind: 'uid' | 'gid', owner: Owner, name: string): AssignedNumber | undefined {
    const row = space(kind).byOwner.get(ownerKey(owner));
    if (row && (row.retiredAt !== null || row.name !== name)) updated.push({ ...row, name, retiredAt: null });
    return row;
  }

  for (const user of snapshot.users) {
    const owner = userOwner(user);
    seen.add(ownerKey(owner));
    const uid = known('uid', owner, user.username);
    const gid = known('gid', owner, user.username);
    const subject = `user ${user.username}`;
    let number = uid?.number ?? claimed('uid', user, subject);
    let group = gid?.number ?? claimed('gid', user, subject);
    const fromCounter = number === null;
    if (number === null) {
      number = match && group === null ? free(Math.max(nextUid, nextGid), 'uid', 'gid') : free(nextUid, 'uid');
      if (number === null) {
        lints.push({ code: 'ids_exhausted', subject, detail: 'no uid is left' });
        continue;
      }
      nextUid = number + 1;
    }
    if (group === null) {
      const same = match && !inUse('gid', number);
      group = same ? number : free(nextGid, 'gid');
      if (group === null) {
        lints.push({ code: 'ids_exhausted', subject, detail: 'no gid is left' });
        continue;
      }
      // A number that a claim asked for may lie far above; the counter does not follow it.
      if (!same || fromCounter) nextGid = Math.max(nextGid, group + 1);
    }
    if (!uid) give('uid', number, owner, user.username);
    if (!gid) give('gid', group, owner, user.username);
  }

  for (const group of snapshot.groups) {
    const owner = groupOwner(group);
    seen.add(ownerKey(owner));
    if (known('gid', owner, group.name)) continue;
    let number = claimed('gid', group, `group ${group.name}`);
    if (number === null) {
      number = free(nextGid, 'gid');
      if (number === null) {
        lints.push({ code: 'ids_exhausted', subject: `group ${group.name}`, detail: 'no gid is left' });
        continue;
      }
      nextGid = number + 1;
    }
    give('gid', number, owner, group.name);
  }

  for (const { byOwner } of [map.uids, map.gids]) {
    for (const [who, row] of byOwner) {
      if (row.retiredAt === null && !seen.has(who)) updated.push({ ...row, retiredAt: now });
    }
  }
  return { added, updated, counters: { nextUid, nextGid, upgPolicy: map.upgPolicy }, lints };
}
