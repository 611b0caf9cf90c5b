import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { signedHeaders, signingKey } from '../notify/channels/standard-webhook.ts';
import { freePort } from '../testing/free-port.ts';

const WHSEC = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const BODY = JSON.stringify({ event: 'challenge_rejected', title: 'Request denied – 否' });

/** A webhook that was sent so many seconds ago. */
function sent(id: string, { body = BODY, age = 0, secret = WHSEC } = {}) {
  return { headers: signedHeaders([signingKey(secret)!], { id, at: Date.now() - age * 1000, body }), body };
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-webhook-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('[N-03] the command refuses what was altered, is old, is signed by somebody else or came before', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'key'), `whsec_c2hvcnQ= ${WHSEC}\n`);
  async function verify({ headers, body }: ReturnType<typeof sent>, more: string[] = []) {
    const { 'webhook-id': id = '', 'webhook-timestamp': at = '', 'webhook-signature': signature = '' } = headers;
    const main = new URL('../main.ts', import.meta.url).pathname;
    const words = [
      'verify-webhook',
      '--key',
      join(folder, 'key'),
      '--id',
      id,
      '--timestamp',
      at,
      '--signature',
      signature,
    ];
    const flags = ['--disable-warning=ExperimentalWarning', main, ...words, ...more];
    const child = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'pipe'] });
    const ended = once(child, 'close');
    child.stdin.end(body);
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await ended;
    return [code, `${out}${err}`.trim()];
  }
  const seen = ['--seen', folder];
  const first = sent('one');
  assert.deepEqual(await verify(first, seen), [0, 'It is genuine.']);
  assert.deepEqual(await verify(first, seen), [1, 'refused: it came before']);
  assert.deepEqual(await verify(sent('two'), seen), [0, 'It is genuine.']);
  assert.deepEqual(await verify({ ...sent('three'), body: `${BODY} ` }), [1, 'refused: wrong signature']);
  assert.deepEqual(await verify(sent('four', { age: 3600 })), [1, 'refused: too old or too new']);
  assert.deepEqual(await verify(sent('five', { age: 3600 }), ['--tolerance', '7200']), [0, 'It is genuine.']);
  const stranger = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
  assert.deepEqual(await verify(sent('six', { secret: stranger })), [1, 'refused: wrong signature']);
});

test('[N-03] the receiver in the docs refuses what was altered, is old or came before', async (t) => {
  const folder = await folderOf(t);
  const page = await readFile(new URL('../../../docs/notifications.md', import.meta.url), 'utf8');
  const [, program = ''] = /```js\n([\s\S]*?)```/.exec(page) ?? [];
  assert.ok(program.trim().split('\n').length <= 25, 'a receiver is short');
  await writeFile(join(folder, 'receiver.mjs'), program);
  const port = await freePort();
  const child = spawn(process.execPath, [join(folder, 'receiver.mjs')], {
    env: { WEBHOOK_KEY: WHSEC, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'listening');
  async function post({ headers, body }: ReturnType<typeof sent>) {
    const asked = request({ host: '127.0.0.1', port, method: 'POST', headers });
    asked.end(body);
    const [answer] = await once(asked, 'response');
    return [answer.statusCode, await text(answer)];
  }
  const first = sent('one');
  assert.deepEqual(await post(first), [204, '']);
  assert.equal((await lines.next()).value, 'Request denied – 否');
  assert.deepEqual(await post(first), [200, 'came before'], 'and nothing is done');
  assert.deepEqual(await post({ ...sent('two'), body: `${BODY} ` }), [401, 'wrong signature']);
  assert.deepEqual(await post({ headers: {}, body: BODY }), [401, 'wrong signature']);
  assert.deepEqual(await post(sent('three', { age: 3600 })), [401, 'too old']);
  // Neither what has as many characters as a signature and more bytes, nor who hangs up, nor what is long ends it.
  for (const [signature, length] of [
    ['\u00e9'.repeat(44), 0],
    ['', 9],
  ] as const) {
    const socket = connect(port, '127.0.0.1');
    const head = `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${length}\r\nwebhook-signature: v1,${signature}`;
    socket.write(`${head}\r\n\r\n`, 'latin1');
    if (length > 0) socket.end();
    assert.match(await text(socket), length > 0 ? /^HTTP\/1.1 400|^$/ : /^HTTP\/1.1 401/);
  }
  assert.deepEqual(await post({ headers: {}, body: 'x'.repeat(65_537) }), [413, 'too large']);
  assert.deepEqual(await post(sent('four')), [204, '']);
  assert.equal((await lines.next()).value, 'Request denied – 否');
});
