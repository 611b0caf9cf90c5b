import assert from 'node:assert/strict';
import { chmod, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
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
    /^directory\.yml: user a: username/,
  );
  assert.equal(await fetched('users: []\nusers: []\ngroups: []\n'), 'directory.yml: not valid YAML, at line 2');
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
  await write('{\n  "users": [],\n}');
  assert.equal(await problem(), 'directory.json: not valid JSON, at line 3');
  await write('[]');
  assert.equal(await problem(), 'directory.json: needs "users" and "groups"');
});

describe('one record that cannot be read', () => {
  const ada = { id: 'sub-ada', username: 'ada' };
  const read = async (t: TestContext, users: unknown[], groups: unknown[]) => {
    const { write, source } = await makeFile(t);
    await write(JSON.stringify({ users, groups }));
    const result = await source.fetch(signal);
    return result.ok
      ? {
          users: result.snapshot.users.map(({ username }) => username),
          groups: result.snapshot.groups.map(({ name, userIds }) => [name, ...userIds]),
          lints: result.lints?.map(({ code, subject, detail }) => [code, subject, detail.split(':')[0]]),
          leftOut: result.groupsLeftOut,
        }
      : result.problem.message.replace(/^.*\//, '');
  };

  test('a person is left out by name, and the others are served', async (t) => {
    const bad = { id: 'sub-bob', username: 'bob', disabled: 'yes' };
    const ops = { id: 'g', name: 'ops', userIds: ['sub-ada', 'sub-bob'] };
    assert.deepEqual(await read(t, [ada, bad, { id: 7 }], [ops]), {
      users: ['ada'],
      groups: [['ops', 'sub-ada']],
      lints: [
        ['record_left_out', 'user bob', 'disabled'],
        ['record_left_out', 'user 3 in the list', 'id'],
      ],
      leftOut: [],
    });
    assert.equal(
      await read(t, [{ id: 'sub-eve', userName: 'eve' }], []),
      'directory.json: user sub-eve: username: is missing',
    );
  });

  test('a group of which two values of one claim about sudo stand in the file stops all of it', async (t) => {
    const customClaims = ['web1', 'web2'].map((value) => ({ key: 'sudoHosts', value }));
    const ops = { id: 'g', name: 'ops', customClaims: [{ key: 'sudoCommands', value: 'ALL' }, ...customClaims] };
    assert.equal(await read(t, [ada], [ops]), 'directory.json: group “ops”: customClaims: sudoHosts stands twice');
  });

  test('what is only shown is left out alone', async (t) => {
    const group = {
      id: 'g',
      name: 'ops',
      friendlyName: ['Ops'],
      userIds: ['sub-ada'],
      customClaims: [{ key: 'sudoCommands', value: 'ALL' }],
    };
    assert.deepEqual(await read(t, [{ ...ada, email: 7, firstName: 'x'.repeat(300) }], [group]), {
      users: ['ada'],
      groups: [['ops', 'sub-ada']],
      lints: [
        ['field_left_out', 'user ada', 'firstName is no text, or too long'],
        ['field_left_out', 'user ada', 'email is no text, or too long'],
        ['field_left_out', 'group ops', 'friendlyName is no text, or too long'],
      ],
      leftOut: [],
    });
  });

  test('a group that bears on nothing is left out by name', async (t) => {
    const bad = { id: 'g', name: 'Web Team', userIds: 'sub-ada', customClaims: [{ key: 'note', value: 'x' }] };
    assert.deepEqual(await read(t, [ada], [bad]), {
      users: ['ada'],
      groups: [],
      lints: [['record_left_out', 'group Web Team', 'userIds']],
      leftOut: ['Web Team'],
    });
  });

  test('a group that bears on sudo or access, or may, is refused with the file', async (t) => {
    for (const over of [
      { customClaims: [{ key: 'sudoCommands', value: 'ALL' }] },
      { customClaims: [{ key: ' sudoHosts', value: 'web1' }] },
      { customClaims: [{ key: 'accessHosts', value: 'web1' }] },
      { customClaims: [{ key: 7, value: 'web1' }] },
      { customClaims: 'sudoCommands=ALL' },
    ]) {
      const problem = await read(t, [ada], [{ id: 'g', name: 'Web Team', userIds: 'sub-ada', ...over }]);
      assert.match(String(problem), /^directory\.json: group “Web Team”: /, JSON.stringify(over));
    }
    assert.match(
      String(await read(t, [ada], [{ id: 'g', friendlyName: 'Web Team' }])),
      /^directory\.json: group “Web Team”: name/,
    );
  });

  test('whatever stands in a file, what bears on power is served whole or the file is refused', async (t) => {
    const { write, source } = await makeFile(t);
    const some = fc.oneof(fc.jsonValue(), fc.constantFrom('ops', 'sub-ada', '', null));
    const claim = fc.record({
      key: fc.constantFrom('sudoCommands', 'sudoHosts', 'accessHosts', 'note'),
      value: fc.oneof({ weight: 20, arbitrary: fc.string() }, some),
    });
    const group = fc.record(
      {
        id: fc.oneof({ weight: 20, arbitrary: fc.uuid() }, some),
        name: fc.oneof({ weight: 20, arbitrary: fc.constantFrom('ops', 'Web Team') }, some),
        friendlyName: some,
        userIds: fc.oneof({ weight: 20, arbitrary: fc.constant(['sub-ada']) }, some),
        customClaims: fc.oneof({ weight: 20, arbitrary: fc.array(claim, { maxLength: 3 }) }, some),
      },
      { requiredKeys: ['id', 'name'] },
    );
    const person = fc.record({ id: some, username: some, email: some, disabled: some }, { requiredKeys: [] });
    const bears = (one: { customClaims?: unknown }) =>
      /sudo|accessHosts/.test(JSON.stringify(one.customClaims ?? null));
    let used = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(person, { maxLength: 2 }), fc.array(group, { maxLength: 3 }), async (users, groups) => {
        await write(JSON.stringify({ users: [ada, ...users], groups }));
        const result = await source.fetch(signal);
        if (!result.ok) return;
        used += groups.some(bears) ? 1 : 0;
        const served = result.snapshot.groups.filter(({ customClaims }) =>
          customClaims.some(({ key }) => key !== 'note'),
        );
        assert.equal(served.length, groups.filter(bears).length, JSON.stringify(groups));
        const said = result.lints?.filter(({ code }) => code === 'record_left_out').length;
        const left = users.length + 1 + groups.length - result.snapshot.users.length - result.snapshot.groups.length;
        assert.equal(said, left, 'whatever is left out is said');
      }),
      { numRuns: 300 },
    );
    assert.ok(used > 20, `${used} files with power were used`);
  });

  test('two of one identity, a file of nothing else, and a file of another shape are refused with the reason', async (t) => {
    const eve = { id: 'sub-ada', username: 'eve' };
    assert.equal(await read(t, [ada, eve], []), 'directory.json: the users “ada” and “eve” have the same id sub-ada');
    assert.match(
      String(await read(t, [{ name: 'ada' }, { name: 'bob' }], [])),
      /^directory\.json: user 1 in the list: id/,
    );
  });
});

test('a change is noticed', async (t) => {
  const { write, source } = await makeFile(t);
  await write(JSON.stringify(SAMPLE));
  let noticed = false;
  const stop = source.watch!(() => {
    noticed = true;
  });
  try {
    // Until it is: the first look may come after any change. Never while the folder is taken away.
    while (!noticed) {
      await write(JSON.stringify({ users: [], groups: [] }));
      await setTimeout(20);
    }
  } finally {
    stop();
  }
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
