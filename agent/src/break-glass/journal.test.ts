import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CHAIN_START } from '#shared/events.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { entryHash } from '../journal/chain.ts';
import { systemClock } from '../platform/clock.ts';
import { openJournal } from './journal.ts';

async function world() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-journal-'));
  const errors: string[] = [];
  const deps = {
    file: join(dir, 'journal'),
    cursor: join(dir, 'reported'),
    lock: join(dir, 'lock'),
    clock: systemClock,
    log: { error: (line: string) => void errors.push(line) },
  };
  return { dir, errors, deps, journal: openJournal(deps), [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

const record = sampleRecord({ hostId: '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9' });

describe('the journal of break-glass uses', () => {
  it('[E-F6] keeps them in order, each with an id of its own and the hash of the one before', async () => {
    await using w = await world();
    for (const outcome of ['wrong', 'wrong', 'opened'] as const) await w.journal.append(outcome, record);
    const entries = await openJournal(w.deps).unreported();
    assert.deepEqual(
      entries.map(({ outcome }) => outcome),
      ['wrong', 'wrong', 'opened'],
    );
    assert.equal(new Set(entries.map(({ id }) => id)).size, 3);
    let before = CHAIN_START;
    for (const { hash, ...entry } of entries) {
      assert.equal(entry.prevHash, before);
      assert.equal(hash, entryHash(entry));
      before = hash;
    }
    assert.equal((await stat(w.deps.file)).mode & 0o777, 0o600);
    assert.equal(await w.journal.lastOpened(), entries[2]!.at);
  });

  it('says of each only once that the server does not have it', async () => {
    await using w = await world();
    for (let n = 0; n < 3; n += 1) await w.journal.append('wrong', record);
    const [first, second, third] = await w.journal.unreported();
    await w.journal.reported(first!);
    assert.deepEqual(await w.journal.unreported(), [second, third]);
    await w.journal.reported(third!);
    assert.deepEqual(await w.journal.unreported(), []);
  });

  it('[W-9] what a crash cut off was never acted on: the next entry takes its place', async () => {
    await using w = await world();
    await w.journal.append('opened', record);
    await w.journal.append('opened', record);
    await truncate(w.deps.file, (await stat(w.deps.file)).size - 30);
    await w.journal.append('wrong', record);
    const entries = await w.journal.unreported();
    assert.deepEqual(
      entries.map(({ outcome }) => outcome),
      ['opened', 'wrong'],
    );
    assert.equal(entries[1]!.prevHash, entries[0]!.hash);
  });

  it('nothing can be added behind a line that cannot be read, and the rest is reported', async () => {
    await using w = await world();
    await w.journal.append('opened', record);
    await appendFile(w.deps.file, 'not json\n');
    await assert.rejects(w.journal.append('opened', record), /damaged/);
    assert.equal((await w.journal.unreported()).length, 1);
    assert.match(w.errors.join(), /cannot be read/);
  });

  it('is laid aside when it is large and the server has it, and the chain goes on', async () => {
    await using w = await world();
    const large = { ...record, cwd: `/${'x'.repeat(4000)}` };
    for (let n = 0; n < 70; n += 1) await w.journal.append('wrong', large);
    const last = (await w.journal.unreported()).at(-1)!;
    await w.journal.reported(last);
    assert.equal(JSON.parse((await readFile(`${w.deps.file}.1`, 'utf8')).trim().split('\n').at(-1)!).hash, last.hash);
    await w.journal.append('opened', record);
    const [entry] = await w.journal.unreported();
    assert.equal(entry!.prevHash, last.hash);
  });

  it('who guesses until it is laid aside, again and again, has no use forgotten', async () => {
    await using w = await world();
    await w.journal.append('opened', record);
    const opened = await w.journal.lastOpened();
    assert.notEqual(opened, null);
    const large = { ...record, cwd: `/${'x'.repeat(4000)}` };
    for (let round = 0; round < 2; round += 1) {
      for (let n = 0; n < 70; n += 1) await w.journal.append('wrong', large);
      await w.journal.reported((await w.journal.unreported()).at(-1)!);
      assert.equal(await w.journal.lastOpened(), opened);
    }
    await w.journal.append('opened', record);
    assert.ok((await w.journal.lastOpened())! >= opened!);
  });

  it('guessing fills no disk; what opens is written all the same', async () => {
    await using w = await world();
    await w.journal.append('wrong', record);
    const line = await readFile(w.deps.file, 'utf8');
    await writeFile(w.deps.file, line.repeat(Math.ceil((8 * 1024 * 1024) / line.length) + 1), { mode: 0o600 });
    const { size } = await stat(w.deps.file);
    await w.journal.append('wrong', record);
    assert.equal((await stat(w.deps.file)).size, size);
    await w.journal.append('opened', record);
    assert.ok((await stat(w.deps.file)).size > size);
  });
});
