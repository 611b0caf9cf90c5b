import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachDatabase } from '../db/test-databases.ts';
import { ReaderFailure } from '../events/readers.ts';
import { wantedBy } from './create-sinks.ts';
import { createDeadLetters } from './dead-letters.ts';
import { mustBeSure } from './sink.ts';
import { auditCluster, noteSink, numbers, until } from './testing/audit-kit.ts';

forEachDatabase('an audit sink', (open) => {
  test('[A-07] that was away for longer than it reads ahead has everything again from the database, in order', async (t) => {
    const c = await auditCluster(t, open);
    let away = true;
    const sink = noteSink('syslog', async () => {
      if (away) throw new ReaderFailure('connect ECONNREFUSED', { retryMs: 20 });
      return null;
    });
    const a = await c.start('a', [sink.sink], { bufferSize: 10 });
    await c.write(75);
    await until(async () => (await a.status())[0]?.state === 'failing');
    const [failing] = await a.status();
    assert.deepEqual([failing?.state, failing?.behind, failing?.lastError], ['failing', 75, 'connect ECONNREFUSED']);
    assert.equal(failing?.lastSuccessAt, null);
    away = false;
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.deepEqual(sink.taken, numbers(75));
    assert.equal(c.count('syslog', 'emitted'), 75);
    assert.ok(sink.given.every((batch) => batch.length <= 10));
    const [well] = await a.status();
    assert.deepEqual([well?.state, well?.lastError], ['ok', 'connect ECONNREFUSED']);
    assert.equal(well?.lastSuccessAt, c.clock.now());
  });

  test('[A-06] its last success is when its receiver took something, and not when its place in the log moved', async (t) => {
    const c = await auditCluster(t, open);
    const refuses = noteSink('loki', async () => ({ at: null, reason: 'no' }));
    const wantsNothing = noteSink('syslog', undefined, { wants: () => false });
    const well = noteSink('jsonlog');
    const a = await c.start('a', [refuses.sink, wantsNothing.sink, well.sink]);
    await c.write(3);
    await until(async () => (await a.status()).every(({ seq }) => seq === 3));
    const successOf = async () => (await a.status()).map(({ name, lastSuccessAt }) => [name, lastSuccessAt]);
    const before = c.clock.now();
    assert.deepEqual(Object.fromEntries(await successOf()), { loki: null, syslog: null, jsonlog: before });
    c.clock.advance(1000);
    assert.equal(Object.fromEntries(await successOf()).jsonlog, before);
  });

  test('[A-05] that hangs or refuses delays no other, and not who writes events', async (t) => {
    const c = await auditCluster(t, open);
    const hung = noteSink(
      'syslog',
      (_, turn) =>
        new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(new Error('told to stop')))),
    );
    const refuses = noteSink('loki', async () => {
      throw new Error('getaddrinfo ENOTFOUND loki.invalid');
    });
    const well = noteSink('jsonlog');
    const a = await c.start('a', [hung.sink, refuses.sink, well.sink]);
    await c.write(40);
    await until(() => well.taken.length === 40 && hung.given.length === 1 && refuses.given.length > 0);
    await c.write(40);
    await until(() => well.taken.length === 80);
    const behind = Object.fromEntries((await a.status()).map((one) => [one.name, one.behind]));
    assert.deepEqual([behind.syslog, behind.loki], [80, 80]);
    await until(async () => (await a.status()).find(({ name }) => name === 'jsonlog')?.behind === 0);
  });

  test('that is for some events gets these, and its place moves on behind the others', async (t) => {
    const c = await auditCluster(t, open);
    const sink = noteSink('syslog', undefined, { wants: wantedBy(['attempts', 'user_logged_out']) });
    const a = await c.start('a', [sink.sink]);
    await c.write(2);
    await c.write(1, { event: 'login_failed' });
    await c.write(2);
    await c.write(1, { event: 'user_logged_out' });
    await c.write(1);
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.deepEqual(sink.taken, [3, 6]);
    assert.equal(c.count('syslog', 'emitted'), 2);
    assert.ok(wantedBy(['attempts'])({ event: 'an_event_of_another_version' }));
  });

  test('[A-08] that is given one event at a time and is blocked loses nothing', async (t) => {
    const c = await auditCluster(t, open);
    let open_ = () => {};
    const opened = new Promise<void>((resolve) => {
      open_ = resolve;
    });
    const sink = noteSink('jsonlog', async () => {
      await opened;
      return null;
    });
    await c.start('a', [sink.sink], { bufferSize: 1 });
    await c.write(30);
    await until(() => sink.given.length === 1);
    open_();
    await until(() => sink.taken.length === 30);
    assert.deepEqual(
      sink.given,
      numbers(30).map((seq) => [seq]),
    );
  });

  test('[A-10] puts what its receiver refuses for good aside, with the reason, and goes on', async (t) => {
    const c = await auditCluster(t, open);
    const poisonous = new Set([7, 40, 41]);
    const sink = noteSink('splunk_hec', async (records) =>
      // No database holds all that a receiver may say.
      records.some(({ event }) => poisonous.has(event.seq)) ? { at: null, reason: 'invalid \0 data format' } : null,
    );
    const a = await c.start('a', [sink.sink]);
    await c.write(60);
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.deepEqual(
      sink.taken,
      numbers(60).filter((seq) => !poisonous.has(seq)),
    );
    const letters = createDeadLetters({ db: c.db, events: c.writer });
    const found = (await letters.list()).map(({ sink, seq, reason, event, retry }) => [
      sink,
      seq,
      reason,
      event,
      retry,
    ]);
    const why = ['invalid \\x00 data format', 'user_logged_in', false] as const;
    assert.deepEqual(
      found,
      [7, 40, 41].map((seq) => ['splunk_hec', seq, ...why]),
    );
    assert.equal(c.count('splunk_hec', 'dead_lettered'), 3);
    assert.equal((await a.status())[0]?.deadLetters, 3);

    // One is taken now, the others are not.
    poisonous.delete(40);
    assert.equal(await letters.retry({ sink: 'loki' }, 'olga'), 0);
    assert.equal(await letters.retry({ sink: 'splunk_hec' }, 'olga'), 3);
    await until(async () => (await letters.list()).every(({ retry }) => !retry));
    assert.deepEqual(
      (await letters.list()).map(({ seq }) => seq),
      [7, 41],
    );
    assert.deepEqual(sink.taken.slice(-2), [40, 61]);
    const [retried] = await c.writer.read(60, 1);
    assert.deepEqual([retried?.event, retried?.actor], ['audit_dead_letters_retried', 'olga']);
    poisonous.clear();
    assert.equal(await letters.retry({ seq: 7 }, 'olga'), 1);
    await until(async () => (await letters.list()).length === 1);
    assert.deepEqual(
      (await letters.list()).map(({ seq }) => seq),
      [41],
    );
  });

  test('[A-10] whose receiver names the event that it refuses has the others taken together', async (t) => {
    const c = await auditCluster(t, open);
    const poisonous = new Set([1, 30, 31, 60]);
    const sink = noteSink('splunk_hec', async (records) => {
      const at = records.findIndex(({ event }) => poisonous.has(event.seq));
      return at < 0 ? null : { at, reason: 'no event' };
    });
    await c.write(60);
    const a = await c.start('a', [sink.sink]);
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.deepEqual(
      sink.taken,
      numbers(60).filter((seq) => !poisonous.has(seq)),
    );
    assert.equal((await a.status())[0]?.deadLetters, 4);
    assert.ok(sink.given.length < 15, 'and not each alone');
  });

  test('[A-10] whose receiver refuses everything stops instead of putting the whole log aside', async (t) => {
    const c = await auditCluster(t, open);
    let wrong = true;
    const sink = noteSink('splunk_hec', async () => (wrong ? { at: null, reason: 'incorrect index' } : null));
    const a = await c.start('a', [sink.sink], { mostDeadLetters: 20, bufferSize: 10 });
    await c.write(35);
    await until(async () => (await a.status())[0]?.state === 'paused');
    const paused = (await a.status())[0]!;
    assert.equal(paused.deadLetters, 20);
    assert.equal(paused.behind, 15);
    // The receiver is mended, and an operator has them tried again.
    wrong = false;
    const letters = createDeadLetters({ db: c.db, events: c.writer });
    assert.equal(await letters.retry({}, 'olga'), 20);
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.equal((await a.status())[0]?.deadLetters, 0);
    assert.deepEqual(
      [...new Set(sink.taken)].sort((x, y) => x - y),
      numbers(36),
    );
  });

  test('[A-10] whose receiver refuses again what is tried again is asked once for it, and not with each attempt', async (t) => {
    const c = await auditCluster(t, open);
    let all = true;
    const sink = noteSink('splunk_hec', async (records) =>
      records.some(({ event }) => all || event.seq !== 7) ? { at: null, reason: 'incorrect index' } : null,
    );
    const a = await c.start('a', [sink.sink], { mostDeadLetters: 20, bufferSize: 10 });
    await c.write(35);
    await until(async () => (await a.status())[0]?.state === 'paused');
    const letters = createDeadLetters({ db: c.db, events: c.writer });
    const before = sink.given.length;
    all = false;
    assert.equal(await letters.retry({}, 'olga'), 20);
    await until(async () => (await letters.list()).every(({ retry }) => !retry));
    // One was taken, so there is room for one more batch; then it waits for an operator again, and asks nobody.
    await until(async () => (await letters.list()).length === 29);
    await until(async () => (await a.status())[0]?.state === 'paused');
    assert.deepEqual(sink.taken, [7]);
    const asked = sink.given.slice(before).map((seqs) => seqs.join());
    assert.deepEqual(
      numbers(20).map((seq) => asked.filter((one) => one === String(seq)).length),
      Array(20).fill(1),
    );
    assert.equal(c.count('splunk_hec', 'emitted'), 1);
  });

  test('[A-10] of two servers one tries again what an operator wants, once', async (t) => {
    const c = await auditCluster(t, open);
    let wrong = true;
    const make = () =>
      noteSink('loki', async (records) =>
        wrong && records.some(({ event }) => event.seq <= 5) ? { at: null, reason: 'too large' } : null,
      );
    const sinks = [make(), make()];
    const [a] = [await c.start('a', [sinks[0]!.sink]), await c.start('b', [sinks[1]!.sink])];
    await c.write(8);
    await until(async () => (await a!.status())[0]?.behind === 0);
    wrong = false;
    const letters = createDeadLetters({ db: c.db, events: c.writer });
    const counts = await Promise.all(['olga', 'erin'].map((actor) => letters.retry({}, actor)));
    assert.ok(counts.includes(5));
    await until(async () => (await letters.list()).length === 0 && (await a!.status())[0]?.behind === 0);
    const taken = sinks.flatMap((sink) => sink.taken);
    assert.deepEqual(
      numbers(5).map((seq) => taken.filter((one) => one === seq).length),
      Array(5).fill(1),
    );
  });

  test('[A-06] whose receiver says what no database holds is said to fail, in words that can be read', async (t) => {
    const c = await auditCluster(t, open);
    const sink = noteSink('loki', async () => {
      throw new ReaderFailure('the receiver answers 500: no \0 room \u202e\ud800');
    });
    const a = await c.start('a', [sink.sink]);
    await c.write(1);
    await until(async () => (await a.status())[0]?.state === 'failing');
    assert.equal((await a.status())[0]?.lastError, 'the receiver answers 500: no \\x00 room \\u{202e}\ufffd');
  });

  test('[A-11] that is not let in waits for an operator and gives nothing up', async (t) => {
    const c = await auditCluster(t, open);
    let token = 'wrong';
    const sink = noteSink('loki', async () => {
      if (token === 'wrong') throw new ReaderFailure('401: not authorized', { paused: true, retryMs: 20 });
      return null;
    });
    const a = await c.start('a', [sink.sink]);
    await c.write(3);
    await until(async () => (await a.status())[0]?.state === 'paused');
    assert.deepEqual([(await a.status())[0]?.deadLetters, (await a.status())[0]?.behind], [0, 3]);
    token = 'right';
    await until(() => sink.taken.length === 3);
    await until(async () => (await a.status())[0]?.state === 'ok');
  });

  test('[A-03] of a server that was stopped for long writes nothing more when it goes on', async (t) => {
    const c = await auditCluster(t, open);
    const lifeMs = 150;
    let frozen = false;
    let goOn = () => {};
    const thawed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const lines: string[] = [];
    /** Writes one record after the other, as a receiver is written to. */
    const writes = (by: string, stopsAt: number) =>
      noteSink('syslog', async (records, turn) => {
        for (const { event } of records) {
          if (event.seq === stopsAt) {
            frozen = true;
            await thawed;
          }
          mustBeSure(turn);
          lines.push(`${by} ${event.seq}`);
        }
        return null;
      });
    await c.write(9);
    const stopped = writes('stopped', 4);
    await c.start('stopped', [stopped.sink], {
      lifeMs,
      more: (leases) => ({
        ...leases,
        // A process that is stopped renews nothing.
        acquire: (name) => (frozen ? thawed.then(() => leases.acquire(name)) : leases.acquire(name)),
      }),
    });
    await until(() => frozen);
    c.clock.advance(lifeMs + 1);
    const heir = writes('heir', 0);
    const b = await c.start('heir', [heir.sink], { lifeMs });
    await until(() => heir.taken.length === 9);
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    goOn();
    await until(() => c.count('syslog', 'failed') > 0);
    await c.write(2);
    await until(() => heir.taken.length === 11);
    await until(async () => (await b.status())[0]?.behind === 0);
    assert.deepEqual(
      lines.filter((line) => line.startsWith('stopped')),
      ['stopped 1', 'stopped 2', 'stopped 3'],
    );
    assert.deepEqual(heir.taken, numbers(11));
  });
});
