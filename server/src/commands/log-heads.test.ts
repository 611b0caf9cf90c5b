import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { extendHistory, readLogEpoch } from '#shared/log-head.ts';
import { type App, createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { checkChain } from '../events/store.ts';
import { type KeptHead, logBeat, logHeadOf } from '../testing/log-beat.ts';
import { rewriteLog } from '../testing/rewrite-log.ts';
import { runOn as run } from '../testing/run-command.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';

describe('what the command line makes of signed heads', () => {
  let folder: string;
  let t: TestApp;
  let host: TestHost;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-log-heads-'));
    // Commands run on the clock of the machine.
    t = await createTestApp({ now: Date.now() - 60_000 });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
  });
  after(async () => {
    await t.close();
    await rm(folder, { recursive: true, force: true });
  });

  const keptNow = async (app?: App): Promise<KeptHead> => logHeadOf(host, await logBeat(host, null, {}, app));
  const addEvents = async (app: App, count: number) => {
    for (let i = 0; i < count; i++) await app.hosts.createToken(`web${i}.example.com`, 'test', null);
  };
  /** As a host prints it. */
  async function exported(head: KeptHead): Promise<string> {
    const file = join(folder, `head-${head.seq}-${head.at}.json`);
    await writeFile(file, JSON.stringify({ healthy: true, logHead: { head: head.token, key: head.keyToken } }));
    return file;
  }

  test('verify-log knows the heads that hosts and operators kept', async () => {
    const early = await keptNow();
    await addEvents(t.app, 3);
    const late = await keptNow();
    const whole = await run(['verify-log', '--head', await exported(early)], t.config);
    assert.equal(whole.code, 0, whole.err);
    assert.match(whole.out, /The chain is whole/);
    assert.match(whole.out, new RegExp(`contains the head signed at event ${early.seq} on `));
    const both = join(folder, 'both.txt');
    await writeFile(both, `${early.token}\n\n${late.token}\n`);
    const json = await run(['verify-log', '--head', both, '--json'], t.config);
    const { ok, problem, heads } = JSON.parse(json.out);
    assert.deepEqual([ok, problem], [true, null]);
    assert.deepEqual(heads, [
      { seq: early.seq, at: early.at, contained: true, givenUp: null },
      { seq: late.seq, at: late.at, contained: true, givenUp: null },
    ]);
  });

  test('what this server did not sign is no head: it proves nothing about the log', async () => {
    const file = join(folder, 'rubbish');
    const { token, keyToken } = await keptNow();
    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    for (const text of [
      '',
      'rubbish',
      `${token}\n${forged}\n`,
      keyToken,
      '{"logHead":null}',
      JSON.stringify({ logHead: { head: token, key: token } }),
    ]) {
      await writeFile(file, text);
      const { code, err, out } = await run(['verify-log', '--head', file], t.config);
      assert.equal(code, 1, text);
      assert.match(err, /is no head of the event log that this server signed/);
      assert.equal(out, '');
    }
  });

  test('a backup that was put back: hosts go on once an operator answers for it, and only that once', async () => {
    const backup = join(folder, 'backup');
    assert.equal((await run(['backup', backup], t.config)).code, 0);
    await addEvents(t.app, 5);
    const seen = await keptNow();
    const file = await exported(seen);

    const config: Config = {
      ...t.config,
      keysDir: join(folder, 'keys'),
      database: { driver: 'sqlite', dsn: join(folder, 'restored.db'), maxConnections: 1, pooler: 'none' },
    };
    const restored = await run(['restore', backup], config);
    assert.equal(restored.code, 0, restored.err);
    assert.match(restored.out, /identree-server restore accept --operator NAME --reason TEXT/);
    const lost = await run(['verify-log', '--head', file], config);
    assert.equal(lost.code, 1);
    assert.match(lost.out, /The chain is whole/);
    assert.match(lost.out, new RegExp(`does not contain the head signed at event ${seen.seq} .*: what was recorded`));

    for (const missing of [[], ['--operator', 'olga'], ['--operator', ' ', '--reason', 'x']]) {
      assert.equal((await run(['restore', 'accept', ...missing], config)).code, 2);
    }
    const reason = 'the disk of db1 died';
    const app = await createApp(config, { clock: t.clock });
    try {
      await logBeat(host, seen, { log: { head: seen.token, contradiction: 'rolled_back' } }, app);
      const accepted = await run(['restore', 'accept', '--operator', 'olga', '--reason', reason], config);
      assert.equal(accepted.code, 0, accepted.err);
      assert.match(accepted.out, /Hosts that had contradicted it: 1/);

      // Beside the server that runs.
      const shown = await logBeat(host, seen, {}, app);
      const epoch = await readLogEpoch(shown?.epoch ?? '', host.grant);
      assert.ok(epoch);
      assert.deepEqual([epoch.operator, epoch.reason], ['olga', reason]);
      assert.ok(epoch.at > seen.at);
      const head = await logHeadOf(host, shown);
      assert.equal(head.epoch, epoch.at);
      const pages = await host.send('GET', `/log?after=${epoch.seq}&until=${head.seq}`, undefined, {}, app);
      assert.equal((pages.body.hashes as string[]).reduce(extendHistory, epoch.history), head.history);
      const events = await app.events.read(epoch.seq, 10);
      const started = events.find(({ event }) => event === 'log_epoch_started');
      assert.deepEqual([started?.actor, started?.reason, started?.seq], ['olga', reason, epoch.seq + 1]);
      assert.equal(await checkChain(app.db.query), null);
    } finally {
      await app.close();
    }
    const given = await run(['verify-log', '--head', file], config);
    assert.equal(given.code, 1, 'it is not there, whoever says so');
    assert.match(given.out, /does not contain the head .*: olga let it go on from event \d+ on .*the disk of db1 died/);

    const again = await run(['restore', 'accept', '--operator', 'olga', '--reason', 'once more'], config);
    assert.equal(again.code, 0, again.err);
    // What a host has seen it can say only to a server that it reaches.
    const { code, out } = await run(['restore', 'accept', '--operator', 'olga', '--reason', 'nothing'], t.config);
    assert.equal(code, 0);
    assert.match(out, /No host has told this server yet that it has seen other events/);
  });

  test('whoever rewrote an event made the chain right again, but not the head that a host has', async () => {
    const seen = await keptNow();
    await t.app.db.transaction((work) => rewriteLog(work, 4, { reason: 'nothing to see here' }));
    const alone = await run(['verify-log'], t.config);
    assert.equal(alone.code, 0, 'the chain alone does not tell');
    const { code, out } = await run(['verify-log', '--head', await exported(seen)], t.config);
    assert.equal(code, 1);
    assert.match(out, /The chain is whole/);
    assert.match(out, new RegExp(`does not contain the head signed at event ${seen.seq} `));
  });
});
