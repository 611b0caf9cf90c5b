import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { compressFolder } from '../../../scripts/compress.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

describe('files of the browser side', () => {
  const text = `// ${'all the same '.repeat(1000)}`;
  const distDir = mkdtempSync(join(tmpdir(), 'identree-dist-'));
  let t: TestApp;
  before(async () => {
    for (const folder of ['assets', 'console/static']) {
      mkdirSync(join(distDir, folder), { recursive: true });
      writeFileSync(join(distDir, folder, 'large.js'), text);
      writeFileSync(join(distDir, folder, 'small.js'), '// small');
    }
    writeFileSync(join(distDir, 'console/index.html'), `<script nonce="__CSP_NONCE__"></script>${text}`);
    writeFileSync(join(distDir, 'console/push-worker.js'), '// the worker');
    compressFolder(distDir);
    t = await createTestApp({ app: { distDir } });
  });
  after(async () => {
    await t.close();
    rmSync(distDir, { recursive: true, force: true });
  });
  const get = (url: string, encodings?: string, more: Record<string, string> = {}) =>
    t.app.http.inject({ url, headers: { ...(encodings ? { 'accept-encoding': encodings } : {}), ...more } });

  for (const folder of ['/assets', '/static']) {
    test(`below ${folder} are sent as they were compressed, to who understands it`, async () => {
      const plain = await get(`${folder}/large.js`);
      assert.equal(plain.headers['content-encoding'], undefined);
      assert.equal(plain.body, text);
      const tags = new Set([plain.headers.etag]);
      for (const [accepted, encoding, unpack] of [
        ['gzip, deflate, br', 'br', brotliDecompressSync],
        ['gzip', 'gzip', gunzipSync],
      ] as const) {
        const answer = await get(`${folder}/large.js`, accepted);
        assert.equal(answer.headers['content-encoding'], encoding);
        assert.equal(answer.headers['content-type'], plain.headers['content-type']);
        assert.equal(unpack(answer.rawPayload).toString(), text);
        assert.ok(answer.rawPayload.length < 200);
        tags.add(answer.headers.etag);
        const again = await get(`${folder}/large.js`, accepted, { 'if-none-match': String(answer.headers.etag) });
        assert.equal(again.statusCode, 304);
      }
      // A cache keeps them apart, and a tag is of one of them.
      assert.equal(tags.size, 3);
      for (const accepted of [undefined, 'gzip', 'br'])
        assert.match(String((await get(`${folder}/large.js`, accepted)).headers.vary), /accept-encoding/i);
      const small = await get(`${folder}/small.js`, 'br');
      assert.deepEqual([small.headers['content-encoding'], small.body], [undefined, '// small']);
    });
  }

  test('[N-06] the service worker may act for the whole console, is looked for anew, and may load and ask for nothing', async () => {
    const worker = await get('/push-worker.js');
    assert.deepEqual([worker.statusCode, worker.body], [200, '// the worker']);
    const { headers } = worker;
    assert.match(String(headers['content-type']), /^text\/javascript/);
    assert.equal(headers['cache-control'], 'no-cache');
    // What a worker may do is what the answer says that brought it.
    assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
    assert.equal(headers['service-worker-allowed'], undefined);
  });

  test('pages are not compressed: they carry what a stranger chose beside what is secret', async () => {
    const page = await get('/', 'gzip, br');
    assert.equal(page.statusCode, 200);
    assert.equal(page.headers['content-encoding'], undefined);
    assert.match(page.body, /nonce="[^_"]+"/);
  });
});
