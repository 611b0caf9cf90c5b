import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCredentialStore } from './credential-store.ts';
import { fakeSecrets } from './testing/fake-ports.ts';

const ORIGIN = 'https://identree.example.com';
const CREDENTIAL = { origin: ORIGIN, secret: 'credential-that-must-not-leak-0123456789', expiresAt: 2_000 };

function setUp(t: TestContext, secrets = fakeSecrets()) {
  const folder = mkdtempSync(join(tmpdir(), 'identree-credential-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = { at: 1_000, now: () => clock.at };
  const open = () => createCredentialStore({ folder, secrets, clock });
  const onDisk = () =>
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'latin1'))
      .join('');
  return { folder, clock, secrets, open, onDisk };
}

test('with a keychain the credential outlives the process, encrypted, for this user alone', async (t) => {
  const { folder, open, onDisk } = setUp(t);
  assert.equal(await open().set(CREDENTIAL), 'keychain');
  assert.ok(!onDisk().includes(CREDENTIAL.secret));
  assert.ok(!onDisk().includes(Buffer.from(CREDENTIAL.secret).toString('base64').slice(0, 20)));
  assert.equal(statSync(join(folder, 'credential.json')).mode & 0o777, 0o600);
  const later = open();
  assert.equal(later.get(ORIGIN), null, 'nothing before it is read');
  await later.load();
  assert.deepEqual(later.get(ORIGIN), CREDENTIAL);
});

for (const [what, secrets] of [
  ['no keychain', fakeSecrets({ available: false })],
  ['a keychain that refuses', fakeSecrets({ fails: true })],
] as const) {
  test(`${what}: memory only, nothing on disk`, async (t) => {
    const { open, onDisk } = setUp(t, secrets);
    const store = open();
    assert.equal(await store.set(CREDENTIAL), 'memory');
    assert.deepEqual(store.get(ORIGIN), CREDENTIAL);
    assert.equal(onDisk(), '');
    const later = open();
    await later.load();
    assert.equal(later.get(ORIGIN), null);
  });
}

test('a keychain that is slow is not waited for: what it gives later counts, but not against what was done meanwhile', async (t) => {
  const before = setUp(t);
  const { folder, clock, secrets } = before;
  const others = ['b', 'c', 'd'].map((name) => ({ ...CREDENTIAL, origin: `https://${name}.example.com` }));
  const store = before.open();
  for (const one of [CREDENTIAL, ...others]) await store.set(one);

  const answer = secrets.hold();
  const later = createCredentialStore({ folder, secrets, clock, patienceMs: 5 });
  const arrived = Promise.withResolvers<void>();
  await later.load(arrived.resolve);
  assert.equal(later.get(ORIGIN), null);
  const anew = { ...CREDENTIAL, secret: 'credential-of-a-new-sign-in-0123456789' };
  assert.equal(await later.set(anew), 'memory');
  await later.clear(others[0]!.origin);
  assert.equal(before.onDisk(), '', 'nothing is kept that no keychain has sealed');

  answer();
  await arrived.promise;
  assert.deepEqual(later.get(ORIGIN), anew, 'the session that is newer');
  assert.equal(later.get(others[0]!.origin), null, 'signed out of meanwhile');
  assert.deepEqual(later.get(others[1]!.origin), others[1]);
  await later.set(others[2]!);
  const last = before.open();
  await last.load();
  assert.deepEqual(
    [ORIGIN, ...others.map(({ origin }) => origin)].map((origin) => last.get(origin)),
    [anew, null, others[1], others[2]],
  );
});

test('a keychain that never answers: no sign-in and no sign-out waits for it', async (t) => {
  const never = new Promise<never>(() => {});
  const secrets = { ...fakeSecrets(), problem: () => never };
  const { folder, clock, onDisk } = setUp(t);
  const store = createCredentialStore({ folder, secrets, clock, patienceMs: 5 });
  assert.equal(await store.set(CREDENTIAL), 'memory');
  assert.deepEqual(store.get(ORIGIN), CREDENTIAL);
  await store.clear(ORIGIN);
  assert.equal(store.get(ORIGIN), null);
  assert.equal(onDisk(), '');
});

test('what the keychain of another gives is of no use: a credential is sent to the server that it names alone', async (t) => {
  const { folder, secrets, open } = setUp(t);
  const foreign = [{ ...CREDENTIAL, origin: 'https://evil.example' }];
  const data = await secrets.encrypt(JSON.stringify(foreign));
  writeFileSync(join(folder, 'credential.json'), JSON.stringify({ v: 2, sealed: data.toString('base64') }));
  const store = open();
  await store.load();
  assert.equal(store.get(ORIGIN), null);
  for (const text of ['', 'null', '{}', '[{}]', '["x"]', JSON.stringify([{ ...CREDENTIAL, more: 1 }])]) {
    const sealed = (await secrets.encrypt(text)).toString('base64');
    writeFileSync(join(folder, 'credential.json'), JSON.stringify({ v: 2, sealed }));
    const next = open();
    await next.load();
    assert.equal(next.get(ORIGIN), null, text);
  }
});

test('a keychain that goes away leaves no older credential behind', async (t) => {
  const secrets = fakeSecrets();
  const { open, onDisk } = setUp(t, secrets);
  const store = open();
  await store.set(CREDENTIAL);
  secrets.setAvailable(false);
  await store.set({ ...CREDENTIAL, secret: 'another-credential-0123456789' });
  assert.equal(onDisk(), '');
});

test('the credential is given for its own server only', async (t) => {
  const { open } = setUp(t);
  const store = open();
  await store.set(CREDENTIAL);
  for (const origin of ['https://evil.example', `${ORIGIN}:8443`, `${ORIGIN}.`, 'http://identree.example.com', '']) {
    assert.equal(store.get(origin), null, origin);
  }
});

test('an expired credential is none', async (t) => {
  const { clock, open } = setUp(t);
  const store = open();
  await store.set(CREDENTIAL);
  clock.at = 1_999;
  assert.deepEqual(store.get(ORIGIN), CREDENTIAL);
  clock.at = 2_000;
  assert.equal(store.get(ORIGIN), null);
});

test('cleared means gone, here and on disk', async (t) => {
  const { open, onDisk } = setUp(t);
  const store = open();
  await store.set(CREDENTIAL);
  await store.clear(ORIGIN);
  assert.equal(store.get(ORIGIN), null);
  assert.equal(onDisk(), '');
});

test('each server has its own: one that is cleared or replaced leaves the others', async (t) => {
  const { open, onDisk } = setUp(t);
  const other = { ...CREDENTIAL, origin: 'https://b.example.com', secret: 'credential-of-the-other-server-0123456789' };
  const store = open();
  await Promise.all([store.set(CREDENTIAL), store.set(other)]);
  assert.deepEqual(store.get(other.origin), other);
  await store.clear(ORIGIN);
  const later = open();
  await later.load();
  assert.equal(later.get(ORIGIN), null);
  assert.deepEqual(later.get(other.origin), other);
  await later.clear(other.origin);
  assert.equal(onDisk(), '');
});

test('one that was kept when there was one server is taken over', async (t) => {
  const { folder, secrets, open } = setUp(t);
  const data = await secrets.encrypt(JSON.stringify(CREDENTIAL));
  writeFileSync(join(folder, 'credential.json'), JSON.stringify({ v: 1, sealed: data.toString('base64') }));
  const store = open();
  await store.load();
  assert.deepEqual(store.get(ORIGIN), CREDENTIAL);
});

test('what cannot be decrypted or understood counts as nothing', async (t) => {
  const { folder, open } = setUp(t);
  for (const text of [
    '',
    '{',
    '[]',
    '{"v":1}',
    '{"v":2,"sealed":"AAAA"}',
    '{"v":3,"sealed":"AAAA"}',
    '{"v":1,"sealed":"AAAA"}',
    'x'.repeat(100_000),
  ]) {
    writeFileSync(join(folder, 'credential.json'), text);
    const store = open();
    await store.load();
    assert.equal(store.get(ORIGIN), null, text.slice(0, 30));
  }
});
