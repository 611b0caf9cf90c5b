import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';

const PASSWORD = 'otter-maple-violin-cactus';
const HOST = 'web1.example.com';

test('the break-glass password of a host is shown on the machine of the server, written down, and replaced', async (t) => {
  const env = {
    IDENTREE_ESCROW_BACKEND: 'local',
    IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
  };
  const site = await createTestApp({ now: Date.now() - 60_000, env });
  t.after(() => site.close());
  const host = await enrolTestHost(site.app, site.clock, HOST);
  const run = (...argv: string[]) => runOn(['reveal-breakglass', ...argv], site.config, env);
  const revealed = async () =>
    (await site.app.events.read(0, 1000)).filter(({ event }) => event === 'revealed_breakglass');
  const state = (escrowId: string | null) =>
    host.send('POST', '/break-glass/state', {
      enabled: true,
      current: escrowId && { createdAt: site.clock.now(), type: 'random', escrowId },
      problem: null,
    });

  const none = await run(HOST, '--reason', 'the server is dead');
  assert.deepEqual([none.code, none.out], [1, '']);
  const id = randomUUID();
  const about = { id, type: 'random', createdAt: site.clock.now() };
  assert.equal((await host.send('POST', '/break-glass/escrow', { ...about, password: PASSWORD })).status, 200);
  await state(id);

  for (const [argv, code] of [
    [[HOST], 2],
    [[HOST, '--reason', ' x '], 2],
    [['web2.example.com', '--reason', 'the server is dead'], 1],
  ] as const) {
    const refused = await run(...argv);
    assert.deepEqual([refused.code, refused.out], [code, ''], refused.err);
  }
  assert.deepEqual(await revealed(), []);

  const shown = await run(HOST, '--reason', 'the server is dead');
  assert.deepEqual([shown.code, shown.out], [0, `${PASSWORD}\n`], shown.err);
  const [event, ...more] = await revealed();
  assert.deepEqual(
    [event?.actor, event?.reason, event?.hostname, event?.data.ids, more.length],
    ['identree-server', 'the server is dead', HOST, [id], 0],
  );
  const { rotateBefore } = (await state(id)).body as { rotateBefore: number };
  assert.ok(rotateBefore > about.createdAt);
});
