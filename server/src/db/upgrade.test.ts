import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { createAccounts } from '../auth/accounts.ts';
import { listClaims } from '../auth/binding-store.ts';
import { makeCaCertificate } from '../certificates/authority.ts';
import { accountNameOf } from '../directory/configured.ts';
import { caKeyPem } from '../platform/key-files.ts';
import { testConfig } from '../testing/test-config.ts';
import { type CopiedRow, pasteRows } from './copy-store.ts';
import { type Database, migrations, openDatabase } from './database.ts';
import type { Engine } from './engine.ts';
import { openPostgres } from './postgres.ts';
import { kysely } from './query.ts';
import { openSqlite } from './sqlite.ts';
import { forEachDriver, makeTestPostgres } from './test-databases.ts';
import { TEST_FOLDER } from './test-postgres.ts';

/** Databases of earlier versions, filled, and opened by this one. */

const ISSUER = 'https://idp.example.com';
/** The last version before a directory said whose account it is. */
const WITHOUT_CLAIMS = '0005-runs';
/** The last one that kept whole certificates of hosts. */
const WITH_CERTIFICATES = '0030-host-journals';

interface Filled {
  /** Subject of who signed in → the account they were bound to. */
  bound: Record<string, string>;
  /** Name that the directory gives → the identifier that the source has for the person. */
  given?: Record<string, string>;
  /** Identifiers that a SCIM client never gave. */
  unnamed?: string[];
  claim?: { account: string; by: string };
}

async function fill(db: Kysely<never>, { bound, given = {}, unnamed = [], claim }: Filled): Promise<void> {
  const subjects = [...new Set([...Object.keys(bound), ...(claim ? [claim.by] : [])])];
  for (const subject of subjects) {
    await sql`insert into people (id, issuer, subject, username, display_name, groups, epoch, created_at, last_login_at)
      values (${subject}, ${ISSUER}, ${subject}, ${bound[subject] ?? subject}, ${subject}, '[]', 0, 1, 1)`.execute(db);
  }
  for (const [subject, account] of Object.entries(bound)) {
    const [by, at] = claim?.account === account ? [claim.by, 7] : [null, null];
    await sql`insert into account_bindings (account, person_id, created_at, held_person_id, held_at)
      values (${account}, ${subject}, 1, ${by}, ${at})`.execute(db);
  }
  let number = 200_000;
  for (const [name, subject] of Object.entries(given)) {
    await sql`insert into directory_names (name, owner, issuer, subject, since)
      values (${name}, 'user', ${ISSUER}, ${subject}, 1)`.execute(db);
    await sql`insert into directory_ids (kind, number, owner, issuer, subject, name, assigned_at)
      values ('uid', ${number++}, 'user', ${ISSUER}, ${subject}, ${name}, 1)`.execute(db);
  }
  if (unnamed.length === 0) return;
  await sql`insert into scim_clients (id, name, issuer, token_hash, scopes, created_at, created_by, expires_at)
    values ('client', 'client', ${ISSUER}, 'hash', '', 1, 'x', 2)`.execute(db);
  for (const id of unnamed) {
    await sql`insert into scim_resources (id, client_id, kind, unique_name, resource, version, created_at, modified_at)
      values (${id}, 'client', 'User', ${id}, '{}', 1, 1, 1)`.execute(db);
  }
}

/** Makes an earlier version, fills it and opens it with this one. */
async function upgradedFrom(
  version: string,
  t: TestContext,
  driver: Engine['driver'],
  fillIt: (db: Kysely<never>) => Promise<void>,
): Promise<Database> {
  const postgres = driver === 'postgres' ? await makeTestPostgres() : null;
  const dsn = postgres?.dsn ?? join(TEST_FOLDER, `upgrade-${Math.random()}.db`);
  const engine = postgres
    ? await openPostgres({ dsn, maxConnections: 2 }, { trouble() {}, answers() {} })
    : openSqlite(dsn, () => {});
  if (postgres) await sql`drop schema public cascade; create schema public`.execute(engine.writer);
  const provider = { getMigrations: async () => migrations };
  const { error } = await new Migrator({ db: engine.writer, provider }).migrateTo(version);
  assert.equal(error, undefined);
  await fillIt(engine.writer as never);
  await engine.close();
  const db = await openDatabase(postgres ? { driver: 'postgres', dsn, maxConnections: 4 } : { driver: 'sqlite', dsn });
  t.after(async () => {
    await db.close();
    await postgres?.drop();
  });
  return db;
}

const upgraded = (t: TestContext, driver: Engine['driver'], content: Filled) =>
  upgradedFrom(WITHOUT_CLAIMS, t, driver, (db) => fill(db, content));

const accountsIn = (directory: boolean) => {
  const env = { IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com', IDENTREE_DIRECTORY_SOURCE: directory ? 'scim' : 'none' };
  const config = testConfig('/nowhere', { IDENTREE_OIDC_ISSUER_URL: ISSUER, ...env });
  return createAccounts({ config, accountNameOf: accountNameOf(config), accountNameLike: () => null });
};
const whose = async (db: Database, directory: boolean, subjects: string[]) =>
  Object.fromEntries(await accountsIn(directory).of(db.query, subjects));

forEachDriver('after an upgrade', (driver) => {
  test('without a directory everybody has what they had, and who claims something still does', async (t) => {
    const bound = { alice: 'alice', carol: 'Carol', twin: 'carol' };
    const db = await upgraded(t, driver, { bound, claim: { account: 'alice', by: 'impostor' } });
    const [claim] = await listClaims(db.query);
    assert.deepEqual(await whose(db, false, ['alice', 'carol', 'twin', 'impostor']), {
      alice: ['alice'],
      carol: ['Carol'],
      twin: ['carol'],
    });
    const { account, person_id, held_at, owner_subject } = claim!;
    assert.deepEqual([account, person_id, held_at, owner_subject], ['alice', 'impostor', 7, 'alice']);
  });

  test('where people sign in by what the source knows them by, the directory says it', async (t) => {
    const db = await upgraded(t, driver, {
      bound: { alice: 'alice', stranger: 'mira', local: 'deploy' },
      given: { alice: 'alice', mira: 'sub-mira' },
    });
    assert.deepEqual(await whose(db, true, ['alice', 'stranger', 'local']), { alice: ['alice'], local: ['deploy'] });
  });

  test('where nobody does, nobody is locked out', async (t) => {
    const db = await upgraded(t, driver, {
      bound: { 'pairwise-1': 'alice', 'pairwise-2': 'Bob' },
      given: { alice: 'object-1', bob: 'object-2' },
    });
    assert.deepEqual(await whose(db, true, ['pairwise-1', 'pairwise-2']), {
      'pairwise-1': ['alice'],
      'pairwise-2': ['bob'],
    });
    assert.deepEqual(await accountsIn(true).unlinked(db.query), [{ issuer: ISSUER, claim: 'sub', people: 2 }]);
  });

  test('neither is who a SCIM client pushed without saying what they sign in as', async (t) => {
    const db = await upgraded(t, driver, {
      bound: { alice: 'alice', bob: 'bob' },
      given: { alice: 'alice', bob: 'made-up-here' },
      unnamed: ['made-up-here'],
    });
    assert.deepEqual(await whose(db, true, ['alice', 'bob']), { alice: ['alice'], bob: ['bob'] });
    assert.deepEqual(await accountsIn(true).unlinked(db.query), []);
  });

  test('of a certificate is kept when it begins and ends, also of what a backup of before brings', async (t) => {
    const [readable, not] = [await makeCaCertificate(caKeyPem(), Date.UTC(2026, 0, 1)), 'no certificate'];
    const { validFromDate, validToDate } = new X509Certificate(readable);
    const before = [readable, not].map((certificate, index) => ({
      ...{ id: `host${index}`, hostname: `web${index}.example.com`, state: 'active', host_group: null },
      ...{ api_key: `key${index}`, api_key_thumbprint: `key${index}`, machine_id: '', counter: 1, rebind: 0 },
      ...{ certificate, enrolled_at: 1, enrolled_with: 'token', confirmed_at: 1, checkpoint_seq: 0 },
    }));
    const db = await upgradedFrom(WITH_CERTIFICATES, t, driver, async (earlier) => {
      await (earlier as unknown as Kysely<Record<string, object>>).insertInto('hosts').values(before).execute();
    });
    const hostsIn = ({ query }: Database) => kysely(query).selectFrom('hosts').selectAll().orderBy('id').execute();
    const upgradedHosts = await hostsIn(db);
    assert.deepEqual(
      upgradedHosts.map(({ certificate_from, certificate_until }) => [certificate_from, certificate_until]),
      [
        [validFromDate.getTime(), validToDate.getTime()],
        [null, null],
      ],
    );

    await db.transaction(async (work) => {
      await sql`/* all */ delete from hosts`.execute(kysely(work.query));
      await pasteRows(
        work,
        (async function* () {
          for (const row of before) yield ['hosts', row] as CopiedRow;
        })(),
      );
    });
    assert.deepEqual(await hostsIn(db), upgradedHosts);
  });
});
