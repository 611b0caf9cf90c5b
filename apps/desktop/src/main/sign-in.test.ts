import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { compareCode } from '#shared/compare-code.ts';
import type { ExternalLink } from './external-link.ts';
import { createPkce } from './pkce.ts';
import type { OpenerPort } from './ports.ts';
import { createSignIn } from './sign-in.ts';
import { nodeHttp, startFakeServer } from './testing/fake-server.ts';

type SignInLink = Extract<ExternalLink, { kind: 'sign-in' }>;

/** A browser that does with the opened page what the test says. */
function browser(visit: (link: SignInLink) => unknown): OpenerPort & { opened: SignInLink[] } {
  const opened: SignInLink[] = [];
  return {
    opened,
    async open(_origin, link) {
      assert.equal(link.kind, 'sign-in');
      opened.push(link as SignInLink);
      await visit(link as SignInLink);
      return true;
    },
  };
}

const comeBack = (link: SignInLink, code: string) =>
  fetch(`${link.redirectUri}?${new URLSearchParams({ code, state: link.state })}`);

async function server(t: TestContext) {
  const started = await startFakeServer();
  t.after(() => started.close());
  return started;
}

test('PKCE: S256 of a fresh 256-bit verifier', () => {
  const { verifier, challenge } = createPkce(randomBytes);
  assert.match(verifier, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(challenge, createHash('sha256').update(verifier).digest('base64url'));
  assert.notEqual(createPkce(randomBytes).verifier, verifier);
});

test('sign-in: browser, consent, code, exchange with the verifier', async (t) => {
  const fake = await server(t);
  const opener = browser((link) => comeBack(link, fake.consent(link.codeChallenge)));
  const attempt = await createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en' })(fake.origin);
  const result = await attempt.done;
  assert.equal(result.ok, true);
  const link = opener.opened[0]!;
  assert.equal(attempt.compareCode, compareCode(link.codeChallenge), 'the window shows what the consent page shows');
  const [exchange] = fake.seen;
  assert.equal(exchange?.method, 'POST');
  assert.equal(exchange?.headers['content-type'], 'application/json');
  assert.ok(!JSON.stringify(link).includes(JSON.parse(exchange!.body).code_verifier), 'the verifier never left before');
});

test('a code that belongs to another sign-in is worth nothing', async (t) => {
  const fake = await server(t);
  const foreign = fake.consent(createPkce(randomBytes).challenge);
  const opener = browser((link) => comeBack(link, foreign));
  const attempt = await createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en' })(fake.origin);
  assert.deepEqual(await attempt.done, { ok: false, problem: 'server_refused' });
});

test('every attempt has its own state, challenge and port', async (t) => {
  const fake = await server(t);
  const opener = browser((link) => comeBack(link, fake.consent(link.codeChallenge)));
  const signIn = createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en' });
  for (let i = 0; i < 2; i++) await (await signIn(fake.origin)).done;
  const [a, b] = opener.opened as [SignInLink, SignInLink];
  assert.notEqual(a.state, b.state);
  assert.notEqual(a.codeChallenge, b.codeChallenge);
});

test('nobody comes back: the attempt ends, and so does one that the person cancels', async (t) => {
  const fake = await server(t);
  const opener = browser(() => {});
  const late = await createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en', timeoutMs: 20 })(
    fake.origin,
  );
  assert.deepEqual(await late.done, { ok: false, problem: 'timed_out' });
  const cancelled = await createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en' })(fake.origin);
  cancelled.cancel();
  assert.deepEqual(await cancelled.done, { ok: false, problem: 'cancelled' });
  assert.equal(fake.seen.length, 0);
});

test('no browser: the attempt ends and its port is closed', async (t) => {
  const fake = await server(t);
  let redirectUri = '';
  const opener: OpenerPort = {
    async open(_origin, link) {
      redirectUri = (link as SignInLink).redirectUri;
      return false;
    },
  };
  const attempt = await createSignIn({ http: nodeHttp, opener, random: randomBytes, language: 'en' })(fake.origin);
  assert.deepEqual(await attempt.done, { ok: false, problem: 'browser_failed' });
  await assert.rejects(fetch(redirectUri));
});

for (const [what, body, status, type] of [
  ['a redirect', '', 302, 'application/json'],
  ['an error', '{"error":{"code":"not_signed_in"}}', 401, 'application/json'],
  ['no credential', '{"expiresAt":1}', 200, 'application/json'],
  [
    'a credential with a line break',
    '{"credential":"aaaaaaaaaaaaaaaaaaaaaaaa\\r\\nX: y","expiresAt":1}',
    200,
    'application/json',
  ],
] as const) {
  test(`exchange: ${what} is a refusal`, async () => {
    const opener = browser((link) => comeBack(link, 'abcdefghijklmnopqrstuvwx'));
    const http = {
      fetch: async () =>
        new Response(body === '' ? null : body, {
          status,
          headers: { 'content-type': type, location: 'https://evil.example/' },
        }),
    };
    const attempt = await createSignIn({ http, opener, random: randomBytes, language: 'en' })(
      'https://identree.example.com',
    );
    assert.deepEqual(await attempt.done, { ok: false, problem: 'server_refused' });
  });
}

for (const [what, answer] of [
  ['a page', () => new Response('<!doctype html><p>portal', { headers: { 'content-type': 'text/html' } })],
  ['an endless body', () => new Response('x'.repeat(100_000))],
  ['no connection', () => Promise.reject(new TypeError('refused'))],
] as const) {
  test(`exchange: ${what} signs nobody in`, async () => {
    const opener = browser((link) => comeBack(link, 'abcdefghijklmnopqrstuvwx'));
    const http = { fetch: async () => answer() };
    const attempt = await createSignIn({ http, opener, random: randomBytes, language: 'en' })(
      'https://identree.example.com',
    );
    const result = await attempt.done;
    assert.equal(result.ok, false);
  });
}
