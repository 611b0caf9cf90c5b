import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createApp } from '../app/app.ts';
import { loadConfig } from '../config/load-config.ts';
import { kysely } from '../db/query.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { systemClock } from '../platform/clock.ts';
import { runWith as run } from '../testing/run-command.ts';
import { enrolTestHost } from '../testing/test-host.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identree-cli-'));
});
after(() => rm(folder, { recursive: true }));

const environment = (name: string, more: Record<string, string> = {}) => ({
  IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
  IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
  IDENTREE_DATABASE_DSN: join(folder, `${name}.db`),
  IDENTREE_KEYS_DIR: join(folder, `${name}-keys`),
  IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
  IDENTREE_OIDC_CLIENT_ID: 'identree',
  IDENTREE_OIDC_CLIENT_SECRET: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
  IDENTREE_ADMIN_GROUPS: 'admins',
  IDENTREE_LOG_LEVEL: 'error',
  ...more,
});

test('without configuration every error is listed at once', async () => {
  const { code, err } = await run(['serve'], {});
  assert.equal(code, 6);
  for (const name of [
    'IDENTREE_EXTERNAL_URL',
    'IDENTREE_OIDC_ISSUER_URL',
    'IDENTREE_OIDC_CLIENT_ID',
    'IDENTREE_ADMIN_GROUPS',
  ]) {
    assert.match(err, new RegExp(name));
  }
});

test('empty admin groups are an error', async () => {
  const { code, err } = await run(['serve'], environment('empty', { IDENTREE_ADMIN_GROUPS: '' }));
  assert.equal(code, 6);
  assert.match(err, /IDENTREE_ADMIN_GROUPS/);
});

test('a signal is listened for before the server is said to be ready', async () => {
  let told = 'nobody listened';
  const { code, out } = await run(
    ['serve'],
    environment('listens', { IDENTREE_LDAP_ENABLED: 'false' }),
    async (toldBy) => {
      told = toldBy();
    },
  );
  assert.deepEqual([code, told], [0, '']);
  assert.match(out, /identree is ready/);
});

test('an unknown command and no command explain themselves', async () => {
  assert.equal((await run(['explode'], {})).code, 2);
  assert.match((await run(['explode'], {})).err, /identree-server serve/);
  assert.equal((await run([], {})).code, 2);
  assert.equal((await run(['help'], {})).code, 0);
  assert.equal((await run(['hosts', '--nope'], {})).code, 2);
});

test('hosts: a token alone on standard output, an empty list that helps', async () => {
  const env = environment('hosts');
  assert.match((await run(['hosts', 'list'], env)).out, /No hosts yet/);
  const made = await run(['hosts', 'token', 'Web1.Example.com.'], env);
  assert.equal(made.code, 0);
  assert.match(made.out, /^idt1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}\n$/);
  assert.match(made.err, /web1\.example\.com/);
  assert.equal((await run(['hosts', 'token', '-bad-'], env)).code !== 0, true);
  const forPrograms = await run(['hosts', 'token', '--json', 'web1.example.com'], env);
  const { hostname, token, expiresAt } = JSON.parse(forPrograms.out) as Record<string, string>;
  assert.deepEqual([hostname, token!.slice(0, 5), Number(expiresAt) > Date.now()], ['web1.example.com', 'idt1.', true]);
  const list = await run(['hosts', 'list', '--json'], env);
  assert.deepEqual(JSON.parse(list.out), []);
});

test('hosts: an enrolled one is listed, put into a group, released and revoked, each with its event', async () => {
  const env = environment('enrolled');
  const loaded = loadConfig({
    env,
    readFile: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  });
  assert.ok(loaded.ok);
  // Beside a server that runs.
  const app = await createApp(loaded.config);
  try {
    const host = await enrolTestHost(app, systemClock, 'web1.example.com');
    const listed = async () => JSON.parse((await run(['hosts', 'list', '--json'], env)).out)[0];
    assert.equal((await listed()).state, 'active');
    const second = await run(['hosts', 'token', 'web1.example.com'], env);
    assert.match(
      second.err,
      new RegExp(`is enrolled\\. Revoke it before .*: identree-server hosts revoke ${host.id}$`, 'm'),
    );
    assert.match((await run(['hosts', 'list'], env)).out, new RegExp(`${host.id} +active +web1\\.example\\.com`));
    assert.equal((await run(['hosts', 'group', host.id, 'production'], env)).code, 0);
    assert.equal((await listed()).group, 'production');
    // Nothing to release and nothing to confirm.
    assert.equal((await run(['hosts', 'release', host.id], env)).code, 1);
    assert.equal((await run(['hosts', 'confirm', host.id, 'A'.repeat(43)], env)).code, 1);
    await app.db.transaction((work) =>
      kysely(work.query).updateTable('hosts').set({ state: 'quarantined' }).where('id', '=', host.id).execute(),
    );
    assert.equal((await run(['hosts', 'release', host.id], env)).code, 0);
    assert.equal((await listed()).state, 'active');
    assert.equal((await run(['hosts', 'revoke', host.id], env)).code, 0);
    assert.equal((await listed()).state, 'revoked');
    const refused = await host.send('POST', '/challenges', host.createBody());
    assert.equal(refused.body.error?.code, 'host_revoked');
    const events = await app.events.read(0, 100);
    const names = events.filter(({ hostId }) => hostId === host.id).map(({ event, actor }) => `${event} ${actor}`);
    assert.deepEqual(names, [
      'host_enrolled null',
      'certificate_issued null',
      'host_group_changed identree-server',
      'host_confirmed identree-server',
      'host_removed identree-server',
      'host_request_refused null',
    ]);
    assert.equal((await run(['hosts', 'revoke', 'no-such-host'], env)).code, 1);
    for (const verb of ['confirm', 'release', 'group', 'revoke', 'explode']) {
      assert.equal((await run(['hosts', verb], env)).code, 2, verb);
    }
  } finally {
    await app.close();
  }
});

test('serve starts, says where, and stops cleanly; the log is whole', async () => {
  const policies = join(folder, 'broken-policies.json');
  await writeFile(policies, '{"policies": [', { mode: 0o600 });
  const env = environment('serve', {
    IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
    IDENTREE_APPROVAL_POLICIES_FILE: policies,
    IDENTREE_LOG_LEVEL: 'error',
  });
  const served = await run(['serve'], env);
  assert.equal(served.code, 0, served.err);
  assert.match(served.out, /identree is ready: https:\/\/identree\.example\.com/);
  assert.match(served.out, /redirect URI, .*: https:\/\/identree\.example\.com\/callback$/m);
  // It listens, but nobody can sign in and nothing is decided: whoever started it has to hear so.
  const warned = served.err
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { level: number; msg: string })
    .flatMap(({ level, msg }) => (level === 40 ? [msg] : []));
  assert.ok(warned.includes('oidc is unreachable'), 'in the format of the log');
  assert.ok(warned.includes('policy is broken'));
  assert.ok(warned.some((line) => line.startsWith('IDENTREE_METRICS_TOKEN: ')));
  const log = await run(['verify-log', '--json'], env);
  assert.equal(JSON.parse(log.out).ok, true);
});

test('keys of one installation and database of another do not go together', async () => {
  await run(['hosts', 'list'], environment('one'));
  await run(['hosts', 'list'], environment('two'));
  const mixed = await run(['hosts', 'list'], { ...environment('one'), IDENTREE_KEYS_DIR: join(folder, 'two-keys') });
  assert.equal(mixed.code, 1);
  assert.match(mixed.err, /different installations/);
});

test('[W-16] a missing key file is never replaced by a new one', async () => {
  const env = environment('half');
  await run(['hosts', 'list'], env);
  const lost = join(env.IDENTREE_KEYS_DIR, 'verdict.pem');
  const trustRoot = await readFile(join(env.IDENTREE_KEYS_DIR, 'trust-root.pem'), 'utf8');
  await rm(lost);
  const result = await run(['hosts', 'list'], env);
  assert.equal(result.code, 1);
  assert.match(result.err, /incomplete: verdict\.pem/);
  await assert.rejects(readFile(lost));
  assert.equal(await readFile(join(env.IDENTREE_KEYS_DIR, 'trust-root.pem'), 'utf8'), trustRoot);
});

test('keys that others can read are refused', async () => {
  const env = environment('open');
  await run(['hosts', 'list'], env);
  const { chmod } = await import('node:fs/promises');
  await chmod(join(env.IDENTREE_KEYS_DIR, 'ca.pem'), 0o644);
  assert.match((await run(['hosts', 'list'], env)).err, /readable by others/);
});

test('an evaluation installation is not accepted in production', async () => {
  const env = environment('evaluation');
  const loaded = loadConfig({
    env,
    readFile: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  });
  assert.ok(loaded.ok);
  const app = await createApp({ ...loaded.config, evaluation: true });
  await app.close();
  const keys = await run(['serve'], env);
  assert.equal(keys.code, 1);
  assert.match(keys.err, /evaluation/);
  // Production keys do not help: the database is stamped too.
  await run(['hosts', 'list'], environment('production'));
  const database = await run(['serve'], { ...env, IDENTREE_KEYS_DIR: join(folder, 'production-keys') });
  assert.equal(database.code, 1);
  assert.match(database.err, /evaluation/);
});

for (const target of ['sqlite', 'postgres'] as const) {
  const missing = target === 'postgres' ? whyNoPostgres() : null;
  test(`backup and restore into ${target}: the same hosts, keys and event chain`, {
    skip: missing ?? false,
  }, async () => {
    const env = environment(`source-${target}`);
    await run(['hosts', 'token', 'web1'], env);
    const backup = join(folder, `backup-${target}`);
    const backedUp = await run(['backup', '--json', backup], env);
    assert.equal(backedUp.code, 0, backedUp.err);
    const { folder: where, rows, head } = JSON.parse(backedUp.out) as Record<string, { seq: number }>;
    assert.deepEqual([where, Number(rows) > 0, head!.seq > 0], [backup, true, true]);
    const postgres = target === 'postgres' ? await makeTestPostgres() : null;
    const restored = environment(
      `restored-${target}`,
      postgres ? { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: postgres.dsn } : {},
    );
    try {
      const done = await run(['restore', backup], restored);
      assert.equal(done.code, 0, done.err);
      const [a, b] = [await run(['trust', 'show'], env), await run(['trust', 'show'], restored)];
      assert.equal(a.out, b.out);
      assert.equal(JSON.parse((await run(['verify-log', '--json'], restored)).out).ok, true);
      // Nothing is ever restored over something.
      const again = await run(['restore', backup], restored);
      assert.equal(again.code, 1);
      assert.match(again.err, /not empty/);
    } finally {
      await postgres?.drop();
    }
  });
}

test('a backup that was changed is not restored', async () => {
  const env = environment('source-changed');
  await run(['hosts', 'token', 'web1'], env);
  const backup = join(folder, 'backup-changed');
  await run(['backup', backup], env);
  const data = join(backup, 'data.jsonl');
  await writeFile(data, (await readFile(data, 'utf8')).replace('web1', 'web2'));
  const result = await run(['restore', backup], environment('restored-changed'));
  assert.equal(result.code, 1);
  assert.match(result.err, /damaged/);
});

test('an event that was changed in the database is found', async () => {
  const env = environment('altered');
  await run(['hosts', 'token', 'web1'], env);
  const { default: Sqlite } = await import('better-sqlite3');
  const db = new Sqlite(env.IDENTREE_DATABASE_DSN);
  db.exec(`update events set hostname = 'web2' where event = 'enrolment_token_created'`);
  db.close();
  const result = await run(['verify-log'], env);
  assert.equal(result.code, 1);
  assert.match(result.out, /broken at event/);
});

test('a recovery code for somebody who never signed in is not made', async () => {
  const env = environment('recovery');
  assert.equal((await run(['recovery-code'], env)).code, 2);
  const result = await run(['recovery-code', 'nobody'], env);
  assert.equal(result.code, 1);
  assert.equal(result.out, '');
});

test('uidmap: an earlier map is taken over, shown, checked, changed and mended', async () => {
  const mapFile = join(folder, 'uidmap', 'uidmap.json');
  await mkdir(join(folder, 'uidmap'));
  const env = environment('uidmap', {
    IDENTREE_DIRECTORY_SOURCE: 'scim',
    IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
    IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
    IDENTREE_LDAP_UID_MAP_FILE: mapFile,
    IDENTREE_METRICS_TOKEN: 'mT3kQ9vX2bW7nL5cR8yZ1pJ4',
  });
  const uidmap = (...args: string[]) => run(['uidmap', ...args], env);
  const earlier = join(folder, 'earlier.json');
  const gone = { id: 200_001, name: 'bob', at: '2026-01-01T00:00:00.000Z' };
  const content = {
    uids: { a: 200_000, c: 200_002 },
    gids: { a: 200_000, c: 200_002 },
    retired: { uids: { b: gone }, gids: { b: gone } },
  };
  await writeFile(earlier, JSON.stringify(content), { mode: 0o600 });

  assert.equal((await uidmap()).code, 2);
  for (const form of ['xml', 'toString']) assert.equal((await uidmap('export', '--format', form)).code, 2);
  assert.match((await uidmap('verify')).err, /no map yet/);
  assert.deepEqual(await uidmap('import', earlier), { code: 0, out: 'Added 6 numbers.\n', err: '' });
  assert.match((await uidmap('import', earlier)).err, /--merge/);
  assert.match((await uidmap('import', earlier, '--merge')).out, /Added 0 numbers/);
  const verified = await uidmap('verify', '--json');
  assert.deepEqual(
    [verified.code, JSON.parse(verified.out)],
    [0, { generation: 0, uids: 3, gids: 3, retired: 2, nextUid: 200_003, nextGid: 200_003, problems: [] }],
  );
  assert.equal((await uidmap('export')).out, await readFile(mapFile, 'utf8'));
  assert.deepEqual(await uidmap('diff', earlier), { code: 0, out: 'No difference.\n', err: '' });

  assert.equal((await uidmap('reserve', '200003')).out, 'Nobody gets 200003.\n');
  assert.match((await uidmap('reserve', '200000')).err, /is user a's/);
  assert.match((await uidmap('reserve', '0x10')).err, /numbers from 1000/);
  const changed = await uidmap('diff', earlier);
  assert.deepEqual([changed.code, changed.out], [1, '- uid 200003  nobody\n- gid 200003  nobody\n']);

  const flags = [
    ['import', earlier, '--dry-run'],
    ['adopt', 'bob', 'c', '--yes', '--dry-run'],
    ['reserve', '5000', '--json'],
  ];
  for (const args of flags) assert.equal((await uidmap(...args)).code, 2, args.join(' '));
  assert.equal((await uidmap('diff', earlier)).out, changed.out);

  const asked = await uidmap('adopt', 'bob', 'c');
  assert.equal(asked.code, 1);
  assert.match(asked.out, /user c gets uid 200001, gid 200001 of user bob \(b\)/);
  assert.match(asked.err, /--yes/);
  assert.equal((await uidmap('diff', earlier)).out, changed.out);
  assert.equal((await uidmap('adopt', 'bob', 'c', '--yes')).code, 0);
  assert.match((await uidmap('export', '--format', 'csv')).out, /uid,200001,user,,https:\/\/idp\.example\.com,c,/);
  assert.equal((await uidmap('verify')).code, 0);

  await writeFile(earlier, JSON.stringify({ uids: { a: 200_000, b: 200_000 }, gids: {} }), { mode: 0o600 });
  assert.match((await uidmap('diff', earlier)).err, /uidmap repair .*earlier\.json --dry-run/);
  const planned = await uidmap('repair', earlier, '--dry-run');
  assert.match(planned.out, /uid 200000 of user b becomes 200001.*find \/ -xdev -uid 200000/s);
  assert.match(await readFile(earlier, 'utf8'), /"b":200000/);
  assert.equal((await uidmap('repair', earlier)).code, 0);
  assert.match(await readFile(`${earlier}.broken`, 'utf8'), /"b":200000/);
  assert.match((await uidmap('repair', earlier)).out, /Nothing has to change/);
  assert.match(await readFile(`${earlier}.broken`, 'utf8'), /"b":200000/, 'and the first state is kept');
  const second = { uids: { b: { id: 7, name: 'bob', at: '2026-01-01T00:00:00.000Z' } }, gids: {} };
  await writeFile(earlier, JSON.stringify({ uids: { b: 200_001 }, gids: {}, retired: second }), { mode: 0o600 });
  const left = await uidmap('repair', earlier, '--dry-run');
  assert.equal(left.out, "uid 7, a second one of user bob (b), is left out: it is out of range, or somebody else's.\n");
  assert.equal((await uidmap('repair')).code, 2);
  await writeFile(earlier, JSON.stringify({ uids: { a: 200_000, b: 200_000 }, gids: {} }), { mode: 0o600 });
  assert.match((await uidmap('repair', earlier)).err, /Nothing was written: .*broken/);
  assert.equal((await run(['uidmap', 'verify'], environment('uidmap-off'))).code, 1);
});
