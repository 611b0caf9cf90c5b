import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openTestSqlite } from '../db/test-databases.ts';
import { accountNameOf } from '../directory/configured.ts';
import { DEFAULT_GUARDS, type GuardSettings } from '../directory/guards/guard.ts';
import { decideHold, listHolds } from '../directory/guards/hold-store.ts';
import { createNumbers } from '../directory/numbers/numbers.ts';
import { createRounds } from '../directory/publish/rounds.ts';
import { type SourceUser, toSnapshot } from '../directory/source/model.ts';
import { testSettings } from '../directory/tree/test-tree.ts';
import { createEventLog } from '../events/log.ts';
import type { Entry } from '../ldap/entry.ts';
import { cases } from '../ldap/testing/long.ts';
import { manualClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { testConfig } from '../testing/test-config.ts';
import { identity } from '../testing/test-provider.ts';
import { createAccounts } from './accounts.ts';
import { listClaims } from './binding-store.ts';
import { createBindings } from './bindings.ts';
import { upsertPerson } from './people-store.ts';

/**
 * No path exists by which somebody without an account has it: whatever happens at the source, at sign-ins and by operators,
 * an account that hosts see is of the person whose record they see under it, and of nobody else. What hosts see is read
 * from the entries themselves: which record one is made of is told by its mail address, of which our rules know nothing.
 */

const ISSUERS = ['https://id.example', 'https://other.example'];
const NAMES = [
  'mira',
  'Mira',
  'MIRA',
  'ｍｉｒａ',
  'mira@a.example',
  'Mira＠b.example',
  'zoe',
  'zoe\u0301',
  'Zoe',
  '1',
  '_1',
];
const MONTH = 31 * 86_400_000;
const operator = { username: 'an operator', remoteAddr: '192.0.2.9' };

type Op =
  | { op: 'source'; users: { n: number; issuer: number; name: string; disabled: boolean }[] }
  | { op: 'sign in'; n: number; issuer: number; slash: boolean; name: string; idClaim: 'oid' | 'nickname' | null }
  | { op: 'let holds through' }
  | { op: 'give to a claimant' }
  | { op: 'a month passes' };

interface Settings {
  policy: 'fold' | 'localpart' | 'preserve';
  bindings: GuardSettings['bindings'];
  userIdClaim: 'sub' | 'oid';
}

const number = fc.integer({ min: 0, max: 4 });
const issuer = fc.integer({ min: 0, max: 1 });
const name = fc.constantFrom(...NAMES);
const source = fc.record({
  op: fc.constant('source' as const),
  users: fc.uniqueArray(fc.record({ n: number, issuer, name, disabled: fc.boolean() }), {
    maxLength: 6,
    selector: ({ n, issuer }) => `${n} ${issuer}`,
  }),
});
const signIn = fc.record({
  op: fc.constant('sign in' as const),
  n: number,
  issuer,
  slash: fc.boolean(),
  name,
  idClaim: fc.constantFrom('oid' as const, 'oid' as const, 'nickname' as const, null),
});
const operation: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: source },
  { weight: 6, arbitrary: signIn },
  { weight: 3, arbitrary: fc.constant({ op: 'let holds through' as const }) },
  { weight: 2, arbitrary: fc.constant({ op: 'give to a claimant' as const }) },
  { weight: 1, arbitrary: fc.constant({ op: 'a month passes' as const }) },
);
const settings = fc.record({
  policy: fc.constantFrom('fold' as const, 'localpart' as const, 'preserve' as const),
  bindings: fc.constantFrom('changed' as const, 'all' as const, 'publish' as const),
  userIdClaim: fc.constantFrom('sub' as const, 'oid' as const),
});

/** Who it is, as the test has it: `n@issuer`. */
const who = (n: number, of: number): string => `${n}@${of}.test`;

type Database = Awaited<ReturnType<typeof openTestSqlite>>;

async function play(db: Database, { policy, bindings: guardBindings, userIdClaim }: Settings, ops: readonly Op[]) {
  const clock = manualClock();
  const events = await createEventLog({ db, clock, onError: () => {} });
  const base = testConfig('/nowhere', {
    IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
    IDENTREE_DIRECTORY_SOURCE: 'scim',
    IDENTREE_LDAP_USERNAME_POLICY: policy,
    IDENTREE_OIDC_USER_ID_CLAIM: userIdClaim,
  });
  const accounts = createAccounts({ config: base, accountNameOf: accountNameOf(base), accountNameLike: () => null });
  const bindings = createBindings({ db, events, clock, accounts });
  const directory = testSettings({ names: { policy } });
  let content: SourceUser[] = [];
  let entries: readonly Entry[] = [];
  const stopping = new AbortController();
  const rounds = createRounds({
    db,
    events,
    clock,
    random: systemRandom,
    settings: directory,
    hostPower: async () => [],
    admitHosts: async () => undefined,
    guards: { ...DEFAULT_GUARDS, bindings: guardBindings, massChangePercent: 0 },
    source: {
      name: 'file',
      fetch: async () => {
        const result = toSnapshot({ users: content, groups: [] }, ISSUERS[0]!);
        return result.ok ? { ok: true, snapshot: result.snapshot } : assert.fail(result.problem);
      },
    },
    numbers: createNumbers({ db, events, clock, settings: directory, mapFile: null }),
    storedRules: async () => [],
    hosts: async () => [],
    pinned: () => accounts.pinned(db.query),
    macKey: Buffer.alloc(32, 7),
    publish: (now) => {
      entries = now;
    },
    onLeft: async () => {},
    signal: stopping.signal,
  });
  /** Nothing is fetched from an empty source: that is an operator's business, and another test's. */
  const round = async () => {
    if (content.length === 0) return;
    const report = await rounds.run({ fetch: true, served: null });
    assert.ok(report.ok, JSON.stringify(report));
  };

  /** Everybody who has signed in: id → who the directory would take them for; null: it cannot say. */
  const people = new Map<string, string | null>();
  /** What an operator said of a served account: whom the source means → who has it instead. */
  const instead = new Map<string, { of: string; personId: string }>();

  function seen(): Map<string, string> {
    const of = (entry: Entry, attribute: string) => entry.attributes.find(([one]) => one === attribute)?.[1][0];
    return new Map(entries.flatMap((entry) => (of(entry, 'mail') ? [[of(entry, 'uid')!, of(entry, 'mail')!]] : [])));
  }

  async function check(): Promise<void> {
    const served = seen();
    const found = await accounts.of(db.query, [...people.keys()]);
    const has = (personId: string) => found.get(personId) ?? [];
    const folded = new Set([...served.keys()].map((account) => account.toLowerCase()));
    for (const [account, owner] of served) {
      const given = instead.get(account.toLowerCase());
      for (const [personId, known] of people) {
        const should = given?.of === owner ? given.personId === personId : known === owner;
        assert.equal(has(personId).includes(account), should, `${account} is of ${owner}, and ${known} has it or not`);
      }
      const asked = await accounts.ownerOf(db.query, account);
      assert.equal(
        asked === null || has(asked.personId).includes(account),
        true,
        'asked either way, the answer is one',
      );
      assert.equal(asked === null, ![...people.keys()].some((personId) => has(personId).includes(account)));
    }
    // What hosts do not see may be theirs by other means: then it is one person's, in whatever letters.
    const elsewhere = new Map<string, string>();
    for (const personId of people.keys()) {
      for (const account of has(personId)) {
        if (served.has(account)) continue;
        const key = account.toLowerCase();
        assert.equal(folded.has(key), false, `${account} differs from a served account in case only`);
        assert.equal(elsewhere.get(key) ?? personId, personId, `${account} has two owners`);
        elsewhere.set(key, personId);
      }
    }
  }

  for (const step of ops) {
    switch (step.op) {
      case 'source':
        content = step.users.map((user) => ({
          id: `s${user.n}`,
          issuer: ISSUERS[user.issuer]!,
          username: user.name,
          firstName: '',
          lastName: '',
          displayName: '',
          email: who(user.n, user.issuer),
          disabled: user.disabled,
          customClaims: [],
        }));
        await round();
        break;
      case 'sign in': {
        const { n, issuer, slash, name, idClaim } = step;
        const known = userIdClaim === 'sub' || idClaim === userIdClaim ? who(n, issuer) : null;
        const before = await accounts.of(db.query, [...people.keys()]);
        const person = await db.transaction(async (work) => {
          const told = identity(name, {
            issuer: `${ISSUERS[issuer]}${slash ? '/' : ''}`,
            subject: userIdClaim === 'sub' ? `s${n}` : `pairwise ${n}`,
            sourceId: idClaim === null ? null : { claim: idClaim, value: `s${n}` },
          });
          const { person } = await upsertPerson(work, told, { id: systemRandom.uuid(), now: clock.now() });
          await bindings.claim(work, person, '192.0.2.7');
          return person;
        });
        const after = await accounts.of(db.query, [...people.keys()]);
        before.delete(person.id);
        after.delete(person.id);
        assert.deepEqual(after, before, 'a sign-in takes nothing from others');
        people.set(person.id, known);
        break;
      }
      case 'let holds through':
        for (const { id, digest } of await listHolds(db.query)) {
          await db.transaction((work) =>
            decideHold(work, { id, digest, state: 'open' }, { state: 'confirmed', at: clock.now(), by: 'x' }),
          );
        }
        await round();
        break;
      case 'give to a claimant': {
        const [claim] = await listClaims(db.query);
        if (!claim) break;
        const served = [...seen()].find(([account]) => account.toLowerCase() === claim.account.toLowerCase());
        const answer = await bindings
          .confirm({ account: claim.account, personId: claim.person_id }, operator)
          .then(() => true)
          .catch(() => false);
        if (answer && served) instead.set(served[0].toLowerCase(), { of: served[1], personId: claim.person_id });
        if (!answer) await bindings.reject({ account: claim.account, personId: claim.person_id }, operator);
        break;
      }
      case 'a month passes':
        clock.advance(MONTH);
        await round();
        break;
    }
    await check();
  }
  stopping.abort();
  await events.close();
}

describe('whatever happens', () => {
  test('an account that hosts see is of the person whom they see under it, and of nobody else', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(operation, { minLength: 4, maxLength: 14 }), async (how, ops) => {
        const after: (() => unknown)[] = [];
        const db = await openTestSqlite({ after: (run) => void after.push(run as () => unknown) });
        try {
          await play(db, how, ops);
        } finally {
          for (const run of after) await run();
        }
      }),
      { numRuns: cases(45, 1500) },
    );
  });
});
