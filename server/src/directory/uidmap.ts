import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { type AssignedNumber, indexNumbers, LOWEST_NUMBER, type Owner, ownerKey, RESERVED, reserved } from './ids.ts';
import * as store from './number-store.ts';
import { beginUidMap } from './numbers.ts';
import type { DirectorySettings } from './settings.ts';
import { readUidMap, type UidMapFile, writeUidMap } from './uidmap-file.ts';

/** What an operator asked of the map cannot be done; nothing was changed. One line for each reason. */
export class UidMapRefusal extends Error {}

export type UidMapTools = ReturnType<typeof createUidMapTools>;

/** One number in which two maps differ. */
export interface Difference {
  readonly kind: 'uid' | 'gid';
  readonly number: number;
  /** Null: the map does not have it. */
  readonly here: AssignedNumber | null;
  readonly there: AssignedNumber | null;
}

/** What two maps do not agree about, by kind and number. Names at the source are no part of it. */
export function differences(here: UidMapFile, there: UidMapFile): Difference[] {
  const index = (map: UidMapFile) => new Map(map.numbers.map((row) => [`${row.kind} ${row.number}`, row]));
  const [a, b] = [index(here), index(there)];
  return [...new Set([...a.keys(), ...b.keys()])]
    .map((key) => ({ here: a.get(key) ?? null, there: b.get(key) ?? null }))
    .filter(({ here, there }) => here === null || there === null || ownerKey(here) !== ownerKey(there))
    .map((pair) => ({ kind: (pair.here ?? pair.there)!.kind, number: (pair.here ?? pair.there)!.number, ...pair }))
    .sort((x, y) => (x.kind === y.kind ? x.number - y.number : x.kind === 'uid' ? -1 : 1));
}

/** What operators do to the UID/GID map, beside a server that runs. A number that has files never changes hands here. */
export function createUidMapTools(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  settings: Pick<DirectorySettings, 'issuer' | 'ids'>;
  /** Where the copy is; null: nowhere. */
  mapFile: string | null;
  actor: string;
}) {
  const { db, events, clock, settings, mapFile, actor } = deps;

  /** The map and how many rows it should have. Null: the directory never ran. */
  async function readAll() {
    return db.snapshot(async (query) => {
      const state = await store.readNumberState(query);
      if (!state) return null;
      const numbers = await store.readNumbers(query);
      const names = [...(await store.readNames(query)).values()];
      const { nextUid, nextGid, upgPolicy, generation } = state;
      return { state, map: { nextUid, nextGid, upgPolicy, generation, numbers, names } satisfies UidMapFile };
    });
  }

  async function read(): Promise<UidMapFile> {
    const all = await readAll();
    if (!all) throw new UidMapRefusal('There is no map yet: the directory never ran.');
    return all.map;
  }

  async function fileAt(path: string): Promise<UidMapFile> {
    const file = await readUidMap(path, settings.issuer, settings.ids.max, clock.now());
    if (file.ok) return file.map;
    throw new UidMapRefusal(file.missing ? `${path}: no such file` : file.problem);
  }

  async function writeCopy(): Promise<void> {
    if (mapFile !== null) await writeUidMap(mapFile, await read(), settings.issuer);
  }

  /** Adds numbers to the map as it is while nobody else changes it. */
  async function add(
    reason: string,
    choose: (map: UidMapFile) => { numbers: AssignedNumber[]; names?: UidMapFile['names'] } & Partial<UidMapFile>,
  ): Promise<number> {
    const added = await db.transaction(async (work) => {
      const state = await store.readNumberState(work);
      if (!state) throw new UidMapRefusal('There is no map yet: the directory never ran.');
      const numbers = await store.readNumbers(work.query);
      const names = [...(await store.readNames(work.query)).values()];
      const chosen = choose({ ...state, numbers, names });
      if (chosen.numbers.length === 0) return 0;
      await store.insertMap(work, chosen.numbers, chosen.names ?? []);
      const uids = chosen.numbers.filter(({ kind }) => kind === 'uid').length;
      await store.updateNumberState(work, {
        ...state,
        generation: state.generation + 1,
        nextUid: chosen.nextUid ?? state.nextUid,
        nextGid: chosen.nextGid ?? state.nextGid,
        uidCount: state.uidCount + uids,
        gidCount: state.gidCount + chosen.numbers.length - uids,
      });
      const first = chosen.numbers.slice(0, 10).map(({ kind, number, name }) => `${kind} ${number} ${name}`.trim());
      const data = { assigned: chosen.numbers.length, first };
      await events.append(work, { event: 'directory_numbers_changed', username: '', actor, reason, data });
      return chosen.numbers.length;
    });
    if (added > 0) await writeCopy();
    return added;
  }

  return {
    /** @throws UidMapRefusal when there is none */
    read,

    /** What is wrong with the map, its copy, or between them; empty when nothing is. */
    async verify(): Promise<{ map: UidMapFile; problems: string[] }> {
      const all = await readAll();
      if (!all) throw new UidMapRefusal('There is no map yet: the directory never ran.');
      const { state, map } = all;
      const problems: string[] = [];
      const uids = map.numbers.filter(({ kind }) => kind === 'uid').length;
      if (uids !== state.uidCount || map.numbers.length - uids !== state.gidCount) {
        problems.push(
          `rows are missing: ${uids} uids of ${state.uidCount}, ${map.numbers.length - uids} gids of ${state.gidCount}`,
        );
      }
      const indexed = indexNumbers(map.numbers, map);
      if (!indexed.ok) problems.push(indexed.problem);
      if (mapFile === null) return { map, problems };
      const file = await readUidMap(mapFile, settings.issuer, settings.ids.max, clock.now());
      if (!file.ok) problems.push(file.missing ? `${mapFile}: there is no copy` : file.problem);
      else if (file.map.generation !== map.generation) {
        problems.push(`${mapFile} is generation ${file.map.generation}, the database ${map.generation}`);
      } else if (differences(map, file.map).length > 0) problems.push(`${mapFile} differs from the database`);
      return { map, problems };
    },

    /** @throws UidMapRefusal when the file or the map cannot be read */
    async diff(path: string): Promise<Difference[]> {
      return differences(await read(), await fileAt(path));
    },

    /**
     * Takes over a file: into an installation without a map, or with `merge` into the one there is.
     *
     * @returns how many numbers were added.
     * @throws UidMapRefusal when somebody would get a second number or a number a second owner.
     */
    async import(path: string, merge: boolean): Promise<number> {
      const file = await fileAt(path);
      if (!(await readAll())) {
        if (await beginUidMap(db, events, file, 'imported')) {
          await writeCopy();
          return file.numbers.length;
        }
      }
      if (!merge) throw new UidMapRefusal('There is a map already. Add to it with --merge.');
      return add('merged', (map) => {
        const indexed = indexNumbers(map.numbers, map);
        if (!indexed.ok) throw new UidMapRefusal(indexed.problem);
        const conflicts: string[] = [];
        const fresh = file.numbers.filter((row) => {
          const space = row.kind === 'uid' ? indexed.map.uids : indexed.map.gids;
          const mine = space.byOwner.get(ownerKey(row));
          const other = space.byNumber.get(row.number);
          if (mine?.number === row.number) return false;
          if (mine)
            conflicts.push(`${ownerText(row)} has ${row.kind} ${mine.number} here and ${row.number} in the file`);
          else if (other)
            conflicts.push(
              `${row.kind} ${row.number} is ${ownerText(other)}'s here and ${ownerText(row)}'s in the file`,
            );
          return true;
        });
        if (conflicts.length > 0) throw new UidMapRefusal(conflicts.join('\n'));
        const known = new Set(map.names.map(({ name }) => name));
        return {
          numbers: fresh,
          names: file.names.filter(({ name }) => !known.has(name)),
          nextUid: Math.max(map.nextUid, file.nextUid),
          nextGid: Math.max(map.nextGid, file.nextGid),
        };
      });
    },

    /**
     * Keeps a number, as uid and as gid, from everybody: something on the hosts has it.
     *
     * @returns false when it was kept already.
     * @throws UidMapRefusal when it is somebody's or no number of accounts.
     */
    async reserve(number: number): Promise<boolean> {
      if (!Number.isSafeInteger(number) || number < LOWEST_NUMBER || number > settings.ids.max) {
        throw new UidMapRefusal(`Accounts get numbers from ${LOWEST_NUMBER} to ${settings.ids.max}.`);
      }
      const now = clock.now();
      const row = { ...reserved(number), number, name: '', assignedAt: now, retiredAt: now };
      const added = await add('reserved', ({ numbers }) => {
        const own = ownerKey(reserved(number));
        const holders = numbers.filter((other) => other.number === number);
        const other = holders.find((holder) => ownerKey(holder) !== own);
        if (other) throw new UidMapRefusal(`${other.kind} ${number} is ${ownerText(other)}'s.`);
        const kinds = (['uid', 'gid'] as const).filter((kind) => !holders.some((holder) => holder.kind === kind));
        return { numbers: kinds.map((kind) => ({ kind, ...row })) };
      });
      return added > 0;
    },

    /** Who is meant by an identifier or a last name, among those who are gone (`retired`) or those who are there. */
    async find(who: string, retired: boolean): Promise<Owner & { readonly name: string; readonly numbers: string }> {
      const map = await read();
      const rows = map.numbers.filter((row) => (row.retiredAt !== null) === retired && row.issuer !== RESERVED);
      const fitting = rows.filter((row) => row.subject === who);
      const found = fitting.length > 0 ? fitting : rows.filter((row) => row.name === who);
      const owners = new Map(found.map((row) => [ownerKey(row), row]));
      const [one, ...others] = owners.values();
      if (!one) throw new UidMapRefusal(`Nobody who is ${retired ? 'gone' : 'there'} is called ${who}.`);
      if (others.length > 0) {
        throw new UidMapRefusal(
          `${who} may be ${[one, ...others].map(ownerText).join(' or ')}. Say which by identifier.`,
        );
      }
      const numbers = found.map(({ kind, number }) => `${kind} ${number}`).join(', ');
      return { owner: one.owner, issuer: one.issuer, subject: one.subject, name: one.name, numbers };
    },

    /**
     * Gives somebody the numbers, and with them the files, of an account that is gone, and the names that it left: a
     * person who was deleted by mistake and made anew. Their own numbers are kept from everybody.
     *
     * @throws UidMapRefusal when meanwhile one is back or the other is gone
     */
    async adopt(from: Owner, to: Owner): Promise<void> {
      if (from.owner !== to.owner)
        throw new UidMapRefusal('A user cannot have the number of a group, nor a group a user’s.');
      await db.transaction(async (work) => {
        const state = await store.readNumberState(work);
        const numbers = await store.readNumbers(work.query);
        const of = (owner: Owner) => numbers.filter((row) => ownerKey(row) === ownerKey(owner));
        const [gone, there] = [of(from), of(to)];
        if (!state || gone.length === 0 || gone.some(({ retiredAt }) => retiredAt === null)) {
          throw new UidMapRefusal('The account whose numbers are wanted is not gone.');
        }
        if (there.length === 0 || there.some(({ retiredAt }) => retiredAt !== null)) {
          throw new UidMapRefusal('Whoever is to have the numbers is not there.');
        }
        await store.swapOwners(work, from, to);
        const now = clock.now();
        for (const row of gone) await store.updateNumber(work, { ...row, name: there[0]!.name, retiredAt: null });
        for (const row of there) await store.updateNumber(work, { ...row, retiredAt: now });
        await store.updateNumberState(work, { ...state, generation: state.generation + 1 });
        await events.append(work, {
          event: 'directory_number_adopted',
          username: there[0]!.name,
          actor,
          data: {
            from: from.subject,
            to: to.subject,
            numbers: gone.map(({ kind, number }) => `${kind} ${number}`),
          },
        });
      });
      await writeCopy();
    },
  };
}

/** Whose number it is, for people: the name it had last and who that is. */
export function ownerText(row: Owner & { readonly name: string }): string {
  if (row.issuer === RESERVED) return 'nobody';
  return row.name ? `${row.owner} ${row.name} (${row.subject})` : `${row.owner} ${row.subject}`;
}
