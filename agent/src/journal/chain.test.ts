import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { CHAIN_START } from '#shared/events.ts';
import { grantEntry } from '#shared/offline-grant.ts';
import { systemClock } from '../platform/clock.ts';
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
    await w.chain.reported(entries.at(-1)!);
    await assert.rejects(stat(w.files.file), 'all of it was told: it is laid aside');
  });
});
