import { indexNumbers, type NumberMap, type Owner, ownerKey, planNumbers } from '../numbers/ids.ts';
import { type NameRecord, planNames } from '../numbers/names.ts';
import type { NameWishes, ServedAs } from '../numbers/numbers.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import type { DirectorySnapshot } from '../source/model.ts';

/** The UID map without a database: who has which name and number, and who would have with another snapshot. */
export function createTestNames(settings = DEFAULT_SETTINGS) {
  let now = 1_800_000_000_000;
  const { uidBase, gidBase } = settings.ids;
  const begun = indexNumbers([], { nextUid: uidBase, nextGid: gidBase, upgPolicy: 'match' });
  if (!begun.ok) throw new Error(begun.problem);
  let map: NumberMap = begun.map;
  const records = new Map<string, NameRecord>();

  function plan(snapshot: DirectorySnapshot, wishes: NameWishes) {
    const numbers = planNumbers(map, snapshot, settings.ids, now);
    const fresh = new Map(numbers.added.map((row) => [`${row.kind} ${ownerKey(row)}`, row.number]));
    const numberOf = (kind: 'uid' | 'gid', owner: Owner) =>
      (kind === 'uid' ? map.uids : map.gids).byOwner.get(ownerKey(owner))?.number ??
      fresh.get(`${kind} ${ownerKey(owner)}`);
    const named = (owner: Owner) => (wishes.withheld?.has(ownerKey(owner)) ? undefined : numberOf('gid', owner));
    const names = planNames(records, snapshot, settings.names, named, now, wishes.granted);
    const served: ServedAs = {
      nameOf: (owner) => names.served.get(ownerKey(owner)),
      uidOf: (owner) => numberOf('uid', owner),
      gidOf: (owner) => numberOf('gid', owner),
    };
    return { numbers, names, served };
  }

  return {
    /** Who is served under what now. */
    was(): ServedAs {
      const current = new Map(
        [...records.values()].filter(({ leftAt }) => leftAt === null).map((one) => [ownerKey(one), one.name]),
      );
      return {
        nameOf: (owner) => current.get(ownerKey(owner)),
        uidOf: (owner) => map.uids.byOwner.get(ownerKey(owner))?.number,
        gidOf: (owner) => map.gids.byOwner.get(ownerKey(owner))?.number,
      };
    },
    will: (snapshot: DirectorySnapshot, wishes: NameWishes): ServedAs => plan(snapshot, wishes).served,
    /** Makes it so. */
    publish(snapshot: DirectorySnapshot, wishes: NameWishes = {}): ServedAs {
      const { numbers, names, served } = plan(snapshot, wishes);
      const rows = [...map.uids.byNumber.values(), ...map.gids.byNumber.values(), ...numbers.added];
      const next = indexNumbers(rows, numbers.counters);
      if (!next.ok) throw new Error(next.problem);
      map = next.map;
      for (const record of names.changed) records.set(record.name, record);
      return served;
    },
    /** Folded names that have an owner, or had one lately; see `GuardInput.owners`. */
    owners: () =>
      new Map(
        [...records.values()]
          .filter(({ owner, leftAt }) =>
            leftAt === null ? owner === 'user' : now - leftAt < settings.names.quarantineMs,
          )
          .map((one) => [one.name, ownerKey(one)]),
      ),
    advance(ms: number): void {
      now += ms;
    },
  };
}
