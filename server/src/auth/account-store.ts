import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { Schema } from '../db/schema.ts';
import { isAmong, statement } from '../db/statement.ts';
import { bareIssuer } from '../platform/issuer.ts';
import { parseGroups } from './people-store.ts';
import type { Subject } from './standing.ts';

/** Where the account of a person is read. */
export interface AccountRules {
  /** True: a directory serves people, and a name that it gave to somebody is nobody else's. */
  readonly directory: boolean;
  /** The claim by which the source of people knows who signs in. */
  readonly userIdClaim: string;
  /** The Linux account of a user name, at a source and in a sign-in alike; null: none can be called that. */
  readonly accountNameOf: (username: string) => string | null;
}

/** Names that differ in case only are one name. */
export const nameKey = (account: string): string => account.toLowerCase();

/** A person is the user of a directory: `who` of the table people, `user` of the table directory_names. */
function isLinked(who: 'people' | 'linked', user: 'given' | 'known', claim: string): RawBuilder<boolean> {
  const [issuer, subject, id, idClaim] = ['issuer', 'subject', 'source_id', 'source_id_claim'].map((column) =>
    sql.ref(`${who}.${column}`),
  );
  const [itsIssuer, itsId] = ['issuer', 'subject'].map((column) => sql.ref(`${user}.${column}`));
  const sameId = claim === 'sub' ? sql`${subject} = ${itsId}` : sql`(${id} = ${itsId} and ${idClaim} = ${claim})`;
  return sql<boolean>`(${sameId} and rtrim(${issuer}, '/') = rtrim(${itsIssuer}, '/'))`;
}

/** An operator preferred a binding to the person whom the directory means. */
const preferred = sql<boolean>`(
  bound.instead_of_issuer = given.issuer and bound.instead_of_subject = given.subject
  and (bound.while_left = 0 or given.left_at is not null)
)`;

/** What is asked: the accounts of some people, or the owners of some accounts, whose names stand in a JSON array. */
type Asked = { readonly people: readonly string[] } | { readonly names: string; readonly driver: UnitOfWork['driver'] };

/** Accounts that the directory gives, and that no operator gave to somebody else. */
function givenAccounts(query: Kysely<Schema>, asked: Asked, { userIdClaim }: AccountRules) {
  const select = query
    .selectFrom('directory_names as given')
    .innerJoin('people', (join) => join.on(isLinked('people', 'given', userIdClaim)))
    .leftJoin('directory_ids as numbered', (join) =>
      join
        .onRef('numbered.issuer', '=', 'given.issuer')
        .onRef('numbered.subject', '=', 'given.subject')
        .on('numbered.owner', '=', 'user')
        .on('numbered.kind', '=', 'uid'),
    )
    .select(['people.id as personId', 'given.name', 'numbered.name as username'])
    .where('given.owner', '=', 'user')
    .where('given.left_at', 'is', null)
    .where(
      sql<boolean>`not exists (select 1 from account_bindings as bound where lower(bound.account) = given.name and ${preferred})`,
    );
  return 'people' in asked
    ? select.where('people.id', 'in', asked.people)
    : select.where(isAmong(sql.ref('given.name'), asked.names, asked.driver));
}

/** What is bound, and what the directory says of the name: `name` null, nothing. */
function boundAccounts(query: Kysely<Schema>, asked: Asked, { directory }: AccountRules) {
  const select = query
    .selectFrom('account_bindings as bound')
    .leftJoin('directory_names as given', (join) =>
      join
        .on(sql<boolean>`given.name = lower(bound.account)`)
        .on('given.owner', '=', 'user')
        .on(sql<boolean>`${directory ? 1 : 0} = 1`),
    )
    .leftJoin('directory_ids as numbered', (join) =>
      join
        .onRef('numbered.issuer', '=', 'given.issuer')
        .onRef('numbered.subject', '=', 'given.subject')
        .on('numbered.owner', '=', 'user')
        .on('numbered.kind', '=', 'uid'),
    )
    .select(['bound.person_id as personId', 'bound.account', 'given.name', 'given.issuer', 'given.subject'])
    .select(['numbered.name as username', preferred.as('preferred')])
    .where((e) =>
      e.or([
        e('given.name', 'is', null),
        preferred,
        e.and([e('bound.from_before', '=', 1), e('given.left_at', 'is', null)]),
      ]),
    );
  if ('people' in asked) return select.where('bound.person_id', 'in', asked.people);
  const name = directory ? sql`lower(bound.account)` : sql.ref('bound.account');
  return select.where(isAmong(name, asked.names, asked.driver));
}

/** What is asked for each request of a host. */
function createOwnerStatements(rules: AccountRules) {
  return {
    given: statement((query, { names }: { names: string }, { driver }) =>
      givenAccounts(query, { names, driver }, rules),
    ),
    bound: statement((query, { names }: { names: string }, { driver }) =>
      boundAccounts(query, { names, driver }, rules),
    ),
  };
}
const ownerStatements = new WeakMap<AccountRules, ReturnType<typeof createOwnerStatements>>();

function ownerStatementsFor(rules: AccountRules): ReturnType<typeof createOwnerStatements> {
  const known = ownerStatements.get(rules) ?? createOwnerStatements(rules);
  ownerStatements.set(rules, known);
  return known;
}

/** Whether anybody has signed in at an issuer as whom the directory means. */
async function isLinkedIssuer(query: Query, claim: string, issuer: string): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('people as linked')
    .innerJoin('directory_names as known', (join) => join.on(isLinked('linked', 'known', claim)))
    .select('linked.id')
    .where('known.owner', '=', 'user')
    .where(sql<boolean>`rtrim(linked.issuer, '/') = ${bareIssuer(issuer)}`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Whether a binding from before continues on a name of the directory: whom it means could not have signed in as that,
 * because the source gave no identifier, or none by which anybody has ever signed in. Asked once for each issuer.
 */
function continuing(query: Query, claim: string): (issuer: string, subject: string) => Promise<boolean> {
  const linked = new Map<string, Promise<boolean>>();
  return async (issuer, subject) => {
    const known = linked.get(issuer) ?? isLinkedIssuer(query, claim, issuer);
    linked.set(issuer, known);
    if (!(await known)) return true;
    const unnamed = await kysely(query)
      .selectFrom('scim_resources')
      .select('id')
      .where('id', '=', subject)
      .where('external_id', 'is', null)
      .executeTakeFirst();
    return unnamed !== undefined;
  };
}

/** A name that the directory gives, as hosts see it: with the letters of its user name, of which names are kept folded. */
function asServed(name: string, username: string | null, { accountNameOf }: AccountRules): string {
  const account = username === null ? null : accountNameOf(username);
  return account !== null && nameKey(account) === name ? account : name;
}

type Given = Awaited<ReturnType<ReturnType<typeof givenAccounts>['execute']>>;
type Bound = Awaited<ReturnType<ReturnType<typeof boundAccounts>['execute']>>;

/** Who owns which account: the one answer, whichever way it is asked. */
async function owned(
  query: Query,
  given: () => Promise<Given>,
  bound: () => Promise<Bound>,
  rules: AccountRules,
): Promise<{ personId: string; account: string }[]> {
  const found: { personId: string; account: string }[] = [];
  if (rules.directory) {
    for (const row of await given())
      found.push({ personId: row.personId, account: asServed(row.name, row.username, rules) });
  }
  const has = new Set(found.map(({ personId, account }) => `${personId} ${account}`));
  const continues = continuing(query, rules.userIdClaim);
  for (const row of await bound()) {
    const { personId, name, issuer, subject } = row;
    const account = name === null ? row.account : asServed(name, row.username, rules);
    if (has.has(`${personId} ${account}`)) continue;
    if (name === null || row.preferred || (await continues(issuer!, subject!))) found.push({ personId, account });
  }
  return found;
}

/** The accounts of people. With `work`: they stay so until the transaction ends. */
function ownedBy(from: Query | UnitOfWork, people: readonly string[], rules: AccountRules) {
  const work = 'query' in from ? from : null;
  const query = 'query' in from ? from.query : from;
  const lock = work?.driver === 'postgres';
  const given = givenAccounts(kysely(query), { people }, rules);
  const bound = boundAccounts(kysely(query), { people }, rules);
  return owned(
    query,
    () => (lock ? given.forShare('given') : given).execute(),
    () => (lock ? bound.forShare('bound') : bound).execute(),
    rules,
  );
}

/** Linux accounts of people, by name; those without any are left out. */
export async function accountsOf(
  from: Query | UnitOfWork,
  personIds: readonly string[],
  rules: AccountRules,
): Promise<Map<string, string[]>> {
  const found = new Map<string, Set<string>>();
  if (personIds.length === 0) return new Map();
  for (const { personId, account } of await ownedBy(from, personIds, rules)) {
    const accounts = found.get(personId) ?? new Set();
    found.set(personId, accounts.add(account));
  }
  return new Map([...found].map(([personId, accounts]) => [personId, [...accounts].sort()]));
}

/** The person behind an account. Groups that cannot be read are null: who decides by groups must not take them for none. */
export interface AccountOwner {
  readonly personId: string;
  readonly displayName: string;
  readonly groups: readonly string[] | null;
}

const selectPeople = statement((query, { ids }: { ids: string }, { driver }) =>
  query
    .selectFrom('people')
    .select(['id', 'display_name', 'groups'])
    .where(isAmong(sql.ref('people.id'), ids, driver))
    // One identifier in the tokens of two people is one person who was made anew at the provider.
    .orderBy('last_login_at', 'desc'),
);

/** The people behind accounts, for policies and pages; accounts that are nobody's are left out. */
export async function accountOwners(
  query: Query,
  accounts: readonly string[],
  rules: AccountRules,
): Promise<Map<string, AccountOwner>> {
  const asked = new Set(accounts);
  const names = JSON.stringify([...new Set(rules.directory ? accounts.map(nameKey) : asked)]);
  const { given, bound } = ownerStatementsFor(rules);
  const all = await owned(
    query,
    async () => (await given(query, { names })).rows,
    async () => (await bound(query, { names })).rows,
    rules,
  );
  const found = all.filter(({ account }) => asked.has(account));
  if (found.length === 0) return new Map();
  const { rows } = await selectPeople(query, { ids: JSON.stringify(found.map(({ personId }) => personId)) });
  const owners = new Map<string, AccountOwner>();
  for (const row of rows) {
    const groups = parseGroups(row.groups);
    const owner = { personId: row.id, displayName: row.display_name, groups: groups.ok ? groups.groups : null };
    for (const { personId, account } of found)
      if (personId === row.id && !owners.has(account)) owners.set(account, owner);
  }
  return owners;
}

/** As whom the directory has a person; null when it does not have them. `account` null: they are not served. */
export async function findInDirectory(
  query: Query,
  { issuer, subject }: Subject,
  rules: AccountRules,
): Promise<{ account: string | null } | null> {
  const rows = await kysely(query)
    .selectFrom('directory_ids as numbered')
    .leftJoin('directory_names as given', (join) =>
      join
        .onRef('given.issuer', '=', 'numbered.issuer')
        .onRef('given.subject', '=', 'numbered.subject')
        .on('given.owner', '=', 'user')
        .on('given.left_at', 'is', null),
    )
    .select(['numbered.issuer', 'numbered.name as username', 'given.name'])
    .where('numbered.kind', '=', 'uid')
    .where('numbered.owner', '=', 'user')
    .where('numbered.subject', '=', subject)
    .where('numbered.retired_at', 'is', null)
    .execute();
  const row = rows.find((one) => bareIssuer(one.issuer) === bareIssuer(issuer));
  if (!row) return null;
  return { account: row.name === null ? null : asServed(row.name, row.username, rules) };
}

/** Whose a name is by the directory, or was (`hasLeft`); null when it never gave it to a person. */
export async function directoryOwner(query: Query, account: string): Promise<(Subject & { hasLeft: boolean }) | null> {
  const row = await kysely(query)
    .selectFrom('directory_names')
    .select(['issuer', 'subject', 'left_at'])
    .where('name', '=', nameKey(account))
    .where('owner', '=', 'user')
    .executeTakeFirst();
  return row ? { issuer: row.issuer, subject: row.subject, hasLeft: row.left_at !== null } : null;
}

/** People whose names are compared; one is enough to know. */
const MOST_LOOKED_AT = 1000;

/** An issuer of which people sign in under names that the directory has, and none of them as whom the directory means. */
export interface UnlinkedSource {
  readonly issuer: string;
  /** The claim by which they would be. */
  readonly claim: string;
  /** How many have signed in under such a name. */
  readonly people: number;
}

/**
 * @param claim the one by which the source of people knows who signs in
 * @param namesOf what somebody of a user name could be called in the directory, without regard to case
 */
export async function listUnlinked(
  query: Query,
  claim: string,
  namesOf: (username: string) => readonly string[],
): Promise<UnlinkedSource[]> {
  const issuers = await kysely(query).selectFrom('people').select('issuer').distinct().execute();
  const unlinked: string[] = [];
  for (const { issuer } of issuers) if (!(await isLinkedIssuer(query, claim, issuer))) unlinked.push(issuer);
  if (unlinked.length === 0) return [];
  const people = await kysely(query)
    .selectFrom('people')
    .select(['issuer', 'username'])
    .where('issuer', 'in', unlinked)
    .limit(MOST_LOOKED_AT)
    .execute();
  const wanted = [...new Set(people.flatMap(({ username }) => namesOf(username)))];
  if (wanted.length === 0) return [];
  const given = await kysely(query)
    .selectFrom('directory_names')
    .select(['name', 'issuer'])
    .where('owner', '=', 'user')
    .where('left_at', 'is', null)
    .where('name', 'in', wanted)
    .execute();
  const known = new Set(given.map(({ name, issuer }) => `${bareIssuer(issuer)} ${name}`));
  const counts = new Map<string, number>();
  for (const { issuer, username } of people) {
    if (!namesOf(username).some((name) => known.has(`${bareIssuer(issuer)} ${name}`))) continue;
    counts.set(issuer, (counts.get(issuer) ?? 0) + 1);
  }
  return [...counts].map(([issuer, count]) => ({ issuer, claim, people: count }));
}
