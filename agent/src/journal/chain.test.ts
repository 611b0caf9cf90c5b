import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, chmod, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { CHAIN_START } from '#shared/events.ts';
import { JOURNAL_START } from '#shared/journal-head.ts';
import { grantEntry } from '#shared/offline-grant.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { systemClock } from '../platform/clock.ts';
import { UntrustedFile } from '../state/trusted-file.ts';
import { entryHash, openChain } from './chain.ts';

const CHAIN = new URL('chain.ts', import.meta.url).href;
const SCHEMA = import.meta.resolve('#shared/offline-grant.ts');

async function world(schema = grantEntry) {
  const dir = await mkdtemp(join(tmpdir(), 'identree-chain-'));
  const files = { file: join(dir, 'journal'), cursor: join(dir, 'cursor'), lock: join(dir, 'lock') };
  const chain = openChain({ ...files, schema, clock: systemClock, log: { error: () => undefined } });
  return { files, chain, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

const end = (detail: string) => ({ kind: 'end', nonce: sha256('nonce'), outcome: 'refused', detail }) as const;

describe('a journal', () => {
  it('has not written down what its disk had room for the beginning of', async () => {
    await using w = await world();
    await w.chain.append(end('before'), { evenIfFull: false });
    // A process that may write files up to here is told of a full disk as by the disk: first by a write that ends early.
    const script = `
      import { openChain } from ${JSON.stringify(CHAIN)};
      import { grantEntry } from ${JSON.stringify(SCHEMA)};
      const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: async () => {} };
      const chain = openChain({ ...${JSON.stringify(w.files)}, schema: grantEntry, clock, log: console });
      const written = await chain
        .append(${JSON.stringify(end('x'.repeat(1000)))}, { evenIfFull: false })
        .catch((error) => error.code);
      console.log(JSON.stringify(written));`;
    const said = execFileSync(
      'sh',
      ['-c', 'ulimit -f 1 && exec "$@"', 'sh', process.execPath, '--input-type=module', '--eval', script],
      { encoding: 'utf8' },
    );
    assert.equal(JSON.parse(said), 'EFBIG');
    const entries = await w.chain.entries();
    assert.deepEqual(
      entries.map((entry) => entry.kind === 'end' && entry.detail),
      ['before'],
    );

    await w.chain.append(end('after'), { evenIfFull: false });
    const [first, second, ...more] = await w.chain.entries();
    assert.deepEqual([second?.prevHash, more], [first?.hash, []]);
  });

  for (const [what, before, broken] of [
    ['the file', ['before'], `fs.fsync = (_, done) => done(Object.assign(new Error('bad disk'), { code: 'EIO' }));`],
    [
      'its folder',
      [],
      `const handle = await fs.promises.open('/', 'r');
       Object.getPrototypeOf(handle).sync = async () => { throw Object.assign(new Error('bad disk'), { code: 'EIO' }); };`,
    ],
  ] as const) {
    it(`has not written down what its disk takes and cannot keep: ${what}`, async () => {
      await using w = await world();
      for (const detail of before) await w.chain.append(end(detail), { evenIfFull: false });
      const script = `
        import fs from 'node:fs';
        import { syncBuiltinESMExports } from 'node:module';
        ${broken}
        syncBuiltinESMExports();
        const { openChain } = await import(${JSON.stringify(CHAIN)});
        const { grantEntry } = await import(${JSON.stringify(SCHEMA)});
        const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: async () => {} };
        const chain = openChain({ ...${JSON.stringify(w.files)}, schema: grantEntry, clock, log: console });
        const append = () => chain.append(${JSON.stringify(end('lost'))}, { evenIfFull: false });
        const written = [await append().catch(({ code }) => code), await append().catch(({ code }) => code)];
        console.log(JSON.stringify([...written, (await chain.unreported()).map(({ detail }) => detail)]));
        process.exit();`;
      const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
      assert.deepEqual(JSON.parse(said), ['EIO', 'EIO', before]);
      await w.chain.append(end('after'), { evenIfFull: false });
      const entries = await w.chain.entries();
      assert.deepEqual(
        entries.map((entry) => entry.kind === 'end' && entry.detail),
        [...before, 'after'],
      );
    });
  }

  it('goes on from what another process wrote, and from what was laid aside meanwhile', async () => {
    await using w = await world();
    const other = openChain({ ...w.files, schema: grantEntry, clock: systemClock, log: { error: () => undefined } });
    for (const chain of [w.chain, w.chain, other, w.chain, other, other, w.chain])
      await chain.append(end('x'), { evenIfFull: false });
    const entries = await other.entries();
    assert.deepEqual(
      entries.map(({ prevHash }) => prevHash),
      [CHAIN_START, ...entries.slice(0, -1).map(({ hash }) => hash)],
    );
    const last = entries.at(-1)!;
    await other.reported(last);
    await rename(w.files.file, `${w.files.file}.1`);
    await w.chain.append(end('after'), { evenIfFull: false });
    assert.equal((await w.chain.entries())[0]?.prevHash, last.hash);
  });

  it('that others can write, or whose end is no entry, is not gone on with by who wrote it last either', async () => {
    await using w = await world();
    await w.chain.append(end('one'), { evenIfFull: false });
    await chmod(w.files.file, 0o666);
    await assert.rejects(w.chain.append(end('two'), { evenIfFull: false }), UntrustedFile);
    await chmod(w.files.file, 0o600);
    const folder = dirname(w.files.file);
    await chmod(folder, 0o777);
    await assert.rejects(w.chain.append(end('two'), { evenIfFull: false }), UntrustedFile);
    await chmod(folder, 0o700);
    await w.chain.append(end('two'), { evenIfFull: false });
    await appendFile(w.files.file, 'not json\n');
    await assert.rejects(w.chain.append(end('three'), { evenIfFull: false }), /damaged/);
  });

  it('of which thousands are to be told is not read whole for each of them', async () => {
    let read = 0;
    await using w = await world(
      grantEntry.refine(() => {
        read += 1;
        return true;
      }),
    );
    const many = 1000;
    let prevHash: string = CHAIN_START;
    const lines = Array.from({ length: many }, () => {
      const entry = { id: randomUUID(), at: 1, ...end('x'.repeat(200)), prevHash };
      prevHash = entryHash(entry);
      return JSON.stringify({ ...entry, hash: prevHash });
    });
    await writeFile(w.files.file, `${lines.join('\n')}\n`, { mode: 0o600 });
    const entries = await w.chain.unreported();
    assert.equal(entries.length, many);
    read = 0;
    for (const entry of entries.slice(0, 10)) await w.chain.reported(entry);
    assert.ok(read <= 10, `${read} entries were read`);
    await w.chain.reported(entries.at(-4)!);
    read = 0;
    assert.deepEqual(await w.chain.unreported(), entries.slice(-3));
    assert.ok(read <= 10, `${read} entries were read`);
    await w.chain.reported(entries.at(-1)!);
    await assert.rejects(stat(w.files.file), 'all of it was told: it is laid aside');
  });

  describe('says where it stands,', () => {
    it('with what it has at a number that was named', async () => {
      await using w = await world();
      assert.deepEqual(await w.chain.position(0), { ...JOURNAL_START, after: JOURNAL_START });
      for (const detail of ['one', 'two', 'three']) await w.chain.append(end(detail), { evenIfFull: false });
      const [, second, third] = await w.chain.entries();
      const at = { seq: 3, hash: third!.hash };
      assert.deepEqual(await w.chain.position(null), { ...at, after: null });
      assert.deepEqual(await w.chain.position(2), { ...at, after: { seq: 2, hash: second!.hash } });
      assert.deepEqual(await w.chain.position(3), { ...at, after: at });
      assert.deepEqual(await w.chain.position(4), { ...at, after: null }, 'it has never come so far');
    });

    it('counting what was laid aside, also where a crash came between', async () => {
      await using w = await world();
      const record = sampleRecord({ hostId: randomUUID() });
      const large = { kind: 'use', grant: 'x'.repeat(4000), record } as const;
      for (let round = 1; round <= 2; round += 1) {
        for (let n = 0; n < 60; n += 1) await w.chain.append(large, { evenIfFull: true });
        const last = (await w.chain.unreported()).at(-1)!;
        await w.chain.reported(last);
        await assert.rejects(stat(w.files.file), 'it is laid aside');
        const aside = { seq: 60 * round, hash: last.hash };
        const all = { ...aside, after: aside };
        assert.deepEqual(await w.chain.position(aside.seq), all);
        assert.deepEqual(await w.chain.position(7), all, 'the first that can still be shown');
        // As it is when the machine dies before the file has its other name.
        await rename(`${w.files.file}.1`, w.files.file);
        assert.deepEqual(await w.chain.position(aside.seq), all);
        await w.chain.append(end('one more'), { evenIfFull: true });
        const more = (await w.chain.entries()).at(-1)!;
        assert.deepEqual(await w.chain.position(aside.seq), { seq: aside.seq + 1, hash: more.hash, after: aside });
        await rename(w.files.file, `${w.files.file}.1`);
      }
    });

    it('not when it cannot be read', async () => {
      await using w = await world();
      await w.chain.append(end('one'), { evenIfFull: false });
      await appendFile(w.files.file, 'not json\n');
      await assert.rejects(w.chain.position(null), /damaged/);
      await rm(w.files.file);
      await writeFile(`${w.files.file}.aside`, '{}', { mode: 0o600 });
      await assert.rejects(w.chain.position(null), /damaged/);
    });
  });
});
