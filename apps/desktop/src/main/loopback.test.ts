import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { listenOnLoopback } from './loopback.ts';

const STATE = 'state-of-this-flow';
const CODE = 'abcdefghijklmnopqrstuvwx';

/** A request with headers that fetch would not let through. */
function send(
  uri: string,
  options: { method?: string; host?: string } = {},
): Promise<{ status: number; text: string; headers: object }> {
  const url = new URL(uri);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: url.hostname,
        port: url.port,
        path: url.pathname + url.search,
        method: options.method ?? 'GET',
        headers: { host: options.host ?? url.host },
        agent: false,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const start = (timeoutMs = 10_000, language = 'en') => listenOnLoopback({ state: STATE, timeoutMs, language });

test('listens on the literal loopback address and hands over the code once', async () => {
  const loopback = await start();
  assert.match(loopback.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  const answer = await send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`);
  assert.equal(answer.status, 200);
  assert.match(answer.text, /You are signed in/);
  assert.deepEqual(await loopback.result, { ok: true, code: CODE });
  await assert.rejects(send(`${loopback.redirectUri}?code=another-code-of-some-length&state=${STATE}`), /ECONNREFUSED/);
});

test('who does not know the state can neither hand in a code nor end the wait', async () => {
  const loopback = await start();
  for (const query of [
    `?code=${CODE}&state=guess`,
    `?code=${CODE}`,
    `?code=${CODE}&state=`,
    `?error=access_denied&state=guess`,
    `?code=${CODE}&state=${STATE}&state=guess`,
    `?code=${CODE}&code=other&state=${STATE}`,
    `?code=short&state=${STATE}`,
    `?code=${CODE}&state=${STATE}&extra=1`,
    `?code=${CODE}&error=x&state=${STATE}`,
    '',
  ]) {
    const { status, text } = await send(loopback.redirectUri + query);
    assert.equal(status, 400, query);
    assert.ok(!text.includes(CODE) && !text.includes('guess'), 'nothing of the request is shown');
  }
  assert.equal((await send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`)).status, 200);
  assert.deepEqual(await loopback.result, { ok: true, code: CODE });
});

test('a page of another origin whose name points here is turned away (DNS rebinding)', async () => {
  const loopback = await start();
  const { port } = new URL(loopback.redirectUri);
  for (const host of [`evil.example:${port}`, `localhost:${port}`, '127.0.0.1', `[::1]:${port}`]) {
    const { status } = await send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`, { host });
    assert.equal(status, 421, host);
  }
  loopback.cancel();
  assert.deepEqual(await loopback.result, { ok: false, problem: 'cancelled' });
});

test('only a GET of the callback is an answer', async () => {
  const loopback = await start();
  const query = `?code=${CODE}&state=${STATE}`;
  assert.equal((await send(loopback.redirectUri + query, { method: 'POST' })).status, 405);
  assert.equal((await send(loopback.redirectUri.replace('/callback', '/') + query)).status, 404);
  assert.equal((await send(loopback.redirectUri.replace('/callback', '/callback/x') + query)).status, 404);
  loopback.cancel();
});

test('the answer can neither run script nor be framed or kept', async () => {
  const loopback = await start();
  const { headers } = await send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`);
  const got = headers as Record<string, string>;
  assert.match(got['content-security-policy'] ?? '', /^default-src 'none'/);
  assert.doesNotMatch(got['content-security-policy'] ?? '', /script-src/);
  assert.equal(got['cache-control'], 'no-store');
  assert.equal(got['referrer-policy'], 'no-referrer');
  assert.equal(got['x-frame-options'], 'DENY');
});

test('a target that is no address is turned away like every other: it does not end in an error of the program', async () => {
  const loopback = await start();
  const { port } = new URL(loopback.redirectUri);
  for (const target of ['//', '//[', '//a:99999/', '/\\\\[', '*', 'http://other.example/x']) {
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      });
      socket.setTimeout(5000, () => socket.destroy(new Error(`no answer to ${target}`)));
      socket.on('error', reject);
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('latin1').split(' ')[1] ?? '');
      });
    });
    assert.equal(status, '404', target);
  }
  loopback.cancel();
});

test('a no in the browser ends the wait', async () => {
  const loopback = await start();
  const { text } = await send(`${loopback.redirectUri}?error=access_denied&state=${STATE}`);
  assert.match(text, /Not signed in/);
  assert.deepEqual(await loopback.result, { ok: false, problem: 'refused' });
});

test('the browser is answered in the language of the desktop', async () => {
  const loopback = await start(10_000, 'de-AT');
  const strange = await send(loopback.redirectUri.replace('/callback', '/'));
  assert.match(strange.text, /^<!doctype html><html lang="de">.*<h1>Hier ist nichts<\/h1>/s);
  const { text } = await send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`);
  assert.match(text, /<html lang="de">.*<h1>Sie sind angemeldet<\/h1>/s);
});

test('the wait ends by itself', async () => {
  const loopback = await start(20);
  assert.deepEqual(await loopback.result, { ok: false, problem: 'timed_out' });
  await assert.rejects(send(`${loopback.redirectUri}?code=${CODE}&state=${STATE}`), /ECONNREFUSED/);
});

test('each flow has a port of its own', async () => {
  const [a, b] = await Promise.all([start(), start()]);
  assert.notEqual(a.redirectUri, b.redirectUri);
  a.cancel();
  b.cancel();
});
