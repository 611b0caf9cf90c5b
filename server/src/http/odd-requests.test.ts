import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { HOST_API } from '#shared/host-api.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

describe('over a connection', () => {
  let t: TestApp;
  let port: number;
  before(async () => {
    t = await createTestApp();
    await t.app.http.listen({ host: '127.0.0.1', port: 0 });
    port = (t.app.http.server.address() as { port: number }).port;
  });
  after(() => t.close());

  /** What the server answers, however the connection ends afterwards. */
  const answerTo = (head: string, body = ''): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1').setEncoding('latin1');
      let answered = '';
      socket.on('error', reject);
      socket.on('data', (text) => {
        answered += text;
        if (/\r\n\r\n.*\}$/s.test(answered)) {
          resolve(answered);
          socket.destroy();
        }
      });
      // Somebody who sends all of it before listening: what was thrown away by then cannot be listened to.
      socket.pause().write(head + body, () => socket.resume());
    });
  const post = (path: string, length: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${length}\r\n\r\n`;

  test('a body that is too large gets its answer while it is sent', async () => {
    const large = 'x'.repeat(8 * 1024 * 1024);
    for (const path of [`${HOST_API}/challenges`, '/api/v1/sudo-rules']) {
      const chunked = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
      for (const [length, body] of [
        [`Content-Length: ${large.length}`, large],
        ['Transfer-Encoding: chunked', chunked],
      ] as const) {
        const answer = await answerTo(post(path, length), body);
        assert.match(answer, /^HTTP\/1\.1 413 /, path);
        assert.match(answer, /"body_too_large"/);
      }
    }
  });

  test('a second Host is refused, whatever it says', async () => {
    const get = (hosts: string) => answerTo(`GET /healthz HTTP/1.1\r\n${hosts}\r\n`);
    assert.match(await get('Host: x\r\n'), /^HTTP\/1\.1 (200|503) /);
    for (const hosts of ['Host: x\r\nHost: y\r\n', 'Host: x\r\nhOST: x\r\n'])
      assert.match(await get(hosts), /^HTTP\/1\.1 400 [\s\S]*"bad_request"/);
  });

  test('there is a limit to how many there are', () => {
    assert.ok(t.app.http.server.maxConnections > 0);
  });
});
