import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keepServerCertificate, type ServerCertificate } from './server-certificate.ts';

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-certificate-'));
  t.after(() => rm(folder, { recursive: true }));
  const [certFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  await writeFile(certFile, 'certificate');
  await writeFile(keyFile, 'key');
  const taken: ServerCertificate[] = [];
  const errors: unknown[] = [];
  const kept = await keepServerCertificate({
    source: { from: 'files', certFile, keyFile },
    now: Date.now,
    onChange: (fresh) => taken.push(fresh),
    onError: (error) => errors.push(error),
  });
  t.after(kept.stop);
  return { certFile, taken, errors, kept };
}

test('when other authorities count, listeners hear of it with the certificate of today', async (t) => {
  const { certFile, taken, errors, kept } = await open(t);
  await writeFile(certFile, 'another');
  await kept.refresh();
  assert.deepEqual(taken, [{ certificate: 'another', key: 'key' }]);
  assert.deepEqual(errors, []);
});

test('they hear of it with the one of before when that cannot be read', async (t) => {
  const { certFile, taken, errors, kept } = await open(t);
  await rm(certFile);
  await kept.refresh();
  assert.deepEqual(taken, [{ certificate: 'certificate', key: 'key' }]);
  assert.equal(errors.length, 1);
});
