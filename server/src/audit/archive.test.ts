import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { nextTurn } from '../platform/slices.ts';
import { createArchive } from './archive.ts';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-archive-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('two servers that archive the same at once: whoever says that it is there has it whole', async (t) => {
  const folder = await folderOf(t);
  // So much that one is still writing when the other begins, each time a step later.
  const line = 'x'.repeat(8 * 1024 * 1024);
  for (let later = 0; later < 12; later += 1) {
    const name = `requests-${later}`;
    let confirmed = 0;
    const archive = async () => {
      const { archive: file, sha256: digest } = await createArchive(folder)(name, [line]);
      assert.equal(sha256(readFileSync(join(folder, file), 'utf8')), digest);
      confirmed += 1;
    };
    const one = archive();
    for (let turn = 0; turn < later; turn += 1) await nextTurn();
    for (const outcome of await Promise.allSettled([one, archive()]))
      if (outcome.status === 'rejected') assert.match(outcome.reason.code, /^E[A-Z]+$/, String(outcome.reason));
    assert.ok(confirmed > 0);
    const [file, ...others] = await readdir(folder);
    assert.deepEqual([file?.startsWith(`${name}-`), others], [true, []], 'and nothing else is left');
    await rm(join(folder, file!));
  }
});

test('what a crash has left is cleared away, and a link is not followed', async (t) => {
  const folder = await folderOf(t);
  const { archive } = await createArchive(folder)('requests-1-2', ['line']);
  const other = join(folder, 'another file');
  await writeFile(other, 'kept');
  await writeFile(join(folder, `${archive}.partial`), 'to');
  await rm(join(folder, archive));
  await symlink(other, join(folder, archive));
  await createArchive(folder)('requests-1-2', ['line']);
  assert.deepEqual((await readdir(folder)).sort(), ['another file', archive]);
  assert.equal(await readFile(other, 'utf8'), 'kept');
  assert.equal(await readFile(join(folder, archive), 'utf8'), 'line\n');
});
