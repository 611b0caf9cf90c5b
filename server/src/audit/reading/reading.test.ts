import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import type { EventName } from '#shared/events.ts';
import type { Approval } from '../../challenges/showing.ts';
import { forEachDriver } from '../../db/test-databases.ts';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, testStranger } from '../../testing/test-person.ts';
import type { EventView } from './event-view.ts';
import type { WholeEvent } from './reading.ts';

interface Listed {
  events: EventView[];
  older: string | null;
  newer: string | null;
}

forEachDriver('the log as people read it', (driver) => {
  const provider = createTestProvider();
  let t: TestApp;
  let host: TestHost;
  let alice: TestPerson;
  let bob: TestPerson;
  let olga: TestPerson;
  /** A request of alice that she approved herself, and that ran. */
  let request: string;
  before(async () => {
    t = await createTestApp({ driver, app: { provider } });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
    bob = await signInTestPerson(t.app, provider, t.clock, 'bob', { passkey: false });
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'], passkey: false });
    const asked = await host.create();
    request = asked.challengeId;
    t.clock.advance(10);
    const { data: approval } = await alice.query<Approval>('challenges.get', { code: asked.userCode });
    const assertion = alice.passkey.assert(approval.passkey!.options as never);
    assert.equal((await alice.mutate('challenges.approve', { challengeId: request, assertion })).refusal, null);
    await host.send('POST', `/challenges/${request}/outcome`, { outcome: 'granted', detail: null });
    assert.equal(
      (await olga.mutate('challenges.deny', { challengeId: (await host.create()).challengeId })).status,
      200,
    );
  });
  after(() => t.close());

  async function all(who: TestPerson, filter: object = {}): Promise<EventView[]> {
    const found: EventView[] = [];
    for (let before: string | null = null; ; ) {
      const page: { data: Listed; refusal: string | null } = await who.query<Listed>('audit.events.list', {
        ...filter,
        limit: 3,
        before,
      });
      assert.equal(page.refusal, null);
      found.push(...page.data.events);
      if (page.data.older === null) return found;
      before = page.data.older;
    }
  }
  const names = (events: readonly EventView[]) => events.map(({ event }) => event);

  test('an administrator reads every event, newest first, each with a sentence', async () => {
    // What tells of this reading comes after it.
    const written = (await t.app.events.read(0, 1000)).sort((one, other) => other.at - one.at || other.seq - one.seq);
    const events = await all(olga);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      written.map(({ seq }) => seq),
    );
    const approved = events.find(({ event }) => event === 'challenge_approved')!;
    assert.match(approved.sentence, /^alice approved the request \S+ of alice on web1\.example\.com/);
    const german = await all(olga, { lang: 'de', event: 'user_logged_in', user: 'bob' });
    assert.deepEqual(
      german.map(({ sentence }) => sentence),
      ['bob hat sich im Browser angemeldet.'],
    );
  });

  test('and oldest first, page by page, on from where the last page ended', async () => {
    const until = t.clock.now();
    t.clock.advance(1);
    const newest = await all(olga, { to: until + 1 });
    const oldest: EventView[] = [];
    for (let after: string | null = null; ; ) {
      const asked = { order: 'oldest', to: until + 1, limit: 3, after };
      const page: { data: Listed } = await olga.query<Listed>('audit.events.list', asked);
      assert.equal(page.data.older, null);
      oldest.push(...page.data.events);
      if (page.data.newer === null) break;
      after = page.data.newer;
    }
    assert.ok(oldest.length > 3);
    assert.deepEqual(
      oldest.map(({ seq }) => seq),
      newest.map(({ seq }) => seq).reverse(),
    );
  });

  test('a name that no database can hold is refused, and no fault of the server', async () => {
    for (const name of ['a\0b', 'a\ud800'])
      for (const filter of [{ user: name }, { host: name }]) {
        const { refusal, status } = await olga.query('audit.events.list', filter);
        assert.deepEqual([refusal, status], ['bad_request', 400], JSON.stringify(filter));
      }
    const cookie = { cookie: olga.cookie };
    for (const path of ['events?user=a%00b', 'export?format=csv&host=%00'])
      assert.equal((await t.app.http.inject({ url: `/api/v1/audit/${path}`, headers: cookie })).statusCode, 400, path);
  });

  test('others read what is about them and their accounts, without where somebody else was', async () => {
    const own = await all(alice);
    assert.deepEqual(new Set(own.map(({ username }) => username)), new Set(['alice']));
    for (const name of [
      'challenge_created',
      'challenge_approved',
      'challenge_outcome',
      'challenge_rejected',
      'user_logged_in',
    ])
      assert.ok(names(own).includes(name as EventName), name);
    assert.ok(own.every(({ remoteAddr }) => remoteAddr === null));
    assert.deepEqual(names(await all(bob)), ['user_logged_in']);
    assert.deepEqual(await all(bob, { user: 'alice' }), []);
    assert.deepEqual(await all(bob, { event: 'host_enrolled' }), []);
    const theirs = await t.app.events.read(0, 1000);
    for (const { seq, event } of theirs) {
      const { refusal } = await bob.query('audit.events.get', { seq });
      const may = own.length > 0 && (await all(bob)).some((one) => one.seq === seq);
      assert.equal(refusal, may ? null : 'not_found', event);
    }
  });

  test('a person of the same name at another provider reads nothing of theirs', async () => {
    const twin = await signInTestPerson(t.app, provider, t.clock, 'bob', { subject: 'another', passkey: false });
    const { data } = await twin.query<Listed>('audit.events.list', {});
    const [mine] = data.events;
    assert.deepEqual(names(data.events), ['user_logged_in']);
    assert.notEqual(mine!.seq, (await all(bob))[0]!.seq);
  });

  test('filters of outcome, host and time are those that are in the address', async () => {
    assert.ok(names(await all(olga, { outcome: 'failure' })).includes('challenge_rejected'));
    assert.ok((await all(olga, { outcome: 'failure' })).every(({ outcome }) => outcome === 'failure'));
    assert.ok((await all(olga, { host: 'web1.example.com' })).every(({ hostname }) => hostname === 'web1.example.com'));
    const { data } = await olga.query<Listed>('audit.events.list', { event: 'challenge_approved' });
    const [{ at }] = data.events as [EventView];
    assert.deepEqual(
      names(await all(olga, { from: at, to: at + 1, user: 'alice', outcome: 'success', event: 'challenge_approved' })),
      ['challenge_approved'],
    );
    const wrong = await olga.query('audit.events.list', { event: 'no_such_event' });
    assert.equal(wrong.refusal, 'bad_request');
  });

  test('what belongs to a request comes with each of its events, in its order', async () => {
    const { data: listed } = await alice.query<Listed>('audit.events.list', { event: 'challenge_outcome' });
    const { seq } = listed.events[0]!;
    const { data } = await alice.query<WholeEvent>('audit.events.get', { seq });
    assert.deepEqual(names(data.together), ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    assert.equal(data.record, null);
    const { data: whole } = await olga.query<WholeEvent>('audit.events.get', { seq });
    assert.equal(whole.event.remoteAddr !== null, true);
    assert.equal(whole.record!.intact, true);
    const { text, payload, hash } = whole.record!;
    assert.deepEqual([sha256(text), sha256(payload!)], [hash, JSON.parse(text).payloadHash]);
    const [before] = await t.app.events.read(seq - 2, 1);
    assert.equal(whole.record!.prevHash, before!.hash);
  });

  test('nobody reads without a session', async () => {
    const nobody = await testStranger(t.app, provider, t.clock);
    for (const name of ['audit.events.list', 'audit.events.get', 'audit.export', 'audit.deadLetters.list'])
      assert.equal((await nobody.query(name, { seq: 1, format: 'csv' })).refusal, 'not_signed_in', name);
  });

  test('dead letters are for administrators to see, and to be delivered again from a browser', async () => {
    const desktop = await olga.browser.desktopApp();
    assert.equal((await alice.query('audit.deadLetters.list')).refusal, 'forbidden');
    assert.equal((await desktop.query('audit.deadLetters.list')).refusal, null);
    assert.equal((await alice.mutate('audit.deadLetters.retry', {})).refusal, 'forbidden');
    assert.equal((await desktop.mutate('audit.deadLetters.retry', {})).refusal, 'session_kind');
    const { data } = await olga.mutate('audit.deadLetters.retry', { sink: 'loki' });
    assert.deepEqual(data, { count: 0 });
  });
});

describe('by REST', () => {
  const provider = createTestProvider();
  let t: TestApp;
  let olga: TestPerson;
  before(async () => {
    t = await createTestApp({ app: { provider } });
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'], passkey: false });
  });
  after(() => t.close());

  const get = (path: string) => olga.browser.get(`/api/v1${path}`, { 'sec-fetch-site': 'none' });

  test('events are listed and looked at, and a name of digits is a name', async () => {
    const listed = (await get('/audit/events?limit=1')).json() as Listed;
    assert.equal(listed.events.length, 1);
    const next = (await get(`/audit/events?limit=1&before=${listed.older}`)).json() as Listed;
    assert.equal(next.events[0]!.seq, listed.events[0]!.seq - 1);
    assert.equal(((await get('/audit/events/1')).json() as WholeEvent).event.event, 'server_initialized');
    assert.equal((await get('/audit/events/999999')).statusCode, 404);
    for (const user of ['007', '7', '-1']) assert.equal((await get(`/audit/events?user=${user}`)).statusCode, 200);
    assert.equal((await get('/audit/events?before=1')).statusCode, 400);
  });

  test('the description says of the export which types it has, and how one signs in', async () => {
    const { paths, components, security } = (await get('/openapi.json')).json();
    const types = Object.keys(paths['/api/v1/audit/export'].get.responses[200].content);
    assert.ok(types.some((type) => type.startsWith('text/csv')));
    assert.deepEqual(Object.keys(components.securitySchemes), ['session', 'desktop']);
    assert.deepEqual(security, [{ session: [] }, { desktop: [] }]);
  });
});
