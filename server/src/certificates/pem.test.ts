import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { certificatesOf, readPem } from './pem.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB+A==\n-----END CERTIFICATE-----';
const OTHER = CERTIFICATE.replace('MIIB', 'MIIC');
const KEY = '-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----';

test('a setting is PEM itself or the path of a file with it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-pem-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'ca.pem');
  await writeFile(path, OTHER);
  assert.deepEqual(await readPem(null, CERTIFICATE, null, path), [CERTIFICATE, OTHER]);
  assert.deepEqual(await readPem(null), []);
  await assert.rejects(readPem(join(folder, 'missing.pem')), { code: 'ENOENT' });
});

test('of a file with a private key, only the certificates are kept', () => {
  assert.equal(certificatesOf(`${KEY}\n# ours\n${CERTIFICATE}\n${KEY}\n${OTHER}`), `${CERTIFICATE}\n${OTHER}\n`);
  assert.equal(certificatesOf(KEY), '');
});
