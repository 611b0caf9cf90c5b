import type { UnitOfWork } from '../../db/database.ts';
import { contains } from '../../db/like.ts';
import { kysely, type Query } from '../../db/query.ts';
import {
  type AssignedNumber,
  type Counters,
  indexNumbers,
  type NumberMap,
  type Owner,
  ownerKey,
  RESERVED,
} from './ids.ts';
import type { NameRecord } from './names.ts';

export interface NumberState extends Counters {
  readonly generation: number;
  readonly uidCount: number;
  readonly gidCount: number;
}

/** Null on an installation whose directory never ran. With a unit of work: locked for it. */
export async function readNumberState(from: Query | UnitOfWork): Promise<NumberState | null> {
  const locked = 'query' in from;
  let select = kysely(locked ? from.query : from)
    .selectFrom('directory_state')
    .selectAll()
    .where('id', '=', 1);
  if (locked && from.driver === 'postgres') select = select.forUpdate();
  const row = await select.executeTakeFirst();
  return row
    ? {
        generation: row.generation,
        nextUid: row.next_uid,
        nextGid: row.next_gid,
        uidCount: row.uid_count,
        gidCount: row.gid_count,
        upgPolicy: row.upg_policy,
      }
    : null;
}

/** Makes the state row. False when another process was first. */
export async function insertNumberState(work: UnitOfWork, state: NumberState): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('directory_state')
    .values({ id: 1, ...columns(state), stamp_generation: 0, usn: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

const columns = (state: NumberState) => ({
  generation: state.generation,
  next_uid: state.nextUid,
  next_gid: state.nextGid,
  uid_count: state.uidCount,
  gid_count: state.gidCount,
  upg_policy: state.upgPolicy,
});

export async function updateNumberState(work: UnitOfWork, state: NumberState): Promise<void> {
  await kysely(work.query).updateTable('directory_state').set(columns(state)).where('id', '=', 1).execute();
}

export async function readNumbers(query: Query): Promise<AssignedNumber[]> {
  const rows = await kysely(query).selectFrom('directory_ids').selectAll().execute();
  return rows.map((row) => ({
    kind: row.kind,
    number: row.number,
    owner: row.owner,
    issuer: row.issuer,
    subject: row.subject,
    name: row.name,
    assignedAt: row.assigned_at,
    retiredAt: row.retired_at,
  }));
}

/** @throws when a number or an owner is already there: the database's own constraint, last line of defence. */
export async function insertNumbers(work: UnitOfWork, numbers: readonly AssignedNumber[]): Promise<void> {
  if (numbers.length === 0) return;
  await kysely(work.query)
    .insertInto('directory_ids')
    .values(
      numbers.map((row) => ({
        kind: row.kind,
        number: row.number,
        owner: row.owner,
        issuer: row.issuer,
        subject: row.subject,
        name: row.name,
        assigned_at: row.assignedAt,
        retired_at: row.retiredAt,
      })),
    )
    .execute();
}

/** Rows of one statement: databases bound its parameters. */
export const ROWS_AT_ONCE = 400;

/** Any number of rows. @throws as {@link insertNumbers} */
export async function insertMap(
  work: UnitOfWork,
  numbers: readonly AssignedNumber[],
  names: readonly NameRecord[],
): Promise<void> {
  for (let at = 0; at < numbers.length; at += ROWS_AT_ONCE) {
    await insertNumbers(work, numbers.slice(at, at + ROWS_AT_ONCE));
  }
  for (let at = 0; at < names.length; at += ROWS_AT_ONCE) await upsertNames(work, names.slice(at, at + ROWS_AT_ONCE));
}

/** Name and retirement only: a number never changes its owner. */
export async function updateNumber(work: UnitOfWork, row: AssignedNumber): Promise<void> {
  await kysely(work.query)
    .updateTable('directory_ids')
    .set({ name: row.name, retired_at: row.retiredAt })
    .where('kind', '=', row.kind)
    .where('number', '=', row.number)
    .execute();
}

/** Gives a number to another owner. Only for what an operator said by name. */
export async function moveNumber(work: UnitOfWork, row: AssignedNumber, to: AssignedNumber): Promise<void> {
  const { owner, issuer, subject, name, retiredAt } = to;
  await kysely(work.query)
    .updateTable('directory_ids')
    .set({ owner, issuer, subject, name, retired_at: retiredAt })
    .where('kind', '=', row.kind)
    .where('number', '=', row.number)
    .execute();
}

/** Gives all names of one owner, also those it left, to another. */
export async function moveNames(work: UnitOfWork, from: Owner, to: Owner): Promise<void> {
  await kysely(work.query)
    .updateTable('directory_names')
    .set({ issuer: to.issuer, subject: to.subject })
    .where('owner', '=', from.owner)
    .where('issuer', '=', from.issuer)
    .where('subject', '=', from.subject)
    .execute();
}

/** The whole map, as it is and checked. Null: the directory never ran. In a transaction: locked for it. */
export async function readMap(
  from: Query | UnitOfWork,
): Promise<
  | ({ state: NumberState; numbers: AssignedNumber[]; names: Map<string, NameRecord> } & (
      | { ok: true; map: NumberMap }
      | { ok: false; problem: string }
    ))
  | null
> {
  const state = await readNumberState(from);
  if (!state) return null;
  const query = 'query' in from ? from.query : from;
  const numbers = await readNumbers(query);
  const names = await readNames(query);
  const uids = numbers.filter(({ kind }) => kind === 'uid').length;
  const gids = numbers.length - uids;
  if (uids !== state.uidCount || gids !== state.gidCount) {
    const problem = `rows of the UID map are missing: ${uids} uids of ${state.uidCount}, ${gids} gids of ${state.gidCount}. Restore the database from a backup.`;
    return { state, numbers, names, ok: false, problem };
  }
  return { state, numbers, names, ...indexNumbers(numbers, state) };
}

export async function readNames(query: Query): Promise<Map<string, NameRecord>> {
  const rows = await kysely(query).selectFrom('directory_names').selectAll().execute();
  return new Map(
    rows.map((row) => [
      row.name,
      {
        name: row.name,
        owner: row.owner,
        issuer: row.issuer,
        subject: row.subject,
        since: row.since,
        leftAt: row.left_at,
      },
    ]),
  );
}

/** The user who is served under a name; null when it is free or a group's. */
export async function userOfName(query: Query, name: string): Promise<{ issuer: string; subject: string } | null> {
  const row = await kysely(query)
    .selectFrom('directory_names')
    .select(['issuer', 'subject'])
    .where('name', '=', name.toLowerCase())
    .where('owner', '=', 'user')
    .where('left_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

export async function upsertNames(work: UnitOfWork, names: readonly NameRecord[]): Promise<void> {
  if (names.length === 0) return;
  await kysely(work.query)
    .insertInto('directory_names')
    .values(
      names.map((row) => ({
        name: row.name,
        owner: row.owner,
        issuer: row.issuer,
        subject: row.subject,
        since: row.since,
        left_at: row.leftAt,
      })),
    )
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((e) => ({
        owner: e.ref('excluded.owner'),
        issuer: e.ref('excluded.issuer'),
        subject: e.ref('excluded.subject'),
        since: e.ref('excluded.since'),
        left_at: e.ref('excluded.left_at'),
      })),
    )
    .execute();
}

/** Forgets who had a name. False unless its owner has left it. */
export async function releaseName(work: UnitOfWork, name: string): Promise<boolean> {
  const result = await kysely(work.query)
    .deleteFrom('directory_names')
    .where('name', '=', name)
    .where('left_at', 'is not', null)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

/** Whether anything was ever published: then there must be a number map as well. */
export async function wasEverPublished(query: Query): Promise<boolean> {
  return (await kysely(query).selectFrom('directory_published').select('id').executeTakeFirst()) !== undefined;
}

/** An owner of numbers, as operators see them. */
export interface Account {
  /** `reserved`: it is never given. */
  readonly kind: Owner['owner'] | 'reserved';
  /** What hosts call it; when it is not served, what its source called it last. */
  readonly name: string;
  /** False: gone at the source, or withheld. */
  readonly served: boolean;
  /** Null: a group. */
  readonly uid: number | null;
  readonly gid: number;
  readonly issuer: string;
  readonly subject: string;
  readonly assignedAt: number;
  readonly retiredAt: number | null;
}

/**
 * Who has which numbers, by gid, which every owner has.
 *
 * @param filter.after gid of the last one that is known
 * @param filter.search a part of the name at the source, an identifier there, or a number
 */
export async function listAccounts(
  query: Query,
  filter: { after: number; limit: number; search: string | null },
): Promise<Account[]> {
  let select = kysely(query)
    .selectFrom('directory_ids as gid')
    .leftJoin('directory_ids as uid', (join) =>
      join
        .onRef('uid.owner', '=', 'gid.owner')
        .onRef('uid.issuer', '=', 'gid.issuer')
        .onRef('uid.subject', '=', 'gid.subject')
        .on('uid.kind', '=', 'uid'),
    )
    .select([
      'gid.owner',
      'gid.issuer',
      'gid.subject',
      'gid.name',
      'gid.number as gid',
      'uid.number as uid',
      'gid.assigned_at as assignedAt',
      'gid.retired_at as retiredAt',
    ])
    .where('gid.kind', '=', 'gid')
    .where('gid.number', '>', filter.after);
  const { search } = filter;
  if (search !== null) {
    const number = /^[0-9]{1,10}$/.test(search) ? Number(search) : -1;
    select = select.where((e) =>
      e.or([
        contains('gid.name', search),
        e('gid.subject', '=', search),
        e('gid.number', '=', number),
        e('uid.number', '=', number),
      ]),
    );
  }
  const rows = await select.orderBy('gid.number').limit(filter.limit).execute();
  if (rows.length === 0) return [];
  const names = await kysely(query)
    .selectFrom('directory_names')
    .selectAll()
    .where('left_at', 'is', null)
    .where(
      'subject',
      'in',
      rows.map(({ subject }) => subject),
    )
    .execute();
  const served = new Map(names.map((row) => [ownerKey(row), row.name]));
  return rows.map(({ owner, ...row }) => {
    const name = served.get(ownerKey({ owner, ...row }));
    return {
      ...row,
      kind: row.issuer === RESERVED ? 'reserved' : owner,
      name: name ?? row.name,
      served: name !== undefined && row.retiredAt === null,
    };
  });
}
