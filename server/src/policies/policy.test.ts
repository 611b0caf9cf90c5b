import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileGlob } from './glob.ts';
import { BUILT_IN_POLICY, evaluatePolicy, policyFile, policyOf, stricterOutcome } from './policy.ts';
import { createPolicyFile } from './source.ts';

const subject = { user: 'alice', groups: ['ops'], host: 'web1.example.com', hostGroup: 'web' };
const policy = (policies: unknown[]) => policyOf(policyFile.parse({ policies }));

test('the first rule that matches decides, default is only the fall-back', () => {
  const rules = policy([
    { name: 'default', approval: 'none' },
    { name: 'web', match_hosts: ['web*'], approval: 'session' },
    { name: 'later', match_users: ['alice'], approval: 'none' },
  ]);
  assert.equal(evaluatePolicy(rules, subject).rule, 'web');
  assert.equal(evaluatePolicy(rules, { ...subject, host: 'db1', user: 'bob' }).rule, 'default');
});

test('criteria must all hold, each list is any-of', () => {
  const rules = policy([
    {
      name: 'a',
      match_users: ['bob', 'al?ce'],
      match_groups: ['dev', 'ops'],
      match_host_groups: ['web'],
      approval: 'none',
    },
  ]);
  assert.equal(evaluatePolicy(rules, subject).rule, 'a');
  assert.equal(evaluatePolicy(rules, { ...subject, groups: ['sales'] }).rule, 'default');
  assert.equal(evaluatePolicy(rules, { ...subject, hostGroup: null }).rule, 'default');
});

test('without a rule a passkey is asked for', () => {
  assert.deepEqual(evaluatePolicy(policy([]), subject).approval, 'passkey');
  assert.deepEqual(evaluatePolicy(BUILT_IN_POLICY, subject).approvers, ['self', 'admins']);
});

test('require_admin takes self-approval away', () => {
  const rules = policy([{ name: 'a', match_users: ['*'], approval: 'passkey', require_admin: true }]);
  assert.deepEqual(evaluatePolicy(rules, subject).approvers, ['admins']);
});

test('a file that could be misread is refused', () => {
  for (const broken of [
    { policies: [{ name: 'a', approval: 'passkey' }] },
    { policies: [{ name: 'default', approval: 'passkey', match_users: ['x'] }] },
    { policies: [{ name: 'a', match_users: [], approval: 'passkey' }] },
    { policies: [{ name: 'a', match_users: ['[z-'], approval: 'passkey' }] },
    { policies: [{ name: 'a', match_users: ['x'], approval: 'maybe' }] },
    { policies: [{ name: 'a', match_users: ['x'], approval: 'none', require_amdin: true }] },
    {
      policies: [
        { name: 'a', match_users: ['x'], approval: 'none' },
        { name: 'a', match_users: ['y'], approval: 'none' },
      ],
    },
    [{ name: 'a', match_users: ['x'], approval: 'none' }],
  ]) {
    assert.equal(policyFile.safeParse(broken).success, false, JSON.stringify(broken));
  }
});

test('a change while a request waits can only make it stricter', () => {
  const then = { rule: 'a', version: 'v1', approval: 'passkey', approvers: ['admins'] } as const;
  const now = { rule: 'b', version: 'v2', approval: 'none', approvers: ['self', 'admins'] } as const;
  assert.deepEqual(stricterOutcome({ ...then, approvers: ['admins'] }, { ...now, approvers: ['self', 'admins'] }), {
    rule: 'b',
    version: 'v2',
    approval: 'passkey',
    approvers: ['admins'],
  });
});

test('patterns are shell-style and never anything else', () => {
  assert.ok(compileGlob('web[0-9]')?.test('web7'));
  assert.ok(!compileGlob('web.1')?.test('webx1'));
  assert.ok(compileGlob('*')?.test('a.b.c'));
  for (const bad of ['(', 'a|b', 'a$', '[', '[]', 'a\\b', 'a/b', 'a b']) assert.equal(compileGlob(bad), null, bad);
});

test('a pattern with many stars is answered, and fits what a shell would say', () => {
  // Each would keep a regular expression busy for longer than this machine lives.
  assert.equal(compileGlob(`${'*'.repeat(252)}X`)!.test('web1.example.com'.repeat(15)), false);
  assert.equal(compileGlob(`${'*a'.repeat(120)}b`)!.test('a'.repeat(253)), false);
  assert.equal(compileGlob('*a'.repeat(126))!.test('a'.repeat(253)), true);
  for (const [pattern, text, fits] of [
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['?', '', false],
    ['web*.example.com', 'web.example.com', true],
    ['web*.example.com', 'web1.example.com.evil.org', false],
    ['web*.example.com', 'xweb1.example.com', false],
    ['*web*', 'db-web-1', true],
    ['a*b*c', 'abcbc', true],
    ['a*b*c', 'acb', false],
    ['*?1', '1', false],
    ['*[!0-9]', 'web1', false],
    ['*[!0-9]', 'web1a', true],
    ['web1', 'web1\n', false],
    ['*', 'a\nb', true],
  ] as const) {
    assert.equal(compileGlob(pattern)!.test(text), fits, `${pattern} ${text}`);
  }
});

test('a policy file: read again when it changes, nothing decided while it is missing, broken or writable by others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'identree-policy-'));
  const path = join(dir, 'policies.json');
  const source = createPolicyFile(path);
  try {
    assert.equal((await source.current()).ok, false);
    await writeFile(path, JSON.stringify({ policies: [] }), { mode: 0o600 });
    const first = await source.current();
    assert.ok(first.ok);
    await writeFile(path, '{"policies": [{]');
    assert.equal((await source.current()).ok, false);
    await writeFile(path, JSON.stringify({ policies: [{ name: 'default', approval: 'session' }] }));
    const second = await source.current();
    assert.ok(second.ok && first.ok && second.policy.version !== first.policy.version);
    await chmod(path, 0o666);
    assert.equal((await source.current()).ok, false);
    await chmod(path, 0o600);
    assert.ok((await source.current()).ok);
    await symlink(path, join(dir, 'link.json'));
    assert.equal((await createPolicyFile(join(dir, 'link.json')).current()).ok, false);
  } finally {
    await rm(dir, { recursive: true });
  }
});
