import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import {
  JOURNAL_START,
  type JournalHeads,
  type JournalPosition,
  type JournalSaid,
  type JournalsKept,
} from '#shared/journal-head.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { breakGlassUses, type JournalBeats, journalBeats } from '../testing/journal-beat.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import { judge } from './journals.ts';

const at = (seq: number, past = 'true'): JournalPosition => ({ seq, hash: sha256(`${past} ${seq}`) });
const said = (seq: number, known: JournalPosition | null, past?: string): JournalSaid => ({
  ...at(seq, past),
  after: known,
});

test('what a host says of a journal is held against what is known of it', () => {
  const known = at(5);
  const judged = (one: JournalSaid | null, isEarlier = false) => judge(known, one, isEarlier);
  assert.equal(judged(said(5, null)), 'same');
  assert.equal(judged(said(5, known, 'other')), 'forked');
  assert.equal(judged(said(4, null)), 'went_back');
  assert.equal(judged(said(4, null), true), 'unproven', 'signed before the entry was made');
  assert.equal(judged(said(9, known)), 'newer');
  assert.equal(judged(said(9, at(5, 'other'))), 'forked');
  assert.equal(judged(said(9, null)), 'unproven');
  assert.equal(judged(said(9, at(3))), 'unproven', 'what was known before');
  assert.equal(judged(said(9, at(7))), 'gap');
  assert.equal(judged(null), 'unreadable');
});

forEachDriver('journals of hosts', (driver) => {
  let t: TestApp;
  let olga: TestPerson;
  let alice: TestPerson;
  let host: TestHost;
  let beats: JournalBeats;
  let hosts = 0;
  before(async () => {
    const provider = createTestProvider();
    t = await createTestApp({ driver, app: { provider } });
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'] });
  });
  after(() => t.close());

  /** Each test has a host of its own. */
  async function begin() {
    host = await enrolTestHost(t.app, t.clock, `web${++hosts}.example.com`);
    beats = journalBeats(t, host);
  }
  const happened = async (event: string) =>
    (await t.app.events.read(0, 10_000)).filter((one) => one.event === event && one.hostId === host.id);
  const kept = async () => ((await beats.plain()).journals as JournalsKept).breakGlass;

  test('a host that says nothing of them is asked to, and what it says first is kept', async () => {
    await begin();
    assert.deepEqual((await beats.plain()).journals, { breakGlass: null, offlineGrants: null });
    await beats.say(said(3, null));
    assert.deepEqual(await kept(), { ...at(3), problem: null });
    await beats.say(said(3, at(3)));
    await beats.say(said(7, at(3)));
    assert.deepEqual(await kept(), { ...at(7), problem: null });
    assert.deepEqual(await happened('host_journal_contradicted'), []);
  });

  test('heads that another key signed, or that are another host’s or another server’s, are refused', async () => {
    await begin();
    const other = await enrolTestHost(t.app, t.clock, 'mallory.example.com');
    const heads: JournalHeads = beats.heads(said(3, null));
    const keyOf = ({ key }: TestHost) => ({ kid: host.keyId, privateKey: key });
    for (const token of [
      await signToken(tokenType.journalHeads, heads, keyOf(other)),
      await signToken(tokenType.logHead, heads, keyOf(host)),
      await signToken(tokenType.journalHeads, { ...heads, iss: other.id }, keyOf(host)),
      await signToken(tokenType.journalHeads, { ...heads, aud: other.id }, keyOf(host)),
      await signToken(tokenType.journalHeads, { ...heads, v: 2 }, keyOf(host)),
      'not a token',
    ]) {
      const answer = await beats.send(token);
      assert.deepEqual([answer.status, answer.body.error?.code], [400, 'bad_request'], token);
    }
    assert.equal(await kept(), null);
  });

  test('a journal that goes back is one event, stands on the page of the host, and counts as soon as it continues', async () => {
    await begin();
    await beats.say(said(7, null));
    await beats.say(said(4, null));
    await beats.say(said(4, null));
    await beats.say(said(5, null));
    const [event, ...more] = await happened('host_journal_contradicted');
    assert.deepEqual(more, []);
    assert.deepEqual(event?.data, {
      journal: 'breakGlass',
      problem: 'went_back',
      seq: 7,
      hash: at(7).hash,
      saidSeq: 4,
      saidHash: at(4).hash,
    });
    assert.deepEqual(await kept(), { ...at(7), problem: 'went_back' }, 'the host is told too');
    const view = await olga.query<{ journal: string; problem: string; saidSeq: number }[]>('hosts.journals', {
      hostId: host.id,
    });
    assert.deepEqual(
      view.data.map(({ journal, problem, saidSeq }) => [journal, problem, saidSeq]),
      [
        ['breakGlass', 'went_back', 5],
        ['offlineGrants', null, null],
      ],
    );
    await beats.say(said(8, at(7)));
    assert.deepEqual(await kept(), { ...at(8), problem: null });
    assert.deepEqual(
      (await happened('host_journal_followed')).map(({ data }) => data),
      [{ journal: 'breakGlass', seq: 8, hash: at(8).hash }],
    );
  });

  test('one that grew from a shorter one is another, though it is longer; so is one that cannot show what was seen', async () => {
    await begin();
    await beats.say(said(7, null));
    await beats.say(said(9, at(7, 'other'), 'other'));
    assert.equal((await kept())?.problem, 'forked');
    await begin();
    await beats.say(said(7, null));
    await beats.say(said(12, at(10)));
    assert.deepEqual(await kept(), { ...at(12), problem: 'gap' });
    await beats.say(said(13, at(12)));
    assert.deepEqual(await kept(), { ...at(13), problem: 'gap' }, 'what follows does not bring it back');
    await begin();
    await beats.say(null);
    assert.equal((await kept())?.problem, 'unreadable');
    const [{ data } = { data: null }] = await happened('host_journal_contradicted');
    assert.equal(data?.problem, 'unreadable');
  });

  test('an operator takes it as it is now, and it goes on from there', async () => {
    await begin();
    await beats.say(said(7, null));
    await beats.say(said(2, null, 'other'));
    assert.equal((await alice.mutate('hosts.acceptJournals', { hostId: host.id })).status, 403);
    assert.equal((await alice.query('hosts.journals', { hostId: host.id })).status, 403);
    assert.equal((await olga.mutate('hosts.acceptJournals', { hostId: host.id })).status, 200);
    assert.deepEqual(await kept(), { ...at(2, 'other'), problem: null });
    const [event] = await happened('host_journal_accepted');
    assert.deepEqual(
      [event?.actor, event?.data],
      ['olga', { journal: 'breakGlass', problem: 'went_back', from: 7, to: 2, hash: at(2, 'other').hash }],
    );
    await beats.say(said(3, at(2, 'other'), 'other'));
    assert.deepEqual(await kept(), { ...at(3, 'other'), problem: null });
    await olga.mutate('hosts.acceptJournals', { hostId: host.id });
    assert.equal((await happened('host_journal_accepted')).length, 1, 'there was nothing to take');
  });

  test('an entry that is told is known, whatever the host says of its journal afterwards', async () => {
    await begin();
    const uses = breakGlassUses(host, t.clock.now() - 10, 3);
    await beats.say({ seq: 0, hash: JOURNAL_START.hash, after: null });
    for (const use of uses) assert.equal((await host.send('POST', '/break-glass/uses', use)).status, 200);
    assert.deepEqual(await kept(), { seq: 3, hash: uses[2]!.hash, problem: null });
    // Signed before the last of them was made, and later on its way: nothing is missing from it.
    await beats.say({ seq: 1, hash: uses[0]!.hash, after: null }, uses[1]!.at);
    assert.equal((await kept())?.problem, null);
    await beats.say({ seq: 1, hash: uses[0]!.hash, after: null }, uses[2]!.at + 1);
    assert.equal((await kept())?.problem, 'went_back');
  });
});
