import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { sampleRequest } from '../../../e2e/browser/fixture/sample-requests.ts';
import { createRateLimits } from '../auth/rate-limit.ts';
import type { Viewer } from '../http/viewer.ts';
import { manualClock } from '../platform/clock.ts';
import { approvalPageRoutes } from './routes.ts';

const viewer = {
  person: {
    issuer: 'https://idp.example',
    subject: '1',
    id: 'p1',
    username: 'alice',
    displayName: 'Alice',
    groups: [],
    epoch: 0,
  },
  role: 'user',
  accounts: ['alice'],
  session: { idHash: 'h', handle: 'x', kind: 'browser', authTime: 0, csrfToken: 'token' },
  remoteAddr: '192.0.2.1',
} satisfies Viewer;

async function serve(options: { viewer: Viewer | null }) {
  const looked: string[] = [];
  const app = Fastify();
  await app.register(approvalPageRoutes, {
    viewerOf: async () => options.viewer,
    limits: createRateLimits({ clock: manualClock() }),
    challenges: {
      approval: async (_viewer, code) => {
        looked.push(code);
        return code === 'ABCDEF-123456' ? { view: sampleRequest({ code, argv: ['sudo', 'id'] }), passkey: null } : null;
      },
    },
  });
  return { app, looked };
}

test('without a session: to the sign-in and back to the same request, and no code is looked up', async () => {
  const { app, looked } = await serve({ viewer: null });
  for (const code of ['ABCDEF-123456', 'ZZZZZZ-999999']) {
    const answer = await app.inject(`/approve/${code}`);
    assert.equal(answer.statusCode, 303);
    assert.equal(answer.headers.location, `/sessions/login?return_to=%2Fapprove%2F${code}`);
  }
  assert.deepEqual(looked, []);
});

test('a code is read as people type it', async () => {
  const { app } = await serve({ viewer });
  for (const typed of ['abcdef 123456', 'ABCDEF123456', ' abcdef-123456 ']) {
    const answer = await app.inject({ url: '/approve', query: { code: typed } });
    assert.equal(answer.headers.location, '/approve/ABCDEF-123456', typed);
  }
  assert.equal((await app.inject('/approve/abcdef123456')).headers.location, '/approve/ABCDEF-123456');
  const bad = await app.inject({ url: '/approve', query: { code: '<script>' } });
  assert.equal(bad.statusCode, 400);
  assert.match(bad.body, /This is not a code/);
  assert.doesNotMatch(bad.body, /<script>/);
});

test('a code that never was and a request of somebody else look the same', async () => {
  const { app } = await serve({ viewer });
  const answers = await Promise.all(
    ['/approve/ZZZZZZ-999999', '/approve/YYYYYY-111111', '/approve/nonsense'].map((url) => app.inject(url)),
  );
  assert.deepEqual(
    answers.map((a) => a.statusCode),
    [404, 404, 404],
  );
  assert.equal(answers[0]!.body, answers[1]!.body);
});

test('pages are not cached, not framed, and run nothing but their own script', async () => {
  const { app } = await serve({ viewer });
  const answer = await app.inject('/approve/ABCDEF-123456');
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const policy = String(answer.headers['content-security-policy']);
  const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
  assert.ok(nonce && answer.body.includes(`nonce="${nonce.replaceAll('+', '+')}"`));
  assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(answer.body, /\son[a-z]+=|style=/);
  const again = await app.inject('/approve/ABCDEF-123456');
  assert.notEqual(again.headers['content-security-policy'], policy, 'a nonce is used once');
});

test('codes cannot be tried one after the other', async () => {
  const { app, looked } = await serve({ viewer });
  const answers: number[] = [];
  for (let i = 0; i < 40; i++) {
    const code = `ABCDEF-${String(i).padStart(6, '0')}`;
    answers.push((await app.inject(`/approve/${code}`)).statusCode);
  }
  assert.ok(looked.length <= 30, `${looked.length} were looked up`);
  assert.notEqual(answers.at(-1), 200);
});
