import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ApprovalBundle, verifyApprovalBundle } from '#shared/approval-bundle.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import type { GrantsInForce } from '#shared/offline-grant.ts';
import { createApp } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import type { Config } from '../config/config.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { checkChain } from '../events/store.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

async function run(argv: string[], config: Config): Promise<string> {
  const { code, out, err } = await runOn(argv, config);
  assert.equal(code, 0, err);
  return out;
}

for (const [from, to] of [
  ['sqlite', 'sqlite'],
  ['sqlite', 'postgres'],
  ['postgres', 'sqlite'],
] as const) {
  const skip = [from, to].some((driver) => driver === 'postgres') ? (whyNoPostgres() ?? false) : false;
  test(`a backup of ${from}, restored into ${to}: sessions, passkeys, hosts and evidence go on`, { skip }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-restore-'));
    const provider = createTestProvider();
    const source = await createTestApp({ driver: from, app: { provider } });
    const host = await enrolTestHost(source.app, source.clock, 'web1.example.com');
    const alice = await signInTestPerson(source.app, provider, source.clock, 'alice');
    const approve = async (person: TestPerson, { userCode, challengeId }: ChallengeAnswer): Promise<void> => {
      const { data } = await person.query<Approval>('challenges.get', { code: userCode });
      const assertion = person.passkey.assert(data.passkey!.options as never);
      assert.equal((await person.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
    };
    const earlier = await host.create();
    await approve(alice, earlier);
    for (const run of [
      { state: 'started' },
      { state: 'ended', exitStatus: 0, signal: null, durationMs: 3000 },
    ] satisfies RunRequest[]) {
      await host.send('POST', `/challenges/${earlier.challengeId}/run`, run);
    }
    const waiting = await host.create();

    // While the server runs.
    await run(['backup', join(folder, 'backup')], source.config);
    const { trust } = source.app;
    const { clock } = source;
    await source.close();

    const postgres = to === 'postgres' ? await makeTestPostgres() : null;
    const config: Config = {
      ...source.config,
      keysDir: join(folder, 'keys'),
      database: postgres
        ? { driver: 'postgres', dsn: postgres.dsn, maxConnections: 5, pooler: 'none' }
        : { driver: 'sqlite', dsn: join(folder, 'identree.db'), maxConnections: 1, pooler: 'none' },
    };
    try {
      await run(['restore', join(folder, 'backup')], config);
      const bundle = JSON.parse(await run(['export-approval', earlier.challengeId], config)) as ApprovalBundle;
      assert.ok((await verifyApprovalBundle(bundle, trust)).ok, 'what was approved before proves itself');
      const told = bundle.events.filter(({ event }) => event === 'challenge_run').map(({ data }) => data);
      assert.deepEqual(
        told.map(({ state, exitStatus }) => [state, exitStatus]),
        [
          ['started', null],
          ['ended', 0],
        ],
        'what became of it is in the evidence',
      );

      const restored = await createApp(config, { provider, clock });
      try {
        // The same cookie, the same passkey, the request that was waiting; the host with the key and counter it had.
        await approve(await alice.at(restored), waiting);
        const answer = await host.send('GET', `/challenges/${waiting.challengeId}?wait=0`, undefined, {}, restored);
        assert.equal(answer.body.status, 'approved');
        const next = await host.send('POST', '/challenges', host.createBody(), {}, restored);
        assert.equal(next.status, 201);
        assert.equal(await checkChain(restored.db.query), null);
      } finally {
        await restored.close();
      }
    } finally {
      await postgres?.drop();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test('no offline grant counts any more: which were given since the backup, nobody knows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-restore-'));
  const source = await createTestApp();
  const host = await enrolTestHost(source.app, source.clock, 'web1.example.com');
  await run(['backup', join(folder, 'backup')], source.config);
  await source.close();
  const config: Config = {
    ...source.config,
    keysDir: join(folder, 'keys'),
    database: { driver: 'sqlite', dsn: join(folder, 'identree.db'), maxConnections: 1, pooler: 'none' },
  };
  const before = Date.now();
  await run(['restore', join(folder, 'backup')], config);
  const restored = await createApp(config, { clock: source.clock });
  try {
    const { body } = await host.send('GET', '/offline-grants', undefined, {}, restored);
    assert.ok((body as unknown as GrantsInForce).revokedTo >= before);
  } finally {
    await restored.close();
    await rm(folder, { recursive: true, force: true });
  }
});
