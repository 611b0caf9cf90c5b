import { rename } from 'node:fs/promises';
import { Refusal } from '#shared/errors.ts';
import type { Database } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import { nextTurn } from '../../platform/slices.ts';
import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import type { DirectorySnapshot } from '../source/model.ts';
import { type AssignedNumber, type NumberMap, type NumberPlan, type Owner, ownerKey, planNumbers } from './ids.ts';
import { type NameRecord, planNames } from './names.ts';
import * as store from './number-store.ts';
import { writeUidMap } from './uidmap-copies.ts';
import { readUidMap, type UidMapFile } from './uidmap-file.ts';

/** Rows written in one transaction, so that an approval never waits for a whole first sync. */
const CHUNK = store.ROWS_AT_ONCE;

/** Who has which number and is served under which name. Everything in it is durable. */
export interface Assigned {
  /** Generation of the map; see {@link Numbers.generation}. */
  readonly generation: number;
  uidOf(owner: Owner): number | undefined;
  gidOf(owner: Owner): number | undefined;
  /** Undefined: withheld. */
  nameOf(owner: Owner): string | undefined;
  readonly lints: readonly Lint[];
}

/** Who is served under which name and numbers. */
export type ServedAs = Pick<Assigned, 'uidOf' | 'gidOf' | 'nameOf'>;

/** What administrators said, or have yet to say, about names. */
export interface NameWishes {
  /** Names that an operator gave to a person; see {@link planNames}. */
  readonly granted?: ReadonlyMap<string, string>;
  /** {@link ownerKey} of those who get no name: the one that they ask for would give them power unseen. */
  readonly withheld?: ReadonlySet<string>;
}

/** The map and the moment by which somebody has looked at what names and numbers a snapshot leads to. */
export interface LookedAt {
  readonly generation: number;
  readonly at: number;
}

/** The map is not the one that was looked at: another process, or an operator, has changed it since. */
export class MapChanged extends Error {}

/** The map as it was at one generation. */
interface Held {
  readonly generation: number;
  readonly map: NumberMap;
  readonly names: Map<string, NameRecord>;
}

/** Who has which number once a plan is carried out. */
function numbersAfter(map: NumberMap, plan: NumberPlan) {
  const fresh = new Map(plan.added.map((row) => [`${row.kind} ${ownerKey(row)}`, row.number]));
  return {
    numberOf: (kind: 'uid' | 'gid', owner: Owner): number | undefined =>
      (kind === 'uid' ? map.uids : map.gids).byOwner.get(ownerKey(owner))?.number ??
      fresh.get(`${kind} ${ownerKey(owner)}`),
  };
}

export type Numbers = ReturnType<typeof createNumbers>;

/**
 * Makes the map of an installation that has none. In one transaction: half an imported map would give numbers away twice.
 *
 * @returns false when another process was first.
 */
export async function beginUidMap(
  db: Database,
  events: Pick<EventLog, 'append'>,
  map: UidMapFile,
  why: { reason: string; actor?: string },
): Promise<boolean> {
  return db.transaction(async (work) => {
    const count = (kind: 'uid' | 'gid') => map.numbers.filter((row) => row.kind === kind).length;
    const { generation, nextUid, nextGid, upgPolicy } = map;
    const state = { generation, nextUid, nextGid, upgPolicy, uidCount: count('uid'), gidCount: count('gid') };
    if (!(await store.insertNumberState(work, state))) return false;
    await store.insertMap(work, map.numbers, map.names);
    if (map.numbers.length > 0) {
      const data = { imported: map.numbers.length };
      await events.append(work, { event: 'directory_numbers_changed', username: '', ...why, data });
    }
    return true;
  });
}

/** The map cannot be trusted; nothing may be assigned or served that depends on it. */
export class UidMapBroken extends Error {}

/**
 * The UID/GID map. The database has it; `uidmap.json` is imported when the database has none, and written after every
 * change for backups and for earlier programs.
 */
export function createNumbers(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  settings: Pick<DirectorySettings, 'issuer' | 'ids' | 'names'>;
  /** Null: no copy is written and none imported. */
  mapFile: string | null;
  /** Begin with the copy, or with nothing, although a directory was published and the map is gone. */
  acceptLoss?: boolean;
}) {
  const { db, clock, settings, mapFile } = deps;
  let held: Held | undefined;
  let exported = -1;
  /** Whatever it says, it may be newer than the database. */
  let unreadableCopy = false;
  let exportProblem: string | null = null;

  async function importOrBegin(): Promise<void> {
    if (!deps.acceptLoss && (await store.wasEverPublished(db.query))) {
      throw new UidMapBroken(
        'the UID map is lost, but a directory was published. Restore the database from a backup, or accept the loss with IDENTREE_LDAP_UIDMAP_INIT=force.',
      );
    }
    const file =
      mapFile === null ? ({ ok: false, missing: true } as const) : await readUidMap(mapFile, settings, clock.now());
    if (!file.ok && !file.missing) throw new UidMapBroken(file.problem);
    const { uidBase, gidBase } = settings.ids;
    const map = file.ok
      ? file.map
      : {
          nextUid: uidBase,
          nextGid: gidBase,
          upgPolicy: uidBase === gidBase ? ('match' as const) : ('separate' as const),
          generation: 0,
          numbers: [],
          names: [],
        };
    await beginUidMap(db, deps.events, map, { reason: 'imported from uidmap.json' });
  }

  /** The map as it is in the database now. @throws UidMapBroken */
  async function load(): Promise<Held> {
    let state = await store.readNumberState(db.query);
    if (!state) {
      await importOrBegin();
      state = await store.readNumberState(db.query);
      if (!state) throw new UidMapBroken('the UID map could not be created');
    }
    if (held?.generation === state.generation) return held;
    // Before the database: the other way round a change in between would look like an old database.
    // And again when the database goes back in time under this process.
    const doubtful = held === undefined || state.generation < held.generation;
    const file = mapFile !== null && doubtful ? await readUidMap(mapFile, settings, clock.now()) : null;
    if (file?.ok === false && !file.missing) unreadableCopy = true;
    const read = await db.snapshot(store.readMap);
    if (!read) throw new UidMapBroken('the UID map is lost. Restore the database from a backup.');
    if (!read.ok) throw new UidMapBroken(read.problem);
    const { generation } = read.state;
    // An old database was restored: numbers given away since then would be given away again.
    if (file?.ok && file.version === 2 && file.map.generation > generation) {
      throw new UidMapBroken(
        `the database is older than ${mapFile}. Restore a newer one, or add what it lacks: identree-server uidmap import ${mapFile} --merge. To accept the loss, move the file away.`,
      );
    }
    held = { generation, map: read.map, names: read.names };
    return held;
  }

  /**
   * Writes one chunk of what was planned on `base`. Null when another process changed the map meanwhile; then everything
   * is planned anew.
   */
  async function write(
    base: Held,
    added: readonly AssignedNumber[],
    updated: readonly AssignedNumber[],
    names: readonly NameRecord[],
    counters: { nextUid: number; nextGid: number },
  ): Promise<Held | null> {
    const generation = base.generation + 1;
    const done = await db.transaction(async (work) => {
      const state = await store.readNumberState(work);
      if (state?.generation !== base.generation) return false;
      await store.insertNumbers(work, added);
      for (const row of updated) await store.updateNumber(work, row);
      await store.upsertNames(work, names);
      const uids = added.filter(({ kind }) => kind === 'uid').length;
      await store.updateNumberState(work, {
        ...state,
        nextUid: Math.max(state.nextUid, counters.nextUid),
        nextGid: Math.max(state.nextGid, counters.nextGid),
        generation,
        uidCount: state.uidCount + uids,
        gidCount: state.gidCount + added.length - uids,
      });
      if (added.length + updated.length > 0) {
        await deps.events.append(work, {
          event: 'directory_numbers_changed',
          username: '',
          data: {
            assigned: added.length,
            changed: updated.length,
            first: [...added, ...updated].slice(0, 10).map(({ kind, number, name }) => `${kind} ${number} ${name}`),
          },
        });
      }
      return true;
    });
    await nextTurn();
    if (!done) {
      held = undefined;
      return null;
    }
    for (const row of [...added, ...updated]) {
      const space = row.kind === 'uid' ? base.map.uids : base.map.gids;
      space.byOwner.set(ownerKey(row), row);
      space.byNumber.set(row.number, row);
    }
    for (const record of names) base.names.set(record.name, record);
    held = { generation, map: { ...base.map, ...counters }, names: base.names };
    return held;
  }

  async function exportFile(of: Held): Promise<void> {
    if (mapFile === null || exported === of.generation) return;
    const { nextUid, nextGid, upgPolicy, uids, gids } = of.map;
    const numbers = [...uids.byNumber.values(), ...gids.byNumber.values()];
    const { generation } = of;
    const map = { nextUid, nextGid, upgPolicy, generation, numbers, names: [...of.names.values()] };
    try {
      if (unreadableCopy) await rename(mapFile, `${mapFile}.unreadable`);
      unreadableCopy = false;
      await writeUidMap(mapFile, map, settings.issuer);
      exported = generation;
      exportProblem = null;
    } catch (error) {
      exportProblem = (error as NodeJS.ErrnoException).code ?? 'cannot be written';
    }
  }

  /** The names that a snapshot leads to. */
  function namesIn(base: Held, plan: NumberPlan, snapshot: DirectorySnapshot, wishes: NameWishes, at: number) {
    const { numberOf } = numbersAfter(base.map, plan);
    const both = (owner: Owner) =>
      owner.owner === 'user' ? numberOf('gid', owner) && numberOf('uid', owner) : numberOf('gid', owner);
    const named = (owner: Owner) => (wishes.withheld?.has(ownerKey(owner)) ? undefined : both(owner));
    return planNames(base.names, snapshot, settings.names, named, at, wishes.granted);
  }

  return {
    /**
     * Gives all people and groups of a snapshot their numbers and names. Resolves when they are durable.
     *
     * @param lookedAt names are given as they were forecast: one that became free since then was asked nobody about
     * @throws UidMapBroken when the map is damaged, lost or older than its copy.
     * @throws MapChanged when it is not the one that was looked at.
     */
    async assign(
      snapshot: DirectorySnapshot,
      wishes: NameWishes = {},
      lookedAt: LookedAt | null = null,
    ): Promise<Assigned> {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        let base: Held | null = await load();
        if (lookedAt !== null && base.generation !== lookedAt.generation) throw new MapChanged();
        const at = lookedAt?.at ?? clock.now();
        const { map } = base;
        const plan = planNumbers(map, snapshot, settings.ids, at);
        await nextTurn();
        const named = namesIn(base, plan, snapshot, wishes, at);

        await nextTurn();
        for (let at = 0; base && at < plan.added.length; at += CHUNK) {
          base = await write(base, plan.added.slice(at, at + CHUNK), [], [], plan.counters);
        }
        for (let at = 0; base && at < plan.updated.length; at += CHUNK) {
          base = await write(base, [], plan.updated.slice(at, at + CHUNK), [], plan.counters);
        }
        for (let at = 0; base && at < named.changed.length; at += CHUNK) {
          base = await write(base, [], [], named.changed.slice(at, at + CHUNK), plan.counters);
        }
        if (!base) continue;
        await exportFile(base);
        const final = base.map;
        const lints = [...plan.lints, ...named.lints];
        if (exportProblem !== null) {
          lints.push({ code: 'uidmap_export_failed', subject: 'uidmap.json', detail: exportProblem });
        }
        return {
          generation: base.generation,
          uidOf: (owner) => final.uids.byOwner.get(ownerKey(owner))?.number,
          gidOf: (owner) => final.gids.byOwner.get(ownerKey(owner))?.number,
          nameOf: (owner) => named.served.get(ownerKey(owner)),
          lints,
        };
      }
      throw new Error('the UID map keeps changing under this process');
    },

    /** Issuers of all who have a number. @throws UidMapBroken */
    async issuers(): Promise<ReadonlySet<string>> {
      const { map } = await load();
      return new Set([...map.gids.byNumber.values()].map(({ issuer }) => issuer));
    },

    /**
     * Who is served under what now, and who would be with another snapshot. Changes nothing: what a change leads to is
     * looked at before it may happen.
     *
     * @throws UidMapBroken
     */
    async forecast(): Promise<{
      was: ServedAs;
      will(snapshot: DirectorySnapshot, wishes: NameWishes): ServedAs;
      lookedAt: LookedAt;
    }> {
      const base = await load();
      const { map, generation } = base;
      const at = clock.now();
      const current = new Map<string, string>();
      for (const record of base.names.values()) if (record.leftAt === null) current.set(ownerKey(record), record.name);
      return {
        lookedAt: { generation, at },
        was: {
          nameOf: (owner) => current.get(ownerKey(owner)),
          uidOf: (owner) => map.uids.byOwner.get(ownerKey(owner))?.number,
          gidOf: (owner) => map.gids.byOwner.get(ownerKey(owner))?.number,
        },
        will(snapshot, wishes) {
          const plan = planNumbers(map, snapshot, settings.ids, at);
          const { numberOf } = numbersAfter(map, plan);
          const { served } = namesIn(base, plan, snapshot, wishes, at);
          return {
            nameOf: (owner) => served.get(ownerKey(owner)),
            uidOf: (owner) => numberOf('uid', owner),
            gidOf: (owner) => numberOf('gid', owner),
          };
        },
      };
    },

    /** Every name and who has it, for guards and the console. @throws UidMapBroken */
    async names(): Promise<ReadonlyMap<string, NameRecord>> {
      return (await load()).names;
    },

    /** What its source called an owner last, also one who is gone. Undefined: it has no numbers. @throws UidMapBroken */
    async lastNames(): Promise<(owner: Owner) => string | undefined> {
      const { map } = await load();
      return (owner) => map.gids.byOwner.get(ownerKey(owner))?.name;
    },

    /** Grows with every change of the map, whichever process makes it; -1 before there is one. */
    generation: async (): Promise<number> => (await store.readNumberState(db.query))?.generation ?? -1,

    /** Who has which numbers, a page at a time; see {@link store.listAccounts}. */
    accounts: (filter: Parameters<typeof store.listAccounts>[1]) => store.listAccounts(db.query, filter),

    /** An operator lets others have a name before its quarantine ends. @throws Refusal */
    async releaseName(name: string, actor: { username: string; remoteAddr: string | null }): Promise<void> {
      await db.transaction(async (work) => {
        const state = await store.readNumberState(work);
        if (!state || !(await store.releaseName(work, name))) throw new Refusal('not_found');
        await store.updateNumberState(work, { ...state, generation: state.generation + 1 });
        await deps.events.append(work, {
          event: 'directory_name_released',
          username: name,
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
        });
      });
      held = undefined;
    },
  };
}
