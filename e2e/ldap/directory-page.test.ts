import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseArgs } from 'node:util';
import { openScim } from '../../server/src/directory/scim/test-scim.ts';
import { createFileSource } from '../../server/src/directory/source/file-source.ts';
import { type Examples, readExamples } from '../harness/examples.ts';

/** What a shell hands to curl, told by a function of that name: no curl has to be on this machine. */
function curlOf(command: string, env: Record<string, string>) {
  const told = execFileSync('/bin/sh', ['-c', `curl() { printf '%s\\0' "$@"; }\n${command}`], {
    env,
    encoding: 'utf8',
  });
  const { values, positionals } = parseArgs({
    args: told.split('\0').slice(0, -1),
    allowPositionals: true,
    options: {
      header: { type: 'string', short: 'H', multiple: true, default: [] },
      data: { type: 'string', short: 'd', default: '' },
    },
  });
  const path = /^https:\/\/identree\.example\.com\/scim\/v2(\/.*)$/.exec(positionals.join(' '))?.[1];
  assert.ok(path, command);
  const headers = values.header.map((line) => line.split(/: (.*)/s).slice(0, 2));
  return { path, headers: Object.fromEntries(headers) as Record<string, string>, body: values.data };
}

describe('what docs/directory.md prints works as printed', () => {
  let page: Examples;
  before(async () => {
    page = await readExamples('docs/directory.md');
  });
  after(() => assert.deepEqual(page.untried(), []));

  test('the file of people and groups', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-page-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'directory.yaml');
    await writeFile(path, page.text('file'), { mode: 0o600 });
    const result = await createFileSource({ path, issuer: 'https://id.example' }).fetch(AbortSignal.timeout(10_000));
    assert.ok(result.ok, JSON.stringify(result));
    const { users, groups } = result.snapshot;
    assert.deepEqual([users.map(({ username }) => username), result.lints], [['ada'], []]);
    assert.deepEqual([groups.map(({ name }) => name), groups[0]?.userIds], [['ops'], users.map(({ id }) => id)]);
  });

  test('a person and a group by SCIM, with a token that may write rules and with one that may not', async (t) => {
    const { client, send, snapshot } = await openScim(t);
    const push = (name: string, env: Record<string, string>) => {
      const { path, headers, body } = curlOf(page.text(name), env);
      return send('POST', path, headers, body);
    };
    const [{ token }, { token: TOKEN }] = [await client({ name: 'plain' }), await client({ name: 'ours', sudo: true })];
    const person = await push('scim-person', { TOKEN });
    assert.equal(person.status, 201, JSON.stringify(person.body));
    assert.equal((await push('scim-group', { TOKEN: token, ADA: person.body.id })).status, 403);
    const group = await push('scim-group', { TOKEN, ADA: person.body.id });
    assert.equal(group.status, 201, JSON.stringify(group.body));
    const [ops] = (await snapshot()).groups;
    assert.deepEqual(ops?.userIds, ['6f0c5a1e-8a4e-4d53-9d0f-5f8b6a7c1234']);
    assert.deepEqual(
      ops.customClaims.map(({ key, value }) => [key, value]),
      [
        ['sudoCommands', '["/usr/bin/systemctl restart nginx"]'],
        ['sudoHosts', '["web1","web2"]'],
      ],
    );
  });
});
