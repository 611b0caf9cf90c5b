import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import type { LogShown } from '#shared/log-head.ts';
import { openHost } from '../app.ts';
import { createHeardAuthorities } from '../certificates/authorities.ts';
import { stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { openCheckpoints } from '../state/checkpoint.ts';
import { createFakeLog, type FakeLog } from '../testing/fake-log.ts';
import { createFakeServer, createServerKey } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { NO_GRANTS } from '../testing/no-grants.ts';
import { NO_JOURNALS } from '../testing/no-journals.ts';
import { createDoctor } from './doctor.ts';
import { beat, type HeartbeatDeps } from './heartbeat.ts';

/** A host that has followed the log of a server up to event 50. */
async function world() {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server);
  const logged: string[] = [];
  const note = (line: string) => void logged.push(line);
  const log = { info: note, warn: note, error: note };
  const host = await openHost(enrolled.paths, { log });
  const events = createFakeLog(server.serverId, server.trustRoot, await createServerKey());
  events.add(50);
  server.log = events;
  const deps: HeartbeatDeps = {
    client: host.client,
    keys: host.keys,
    grants: NO_GRANTS,
    authorities: createHeardAuthorities(),
    ownAuthorities: async () => null,
    checkpoints: host.checkpoints,
    trust: host.enrolment.trust,
    osInfo: 'Debian x64',
    report: async () => ({ v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false }),
    doctor: createDoctor({ look: async () => [], clock: systemClock, log }),
    journals: NO_JOURNALS,
    save: async () => undefined,
    clock: systemClock,
    log,
  };
  const w = {
    server,
    events,
    logged,
    beat: async () => (await beat(deps)).result,
    kept: () => host.checkpoints.current(),
    contradiction: () => host.checkpoints.current().contradiction?.kind ?? null,
    /** From the file, as an agent finds it that was started anew. */
    reread: async () => (await openCheckpoints(stateFiles(enrolled.paths.state).checkpoint)).current(),
    /** How many further pages were asked for. */
    pages: () => server.calls.filter(({ path }) => path.startsWith('/log?')).length,
    /** Answers with something else than what the log says. */
    lie(change: (shown: LogShown) => LogShown | Promise<LogShown>) {
      const told = events.shown;
      events.shown = async (after) => change(await told(after));
    },
    /** What a server shows from now on. */
    show(log: FakeLog) {
      server.log = log;
    },
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
  assert.equal(await w.beat(), 'ok');
  assert.equal(w.kept().seq, 50);
  return w;
}

describe('a host follows the event log', { timeout: 120_000, concurrency: 4 }, () => {
  it('when the hashes lead from the head that it keeps to the new one, in one answer or in pages', async () => {
    await using w = await world();
    w.events.add(3);
    assert.equal(await w.beat(), 'ok');
    assert.equal(w.kept().seq, 53);
    assert.equal(w.pages(), 0);
    w.events.add(3100);
    assert.equal(await w.beat(), 'ok');
    assert.equal(w.kept().seq, 3153);
    assert.equal(w.pages(), 3);
    assert.deepEqual(await w.reread(), w.kept());
  });

  it('says which head it keeps, and that nothing contradicts it', async () => {
    await using w = await world();
    await w.beat();
    const said = w.server.calls.findLast(({ path }) => path === '/heartbeat')?.body;
    assert.deepEqual(said?.log, { head: w.kept().signed?.head, contradiction: null });
    assert.equal(said?.checkpointSeq, 50);
  });

  it('not when an event before its head was rewritten, however long the log has become', async () => {
    await using w = await world();
    w.events.hashes[20] = sha256('rewritten');
    w.events.add(200);
    assert.equal(await w.beat(), 'forked');
    assert.equal(w.kept().seq, 50, 'what it has seen, it keeps');
    assert.ok(w.logged.some((line) => line.includes('refusing its decisions')));
    await w.beat();
    const said = w.server.calls.findLast(({ path }) => path === '/heartbeat')?.body;
    assert.deepEqual(said?.log, { head: w.kept().signed?.head, contradiction: 'forked' }, 'the server is told');
    assert.equal((await w.reread()).contradiction?.kind, 'forked', 'a restart does not forget it');
  });

  it('not when two servers went their own ways, until it sees its own again', async () => {
    await using w = await world();
    const other = w.events.copy();
    w.events.add(5, 'here');
    other.add(9, 'there');
    assert.equal(await w.beat(), 'ok');
    w.show(other);
    assert.equal(await w.beat(), 'forked');
    w.show(w.events);
    w.events.add(1);
    assert.equal(await w.beat(), 'ok');
    assert.equal(w.contradiction(), null);
  });

  it('not when a backup was put back, neither while the log is shorter nor once it has outgrown what was seen', async () => {
    await using w = await world();
    const backup = w.events.copy();
    w.events.add(30);
    assert.equal(await w.beat(), 'ok');
    w.show(backup);
    backup.add(2, 'after the backup');
    assert.equal(await w.beat(), 'rolled_back');
    backup.add(1000, 'after the backup');
    assert.equal(await w.beat(), 'forked');
    assert.equal(w.contradiction(), 'forked');
  });

  it('on from a backup once an operator says so, and it knows who did and why', async () => {
    await using w = await world();
    const backup = w.events.copy();
    w.events.add(30);
    await w.beat();
    w.show(backup);
    backup.now = w.events.now + 60_000;
    assert.equal(await w.beat(), 'rolled_back');
    await backup.restore();
    backup.add(1500, 'after the backup');
    assert.equal(await w.beat(), 'ok');
    assert.equal(w.contradiction(), null);
    assert.equal(w.kept().seq, 1550);
    const { restored } = w.kept();
    assert.deepEqual(
      { ...restored, at: 0 },
      { at: 0, seq: 50, seen: 80, operator: 'olga', reason: 'the disk of db1 died' },
    );
    assert.ok(w.logged.some((line) => line.includes('olga') && line.includes('the disk of db1 died')));
    backup.add(1);
    assert.equal(await w.beat(), 'ok', 'and goes on from there');
  });

  it('not on the word of an epoch that is older than what it keeps', async () => {
    await using w = await world();
    // Signed while this host was away, and found in an old copy of the database.
    await w.events.restore();
    const replayed = w.events.copy();
    w.events.epoch = null;
    w.events.add(10);
    assert.equal(await w.beat(), 'ok');
    replayed.add(500, 'another past');
    w.show(replayed);
    assert.equal(await w.beat(), 'forked');
    assert.equal(w.kept().seq, 60);
  });

  it('not back into an epoch that it has left, nor into one that it has been in all the time', async () => {
    await using w = await world();
    const first = w.events.copy();
    first.now += 60_000;
    await first.restore();
    first.add(5, 'first');
    w.show(first);
    assert.equal(await w.beat(), 'ok');
    const again = first.copy();
    first.add(20, 'first');
    assert.equal(await w.beat(), 'ok');
    again.now = first.now + 1000;
    w.show(again);
    assert.equal(await w.beat(), 'rolled_back', 'the backup of that time does not come with a word of its own');
    const second = first.copy();
    await second.restore();
    second.add(1, 'second');
    w.show(second);
    assert.equal(await w.beat(), 'ok');
    w.show(first);
    assert.equal(await w.beat(), 'rolled_back', 'an epoch that was superseded is over');
  });

  it('not on an epoch of anybody but the trust root', async () => {
    await using w = await world();
    const backup = w.events.copy();
    backup.hashes.length = 40;
    backup.now += 60_000;
    await backup.restore({}, w.events.key);
    backup.add(3);
    w.show(backup);
    assert.equal(await w.beat(), 'rolled_back');
  });

  const lies: Record<string, (shown: LogShown, log: FakeLog) => LogShown | Promise<LogShown>> = {
    'too few hashes': (shown) => ({ ...shown, hashes: shown.hashes.slice(1) }),
    'too many hashes': (shown) => ({ ...shown, hashes: [...shown.hashes, sha256('one more')] }),
    'a head by another key': async (shown, log) => ({ ...shown, head: await log.sign({}, await createServerKey()) }),
    'a head of another server': async (shown, log) => ({
      ...shown,
      head: await log.sign({ iss: '00000000-0000-4000-8000-000000000000' }),
    }),
    'a token of another purpose as head': (shown) => ({ ...shown, head: shown.key }),
    'a key that the trust root did not vouch for': (shown) => ({ ...shown, key: shown.head }),
    'a head too far away to follow': async (shown, log) => ({ ...shown, head: await log.sign({ seq: 2 ** 50 }) }),
  };
  for (const [name, change] of Object.entries(lies)) {
    it(`not to what nobody proved: ${name}; nor is that a contradiction`, async () => {
      await using w = await world();
      w.events.add(7);
      w.lie((shown) => change(shown, w.events));
      assert.equal(await w.beat(), 'unproven');
      assert.equal(w.kept().seq, 50);
      assert.equal(w.contradiction(), null);
    });
  }

  it('not when the hashes come in another order', async () => {
    await using w = await world();
    w.events.add(7);
    w.lie((shown) => ({ ...shown, hashes: shown.hashes.toReversed() }));
    assert.equal(await w.beat(), 'forked');
  });

  it('not when a further page has a gap or too much', async () => {
    for (const change of [(page: string[]) => page.slice(1), (page: string[]) => [...page, sha256('x')]]) {
      await using w = await world();
      w.events.add(2500);
      const { page } = w.events;
      w.events.page = (after, until) => (after === 50 ? page(after, until) : change(page(after, until)));
      assert.equal(await w.beat(), 'unproven');
      assert.equal(w.kept().seq, 50);
    }
  });

  it('takes another log key that the trust root names, and never an earlier one again', async () => {
    await using w = await world();
    const old = w.events.copy();
    w.events.key = await createServerKey();
    w.events.keyIssuedAt = 2;
    w.events.add(1);
    assert.equal(await w.beat(), 'ok');
    old.hashes = [...w.events.hashes];
    old.add(1);
    w.show(old);
    assert.equal(await w.beat(), 'unproven');
  });

  it('a server that shows no signed head any more has not proven anything', async () => {
    await using w = await world();
    w.server.log = null;
    w.server.checkpoint = { seq: 500, hash: 'h500' };
    assert.equal(await w.beat(), 'unproven');
    assert.equal(w.kept().seq, 50);
  });
});
