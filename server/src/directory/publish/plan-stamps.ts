import { hash as digest } from 'node:crypto';
import type { Entry } from '../../ldap/entry.ts';
import { eachInSlices } from '../../platform/slices.ts';
import { generalizedTime } from '../sudo/rule.ts';
import type { BareEntry } from '../tree/model.ts';

/** When an entry was made and last changed, and the update sequence number it got then. */
export interface Stamp {
  readonly uuid: string;
  /** Digest of everything in the entry but its operational attributes. */
  readonly hash: string;
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly usn: number;
}

export interface StampPlan {
  readonly entries: readonly Entry[];
  readonly changed: readonly Stamp[];
  /** Entries that are gone, by entryUUID. */
  readonly removed: readonly string[];
  readonly usn: number;
}

/** Highest number that 32-bit sssd reads. */
const MAX_USN = 2_147_483_647;
const USN_EPOCH_SECONDS = 1_600_000_000;

/**
 * Where the counter starts after a boot: never lower than before, and, by the clock, above what was given out even when
 * the database was lost. sssd keeps the highest number it saw and would miss changes below it.
 */
export function usnAtBoot(persisted: number, now: number): number {
  return Math.min(MAX_USN, Math.max(persisted, Math.floor(now / 1000) - USN_EPOCH_SECONDS) + 1);
}

export function hashEntry(entry: BareEntry): string {
  const content = JSON.stringify([entry.dn, entry.objectClass, entry.attributes, entry.audience ?? null]);
  return digest('sha256', content, 'base64url');
}

/**
 * Gives every entry its operational attributes. Those of an unchanged entry stay as they are; a changed one gets the
 * next number and a modifyTimestamp later than its last one, also when the clock stood still or went back. An entry that
 * is gone bumps its parent: clients that follow numbers see no deletion otherwise.
 */
export async function planStamps(
  bare: readonly BareEntry[],
  stamps: ReadonlyMap<string, Stamp>,
  start: number,
  now: number,
  parents: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<StampPlan & { parents: Map<string, string> }> {
  const second = Math.floor(now / 1000) * 1000;
  const present = new Set(bare.map(({ entryUUID }) => entryUUID));
  const byDn = new Map(bare.map((entry) => [entry.dn, entry.entryUUID]));
  const removed = [...stamps.keys()].filter((uuid) => !present.has(uuid));
  const bumped = new Set(removed.map((uuid) => parents.get(uuid)).filter((uuid) => uuid !== undefined));
  // A lost parent: its container is not known any more, so all of them count as changed.
  const bumpAll = removed.some((uuid) => !parents.has(uuid));

  const entries: Entry[] = [];
  const changed: Stamp[] = [];
  const nextParents = new Map<string, string>();
  // Most entries share the few moments at which much was written.
  const times = new Map<number, string>();
  const timeOf = (ms: number): string => {
    const known = times.get(ms);
    if (known !== undefined) return known;
    const text = generalizedTime(ms);
    times.set(ms, text);
    return text;
  };
  let usn = start;
  await eachInSlices(
    bare,
    (entry) => {
      const { entryUUID, dn, objectClass, attributes, audience } = entry;
      const isContainer = !entry.dn.startsWith('uid=') && !entry.dn.startsWith('cn=');
      const parent = byDn.get(entry.dn.slice(entry.dn.search(/(?<!\\),/) + 1));
      if (parent !== undefined) nextParents.set(entryUUID, parent);
      const old = stamps.get(entryUUID);
      const hash = hashEntry(entry);
      let stamp = old;
      if (!old || old.hash !== hash || bumped.has(entryUUID) || (bumpAll && isContainer)) {
        usn += 1;
        if (usn > MAX_USN) throw new Error('the update sequence numbers are used up');
        stamp = {
          uuid: entryUUID,
          hash,
          createdAt: old?.createdAt ?? second,
          modifiedAt: old ? Math.max(second, old.modifiedAt + 1000) : second,
          usn,
        };
        changed.push(stamp);
      }
      entries.push({
        dn,
        objectClass,
        attributes,
        operational: {
          entryUUID,
          createTimestamp: timeOf(stamp!.createdAt),
          modifyTimestamp: timeOf(stamp!.modifiedAt),
          entryUSN: stamp!.usn,
        },
        ...(audience === undefined ? {} : { audience }),
      });
    },
    signal,
  );
  return { entries, changed, removed, usn, parents: nextParents };
}
