import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openHost } from '../app.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';

/** A clock on which the patience of a call ends when the test says so. */
function impatientClock() {
  let { promise, resolve } = Promise.withResolvers<void>();
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => (ms === 10_000 ? promise : systemClock.sleep(ms, signal)),
  };
  return {
    clock,
    loseIt: () => resolve(),
    regainIt: () => {
      ({ promise, resolve } = Promise.withResolvers<void>());
    },
  };
}

const FACTS = { approverKeysVersion: 1, checkpointSeq: 0, osInfo: 'x' };

describe('requests that carry a counter', { timeout: 120_000 }, () => {
  it('one that the server sits on is not overtaken: its number would look like that of a clone', async () => {
    const server = await createFakeServer();
    const enrolled = await createEnrolledHost(server);
    const { clock, loseIt, regainIt } = impatientClock();
    const host = await openHost(enrolled.paths, { clock, log: silentLog });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let held = 0;
    server.intercept = async ({ path }) => {
      if (path !== '/heartbeat' || held > 0) return false;
      held += 1;
      await released;
      return false;
    };
    const first = host.client.heartbeat(FACTS);
    while (held === 0) await systemClock.sleep(5);
    const second = host.client.heartbeat(FACTS);
    loseIt();
    assert.equal((await first).kind, 'unavailable');
    assert.equal((await second).kind, 'unavailable');
    const third = host.client.heartbeat({ ...FACTS, checkpointSeq: 3 });
    await third;
    await systemClock.sleep(100);
    assert.equal(server.calls.filter(({ path }) => path === '/heartbeat').length, 1, 'nothing was sent past the first');
    regainIt();
    release();
    const fourth = host.client.heartbeat({ ...FACTS, checkpointSeq: 4 });
    await fourth;
    while (server.calls.filter(({ body }) => body?.checkpointSeq === 4).length === 0) await systemClock.sleep(5);
    const counters = server.calls.flatMap(({ path, body }) => (path === '/heartbeat' ? [Number(body?.counter)] : []));
    assert.deepEqual(
      counters,
      [...counters].sort((a, b) => a - b),
    );
    host.close();
    await server.close();
    await enrolled.remove();
  });

  it('an answer that comes after the person was told withdraws the request', async () => {
    const server = await createFakeServer();
    const enrolled = await createEnrolledHost(server);
    const { clock, loseIt } = impatientClock();
    const host = await openHost(enrolled.paths, { clock, log: silentLog });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let arrived = false;
    server.intercept = async ({ path }) => {
      if (path !== '/challenges') return false;
      arrived = true;
      await released;
      return false;
    };
    const { buildRecord, loginEvidence } = await import('../gate/evidence.ts');
    const record = buildRecord(
      loginEvidence({ user: 'bob', uid: 7 } as never),
      { user: 'bob', uid: 7, gate: 'ssh', service: 'sshd', tty: null, origin: null },
      { hostId: enrolled.hostId, nonce: 'A'.repeat(43), createdAt: Date.now() },
    );
    const asking = host.client.createChallenge(record, 1, true);
    while (!arrived) await systemClock.sleep(5);
    loseIt();
    assert.equal((await asking).kind, 'unavailable');
    release();
    while (server.challenges[0]?.cancelled !== true) await systemClock.sleep(5);
    host.close();
    await server.close();
    await enrolled.remove();
  });
});
