import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createApp } from '../app/app.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { createLogger } from '../platform/logger.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import type { SinkStatus } from './status.ts';
import { numbers, until } from './testing/audit-kit.ts';
import { httpReceiver } from './testing/http-receiver.ts';
import { lineReceiver } from './testing/line-receiver.ts';

const FURTHER = ['jsonlog_2', 'syslog_2', 'splunk_hec_2', 'loki_2'] as const;

type Seq = { seq: number };

forEachDriver('a second sink of each kind', (driver) => {
  test('has a place of its own: it has everything while the first has nothing, also after it was away', async (t) => {
    const folder = await mkdtemp(join(TEST_FOLDER, 'identree-further-'));
    const refusesAll = createServer((socket) => socket.on('error', () => {}).destroy());
    refusesAll.listen(0, '127.0.0.1');
    await once(refusesAll, 'listening');
    t.after(() => refusesAll.close());
    const broken = await httpReceiver(t, () => ({ status: 503 }));
    const took = { syslog_2: [] as number[], splunk_hec_2: [] as number[], loki_2: [] as number[] };
    const syslogPort = await lineReceiver(t, (line) => took.syslog_2.push(Number(/ seq="(\d+)"/.exec(line)![1])));
    const splunk = await httpReceiver(t, ({ body }) => {
      const seqs = body.split('\n').map((entry) => (JSON.parse(entry) as { event: Seq }).event.seq);
      if (seqs.includes(2)) return { status: 400, body: JSON.stringify({ text: 'no', code: 6 }) };
      took.splunk_hec_2.push(...seqs);
      return { status: 200, body: '{"text":"Success","code":0}' };
    });
    const loki = await httpReceiver(t, ({ body }) => {
      const { streams } = JSON.parse(body) as { streams: { values: [string, string][] }[] };
      for (const [, line] of streams.flatMap(({ values }) => values)) took.loki_2.push((JSON.parse(line) as Seq).seq);
      return { status: 204 };
    });
    const path = join(folder, 'audit.jsonl');
    const inFile = async () => {
      const text = await readFile(path, 'utf8').catch(() => '');
      return text.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as Seq).seq]));
    };
    const provider = createTestProvider();
    const site = await createTestApp({
      driver,
      app: { provider, log: createLogger('error', { write: () => {} }) },
      env: {
        // The first of each kind: a path that cannot be, and receivers that take nothing.
        IDENTREE_AUDIT_LOG: '/dev/null/audit.jsonl',
        IDENTREE_AUDIT_SYSLOG_URL: `tls://127.0.0.1:${(refusesAll.address() as AddressInfo).port}`,
        IDENTREE_AUDIT_SPLUNK_HEC_URL: broken.url,
        IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: 'f2b4c6d8-first',
        IDENTREE_AUDIT_LOKI_URL: broken.url,
        IDENTREE_AUDIT_LOG_2: path,
        IDENTREE_AUDIT_SYSLOG_2_URL: `tcp://127.0.0.1:${syslogPort}?framing=newline`,
        IDENTREE_AUDIT_SYSLOG_2_EVENTS: 'user_logged_in',
        IDENTREE_AUDIT_SPLUNK_HEC_2_URL: splunk.url,
        IDENTREE_AUDIT_SPLUNK_HEC_2_TOKEN: 'a1c3e5f7-second',
        IDENTREE_AUDIT_LOKI_2_URL: loki.url,
      },
    });
    const { app, config, clock } = site;
    t.after(async () => {
      await site.close();
      await rm(folder, { recursive: true, force: true });
    });
    const signIn = (on: typeof app, name: string) =>
      signInTestPerson(on, provider, clock, name, { groups: ['admins'], passkey: false });
    const olga = await signIn(app, 'olga');
    await signIn(app, 'alice');
    const { seq: first } = await app.events.head();
    const logins = async (on: typeof app, after = 0) =>
      (await on.events.read(after, 200)).flatMap(({ seq, event }) => (event === 'user_logged_in' ? [seq] : []));
    const list = async (on: typeof app, person = olga) => {
      const { data } = await person.query<SinkStatus[]>('audit.sinks.list');
      return new Map(data.map((sink) => [sink.name, sink]));
    };
    const wanted = await logins(app);

    await app.start();
    await until(async () => {
      const sinks = await list(app);
      return FURTHER.every((name) => sinks.get(name)!.seq >= first);
    });
    assert.deepEqual((await inFile()).slice(0, first), numbers(first));
    await until(() => took.syslog_2.length >= wanted.length);
    assert.deepEqual(took.syslog_2.slice(0, wanted.length), wanted);
    assert.deepEqual(
      took.splunk_hec_2.slice(0, first - 1),
      numbers(first).filter((seq) => seq !== 2),
    );
    assert.deepEqual(took.loki_2.slice(0, first), numbers(first));
    const sinks = await list(app);
    for (const name of FURTHER) assert.deepEqual([sinks.get(name)!.state, sinks.get(name)!.lastError], ['ok', null]);
    const firsts = [...sinks.values()].filter(({ name }) => !name.endsWith('_2'));
    assert.deepEqual(
      firsts.map(({ name, seq, deadLetters }) => [name, seq, deadLetters]),
      ['jsonlog', 'syslog', 'splunk_hec', 'loki'].map((name) => [name, 0, 0]),
    );
    // What one refused for good is that one's.
    assert.equal(sinks.get('splunk_hec_2')!.deadLetters, 1);
    const letters = (sink: string) => runOn(['audit', 'dead-letters', 'list', '--sink', sink], config);
    assert.match((await letters('splunk_hec_2')).out, /^splunk_hec_2 {2}2 /);
    assert.equal((await letters('splunk_hec')).out, 'Nothing was refused.\n');
    assert.equal((await letters('splunk_hec_10')).code, 2);
    const { body: metrics } = await app.http.inject('/metrics');
    const emitted = (sink: string) => {
      const [, count] = new RegExp(`identree_audit_events_total\\{sink="${sink}",status="emitted"\\} (\\d+)`).exec(
        metrics,
      )!;
      return Number(count);
    };
    assert.equal(emitted('syslog'), 0);
    assert.ok(emitted('syslog_2') >= wanted.length && emitted('jsonlog_2') >= first);
    await app.close();

    // Without them for a while: their places are kept, and said.
    const without = { ...config, audit: { ...config.audit, sinks: config.audit.sinks.slice(0, 1) } };
    const fewer = await createApp(without, { provider, clock, log: createLogger('error', { write: () => {} }) });
    t.after(() => fewer.close());
    await fewer.start();
    const paula = await signIn(fewer, 'paula');
    const { seq: second } = await fewer.events.head();
    const removed = await list(fewer, paula);
    for (const name of FURTHER) assert.equal(removed.get(name)!.state, 'removed');
    const left = removed.get('loki_2')!;
    assert.ok(left.seq >= first && left.behind > 0 && left.lastSuccessAt !== null);
    assert.doesNotMatch((await fewer.health()).details?.audit_sinks ?? '', /_2/);
    await fewer.close();

    // Configured again: nothing is missing and nothing came twice.
    const again = await createApp(config, { provider, clock, log: createLogger('error', { write: () => {} }) });
    t.after(() => again.close());
    await again.start();
    await until(async () => (await inFile()).length >= second && took.loki_2.length >= second);
    await until(() => took.splunk_hec_2.length >= second - 1);
    assert.deepEqual((await inFile()).slice(0, second), numbers(second));
    assert.deepEqual(took.loki_2.slice(0, second), numbers(second));
    const since = await logins(again, first);
    await until(() => since.every((seq) => took.syslog_2.includes(seq)));
  });
});
