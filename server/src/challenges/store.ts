import { type Kysely, type Selectable, sql } from 'kysely';
import { canonicalJson } from '#shared/canonical-json.ts';
import { type HostRecord, hostRecord, requestHash } from '#shared/decision.ts';
import { Refusal } from '#shared/errors.ts';
import type { RunRequest } from '#shared/host-run.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { ChallengesTable, Host, Schema } from '../db/schema.ts';
import { first, rawStatement, rowOf, statement } from '../db/statement.ts';
import type { UnreadableRow } from '../platform/unreadable.ts';
import { type PolicyOutcome, policyOutcome } from '../policies/policy.ts';

/** As a literal: a bound value would keep both databases from using the index of pending rows. */
const PENDING = sql.lit('pending' as const);

/** A challenge as the module works with it: JSON columns parsed and checked. */
export interface Challenge extends Omit<Selectable<ChallengesTable>, 'record' | 'policy'> {
  record: HostRecord;
  policy: PolicyOutcome;
}

/** A challenge whose record or policy cannot be read. Nobody can know what would be approved, so nobody may. */
export type UnreadableChallenge = Omit<Challenge, 'record' | 'policy'> & UnreadableRow;

/** A challenge as it is found. {@link readable} stands between it and whatever is decided. */
export type StoredChallenge = Challenge | UnreadableChallenge;

export const isUnreadable = (stored: StoredChallenge): stored is UnreadableChallenge => 'unreadable' in stored;

/** What is needed of a challenge to end it; without its record, that can only be by time. */
export type Endable = Omit<Challenge, 'record'> & { record: HostRecord | null };

/** A challenge as it is ended. One that cannot be read has a policy under which nobody approves. */
export function endable(stored: StoredChallenge): Endable {
  if (!isUnreadable(stored)) return stored;
  const { unreadable, cause, ...plain } = stored;
  const policy = {
    rule: plain.policy_rule,
    version: plain.policy_version,
    approval: 'passkey' as const,
    approvers: [],
  };
  return { ...plain, record: null, policy };
}

/** A challenge that something is done with. @throws Refusal `unreadable` */
export function readable(stored: StoredChallenge): Challenge {
  if (isUnreadable(stored)) throw new Refusal('unreadable', `challenge ${stored.id}`);
  return stored;
}

/** A challenge as its row says. */
export function fromRow({ record, policy, ...plain }: Selectable<ChallengesTable>): StoredChallenge {
  try {
    return {
      ...plain,
      record: hostRecord.parse(JSON.parse(record)),
      policy: policyOutcome.parse(JSON.parse(policy)),
    };
  } catch (cause) {
    return { ...plain, unreadable: true, cause };
  }
}

/** What is known of a challenge when it is made; the rest follows from its record. */
interface NewChallenge
  extends Pick<Challenge, 'id' | 'user_code' | 'record' | 'created_at' | 'expires_at' | 'lease_until' | 'policy'> {
  host: Pick<Host, 'id' | 'hostname'>;
}

/** A challenge that waits, before it is written. */
export const newChallenge = ({ host, ...made }: NewChallenge): Challenge => ({
  ...made,
  host_id: host.id,
  hostname: host.hostname,
  username: made.record.user,
  nonce: made.record.nonce,
  request_hash: requestHash(made.record),
  policy_version: made.policy.version,
  policy_rule: made.policy.rule,
  status: 'pending',
  decided_at: null,
  decided_by: null,
  decided_by_name: null,
  class: null,
  reason: null,
  verdict: null,
  approver_keys_version: null,
  outcome: null,
  outcome_detail: null,
  outcome_at: null,
  run_state: null,
  run_started_at: null,
  run_ended_at: null,
  run_exit_status: null,
  run_signal: null,
  run_duration_ms: null,
  run_reason: null,
  offline_grant: null,
  offline_granted_at: null,
  offline_used_at: null,
});

const insertRow = statement((query, given: ChallengesTable, circumstances) =>
  query
    .insertInto('challenges')
    .values(rowOf(given, circumstances))
    .onConflict((conflict) => conflict.column('nonce').doNothing()),
);
/** The columns of a challenge. Each stands here, or it does not compile. */
const COLUMNS = Object.keys({
  id: true,
  user_code: true,
  host_id: true,
  hostname: true,
  username: true,
  nonce: true,
  record: true,
  request_hash: true,
  created_at: true,
  expires_at: true,
  lease_until: true,
  policy: true,
  policy_version: true,
  policy_rule: true,
  status: true,
  decided_at: true,
  decided_by: true,
  decided_by_name: true,
  class: true,
  reason: true,
  verdict: true,
  approver_keys_version: true,
  outcome: true,
  outcome_detail: true,
  outcome_at: true,
  run_state: true,
  run_started_at: true,
  run_ended_at: true,
  run_exit_status: true,
  run_signal: true,
  run_duration_ms: true,
  run_reason: true,
  offline_grant: true,
  offline_granted_at: true,
  offline_used_at: true,
} satisfies Record<keyof ChallengesTable, true>);

const insertOnPostgres = rawStatement<{ rows: string }, unknown>(({ rows }) => {
  const columns = sql.join(COLUMNS.map((column) => sql.ref(column)));
  return sql`
    insert into challenges (${columns}) select ${columns} from json_populate_recordset(null::challenges, ${rows}::json)
    on conflict (nonce) do nothing
  `;
});

/** Writes challenges. False when a nonce of them was used before: one record, one request. */
export async function insertChallenges(work: UnitOfWork, challenges: readonly Challenge[]): Promise<boolean> {
  const rows: ChallengesTable[] = challenges.map((challenge) => ({
    ...challenge,
    record: canonicalJson(challenge.record),
    policy: JSON.stringify(challenge.policy),
  }));
  if (work.driver === 'postgres') {
    const { numAffectedRows } = await insertOnPostgres(work.query, { rows: JSON.stringify(rows) });
    return numAffectedRows === BigInt(rows.length);
  }
  for (const row of rows) if ((await insertRow(work.query, row)).numAffectedRows !== 1n) return false;
  return true;
}

const selectById = statement((query, given: { id: string }) =>
  query.selectFrom('challenges').selectAll().where('id', '=', given.id),
);
const selectToChange = statement((query, given: { id: string }, { driver }) => {
  const select = query.selectFrom('challenges').selectAll().where('id', '=', given.id);
  return driver === 'postgres' ? select.forUpdate() : select;
});

/** Reads and, on Postgres, locks one challenge for the transaction that will decide it. */
export async function lockChallenge(work: UnitOfWork, id: string): Promise<StoredChallenge | null> {
  const row = first(await selectToChange(work.query, { id }));
  return row ? fromRow(row) : null;
}

export async function findChallenge(query: Query, id: string): Promise<StoredChallenge | null> {
  const row = first(await selectById(query, { id }));
  return row ? fromRow(row) : null;
}

export async function findChallengeByCode(query: Query, userCode: string): Promise<StoredChallenge | null> {
  const row = await kysely(query)
    .selectFrom('challenges')
    .selectAll()
    .where('user_code', '=', userCode)
    .executeTakeFirst();
  return row ? fromRow(row) : null;
}

/** What comes to a row when it is decided. */
export type Decision = Pick<
  ChallengesTable,
  'decided_at' | 'decided_by' | 'decided_by_name' | 'class' | 'reason' | 'verdict' | 'approver_keys_version'
> & { status: 'approved' | 'denied' | 'expired' | 'cancelled' };

/**
 * Writes a decision. Compare-and-set is the only authority: whoever finds the row no longer pending has lost.
 *
 * @returns false when somebody else decided first.
 */
export async function settleChallenge(work: UnitOfWork, id: string, set: Decision): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('challenges')
    .set(set)
    .where('id', '=', id)
    .where('status', '=', PENDING)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

const selectRoom = statement((query, given: { hostId: string; username: string; nonce: string; now: number }) =>
  query
    .selectFrom('challenges')
    .select((e) => [
      e.fn.countAll<number>().as('waiting'),
      e
        .selectFrom('challenges as earlier')
        .select('earlier.id')
        .where('earlier.nonce', '=', given.nonce)
        .as('same_nonce'),
    ])
    .where('status', '=', PENDING)
    .where('host_id', '=', given.hostId)
    .where('username', '=', given.username)
    .where('expires_at', '>', given.now)
    .where('lease_until', '>', given.now),
);
const selectRoomOnPostgres = rawStatement<{ asked: string; now: number }, RoomRow>(
  ({ asked, now }) => sql`
    select
      (
        select count(*) from challenges where status = 'pending' and username = asked.username
          and host_id = asked."hostId" and expires_at > ${now} and lease_until > ${now}
      ) as waiting,
      (select id from challenges where nonce = asked.nonce) as same_nonce
    from json_to_recordset(${asked}::json) as asked("hostId" text, username text, nonce text, place bigint)
    order by asked.place
  `,
);

interface RoomRow {
  waiting: number;
  same_nonce: string | null;
}

/** What there is already of the kind of a request. */
export interface Room {
  /** How many requests of its user on its host wait. One whose time or lease is over does not, ended or not yet. */
  waiting: number;
  /** Whether its nonce was used before. */
  used: boolean;
}

/** @param asked of each request: whose it is, and its nonce */
export async function roomFor(
  work: UnitOfWork,
  asked: readonly { hostId: string; username: string; nonce: string }[],
  now: number,
): Promise<Room[]> {
  const rows: RoomRow[] = [];
  if (work.driver === 'postgres') {
    const inOrder = asked.map((one, place) => ({ ...one, place }));
    rows.push(...(await selectRoomOnPostgres(work.query, { asked: JSON.stringify(inOrder), now })).rows);
  } else for (const one of asked) rows.push(first(await selectRoom(work.query, { ...one, now }))!);
  return rows.map(({ waiting, same_nonce }) => ({ waiting: Number(waiting), used: same_nonce !== null }));
}

/** How many requests wait in all, counted up to `limit`. */
export async function countPending(query: Query, limit: number): Promise<number> {
  const row = await kysely(query)
    .selectFrom((e) => e.selectFrom('challenges').select('id').where('status', '=', PENDING).limit(limit).as('p'))
    .select((e) => e.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

const updateLease = statement((query, given: { id: string; leaseUntil: number }) =>
  query
    .updateTable('challenges')
    .set({ lease_until: given.leaseUntil })
    .where('id', '=', given.id)
    .where('status', '=', PENDING)
    .where('lease_until', '<', given.leaseUntil),
);

/** The host asked again: somebody still waits for the answer. */
export async function extendLease(work: UnitOfWork, id: string, leaseUntil: number): Promise<void> {
  await updateLease(work.query, { id, leaseUntil });
}

/** Gives everybody who waits until then to be heard of again. */
export async function extendAllLeases(work: UnitOfWork, leaseUntil: number): Promise<void> {
  await kysely(work.query)
    .updateTable('challenges')
    .set({ lease_until: leaseUntil })
    .where('status', '=', PENDING)
    .where('lease_until', '<', leaseUntil)
    .execute();
}

const selectOverdue = statement((query, by: { expired: number; silent: number }) =>
  query
    .selectFrom('challenges')
    .select('id')
    .where('status', '=', PENDING)
    .where((e) => e.or([e('expires_at', '<=', by.expired), e('lease_until', '<=', by.silent)])),
);

/**
 * Pending challenges whose time or lease is over: all of them, since no more than a bounded number wait. In any order: asked
 * for in the order of their ids, SQLite would look for them through everything that was ever asked.
 *
 * @param by the moment by which the one and the other ended; 0: none has
 */
export async function overdueChallenges(query: Query, by: { expired: number; silent: number }): Promise<string[]> {
  return (await selectOverdue(query, by)).rows.map((row) => row.id);
}

/** Which of these challenges wait for an answer still. */
export async function stillPending(query: Query, ids: readonly string[], now: number): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await kysely(query)
    .selectFrom('challenges')
    .select('id')
    .where('id', 'in', ids)
    .where('status', '=', PENDING)
    .where('expires_at', '>', now)
    .execute();
  return rows.map((row) => row.id);
}

/** Pending requests, oldest first. `accounts: null` means everybody's. */
export async function pendingChallenges(
  query: Query,
  accounts: readonly string[] | null,
  limit: number,
): Promise<StoredChallenge[]> {
  if (accounts?.length === 0) return [];
  let select = kysely(query).selectFrom('challenges').selectAll().where('status', '=', PENDING);
  if (accounts) select = select.where('username', 'in', accounts);
  const rows = await select.orderBy('created_at').limit(limit).execute();
  return rows.map(fromRow);
}

const updateOutcome = statement(
  (query, given: { id: string; outcome: 'granted' | 'refused'; detail: string | null; now: number }) =>
    query
      .updateTable('challenges')
      .set({ outcome: given.outcome, outcome_detail: given.detail, outcome_at: given.now })
      .where('id', '=', given.id)
      .where('outcome', 'is', null),
);

/** What the host did with the answer; written once. */
export async function recordOutcome(
  work: UnitOfWork,
  id: string,
  outcome: 'granted' | 'refused',
  detail: string | null,
  now: number,
): Promise<boolean> {
  return (await updateOutcome(work.query, { id, outcome, detail, now })).numAffectedRows === 1n;
}

const unended = (query: Kysely<Schema>, { id }: { id: string }) =>
  query
    .updateTable('challenges')
    .where('id', '=', id)
    .where('status', '=', 'approved')
    .where('run_ended_at', 'is', null);
const updateStart = statement((query, given: { id: string; now: number }) =>
  unended(query, given).set({ run_state: 'started', run_started_at: given.now }).where('run_state', 'is', null),
);
const updateEnd = statement(
  (query, given: { id: string; now: number; exitStatus: number | null; signal: string | null; durationMs: number }) =>
    unended(query, given).set({
      run_state: 'ended',
      run_ended_at: given.now,
      run_exit_status: given.exitStatus,
      run_signal: given.signal,
      run_duration_ms: given.durationMs,
    }),
);
const updateRefusal = statement((query, given: { id: string; now: number; reason: string }) =>
  unended(query, given).set({ run_state: 'refused', run_ended_at: given.now, run_reason: given.reason }),
);

/**
 * What sudo did with the command. A start is written only where nothing is known yet; an end, or that it was not started
 * after all, only once.
 *
 * @returns false when it changed nothing
 */
export async function recordRun(work: UnitOfWork, id: string, run: RunRequest, now: number): Promise<boolean> {
  const { query } = work;
  const { numAffectedRows } = await (run.state === 'started'
    ? updateStart(query, { id, now })
    : run.state === 'ended'
      ? updateEnd(query, { id, now, exitStatus: run.exitStatus, signal: run.signal, durationMs: run.durationMs })
      : updateRefusal(query, { id, now, reason: run.reason }));
  return numAffectedRows === 1n;
}

const selectPendingCount = statement((query, _: object) =>
  query
    .selectFrom('challenges')
    .select((e) => e.fn.countAll<number>().as('n'))
    .where('status', '=', PENDING),
);

/** How many requests wait, exactly. */
export const countAllPending = async (query: Query): Promise<number> =>
  Number(first(await selectPendingCount(query, {}))!.n);
