import BetterSqlite from 'better-sqlite3';
import pg from 'pg';
import type { Schema } from '../db/schema.ts';

/**
 * Whether a table grows with every request, or with every day: nobody may read through one of these, because everybody
 * else waits meanwhile. What bounds the others is said.
 */
const GROWS: Record<keyof Schema, true | string> = {
  events: true,
  challenges: true,
  requests_shown: true,
  offline_grants: 'one for each account on a host that a policy lets go on by itself, for an hour',
  sessions: 'ended ones are deleted',
  host_nonces: true,
  meta: 'single facts',
  event_head: 'one row',
  event_erasures: 'one for each topic',
  event_cursors: 'one for each reader',
  audit_dead_letters: 'a bounded number for each sink',
  audit_reads: 'good for minutes',
  log_heads: true,
  log_epochs: 'written by operators',
  log_disputes: 'one for each host',
  leases: 'one for each job and reader',
  hosts: 'as many as there are',
  host_reports: 'one for each host',
  host_authorities: 'one for each host',
  host_checks: 'one for each host',
  host_journals: 'two for each host',
  storage_probes: 'one for each server process',
  bind_proofs: 'one for each name and address that binds, for a month',
  enrolment_tokens: 'one for each host that an operator enrolled',
  people: 'as many as there are',
  account_bindings: 'one for each person, mostly',
  account_claims: 'decided by operators, one at a time',
  login_attempts: 'good for minutes',
  passkeys: 'a few for each person',
  ceremonies: 'good for minutes',
  break_glass_hosts: 'one for each host',
  break_glass_uses: true,
  escrow_records: 'one or two for each host',
  reveal_requests: 'good for minutes',
  recovery_codes: 'made by operators, one at a time',
  approver_key_sets: 'asked for by version alone',
  policy_versions: 'written by operators',
  desktop_grants: 'good for minutes',
  logout_tokens: 'good for minutes',
  directory_state: 'one row',
  directory_ids: 'as many as people and groups',
  directory_names: 'as many as people and groups',
  directory_stamps: 'as many as people and groups',
  directory_published: 'one row',
  directory_holds: 'decided by operators, one at a time',
  sudo_rules: 'written by operators',
  scim_clients: 'made by operators',
  scim_resources: 'as many as people and groups',
  notify_channels: 'made by operators, and a few for each person',
  notify_routes: 'written by operators',
  notify_preferences: 'one for each person',
  notify_deliveries: true,
  notify_attempts: true,
};
const GROWING: ReadonlySet<string> = new Set(
  Object.entries(GROWS).flatMap(([table, grows]) => (grows === true ? [table] : [])),
);

/**
 * Indexes of the few rows of a growing table that are of interest now: 10,000 requests may wait, and what is told of them.
 * Of a table without rows Postgres may take any index that has all of those, because each costs it the same.
 */
const BOUNDED = /^(challenges_(pending|due)|notify_deliveries_(queued|waiting))/;
/** Indexes by which one row is found. In their order everything is found. */
const UNIQUE = /^sqlite_autoindex_/;
const RANGE = /\(\w+[<>]/;

/** Statements that are meant to read everything: a backup does, table by table. */
const MEANT = /^select \* from "\w+" order by [^()]+ limit (\?|\$1) offset (\?|\$2)$/;

/** What the product asks; a test that counts everything begins with a comment. */
const isOfInterest = (text: string): boolean => /^\s*(select|with|update|delete)\b/i.test(text) && !MEANT.test(text);

/** What the names in a plan stand for: a table may be called otherwise within a statement. */
function tablesIn(text: string): (name: string) => string {
  const others = new Map<string, string>();
  for (const [, table, name] of text.matchAll(/"?\b(\w+)"?\s+as\s+"?(\w+)/gi)) others.set(name!, table!);
  return (name) => others.get(name) ?? name;
}

interface PlanLine {
  id: number;
  parent: number;
  detail: string;
}

/** What is wrong with a plan of SQLite: reading through a growing table, or putting much of one in order. */
export function faultsOfSqlite(text: string, plan: readonly PlanLine[]): string[] {
  const table = tablesIn(text);
  const index = (detail: string): string => /USING (?:COVERING )?INDEX (\w+)/.exec(detail)?.[1] ?? '';
  return plan
    .filter(({ detail, parent }) => {
      const [, kind, name = ''] = /^(SCAN|SEARCH) (\w+)/.exec(detail) ?? [];
      if (kind === undefined || !GROWING.has(table(name)) || BOUNDED.test(index(detail))) return false;
      const sorted = plan.some((line) => line.parent === parent && line.detail.startsWith('USE TEMP B-TREE'));
      // An index that is made for the statement is made of the whole table.
      if (detail.includes(' AUTOMATIC ')) return true;
      if (UNIQUE.test(index(detail)) && RANGE.test(detail)) return true;
      return kind === 'SCAN' || (sorted && !UNIQUE.test(index(detail)));
    })
    .map(({ detail }) => detail);
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: PlanNode[];
}

/** The same for Postgres, which was told to read through no table that it can avoid reading through. */
export function faultsOfPostgres(node: PlanNode): string[] {
  const { 'Node Type': kind, 'Relation Name': table, 'Index Name': index = '', 'Index Cond': condition } = node;
  const through =
    kind === 'Seq Scan' ? GROWING.has(table!) : kind.includes('Index') && condition === undefined && isGrowing(index);
  const own = through && !BOUNDED.test(index) ? [`${kind} ${table ?? index}`] : [];
  return [...own, ...(node.Plans ?? []).flatMap(faultsOfPostgres)];
}

const isGrowing = (index: string): boolean => [...GROWING].some((table) => index.startsWith(`${table}_`));

const found: string[] = [];
const note = (text: string, faults: readonly string[]): void => {
  if (faults.length > 0) found.push(`${faults.join('; ')}\n    ${text.trim()}`);
};

const seen = new Set<string>();
const prepare = BetterSqlite.prototype.prepare;
// What the tests let the product ask, in whichever way: a statement that is new is looked at without being listed anywhere.
BetterSqlite.prototype.prepare = function (this: BetterSqlite.Database, text: string) {
  const statement = prepare.call(this, text);
  if (isOfInterest(text) && !seen.has(text)) {
    seen.add(text);
    const values = Array.from({ length: text.split('?').length - 1 }, () => 1);
    note(
      text,
      faultsOfSqlite(
        text,
        (prepare.call(this, `explain query plan ${text}`) as BetterSqlite.Statement).all(values) as PlanLine[],
      ),
    );
  }
  return statement as never;
};

const asked = new Set<string>();
const query = pg.Client.prototype.query as (this: pg.Client, ...parameters: unknown[]) => Promise<pg.QueryResult>;
pg.Client.prototype.query = function (this: pg.Client, ...parameters: unknown[]) {
  const [first] = parameters;
  const text = typeof first === 'string' ? first : (first as { text?: string } | undefined)?.text;
  if (text !== undefined && isOfInterest(text) && !seen.has(text)) asked.add(text);
  return query.apply(this, parameters);
} as never;

/** Looks at what was asked of Postgres, in a database that has the schema. */
export async function checkPostgresPlans(dsn: string): Promise<void> {
  const texts = [...asked].filter((text) => !text.includes('pg_'));
  asked.clear();
  const client = new pg.Client({ connectionString: dsn });
  await client.connect();
  try {
    await query.call(client, 'set enable_seqscan = off');
    for (const text of texts) {
      seen.add(text);
      const { rows } = await query.call(client, `explain (generic_plan, format json) ${text}`);
      note(text, faultsOfPostgres(rows[0]['QUERY PLAN'][0].Plan));
    }
  } finally {
    await client.end();
  }
}

process.on('exit', () => {
  if (found.length === 0) return;
  process.stderr.write(`these statements read through a table that grows:\n  ${found.join('\n  ')}\n`);
  process.exitCode = 1;
});
