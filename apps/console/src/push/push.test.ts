import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { userCode } from '#shared/names.ts';
import { openPush, type PushScope, showPush } from './push-handlers.ts';
import { pathOf, readPush, tagOfCode } from './push-message.ts';

const ORIGIN = 'https://identree.example.com';
const CODE = 'ABCDEF-123456';
const message = (more: object = {}): string =>
  JSON.stringify({
    id: 'one',
    event: 'challenge_created',
    title: 'Approval needed',
    body: 'alice asks on web1.',
    tag: 'tag-of-the-request',
    url: `${ORIGIN}/approve/${CODE}`,
    ...more,
  });

/** A browser as its service worker sees it. */
function browser(pages: string[] = []) {
  const shown = new Map<string, { title: string; options: Record<string, unknown>; data: unknown; close(): void }>();
  const opened: string[] = [];
  const focused: string[] = [];
  const scope: PushScope = {
    location: { origin: ORIGIN },
    registration: {
      async showNotification(title, options) {
        const { tag, data } = options as { tag: string; data: unknown };
        shown.set(tag, { title, options: { ...options }, data, close: () => void shown.delete(tag) });
      },
      getNotifications: async ({ tag }) => [shown.get(tag) ?? []].flat(),
    },
    clients: {
      matchAll: async () => pages.map((url) => ({ url, focus: async () => void focused.push(url) })),
      openWindow: async (path) => void opened.push(path),
    },
  };
  return { scope, shown, opened, focused };
}

test('[N-06] what came is shown, and a click opens the request', async () => {
  const { scope, shown, opened } = browser();
  await showPush(scope, message());
  const [one] = [...shown.values()];
  assert.deepEqual(
    [one?.title, one?.options.body, one?.options.renotify],
    ['Approval needed', 'alice asks on web1.', true],
  );
  await openPush(scope, one!);
  assert.deepEqual([[...shown], opened], [[], [`/approve/${CODE}`]]);
});

test('[N-06] a page that shows the request already is raised, and none opened beside it', async () => {
  const { scope, shown, opened, focused } = browser([`${ORIGIN}/`, `${ORIGIN}/approve/${CODE}`]);
  await showPush(scope, message());
  await openPush(scope, [...shown.values()][0]!);
  assert.deepEqual([focused, opened], [[`${ORIGIN}/approve/${CODE}`], []]);
});

test('[N-06] it is replaced and not stacked: what comes again without a sound, and so what became of it', async () => {
  const { scope, shown } = browser();
  await showPush(scope, message());
  await showPush(scope, message());
  assert.deepEqual(
    [...shown.values()].map(({ options }) => options.renotify),
    [false],
  );
  await showPush(scope, message({ id: 'two', event: 'challenge_rejected', title: 'Request denied', url: null }));
  assert.deepEqual(
    [...shown.values()].map(({ title, options }) => [title, options.renotify]),
    [['Request denied', false]],
  );
  await showPush(scope, message({ id: 'three', tag: 'of-another' }));
  assert.equal(shown.size, 2);
});

test('[N-06] what was decided elsewhere takes the place of what is shown, without a sound, and tells nobody anew', async () => {
  const { scope, shown, opened } = browser();
  const over = message({ id: 'two', title: 'This request waits no more', body: '', url: null, takesBack: true });
  await showPush(scope, over);
  assert.deepEqual([...shown], []);
  await showPush(scope, message());
  await showPush(scope, over);
  const [one] = [...shown.values()];
  assert.deepEqual([shown.size, one?.title, one?.options.silent], [1, 'This request waits no more', true]);
  await openPush(scope, one!);
  assert.deepEqual(opened, [`/approve/${CODE}`]);
});

test('[N-06] a click leads nowhere but to the page of a request here: not elsewhere, not to what decides', async () => {
  const wrong = [
    null,
    '',
    7,
    {},
    `/approve/${CODE}`,
    `https://evil.example/approve/${CODE}`,
    `https://identree.example.com.evil.example/approve/${CODE}`,
    `http://identree.example.com/approve/${CODE}`,
    `https://identree.example.com:8443/approve/${CODE}`,
    `https://evil.example\\@identree.example.com/approve/${CODE}`,
    `${ORIGIN}/approve/${CODE}/yes`,
    `${ORIGIN}/approve/../trpc/challenges.approve`,
    `${ORIGIN}/approve/abcdef-123456`,
    `${ORIGIN}//evil.example/approve/${CODE}`,
    `${ORIGIN}/trpc/challenges.approve?input={}`,
    `${ORIGIN}/signout`,
    'javascript:fetch("/trpc/challenges.approve")',
    `data:text/html,<script src="${ORIGIN}/approve/${CODE}"></script>`,
    `blob:${ORIGIN}/approve/${CODE}`,
  ];
  for (const url of wrong) {
    const { scope, shown, opened } = browser();
    await showPush(scope, message({ url }));
    await openPush(scope, [...shown.values()][0]!);
    assert.deepEqual(opened, ['/'], String(url));
  }
  assert.equal(pathOf(`${ORIGIN}/approve/${CODE}?decision=approve#approve`, ORIGIN), `/approve/${CODE}`);
  // Nor where what is kept beside a notification was written by another script of this origin.
  for (const data of [
    null,
    'x',
    { path: '//evil.example' },
    { path: 'https://evil.example/' },
    { path: '/signout' },
    {},
  ]) {
    const { scope, opened } = browser();
    await openPush(scope, { data, close() {} });
    assert.deepEqual(opened, ['/'], JSON.stringify(data));
  }
});

test('[N-06] whatever is in a push, nothing of it is a button, and none approves', async () => {
  const actions = [{ action: 'approve', title: 'Approve' }];
  for (const more of [{ actions }, { options: { actions } }, { data: { path: '/trpc/challenges.approve' } }]) {
    const { scope, shown } = browser();
    await showPush(scope, message(more));
    const [one] = [...shown.values()];
    assert.deepEqual(one?.options.actions, []);
    assert.deepEqual(one?.data, { id: 'one', path: `/approve/${CODE}` });
  }
});

test('[N-06] what cannot be read is told as that: a push that shows nothing costs the permission', () => {
  for (const text of [undefined, '', 'null', '[]', '{', '7', '{"title":""}', '{"title":"x"}', '{"title":{},"tag":"x"}'])
    assert.deepEqual([readPush(text, ORIGIN).title, readPush(text, ORIGIN).path], ['identree', '/'], text);
  const long = readPush(message({ title: 'x'.repeat(9999), body: 'y'.repeat(9999) }), ORIGIN);
  assert.deepEqual([long.title.length, long.body.length], [200, 2000]);
});

test('codes and tags are those of the server', async () => {
  for (const code of ['ABCDEF-123456', 'abcdef-123456', 'ABCDEI-123456', 'ABCDE-123456', 'ABCDEF-12345'])
    assert.equal(pathOf(`${ORIGIN}/approve/${code}`, ORIGIN) !== '/', userCode.safeParse(code).success, code);
  const { createHash } = await import('node:crypto');
  assert.equal(await tagOfCode(CODE), createHash('sha256').update(CODE).digest('base64url').slice(0, 32));
});

test('the worker listens to nothing but its installation, pushes and clicks', () => {
  const source = readFileSync(join(import.meta.dirname, 'push-worker.ts'), 'utf8');
  const listens = [...source.matchAll(/worker\.addEventListener\('([a-z]+)'/g)].map(([, type]) => type);
  assert.deepEqual(listens, ['install', 'push', 'notificationclick']);
  assert.doesNotMatch(source, /fetch\(|importScripts/);
});
