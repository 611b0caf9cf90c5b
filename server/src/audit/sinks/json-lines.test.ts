import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, truncateSync } from 'node:fs';
import {
  appendFile,
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CHAIN_START } from '#shared/events.ts';
import { openTestSqlite } from '../../db/test-databases.ts';
import type { ReaderTurn } from '../../platform/module.ts';
import type { AuditRecord } from '../record.ts';
import { TurnLost } from '../sink.ts';
import { AWKWARD, auditCluster, createRecords, numbers, ownTurn, until } from '../testing/audit-kit.ts';
import { smallDisk, whyNoSmallDisk } from '../testing/small-disk.ts';
import { createJsonLines } from './json-lines.ts';
import { createStandardOutput } from './standard-output.ts';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-audit-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function fileSink(t: TestContext, more: { maxSize?: number; maxFiles?: number } = {}) {
  const folder = await folderOf(t);
  const path = join(folder, 'audit.jsonl');
  const open = () => {
    const sink = createJsonLines({ path, maxSize: 0, maxFiles: 5, now: () => performance.now(), ...more });
    t.after(() => sink.close());
    return sink;
  };
  return { folder, path, open, sink: open() };
}

const linesOf = async (path: string): Promise<string[]> => {
  const text = await readFile(path, 'utf8');
  assert.ok(text === '' || text.endsWith('\n'));
  return text.split('\n').slice(0, -1);
};
const seqsOf = async (...paths: string[]): Promise<number[]> =>
  (await Promise.all(paths.map(linesOf))).flat().map((line) => (JSON.parse(line) as { seq: number }).seq);
const seqs = (records: readonly AuditRecord[]) => records.map(({ event }) => event.seq);

test('[A-20] the bytes in the file are the bytes that were hashed, whatever is in them', async (t) => {
  const { path, sink } = await fileSink(t);
  const records = createRecords();
  await sink.deliver(
    [
      ...records(1),
      ...records(1, { reason: AWKWARD, username: 'a<b>&"c', hostname: 'web1.example.com', code: 'ABC-DEF' }),
      ...records(1, { data: { record: 'x', deep: { hash: 'y', list: [1, null, true] } } }),
    ],
    ownTurn(),
  );
  let before = CHAIN_START;
  const lines = await linesOf(path);
  for (const line of lines) {
    const from = line.indexOf(',"record":') + ',"record":'.length;
    const digest = (text: string) => createHash('sha256').update(text).digest('base64url');
    const hash = digest(line.slice(from, line.indexOf('}', from) + 1));
    const payload = line.slice(line.indexOf(',"payload":') + ',"payload":'.length, -1);
    const told = JSON.parse(line) as Record<string, unknown> & { record: Record<string, unknown> };
    assert.deepEqual([told.hash, told.id, told.prev_hash], [hash, hash, before]);
    assert.deepEqual([told.record.prevHash, told.record.payloadHash], [before, digest(payload)]);
    before = hash;
  }
  const second = JSON.parse(lines[1]!) as Record<string, unknown>;
  assert.deepEqual(
    [second.seq, second.event, second.username, second.hostname, second.code, second.reason, second.source],
    [2, 'user_logged_in', 'a<b>&"c', 'web1.example.com', 'ABC-DEF', AWKWARD, 'identree'],
  );
  assert.equal(second.timestamp, '2026-11-29T12:00:00Z');
  assert.equal('actor' in second, false, 'what there is nothing of is left out');
});

test('[A-20] what is confirmed is on the disk, and what the disk did not take is not confirmed', async (t) => {
  const { folder, path, sink } = await fileSink(t);
  const probe = await open(join(folder, 'probe'), 'w');
  await probe.close();
  const ofAllFiles = Object.getPrototypeOf(probe) as typeof probe;
  const { datasync } = ofAllFiles;
  const synced: number[] = [];
  let broken = false;
  t.mock.method(ofAllFiles, 'datasync', async function (this: typeof probe) {
    synced.push((await this.stat()).size);
    if (broken) throw new Error('EIO');
    await datasync.call(this);
  });
  const records = createRecords();
  for (const count of [1, 50]) {
    await sink.deliver(records(count), ownTurn());
    assert.equal(synced.at(-1), (await lstat(path)).size, 'the last thing that it did');
  }
  assert.equal(synced.length, 2, 'once for each batch');
  broken = true;
  await assert.rejects(sink.deliver(records(1), ownTurn()), /EIO/);
});

test('[A-20] a line that a crash has torn is cut and comes again; one of another program is ended', async (t) => {
  const { path, sink, open } = await fileSink(t);
  const records = createRecords();
  const all = records(6);
  await sink.deliver(all.slice(0, 3), ownTurn());
  await sink.close();
  for (const torn of ['{', all[3]!.text.slice(0, 100), all[3]!.text]) {
    await appendFile(path, torn);
    await open().deliver([all[3]!], ownTurn());
    assert.deepEqual(await seqsOf(path), [1, 2, 3, 4]);
    await truncate(path, (await lstat(path)).size - all[3]!.text.length - 1);
  }
  await appendFile(path, 'a note without an end');
  await open().deliver(all.slice(3), ownTurn());
  const lines = await linesOf(path);
  assert.equal(lines[3], 'a note without an end');
  assert.deepEqual(
    lines.slice(4),
    all.slice(3).map(({ text }) => text),
  );
});

test('[A-21] a file that is full is renamed between two events, and so many are kept', async (t) => {
  const records = createRecords();
  const all = records(100);
  const { folder, path, sink } = await fileSink(t, { maxSize: 3 * all[0]!.text.length, maxFiles: 3 });
  for (let from = 0; from < 100; from += 7) await sink.deliver(all.slice(from, from + 7), ownTurn());
  assert.deepEqual((await readdir(folder)).sort(), ['audit.jsonl', ...[1, 2, 3].map((n) => `audit.jsonl.${n}`)]);
  const kept = await seqsOf(...[3, 2, 1].map((n) => `${path}.${n}`), path);
  assert.deepEqual(kept, numbers(kept.length, 101 - kept.length));
  assert.ok(kept.length >= 9);
});

test('[A-21] a rotation that was cut off in its midst overwrites nothing', async (t) => {
  const records = createRecords();
  const { path, open } = await fileSink(t, { maxSize: 1, maxFiles: 4 });
  const deliver = async (sink: ReturnType<typeof open>) => void (await sink.deliver(records(1), ownTurn()));
  const first = open();
  await deliver(first);
  await deliver(first);
  await first.close();
  // Killed after .1 had made room, before the file took its place.
  await rename(`${path}.2`, `${path}.3`);
  await rename(`${path}.1`, `${path}.2`);
  const second = open();
  await deliver(second);
  await deliver(second);
  assert.deepEqual(await seqsOf(...[4, 3, 2, 1].map((n) => `${path}.${n}`)), numbers(4));
});

test('[A-21] other programs rename the file or copy and cut it: no event is lost', async (t) => {
  const { path, sink } = await fileSink(t);
  const records = createRecords();
  await sink.deliver(records(5), ownTurn());
  await rename(path, `${path}.old`);
  await sink.deliver(records(5), ownTurn());
  assert.deepEqual(await seqsOf(`${path}.old`), numbers(5));
  assert.deepEqual(await seqsOf(path), numbers(5, 6));
  assert.equal(await sink.comesAgain!(), null);

  await copyFile(path, `${path}.copy`);
  const lost = records(3);
  await sink.deliver(lost, ownTurn());
  await truncate(path, 0);
  // Before anybody has asked: it must not be taken for a file that it goes on with.
  await assert.rejects(sink.deliver(records(1), ownTurn()), /was cut/);
  const again = await sink.comesAgain!();
  assert.ok(again !== null && again.after < lost[0]!.event.seq);
  assert.equal((await sink.comesAgain!())?.after, again.after, 'until it is noted');
  again.noted();
  assert.equal(await sink.comesAgain!(), null);
  await sink.deliver(lost, ownTurn());
  assert.deepEqual(await seqsOf(path), seqs(lost));
});

test('[A-21] a file that another program cuts while it is written to is noticed too', async (t) => {
  const { path, sink } = await fileSink(t);
  const records = createRecords();
  await sink.deliver(records(5), ownTurn());
  await copyFile(path, `${path}.copy`);
  const lost = records(3);
  await sink.deliver(lost, ownTurn());
  const cutting: ReaderTurn = {
    ...ownTurn(),
    isSure() {
      truncateSync(path, 0);
      return true;
    },
  };
  await assert.rejects(sink.deliver(records(1), cutting), /was cut/);
  const again = await sink.comesAgain!();
  assert.ok(again !== null && again.after < lost[0]!.event.seq);
});

test('[A-21] only its group reads the file, and a link or what is no file is refused', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'var', 'log', 'audit.jsonl');
  const make = (path: string) => {
    const sink = createJsonLines({ path, maxSize: 0, maxFiles: 5, now: () => performance.now() });
    t.after(() => sink.close());
    return sink;
  };
  const records = createRecords();
  const umask = process.umask(0o077);
  try {
    await make(path).deliver(records(1), ownTurn());
  } finally {
    process.umask(umask);
  }
  const modeOf = async (path: string) => ((await lstat(path)).mode & 0o777).toString(8);
  assert.equal(await modeOf(path), '640');
  for (const made of ['var', 'var/log']) assert.equal(await modeOf(join(folder, made)), '750');

  const other = join(folder, 'other');
  await writeFile(other, 'untouched\n');
  await symlink(other, join(folder, 'link'));
  await assert.rejects(make(join(folder, 'link')).deliver(records(1), ownTurn()), /is a symbolic link/);
  assert.equal(await readFile(other, 'utf8'), 'untouched\n');
  await mkdir(join(folder, 'folder'));
  await assert.rejects(make(join(folder, 'folder')).deliver(records(1), ownTurn()));
  await assert.rejects(make('/dev/null').deliver(records(1), ownTurn()), /is no file/);
});

test('[A-21] while the folder cannot be written nothing is confirmed; then it goes on', async (t) => {
  const folder = await folderOf(t);
  const parent = join(folder, 'log');
  await writeFile(parent, 'in the way');
  const sink = createJsonLines({ path: join(parent, 'audit.jsonl'), maxSize: 0, maxFiles: 5, now: () => 0 });
  t.after(() => sink.close());
  const all = createRecords()(3);
  await assert.rejects(sink.deliver(all, ownTurn()));
  await rm(parent);
  await mkdir(parent);
  await chmod(parent, 0o750);
  await sink.deliver(all, ownTurn());
  assert.deepEqual(await seqsOf(join(parent, 'audit.jsonl')), [1, 2, 3]);
});

const noDisk = whyNoSmallDisk();
test('[A-21] of a disk that is full or read-only nothing is confirmed, no line is merged, and it goes on', {
  skip: noDisk ?? false,
}, async (t) => {
  const disk = smallDisk(t, 256);
  const c = await auditCluster(t, openTestSqlite);
  const path = join(disk.folder, 'audit.jsonl');
  const sink = createJsonLines({ path, maxSize: 20_000, maxFiles: 50, now: () => performance.now() });
  let server = await c.start('a', [sink]);
  const status = async () => (await server.status())[0]!;
  const files = async () => (await readdir(disk.folder)).filter((name) => name.startsWith('audit.jsonl'));
  await c.write(20);
  await until(async () => (await status()).behind === 0);

  // What is open for writing keeps a disk from being made read-only.
  await server.stop();
  disk.readOnly();
  server = await c.start('b', [sink]);
  await c.write(20);
  await until(async () => (await status()).state === 'failing');
  assert.match((await status()).lastError!, /EROFS/);
  assert.equal((await status()).seq, 20);
  disk.writable();
  await until(async () => (await status()).behind === 0);

  // Full within a line, mostly: what there is of it is no line.
  const filling = join(disk.folder, 'filling');
  await writeFile(filling, '');
  await assert.rejects(async () => {
    for (;;) await appendFile(filling, Buffer.alloc(1024));
  }, /ENOSPC/);
  await c.write(200);
  await until(async () => /ENOSPC/.test((await status()).lastError ?? ''));
  assert.ok((await status()).behind > 0);
  await rm(filling);
  await until(async () => (await status()).behind === 0);
  const found = await seqsOf(...(await files()).map((name) => join(disk.folder, name)));
  assert.deepEqual(
    [...new Set(found)].sort((x, y) => x - y),
    numbers(240),
  );
  assert.equal(c.count('jsonlog', 'dead_lettered'), 0);
});

test('[A-21] what takes the place of the file while it is written is not written to', async (t) => {
  const { folder, path, sink } = await fileSink(t);
  const records = createRecords();
  await sink.deliver(records(3), ownTurn());
  const [late] = records(1);
  const other = join(folder, 'other');
  await writeFile(other, 'untouched\n');
  const places: [string, () => Promise<unknown>, RegExp][] = [
    ['a link to another file', () => symlink(other, path), /is a symbolic link/],
    ['a link to itself, moved', () => symlink(`${path}.moved`, path), /is a symbolic link/],
    ['a folder', () => mkdir(path), /EISDIR|is no file/],
    ['a named pipe that nobody reads', () => promisify(execFile)('mkfifo', [path]), /is no file/],
  ];
  await rename(path, `${path}.moved`);
  for (const [what, make, said] of places) {
    await make();
    await assert.rejects(sink.deliver([late!], ownTurn()), said, what);
    await rm(path, { recursive: true });
  }
  await sink.deliver([late!], ownTurn());
  assert.deepEqual([await seqsOf(`${path}.moved`), await seqsOf(path)], [numbers(3), [4]]);
  assert.equal(await readFile(other, 'utf8'), 'untouched\n');
});

test('[A-03] a file is not written by whoever may have a successor', async (t) => {
  const { path, sink } = await fileSink(t);
  const all = createRecords()(2);
  await sink.deliver(all.slice(0, 1), ownTurn());
  await assert.rejects(sink.deliver(all.slice(1), { ...ownTurn(), isSure: () => false }), TurnLost);
  assert.deepEqual(await seqsOf(path), [1]);
});

test('[A-03] a file is neither cut nor renamed nor deleted by whoever may have a successor', async (t) => {
  const { folder, path, open } = await fileSink(t, { maxSize: 1, maxFiles: 2 });
  const all = createRecords()(5);
  const late: ReaderTurn = { ...ownTurn(), isSure: () => false };
  await open().deliver(all.slice(0, 1), ownTurn());
  const contents = async () =>
    Promise.all((await readdir(folder)).sort().map(async (name) => [name, await readFile(join(folder, name), 'utf8')]));
  // The successor is in the midst of a line.
  await writeFile(path, all[1]!.text.slice(0, 50));
  let before = await contents();
  await assert.rejects(open().deliver(all.slice(1, 2), late), TurnLost);
  assert.deepEqual(await contents(), before);
  // What the successor has filled is its own to rename.
  for (const name of [path, `${path}.1`, `${path}.2`]) await writeFile(name, `${all[1]!.text}\n`);
  before = await contents();
  await assert.rejects(open().deliver(all.slice(2, 3), late), TurnLost);
  assert.deepEqual(await contents(), before);
  // Frozen between its last line and the rotation behind it.
  await rm(path);
  let asked = 0;
  const frozen: ReaderTurn = { ...ownTurn(), isSure: () => ++asked < 2 };
  await open().deliver(all.slice(3, 4), frozen);
  assert.deepEqual(
    (await contents()).map(([name]) => name),
    before.map(([name]) => name),
  );
  assert.deepEqual(await seqsOf(path), [4]);
});

test('[A-20] a torn line that could not be mended is not written on at the next attempt', async (t) => {
  const { path, open } = await fileSink(t);
  const all = createRecords()(2);
  for (const torn of ['a note without an end', all[0]!.text.slice(0, 50)]) {
    await writeFile(path, torn);
    const sink = open();
    let asked = 0;
    // It finds the line, and something is in the way of mending it.
    const once: ReaderTurn = { ...ownTurn(), isSure: () => asked++ > 0 };
    await assert.rejects(sink.deliver(all, once), TurnLost);
    await sink.deliver(all, ownTurn());
    assert.deepEqual((await linesOf(path)).slice(-2), [all[0]!.text, all[1]!.text]);
  }
});

test('[A-20] a torn line of a file that can only be added to is ended, because it cannot be cut', async (t) => {
  const { path, open } = await fileSink(t);
  const all = createRecords()(3);
  const first = open();
  await first.deliver(all.slice(0, 1), ownTurn());
  await first.close();
  await appendFile(path, all[1]!.text.slice(0, 50));
  const change = (how: string) => promisify(execFile)('chattr', [how, path]);
  try {
    await change('+a');
  } catch {
    return t.skip('who runs this may not have a file only added to, or the file system knows nothing of it');
  }
  try {
    await open().deliver(all.slice(1), ownTurn());
  } finally {
    await change('-a');
  }
  assert.deepEqual(await linesOf(path), [all[0]!.text, all[1]!.text.slice(0, 50), all[1]!.text, all[2]!.text]);
});

test('[A-21] a file that another program cuts after a write of it failed is noticed too', {
  skip: noDisk ?? false,
}, async (t) => {
  const disk = smallDisk(t, 64);
  const path = join(disk.folder, 'audit.jsonl');
  const sink = createJsonLines({ path, maxSize: 0, maxFiles: 5, now: () => performance.now() });
  t.after(() => sink.close());
  const records = createRecords();
  await sink.deliver(records(5), ownTurn());
  // Copied here.
  const lost = records(3);
  await sink.deliver(lost, ownTurn());
  await assert.rejects(sink.deliver(records(100), ownTurn()), /ENOSPC/);
  await truncate(path, 0);
  await assert.rejects(sink.deliver(records(1), ownTurn()), /was cut/);
  const again = await sink.comesAgain!();
  assert.ok(again !== null && again.after < lost[0]!.event.seq);
  again.noted();
  await sink.deliver(lost, ownTurn());
  assert.deepEqual(await seqsOf(path), seqs(lost));
});

test('[A-21] the larger a file is that others cut, the longer they may have copied it', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'audit.jsonl');
  let now = 0;
  const sink = createJsonLines({ path, maxSize: 0, maxFiles: 5, now: () => now });
  t.after(() => sink.close());
  const records = createRecords();
  await writeFile(path, '');
  await truncate(path, 1_000_000_000);
  await appendFile(path, '\n');
  await sink.deliver(records(1), ownTurn());
  now += 60_000;
  // The copy takes longer than ten seconds.
  const lost = records(1);
  await sink.deliver(lost, ownTurn());
  now += 60_000;
  await sink.deliver(records(1), ownTurn());
  await truncate(path, 0);
  const again = await sink.comesAgain!();
  assert.ok(again !== null && again.after < lost[0]!.event.seq);
});

test('[A-21] a file that others copy and cut while it is written holds with its copies every event', async (t) => {
  const c = await auditCluster(t, openTestSqlite);
  const { path, sink } = await fileSink(t);
  const a = await c.start('a', [sink]);
  const copies: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    await c.write(20);
    await until(async () => (await a.status())[0]?.behind === 0);
    copies.push(`${path}.${round}`);
    await copyFile(path, copies[round]!);
    // Between the copy and the cut.
    await c.write(20);
    await until(async () => (await a.status())[0]?.behind === 0);
    await truncate(path, 0);
  }
  await until(async () => new Set(await seqsOf(path, ...copies)).size === 80);
});

const LOGROTATE = ['/usr/sbin/logrotate', '/sbin/logrotate', '/usr/bin/logrotate'].find(existsSync) ?? null;

for (const how of ['create 0640', 'nocreate', 'copytruncate']) {
  const skip = LOGROTATE === null && 'logrotate is needed (Debian package logrotate)';
  test(`[A-21] the real logrotate (${how}) loses no event of a server that goes on writing`, { skip }, async (t) => {
    const c = await auditCluster(t, openTestSqlite);
    const { folder, path, sink } = await fileSink(t);
    const a = await c.start('a', [sink]);
    const config = join(folder, 'logrotate.conf');
    await writeFile(config, `${path} {\n  rotate 10\n  nocompress\n  missingok\n  ${how}\n}\n`, { mode: 0o644 });
    for (let round = 0; round < 3; round += 1) {
      // Some are there, others come while it works.
      await c.write(20);
      await until(async () => (await a.status())[0]?.behind === 0);
      await c.write(20);
      await promisify(execFile)(LOGROTATE!, ['-f', '-s', join(folder, 'state'), config]);
    }
    /** Whole lines: what was copied in the middle of a write ends somewhere, and comes again. */
    const found = async (): Promise<number[]> => {
      const names = (await readdir(folder)).filter((name) => name.startsWith('audit.jsonl'));
      const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
      return texts.flatMap((text) =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => (JSON.parse(line) as { seq: number }).seq),
      );
    };
    await until(async () => new Set(await found()).size === 120);
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.ok((await readdir(folder)).includes('audit.jsonl.3'));
    if (how !== 'copytruncate')
      assert.deepEqual(
        (await found()).sort((x, y) => x - y),
        numbers(120),
      );
  });
}

test('[A-22] a reader that reads nothing holds up the standard output and not the server', async () => {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../testing/stdout-child.ts')],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let lives = '';
  child.stderr.on('data', (chunk) => {
    lives += String(chunk);
  });
  // It would have come to the end long before, if anything were not written yet.
  await until(() => lives.split(' ').length > 100);
  assert.equal(child.exitCode, null, 'it waits to be read');
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  const found = text.split('\n').slice(0, -1);
  assert.deepEqual(
    found.map((line) => (JSON.parse(line) as { seq: number }).seq),
    numbers(2000),
  );
});

test('[A-22] a pipe that is closed is said of the sink and does not end the server', async () => {
  const failures: ((error: Error) => void)[] = [];
  const sink = createStandardOutput({
    output: {
      write: (_, done) => done(new Error('write EPIPE')),
      on: (_, listener) => failures.push(listener),
    },
  });
  await assert.rejects(sink.deliver(createRecords()(1), ownTurn()), /EPIPE/);
  failures[0]!(new Error('write EPIPE'));
  // Told to stop while it waits, it does not wait on.
  const stop = new AbortController();
  const hung = createStandardOutput({ output: { write: () => {}, on: () => {} } });
  const delivery = hung.deliver(createRecords()(1), { signal: stop.signal, isSure: () => true });
  stop.abort();
  await assert.rejects(delivery, TurnLost);
});

test('[A-22] a reader that reads nothing is given no more with each attempt', async () => {
  const written: { text: string; done: (error?: Error | null) => void }[] = [];
  const sink = createStandardOutput({
    output: { write: (text, done) => written.push({ text, done }), on: () => {} },
  });
  const records = createRecords();
  const [first, second] = [records(1), records(1)];
  // The turn is lost, and comes back, again and again.
  for (let lost = 0; lost < 5; lost += 1) {
    const stop = new AbortController();
    const delivery = sink.deliver(first, { signal: stop.signal, isSure: () => true });
    await until(() => written.length > 0);
    stop.abort();
    await assert.rejects(delivery, TurnLost);
  }
  assert.equal(written.length, 1);
  const delivery = sink.deliver(first, ownTurn());
  written[0]!.done();
  await until(() => written.length === 2);
  written[1]!.done();
  assert.equal(await delivery, null);
  // What there is of a line on a full disk is no line, and none is merged with it.
  const failed = sink.deliver(second, ownTurn());
  await until(() => written.length === 3);
  written[2]!.done(new Error('ENOSPC'));
  await assert.rejects(failed, /ENOSPC/);
  const again = sink.deliver(second, ownTurn());
  await until(() => written.length === 4);
  written[3]!.done();
  await again;
  assert.deepEqual(
    written.map(({ text }) => text),
    [first, first, second].map(([one]) => `${one!.text}\n`).concat(`\n${second[0]!.text}\n`),
  );
  // Frozen while it waited for the reader: its successor has delivered that.
  const late = new AbortController();
  const waits = sink.deliver(first, { signal: late.signal, isSure: () => true });
  await until(() => written.length === 5);
  late.abort();
  await assert.rejects(waits, TurnLost);
  const frozen = sink.deliver(first, { ...ownTurn(), isSure: () => false });
  written.at(-1)!.done();
  await assert.rejects(frozen, TurnLost);
});
