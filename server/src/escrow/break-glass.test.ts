import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it, type TestContext, test } from 'node:test';
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { BreakGlassState, BreakGlassUse } from '#shared/break-glass-api.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { CHAIN_START, type EventName } from '#shared/events.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestSite } from '../testing/test-site.ts';
import { candidatesOf, type Kept } from './keeping.ts';

const LOCAL = {
  IDENTREE_ESCROW_BACKEND: 'local',
  IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
};
const PASSWORD = 'otter-maple-violin-cactus';
const REASON = 'the network of the branch is down';

type Driver = 'sqlite' | 'postgres';

async function world(t: TestContext, driver: Driver, env: Record<string, string> = LOCAL) {
  const site = await createTestSite(t, { driver, env });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const browser = site.browser();
  await browser.signInFresh('dana', { groups: ['admins'] });
  const passkey = await browser.firstPasskey(site.authenticator());

  const escrow = (id = randomUUID(), password = PASSWORD, of: TestHost = host) =>
    of.send('POST', '/break-glass/escrow', { id, type: 'random', createdAt: site.clock.now(), password });
  const state = (current: BreakGlassState['current'], problem: string | null = null) =>
    host.send('POST', '/break-glass/state', { enabled: true, current, problem });
  const has = (escrowId: string | null) => state({ createdAt: site.clock.now(), type: 'random', escrowId });
  const happened = async (event: EventName) => (await site.events.read(0, 1000)).filter((one) => one.event === event);
  const options = (who = browser, change: object = {}) =>
    who.mutate('breakGlass.revealOptions', { hostId: host.id, reason: REASON, ...change });
  async function reveal(who = browser, by = passkey, change: object = {}) {
    const asked = await options(who);
    if (asked.refusal !== null) return { ...asked, data: [] as Kept[] };
    const assertion = by.assert(asked.data as never);
    return who.mutate<Kept[]>('breakGlass.reveal', { hostId: host.id, reason: REASON, assertion, ...change });
  }
  return { site, host, browser, passkey, escrow, state, has, happened, options, reveal };
}

const shown = (revealed: { data: Kept[] | null }) => (revealed.data ?? []).map(({ password }) => password);

forEachDriver('break-glass passwords', (driver) => {
  test('a host hands one over, says that it has it, and an administrator is shown it; then another one is wanted', async (t) => {
    const w = await world(t, driver);
    const id = randomUUID();
    assert.equal((await w.escrow(id)).status, 200);
    assert.deepEqual((await w.has(id)).body, { escrow: true, rotateBefore: null });
    w.site.clock.advance(1000);
    const revealed = await w.reveal();
    assert.deepEqual(shown(revealed), [PASSWORD]);
    const [event] = await w.happened('revealed_breakglass');
    assert.equal(event?.actor, 'dana');
    assert.equal(event?.reason, REASON);
    assert.equal(event?.hostname, 'web1.example.com');
    const answer = await w.has(id);
    assert.equal(answer.body.rotateBefore, w.site.clock.now());
    assert.equal((await w.happened('breakglass_escrowed')).length, 1);
  });

  test('what is stored, logged and written down holds it nowhere', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    assert.deepEqual(shown(await w.reveal()), [PASSWORD]);
    const rows = await kysely(w.site.db.query).selectFrom('escrow_records').selectAll().execute();
    assert.equal(rows.length, 1);
    const everything = JSON.stringify([rows, await w.site.events.read(0, 1000), w.site.logged]);
    assert.ok(!everything.includes(PASSWORD));
  });

  test('one that is sealed to people is kept and shown as it came, and nothing else is taken for one', async (t) => {
    const w = await world(t, driver);
    const recipients = await Promise.all(
      [1, 2, 3].map(async () => identityToRecipient(await generateX25519Identity())),
    );
    const parts = recipients.map(async (recipient) => {
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      return { recipient, age: armor.encode(await encrypter.encrypt(PASSWORD)) };
    });
    const sealed = { format: 'identree-sealed-1', threshold: 2, parts: await Promise.all(parts) };
    const about = { id: randomUUID(), type: 'random', createdAt: w.site.clock.now() };
    const send = (body: object) => w.host.send('POST', '/break-glass/escrow', { ...about, ...body });
    for (const wrong of [
      { sealed: { ...sealed, threshold: 4 } },
      { sealed: { ...sealed, threshold: 0 } },
      { sealed: { ...sealed, parts: [] } },
      { sealed: { ...sealed, parts: [{ recipient: recipients[0], age: PASSWORD }] } },
      { sealed: { ...sealed, parts: [{ recipient: 'dana', age: sealed.parts }] } },
      { sealed, password: PASSWORD },
      {},
    ]) {
      assert.equal((await send(wrong)).body.error?.code, 'bad_request');
    }
    assert.equal((await send({ sealed })).status, 200);
    assert.equal((await send({ sealed })).status, 200);
    const { data } = await w.reveal();
    assert.deepEqual(
      data?.map((kept) => [kept.password, kept.sealed]),
      [[null, sealed]],
    );
    const [event, ...more] = await w.happened('breakglass_escrowed');
    assert.deepEqual([event?.data.threshold, event?.data.recipients, more.length], [2, recipients, 0]);
  });

  test('the same again changes nothing; an id of another host is refused', async (t) => {
    const w = await world(t, driver);
    const id = randomUUID();
    for (let n = 0; n < 3; n += 1) assert.equal((await w.escrow(id)).status, 200);
    assert.equal((await w.happened('breakglass_escrowed')).length, 1);
    const other = await enrolTestHost(w.site.app, w.site.clock, 'web2.example.com');
    assert.equal((await w.escrow(id, PASSWORD, other)).body.error?.code, 'forbidden');
    const rows = await kysely(w.site.db.query).selectFrom('escrow_records').selectAll().execute();
    assert.deepEqual(
      rows.map(({ host_id }) => host_id),
      [w.host.id],
    );
  });

  test('old and new are shown until the host has the new one, and what opens nothing any more goes', async (t) => {
    const w = await world(t, driver);
    const [first, second] = [randomUUID(), randomUUID()];
    await w.escrow(first, 'the-password-of-before');
    await w.has(first);
    w.site.clock.advance(60_000);
    await w.escrow(second, 'the-password-of-now');
    assert.deepEqual(shown(await w.reveal()), ['the-password-of-now', 'the-password-of-before']);
    await tidy(w);
    assert.equal((await records(w)).length, 2, 'nothing goes before');
    await w.has(second);
    assert.deepEqual(shown(await w.reveal()), ['the-password-of-now']);
    await tidy(w);
    assert.deepEqual(await records(w), [second]);
  });

  test('the newest is the one that was kept last, also when a clock was set back in between', async (t) => {
    const w = await world(t, driver);
    const [first, second] = [randomUUID(), randomUUID()];
    await w.escrow(first, 'the-password-of-before');
    await w.has(first);
    await w.site.db.transaction((work) =>
      kysely(work.query)
        .updateTable('escrow_records')
        .set({ kept_at: w.site.clock.now() + 3_600_000 })
        .execute(),
    );
    await w.escrow(second, 'the-password-of-now');
    assert.deepEqual(shown(await w.reveal()), ['the-password-of-now', 'the-password-of-before']);
    await w.has(second);
    await tidy(w);
    assert.deepEqual(await records(w), [second]);
  });

  test('a password that a host made under a clock that was ahead is replaced once it was shown', async (t) => {
    const w = await world(t, driver);
    const id = randomUUID();
    await w.escrow(id);
    const ahead = { createdAt: w.site.clock.now() + 600_000, type: 'random', escrowId: id } as const;
    await w.state(ahead);
    assert.deepEqual(shown(await w.reveal()), [PASSWORD]);
    const wanted = (await w.state(ahead)).body.rotateBefore as number;
    assert.ok(wanted > ahead.createdAt);
    assert.equal((await w.browser.mutate('breakGlass.rotate', { hostId: w.host.id })).refusal, null);
    assert.ok(((await w.state(ahead)).body.rotateBefore as number) > ahead.createdAt);
  });

  test('what became of it is an event: another password, told once', async (t) => {
    const w = await world(t, driver);
    const id = randomUUID();
    await w.escrow(id);
    const current = { createdAt: w.site.clock.now(), type: 'random', escrowId: id } as const;
    for (let n = 0; n < 3; n += 1) await w.state(current);
    assert.equal((await w.happened('rotated_breakglass')).length, 1);
  });

  test('an administrator asks for another one', async (t) => {
    const w = await world(t, driver);
    await w.has(null);
    w.site.clock.advance(1000);
    assert.equal((await w.browser.mutate('breakGlass.rotate', { hostId: w.host.id })).refusal, null);
    assert.equal((await w.has(null)).body.rotateBefore, w.site.clock.now());
    assert.equal((await w.happened('breakglass_rotation_requested'))[0]?.actor, 'dana');
  });

  test('each use is an event once, with what was done; what is missing in between shows', async (t) => {
    const w = await world(t, driver);
    const use = (prevHash: string, outcome: 'opened' | 'wrong' = 'opened', change: object = {}) => {
      const record = w.host.record({ user: 'alice', argv: ['systemctl', 'restart', 'network'], ...change });
      const entry = { id: randomUUID(), at: w.site.clock.now(), outcome, record, prevHash };
      return { ...entry, hash: canonicalSha256(entry) } satisfies BreakGlassUse;
    };
    const send = (one: BreakGlassUse) => w.host.send('POST', '/break-glass/uses', one);
    const first = use(CHAIN_START, 'wrong');
    const second = use(first.hash);
    const lost = use(second.hash);
    const third = use(lost.hash);
    for (const one of [first, second, second, third, first]) assert.equal((await send(one)).status, 200);
    const used = await w.happened('break_glass_used');
    assert.deepEqual(
      used.map(({ data }) => [data.id, data.gap]),
      [
        [second.id, undefined],
        [third.id, true],
      ],
    );
    assert.equal(used[0]?.username, 'alice');
    assert.deepEqual(used[0]?.data.argv, ['systemctl', 'restart', 'network']);
    assert.equal(used[0]?.data.command, 'systemctl restart network');
    assert.equal((await w.happened('break_glass_refused')).length, 1);
    const forged = { ...use(third.hash), outcome: 'wrong' as const };
    assert.equal((await send(forged)).body.error?.code, 'bad_request');
    const other = { ...use(third.hash), record: { ...w.host.record(), hostId: randomUUID() } };
    assert.equal((await send(other)).body.error?.code, 'wrong_host_record', 'a host speaks for itself');
  });

  test('a server that keeps none says so', async (t) => {
    const w = await world(t, driver, {});
    assert.equal((await w.escrow()).body.error?.code, 'escrow_off');
    assert.deepEqual((await w.has(null)).body, { escrow: false, rotateBefore: null });
    assert.equal((await w.options()).refusal, 'escrow_nothing');
    assert.equal((await w.browser.mutate('breakGlass.rotate', { hostId: w.host.id })).refusal, 'escrow_off');
    assert.deepEqual(((await w.browser.query('breakGlass.list')).data as { escrow: boolean }).escrow, false);
  });

  test('one that cannot keep it says so, and writes nothing down: the host goes on with its old one', async (t) => {
    const w = await world(t, driver, {
      IDENTREE_ESCROW_BACKEND: 'vault',
      IDENTREE_ESCROW_URL: 'http://127.0.0.1:1',
      IDENTREE_ESCROW_AUTH_SECRET: 'a-token-of-the-vault',
      IDENTREE_ESCROW_PATH: 'secret/identree',
    });
    assert.equal((await w.escrow()).body.error?.code, 'escrow_failed');
    assert.deepEqual(await records(w), []);
    assert.deepEqual(await w.happened('breakglass_escrowed'), []);
    const { body } = await w.browser.get('/metrics');
    assert.match(body, /identree_breakglass_escrow_total\{status="failure"\} 1/);
  });

  test('all hosts replace what was made before a date in the configuration', async (t) => {
    const w = await world(t, driver, { ...LOCAL, IDENTREE_BREAKGLASS_ROTATE_BEFORE: '2026-01-31T00:00:00Z' });
    assert.equal((await w.has(null)).body.rotateBefore, Date.UTC(2026, 0, 31));
  });

  test('administrators see how things are at each host', async (t) => {
    const w = await world(t, driver);
    const id = randomUUID();
    await w.escrow(id);
    await w.state({ createdAt: 5, type: 'passphrase', escrowId: id }, 'the disk is full');
    const { data } = await w.browser.query<{ hosts: unknown[] }>('breakGlass.list');
    assert.deepEqual(data?.hosts, [
      {
        hostId: w.host.id,
        enabled: true,
        createdAt: 5,
        type: 'passphrase',
        kept: true,
        problem: 'the disk is full',
        reportedAt: w.site.clock.now(),
        rotationWanted: false,
      },
    ]);
  });
});

type World = Awaited<ReturnType<typeof world>>;
const records = async (w: World) =>
  (await kysely(w.site.db.query).selectFrom('escrow_records').select('id').execute()).map(({ id }) => id);
const tidy = (w: World) => w.site.app.breakGlass.tidy();

forEachDriver('who is shown a break-glass password', (driver) => {
  test('nobody but an administrator in a browser', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const user = w.site.browser();
    await user.signInFresh('alice');
    await user.firstPasskey(w.site.authenticator());
    assert.equal((await w.options(user)).refusal, 'forbidden');
    assert.equal((await w.site.browser().mutate('breakGlass.revealOptions', {}, {})).status, 403);
    const desktop = await w.browser.desktopApp();
    const asked = await desktop.mutate('breakGlass.revealOptions', { hostId: w.host.id, reason: REASON });
    assert.equal(asked.refusal, 'session_kind');
    assert.deepEqual(await w.happened('revealed_breakglass'), []);
  });

  test('nobody whose sign-in is older than five minutes, also when it became so meanwhile', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const asked = await w.options();
    w.site.clock.advance(4 * 60_000 + 59_000);
    const late = await w.options();
    w.site.clock.advance(2000);
    assert.equal((await w.options()).refusal, 'fresh_sign_in_required');
    for (const options of [asked, late]) {
      const assertion = w.passkey.assert(options.data as never);
      const answer = await w.browser.mutate('breakGlass.reveal', { hostId: w.host.id, reason: REASON, assertion });
      assert.equal(answer.refusal, 'fresh_sign_in_required');
    }
    assert.deepEqual(await w.happened('revealed_breakglass'), []);
  });

  test('a passkey that was asked for another host, another reason or something else shows nothing', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const other = await enrolTestHost(w.site.app, w.site.clock, 'web2.example.com');
    await w.escrow(randomUUID(), 'password-of-another-host', other);
    const tries = [
      [await w.options(w.browser, { hostId: other.id }), {}],
      [await w.options(w.browser, { reason: 'something else' }), {}],
      [await w.options(), { hostId: other.id }],
      [await w.options(), { reason: 'something else' }],
      [await w.browser.mutate('passkeys.additionOptions'), {}],
    ] as const;
    for (const [options, change] of tries) {
      const assertion = w.passkey.assert(options.data as never);
      const input = { hostId: w.host.id, reason: REASON, assertion, ...change };
      assert.equal((await w.browser.mutate('breakGlass.reveal', input)).refusal, 'passkey_rejected');
    }
    assert.deepEqual(await w.happened('revealed_breakglass'), []);
  });

  test('an answer of a passkey is good once', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const assertion = w.passkey.assert((await w.options()).data as never);
    const input = { hostId: w.host.id, reason: REASON, assertion };
    const answers = await Promise.all([1, 2, 3].map(() => w.browser.mutate('breakGlass.reveal', input)));
    assert.equal(answers.filter(({ refusal }) => refusal === null).length, 1);
    assert.equal((await w.happened('revealed_breakglass')).length, 1);
  });

  test('not with the passkey of somebody else, nor in the session of somebody else', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const other = w.site.browser();
    await other.signInFresh('erin', { groups: ['admins'] });
    const theirs = await other.firstPasskey(w.site.authenticator());
    const asked = await w.options();
    for (const [who, by] of [
      [w.browser, theirs],
      [other, w.passkey],
      [other, theirs],
    ] as const) {
      let assertion: unknown;
      try {
        assertion = by.assert(asked.data as never);
      } catch {
        continue;
      }
      const answer = await who.mutate('breakGlass.reveal', { hostId: w.host.id, reason: REASON, assertion });
      assert.equal(answer.refusal, 'passkey_rejected');
    }
    assert.deepEqual(await w.happened('revealed_breakglass'), []);
  });

  test('without its event nothing is shown', async (t) => {
    const w = await world(t, driver);
    await w.escrow();
    const assertion = w.passkey.assert((await w.options()).data as never);
    t.mock.method(w.site.app.events, 'append', () => Promise.reject(new Error('the log is broken')));
    const answer = await w.browser.mutate('breakGlass.reveal', { hostId: w.host.id, reason: REASON, assertion });
    assert.equal(answer.refusal, 'internal');
    assert.ok(!JSON.stringify(answer).includes(PASSWORD));
  });
});

describe('which passwords may open a host', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => ({ id }));
  const newestFirst = [c!, b!, a!];
  const cases: [string, { escrow_id: string | null } | null, string[]][] = [
    ['the host has said nothing', null, ['c', 'b', 'a']],
    ['the host has the newest', { escrow_id: 'c' }, ['c']],
    ['the host has not said yet that it has the newest', { escrow_id: 'b' }, ['c', 'b']],
    ['the host has one that is not kept', { escrow_id: 'x' }, ['c', 'b', 'a']],
  ];
  for (const [what, told, ids] of cases) {
    it(what, () =>
      assert.deepEqual(
        candidatesOf(newestFirst, told).map(({ id }) => id),
        ids,
      ),
    );
  }
});
