import assert from 'node:assert/strict';
import { chmod, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { createFileSource } from './file-source.ts';
import { SAMPLE, sourceContract } from './test-source-contract.ts';

const issuer = 'https://id.example';
const signal = new AbortController().signal;

async function makeFile(t: Pick<TestContext, 'after'>, name = 'directory.json') {
  const folder = await mkdtemp(join(tmpdir(), 'identree-file-source-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  const write = async (content: string) => {
    await writeFile(`${path}.new`, content, { mode: 0o600 });
    await rename(`${path}.new`, path);
  };
  return { folder, path, write, source: createFileSource({ path, issuer, lookEveryMs: 10 }) };
}

sourceContract('a file', async (t) => {
  const { source, write, path } = await makeFile(t);
  return { source, issuer, put: (content) => write(JSON.stringify(content)), breakIt: () => rm(path) };
});

sourceContract('a YAML file', async (t) => {
  const { source, write, path } = await makeFile(t, 'directory.yaml');
  return { source, issuer, put: (content) => write(stringify(content)), breakIt: () => rm(path) };
});

test('YAML as a person writes it, and nothing that YAML could do besides', async (t) => {
  const { source, write } = await makeFile(t, 'directory.yml');
  const fetched = async (content: string) => {
    await write(content);
    const result = await source.fetch(signal);
    return result.ok ? result.snapshot : result.problem.message.replace(/^.*\//, '');
  };
  const good = await fetched(`
# People of the lab
users:
  - id: sub-ada
    username: ada
    firstName: Ada
    customClaims:
      - { key: loginShell, value: /bin/zsh }
groups:
  - id: group-ops
    name: ops
    userIds: [sub-ada]
`);
  assert.ok(typeof good === 'object');
  assert.deepEqual([good.users[0]?.firstName, good.groups[0]?.userIds], ['Ada', ['sub-ada']]);
  // A name that YAML takes for a number is a mistake to correct, not a name to guess.
  assert.match(
    String(await fetched('users: [{ id: a, username: 1e3 }]\ngroups: []\n')),
    /^directory\.yml: user 1: username/,
  );
  assert.equal(await fetched('users: []\nusers: []\ngroups: []\n'), 'directory.yml: not valid YAML');
  const bomb = Array.from({ length: 12 }, (_, n) => `a${n}: &a${n} [${Array(9).fill(n === 0 ? 'x' : `*a${n - 1}`)}]`);
  assert.equal(await fetched(`${bomb.join('\n')}\nusers: *a11\ngroups: []\n`), 'directory.yml: not valid YAML');
  assert.match(String(await fetched(`users: []\ngroups: []\n#${'x'.repeat(4 * 1024 * 1024)}\n`)), /Write it as JSON/);
});

test('a file that others may write, a link, a folder and broken JSON are refused with the reason', async (t) => {
  const { folder, path, write, source } = await makeFile(t);
  const problem = async (of = source) => {
    const result = await of.fetch(signal);
    return result.ok ? null : result.problem.message.slice(folder.length + 1);
  };
  await write(JSON.stringify(SAMPLE));
  await chmod(path, 0o620);
  assert.equal(await problem(), 'directory.json: writable by group or others');
  await symlink(path, join(folder, 'link.json'));
  assert.equal(
    await problem(createFileSource({ path: join(folder, 'link.json'), issuer })),
    'link.json: is a symbolic link',
  );
  const folderResult = await createFileSource({ path: folder, issuer }).fetch(signal);
  assert.ok(!folderResult.ok && folderResult.problem.message.endsWith('not a regular file'));
  await write('{');
  assert.equal(await problem(), 'directory.json: not valid JSON');
  await write('[]');
  assert.equal(await problem(), 'directory.json: needs "users" and "groups"');
  await write(JSON.stringify({ users: [{ id: 'a', username: 'a' }, { id: 'b' }], groups: [] }));
  assert.match((await problem()) ?? '', /^directory\.json: user 2: username: /);
});

test('a change is noticed', async (t) => {
  const { write, source } = await makeFile(t);
  await write(JSON.stringify(SAMPLE));
  const changed = new Promise<void>((resolve) => {
    const stop = source.watch!(() => resolve());
    t.after(stop);
  });
  const timer = setInterval(() => void write(JSON.stringify({ users: [], groups: [] })), 50);
  t.after(() => clearInterval(timer));
  await changed;
});

test('100,000 users load', async (t) => {
  const { write, source } = await makeFile(t);
  const users = Array.from({ length: 100_000 }, (_, n) => ({
    id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    username: `user${n}`,
    firstName: 'User',
    lastName: String(n),
    email: `user${n}@example.com`,
    customClaims: [{ key: 'loginShell', value: '/bin/sh' }],
  }));
  const userIds = users.map(({ id }) => id);
  await write(JSON.stringify({ users, groups: [{ id: 'g', name: 'everybody', userIds }] }));
  const result = await source.fetch(signal);
  assert.ok(result.ok);
  assert.equal(result.snapshot.users.length, 100_000);
  assert.equal(result.snapshot.groups[0]?.userIds.length, 100_000);
});
