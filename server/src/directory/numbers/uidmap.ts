import { visibleText } from '#shared/visible-text.ts';
import type { Database, UnitOfWork } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import { type AssignedNumber, LOWEST_NUMBER, type NumberMap, type Owner, ownerKey, RESERVED, reserved } from './ids.ts';
import type { NameRecord } from './names.ts';
import * as store from './number-store.ts';
import { beginUidMap } from './numbers.ts';
import { writeUidMap } from './uidmap-copies.ts';
import { readUidMap, type UidMapFile, type UidMapSettings } from './uidmap-file.ts';

/** What an operator asked of the map cannot be done; nothing was changed. One line for each reason. */
export class UidMapRefusal extends Error {}

/** The map is changed, and its copy is not. */
export class UidMapCopyFailed extends Error {}

/** An owner of numbers, for a question to an operator. */
export interface NumberOwner extends Owner {
  readonly name: string;
  readonly numbers: readonly AssignedNumber[];
}

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

/** Whether a map knows everything that another does: nothing is given again that the other has given. */
const covers = (map: UidMapFile, other: UidMapFile): boolean =>
  map.nextUid >= other.nextUid &&
  map.nextGid >= other.nextGid &&
  differences(map, other).every(({ there }) => there === null);

/** Whose number it is, on a terminal: the name it had last and who that is. */
export function ownerText(row: Owner & { readonly name: string }): string {
  if (row.issuer === RESERVED) return 'nobody';
  return visibleText(row.name ? `${row.owner} ${row.name} (${row.subject})` : `${row.owner} ${row.subject}`);
}

/** What is given to the next newcomer. */
type NextNumbers = Pick<store.NumberState, 'nextUid' | 'nextGid'>;

const numberText = ({ kind, number }: AssignedNumber): string => `${kind} ${number}`;

/** A map that may be changed, locked. */
interface Intact {
  state: store.NumberState;
  numbers: readonly AssignedNumber[];
  names: ReadonlyMap<string, NameRecord>;
  map: NumberMap;
}

/** What operators do to the UID/GID map, beside a server that runs. No number changes hands unless they say so by name. */
export function createUidMapTools(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  settings: UidMapSettings;
  /** Where the copy is; null: nowhere. */
  mapFile: string | null;
  actor: string;
}) {
  const { db, events, clock, settings, mapFile, actor } = deps;

  async function readAny() {
    const read = await db.snapshot(store.readMap);
    if (!read) throw new UidMapRefusal('There is no map yet: the directory never ran.');
    const { generation, nextUid, nextGid, upgPolicy } = read.state;
    const file: UidMapFile = {
      generation,
      nextUid,
      nextGid,
      upgPolicy,
      numbers: read.numbers,
      names: [...read.names.values()],
    };
    return { file, problem: read.ok ? null : read.problem };
  }

  async function fileAt(path: string): Promise<UidMapFile> {
    const file = await readUidMap(path, settings, clock.now());
    if (file.ok) return file.map;
    throw new UidMapRefusal(file.missing ? `${path}: no such file` : file.problem);
  }

  /** Until the copy says what the database says: a server may write to both meanwhile. */
  async function writeCopy(): Promise<void> {
    if (mapFile === null) return;
    try {
      for (let written = -1, tries = 0; tries < 5; tries += 1) {
        const { file } = await readAny();
        if (file.generation === written) return;
        await writeUidMap(mapFile, file, settings.issuer);
        written = file.generation;
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new UidMapCopyFailed(
        `The change is made, but its copy ${mapFile} could not be written (${code ?? error}).`,
      );
    }
  }

  /** The copy, which is what the map was at some time; null when there is none. */
  async function readCopy(): Promise<UidMapFile | null> {
    const copy = mapFile === null ? null : await readUidMap(mapFile, settings, clock.now());
    if (copy?.ok === false && !copy.missing) {
      throw new UidMapRefusal(`${copy.problem}. To go on without this copy, move it away.`);
    }
    return copy?.ok ? copy.map : null;
  }

  /**
   * Changes the map in one transaction. A map that the server would not take is not changed either.
   *
   * @param added a file that is added: it may be what the database lacks
   * @returns what `work` returns; null means that nothing changed
   */
  async function change<T>(
    work: (work: UnitOfWork, current: Intact) => Promise<{ result: T; state?: Partial<store.NumberState> } | null>,
    added: UidMapFile | null = null,
  ): Promise<T | null> {
    const copy = await readCopy();
    const changed = await db.transaction(async (unit) => {
      const read = await store.readMap(unit);
      if (!read) throw new UidMapRefusal('There is no map yet: the directory never ran.');
      if (!read.ok) throw new UidMapRefusal(read.problem);
      const { state } = read;
      const newest = Math.max(copy?.generation ?? 0, added?.generation ?? 0, state.generation);
      if (copy && copy.generation > state.generation && !(added && covers(added, copy))) {
        throw new UidMapRefusal(
          `The database is older than ${mapFile}: numbers were given away since. Add them first: identree-server uidmap import ${mapFile} --merge`,
        );
      }
      const done = await work(unit, read);
      if (!done) return null;
      await store.updateNumberState(unit, { ...state, ...done.state, generation: newest + 1 });
      return { result: done.result };
    });
    if (changed) await writeCopy();
    return changed?.result ?? null;
  }

  async function add(
    work: UnitOfWork,
    { state }: Intact,
    { rows, names = [], next }: { rows: readonly AssignedNumber[]; names?: readonly NameRecord[]; next?: NextNumbers },
    reason: string,
  ): Promise<Partial<store.NumberState>> {
    await store.insertMap(work, rows, names);
    const first = rows.slice(0, 10).map(({ kind, number, name }) => `${kind} ${number} ${name}`.trim());
    const data = { assigned: rows.length, names: names.length, first, ...next };
    await events.append(work, { event: 'directory_numbers_changed', username: '', actor, reason, data });
    const uids = rows.filter(({ kind }) => kind === 'uid').length;
    return { ...next, uidCount: state.uidCount + uids, gidCount: state.gidCount + rows.length - uids };
  }

  return {
    /** @throws UidMapRefusal when there is none */
    read: async (): Promise<UidMapFile> => (await readAny()).file,

    /** What is wrong with the map, its copy, or between them; empty when nothing is. */
    async verify(): Promise<{ map: UidMapFile; problems: string[] }> {
      const { file: map, problem } = await readAny();
      const problems = problem === null ? [] : [problem];
      if (mapFile === null) return { map, problems };
      const file = await readUidMap(mapFile, settings, clock.now());
      if (!file.ok) problems.push(file.missing ? `${mapFile}: there is no copy` : file.problem);
      else if (file.map.generation !== map.generation) {
        problems.push(`${mapFile} is generation ${file.map.generation}, the database ${map.generation}`);
      } else if (differences(map, file.map).length > 0) problems.push(`${mapFile} differs from the database`);
      return { map, problems };
    },

    /** @throws UidMapRefusal when the file or the map cannot be read */
    async diff(path: string): Promise<Difference[]> {
      return differences((await readAny()).file, await fileAt(path));
    },

    /**
     * Takes over a file: into an installation without a map, or with `merge` into the one there is.
     *
     * @returns how many numbers were added.
     * @throws UidMapRefusal when an owner would get a second number or a number a second owner.
     */
    async import(path: string, merge: boolean): Promise<number> {
      const file = await fileAt(path);
      if (!(await db.snapshot(store.readNumberState))) {
        const copy = await readCopy();
        if (copy && !covers(file, copy)) {
          throw new UidMapRefusal(
            `${mapFile} has numbers that ${path} lacks. Import it first, then add ${path} with --merge.`,
          );
        }
        if (await beginUidMap(db, events, file, { reason: 'imported', actor })) {
          await writeCopy();
          return file.numbers.length;
        }
      }
      if (!merge) throw new UidMapRefusal('There is a map already. Add to it with --merge.');
      const added = await change(async (work, current) => {
        const { map, names, state } = current;
        const conflicts: string[] = [];
        const fresh = file.numbers.filter((row) => {
          const space = row.kind === 'uid' ? map.uids : map.gids;
          const own = space.byOwner.get(ownerKey(row));
          const other = space.byNumber.get(row.number);
          if (own?.number === row.number) return false;
          if (own) {
            conflicts.push(`${ownerText(row)} has ${row.kind} ${own.number} here and ${row.number} in the file`);
          } else if (other) {
            conflicts.push(
              `${row.kind} ${row.number} is ${ownerText(other)}'s here and ${ownerText(row)}'s in the file`,
            );
          }
          return true;
        });
        if (conflicts.length > 0) {
          const adopted = `An account that was adopted since the database was saved? Stop the server, move ${path} away, adopt again, and merge it then.`;
          throw new UidMapRefusal([...conflicts, ...(file.generation > state.generation ? [adopted] : [])].join('\n'));
        }
        const others = file.names.filter(({ name }) => !names.has(name));
        const nextUid = Math.max(state.nextUid, file.nextUid);
        const nextGid = Math.max(state.nextGid, file.nextGid);
        const same = nextUid === state.nextUid && nextGid === state.nextGid && file.generation <= state.generation;
        if (fresh.length === 0 && others.length === 0 && same) return null;
        const parts = { rows: fresh, names: others, next: { nextUid, nextGid } };
        return { result: fresh.length, state: await add(work, current, parts, 'merged') };
      }, file);
      return added ?? 0;
    },

    /**
     * Reserves a number, as uid and as gid: something on the hosts has it.
     *
     * @returns false when it was kept already.
     * @throws UidMapRefusal when it has an owner or is no number of accounts.
     */
    async reserve(number: number): Promise<boolean> {
      if (!Number.isSafeInteger(number) || number < LOWEST_NUMBER || number > settings.ids.max) {
        throw new UidMapRefusal(`Accounts get numbers from ${LOWEST_NUMBER} to ${settings.ids.max}.`);
      }
      const now = clock.now();
      const row = { ...reserved(number), number, name: '', assignedAt: now, retiredAt: now };
      const done = await change(async (work, current) => {
        const holders = current.numbers.filter((other) => other.number === number);
        const other = holders.find(({ issuer }) => issuer !== RESERVED);
        if (other) throw new UidMapRefusal(`${other.kind} ${number} is ${ownerText(other)}'s.`);
        const kinds = (['uid', 'gid'] as const).filter((kind) => !holders.some((holder) => holder.kind === kind));
        if (kinds.length === 0) return null;
        const rows = kinds.map((kind) => ({ kind, ...row }));
        return { result: true, state: await add(work, current, { rows }, 'reserved') };
      });
      return done ?? false;
    },

    /**
     * Who is meant by an identifier or a last name, among those who are gone (`retired`) or those who are there.
     *
     * @throws UidMapRefusal when there is no such owner, or there may be several
     */
    async find(who: string, retired: boolean): Promise<NumberOwner> {
      const { file } = await readAny();
      const rows = file.numbers.filter((row) => (row.retiredAt !== null) === retired && row.issuer !== RESERVED);
      const matching = rows.filter((row) => row.subject === who);
      const found = matching.length > 0 ? matching : rows.filter((row) => row.name === who);
      const [one, ...others] = [...new Map(found.map((row) => [ownerKey(row), row])).values()];
      if (!one) throw new UidMapRefusal(`Nobody who is ${retired ? 'gone' : 'there'} is called ${visibleText(who)}.`);
      if (others.length > 0) {
        const all = [one, ...others].map(ownerText).join(' or ');
        throw new UidMapRefusal(`${visibleText(who)} may be ${all}. Say which by identifier.`);
      }
      return { owner: one.owner, issuer: one.issuer, subject: one.subject, name: one.name, numbers: found };
    },

    /**
     * Gives an owner the numbers, and with them the files, of an account that is gone, and the names that it left: a
     * person who was deleted by mistake and made anew. The numbers they had in between are reserved.
     *
     * @throws UidMapRefusal when meanwhile one is back or the other is gone
     */
    async adopt(from: Owner, to: Owner): Promise<void> {
      if (from.owner !== to.owner) {
        throw new UidMapRefusal('A user cannot have the number of a group, nor a group a user’s.');
      }
      await change(async (work, { numbers }) => {
        const of = (owner: Owner) => numbers.filter((row) => ownerKey(row) === ownerKey(owner));
        const [gone, there] = [of(from), of(to)];
        if (gone.length === 0 || gone.some(({ retiredAt }) => retiredAt === null)) {
          throw new UidMapRefusal('The account whose numbers are wanted is not gone.');
        }
        if (there.length === 0 || there.some(({ retiredAt }) => retiredAt !== null)) {
          throw new UidMapRefusal('Whoever is to have the numbers is not there.');
        }
        const { name } = there[0]!;
        const now = clock.now();
        for (const row of there) {
          await store.moveNumber(work, row, { ...row, ...reserved(row.number), name: '', retiredAt: now });
        }
        for (const row of gone) await store.moveNumber(work, row, { ...row, ...to, name, retiredAt: null });
        await store.moveNames(work, from, to);
        await events.append(work, {
          event: 'directory_number_adopted',
          username: name,
          actor,
          data: { from: from.subject, to: to.subject, numbers: gone.map(numberText), reserved: there.map(numberText) },
        });
        return { result: true };
      });
    },
  };
}
