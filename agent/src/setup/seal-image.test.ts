import assert from 'node:assert/strict';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { openHost } from '../app.ts';
import { writeHashFile } from '../break-glass/hash-file.ts';
import { EXIT } from '../exit-codes.ts';
import type { Paths } from '../paths.ts';
import { silentLog } from '../platform/log.ts';
import { listen } from '../service/socket-server.ts';
import { loadEnrolment, NotEnrolled } from '../state/identity.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { sealImage } from './seal-image.ts';

/** An enrolled host with a break-glass password. */
async function world() {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server);
  const hash = join(enrolled.dir, 'identree-breakglass');
  const made = {
    hash: `$2b$10$${'a'.repeat(53)}`,
    createdAt: 1,
    type: 'random',
    escrowId: null,
    sealedTo: null,
  } as const;
  await writeHashFile(hash, 'web1', made);
  const printed: string[] = [];
  return {
    ...enrolled,
    hash,
    printed,
    seal: (options: { dryRun?: boolean; named?: string; paths?: Paths } = {}) =>
      sealImage(
        options.paths ?? enrolled.paths,
        { dryRun: options.dryRun ?? false },
        {
          print: (line) => void printed.push(line),
          log: silentLog,
          run: async () => ({ code: options.named ? 0 : 1, output: options.named ?? '' }),
        },
      ),
    isWhole: async () => {
      await loadEnrolment(enrolled.paths.state);
      await access(hash);
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await enrolled.remove();
    },
  };
}

describe('identree seal-image', () => {
  it('leaves nothing by which a copy could speak or be entered as this host, and keeps its settings', async () => {
    await using w = await world();
    const settings = await readFile(w.paths.config, 'utf8');
    assert.equal(await w.seal(), EXIT.ok);
    assert.deepEqual(await readdir(w.dir, { recursive: true }), ['client.conf']);
    assert.equal(await readFile(w.paths.config, 'utf8'), settings);
    await assert.rejects(loadEnrolment(w.paths.state), NotEnrolled);
    assert.equal(await w.seal(), EXIT.ok, 'and once more');
  });

  it('--dry-run removes nothing, and says what would go', async () => {
    await using w = await world();
    assert.equal(await w.seal({ dryRun: true }), EXIT.ok);
    await w.isWhole();
    for (const path of [w.paths.state, w.hash]) assert.ok(w.printed.includes(`${path} (removed)`), path);
  });

  it('removes nothing while sudo or PAM name its files: a copy would refuse everybody', async () => {
    await using w = await world();
    await assert.rejects(w.seal({ named: '/etc/sudo.conf' }), /is in \/etc\/sudo\.conf: .*setup --undo/);
    await w.isWhole();
  });

  it('removes nothing while the agent runs, which would write its state anew', async () => {
    await using w = await world();
    const listener = await listen(w.paths.socket, async (socket) => void socket.end());
    try {
      await assert.rejects(w.seal(), /The agent runs/);
    } finally {
      await listener.close();
    }
    await w.isWhole();
  });

  it('removes nothing while the server does not know what was done with the break-glass password', async () => {
    await using w = await world();
    const host = await openHost(w.paths, { log: silentLog });
    await host.journal.append('opened', sampleRecord({ hostId: w.hostId }));
    host.close();
    await assert.rejects(w.seal(), /has not heard of every use/);
    await w.isWhole();
  });
});
