import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, testStranger } from '../testing/test-person.ts';

let t: TestApp;
let alice: TestPerson;
let bob: TestPerson;
let stranger: TestPerson;
/** Code of a request of alice's that waits. */
let waiting: string;

before(async () => {
  const provider = createTestProvider();
  t = await createTestApp({ app: { provider } });
  const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
  alice = await signInTestPerson(t.app, provider, t.clock, 'alice', { passkey: false });
  bob = await signInTestPerson(t.app, provider, t.clock, 'bob', { passkey: false });
  stranger = await testStranger(t.app, provider, t.clock);
  waiting = (await host.create(host.record({ user: 'alice' }))).userCode;
});
after(() => t.close());

const NEVER = ['ZZZZZZ-999999', 'YYYYYY-111111'];
const open = (person: TestPerson, path: string) => person.browser.get(`/approve${path}`);

test('without a session: to the sign-in and back to the same request, whether there is one or not', async () => {
  for (const code of [waiting, ...NEVER]) {
    const answer = await open(stranger, `/${code}`);
    assert.equal(answer.statusCode, 303);
    assert.equal(answer.headers.location, `/sessions/login?return_to=%2Fapprove%2F${code}`);
  }
});

test('a code is read as people type it', async () => {
  const typed = waiting.toLowerCase().replace('-', ' ');
  for (const code of [typed, waiting.replace('-', ''), ` ${waiting.toLowerCase()} `]) {
    const answer = await open(alice, `?code=${encodeURIComponent(code)}`);
    assert.equal(answer.headers.location, `/approve/${waiting}`, code);
  }
  assert.equal((await open(alice, `/${typed.replace(' ', '')}`)).headers.location, `/approve/${waiting}`);
  const bad = await open(alice, `?code=${encodeURIComponent('<script>')}`);
  assert.equal(bad.statusCode, 400);
  assert.match(bad.body, /This is not a code/);
  assert.doesNotMatch(bad.body, /<script>/);
});

test('a code that never was and a request of somebody else look the same', async () => {
  const answers = [];
  for (const code of [...NEVER, waiting, 'nonsense']) answers.push(await open(bob, `/${code}`));
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [404, 404, 404, 404],
  );
  const [first, second, others] = answers.map(({ body }) => body.replaceAll(/nonce="[^"]*"/g, ''));
  assert.equal(first, second);
  assert.equal(first, others);
});

test('pages are not cached, not framed, and run nothing but their own script', async () => {
  const answer = await open(alice, `/${waiting}`);
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const policy = String(answer.headers['content-security-policy']);
  const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
  assert.ok(nonce && answer.body.includes(`nonce="${nonce}"`));
  assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(answer.body, /\son[a-z]+=|style=/);
  const again = await open(alice, `/${waiting}`);
  assert.notEqual(again.headers['content-security-policy'], policy, 'a nonce is used once');
});

test('codes cannot be tried one after the other: who has tried many is answered no more', async () => {
  const answers: number[] = [];
  for (let i = 0; i < 40; i++) answers.push((await open(bob, `/ABCDEF-${String(i).padStart(6, '0')}`)).statusCode);
  const tried = answers.filter((status) => status === 404).length;
  assert.ok(tried <= 30, `${tried} were looked up`);
  assert.equal(answers.at(-1), 429);
  assert.equal((await open(alice, `/${waiting}`)).statusCode, 200, 'somebody else is not held up');
});
