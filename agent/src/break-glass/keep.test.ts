import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { openHost } from '../app.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { systemRun } from '../platform/run.ts';
import { MAIN } from '../testing/cli.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { readHashFile, writeHashFile } from './hash-file.ts';
import { type KeepDeps, keepBreakGlass, lookAfter, rotateOutside } from './keep.ts';

const HASH = `$2b$10$${'a'.repeat(53)}`;
const OPTIONS = { timeout: 120_000, concurrency: 4 };

async function world(conf = '') {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server, conf);
  const host = await openHost(enrolled.paths, { log: silentLog });
  const file = join(enrolled.dir, 'identree-breakglass');
  const rotated: number[] = [];
  const deps: KeepDeps = {
    client: host.client,
    journal: host.journal,
    conf: () => host.conf.breakGlass,
    defaults: host.defaults,
    nonces: systemRandom,
    rotate: async () => {
      rotated.push(Date.now());
      return null;
    },
    refused: () => undefined,
    clock: systemClock,
    log: silentLog,
  };
  const record = sampleRecord({ hostId: host.enrolment.identity.hostId });
  return {
    server,
    host,
    file,
    deps,
    rotated,
    record,
    paths: enrolled.paths,
    putHash: (createdAt = Date.now()) =>
      writeHashFile(file, 'web1', { hash: HASH, createdAt, type: 'random', escrowId: null, sealedTo: null }),
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
}

/** Time that passes only when the test lets it, and the pauses that were made. The last one of them stops. */
function countedClock(count: number, stop: AbortController) {
  let now = 0;
  const pauses: number[] = [];
  const clock: Clock = {
    now: systemClock.now,
    monotonic: () => now,
    async sleep(ms) {
      pauses.push(ms);
      now += ms;
      if (pauses.length === count) stop.abort();
    },
  };
  return {
    clock,
    pauses,
    pass(ms: number) {
      now += ms;
    },
  };
}

describe('what the agent does about break-glass', OPTIONS, () => {
  it('a use that the server never takes does not keep those after it, and none is made that it could not take', async () => {
    await using w = await world();
    for (let i = 0; i < 2; i += 1) await w.host.journal.append('wrong', w.record);
    const [first, second] = await w.host.journal.unreported();
    const told: unknown[] = [];
    w.server.intercept = async ({ path, body, response }) => {
      if (path !== '/break-glass/uses') return false;
      told.push(body?.hash);
      const refuses = told.length === 1;
      response.writeHead(refuses ? 400 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refuses ? { error: { code: 'bad_request', message: 'no' } } : {}));
      return true;
    };
    await lookAfter(w.deps, null);
    assert.deepEqual(told, [first?.hash, second?.hash]);
    assert.deepEqual(await w.host.journal.unreported(), []);

    const longest = {
      argv: Array.from({ length: 1024 }, () => '"'.repeat(20)),
      ...{ cwd: '"'.repeat(4096), reason: '\u20ac'.repeat(2000) },
    };
    await assert.rejects(w.host.journal.append('opened', { ...w.record, ...longest, argvTruncated: true }), /too long/);
    assert.equal((await w.host.journal.unreported()).length, 0);
  });

  it('[E-F7] every use is reported once, oldest first, and the password that was used is replaced', async () => {
    await using w = await world();
    await w.putHash(Date.now() - 1000);
    await w.host.journal.append('wrong', w.record);
    await w.host.journal.append('opened', w.record);
    await lookAfter(w.deps, null);
    await lookAfter(w.deps, null);
    assert.deepEqual(
      w.server.breakGlass.uses.map(({ outcome }) => outcome),
      ['wrong', 'opened'],
    );
    assert.ok(w.rotated.length > 0);
  });

  it('[E-F7] [W-9] what the server did not take stays, and comes again with the same id', async () => {
    await using w = await world();
    await w.putHash();
    for (let n = 0; n < 2; n += 1) await w.host.journal.append('wrong', w.record);
    const tried: unknown[] = [];
    w.server.intercept = ({ path, body, response }) => {
      if (path !== '/break-glass/uses') return false;
      tried.push(body?.id);
      if (tried.length !== 2) return false;
      w.server.refuse(response, 503, 'unavailable', 'later');
      return true;
    };
    await lookAfter(w.deps, null);
    await lookAfter(w.deps, null);
    assert.equal(w.server.breakGlass.uses.length, 2);
    assert.equal(tried.length, 3);
    assert.equal(tried[1], tried[2]);
  });

  it('nothing to report, nothing sent but how things are', async () => {
    await using w = await world();
    await w.putHash();
    await lookAfter(w.deps, 'it was late');
    assert.deepEqual(
      w.server.calls.flatMap(({ path }) => /^\/break-glass[^?]*/.exec(path)?.[0] ?? []),
      ['/break-glass/state'],
    );
    const [state] = w.server.breakGlass.states;
    assert.equal(state?.problem, 'it was late');
    assert.equal(state?.current?.type, 'random');
    assert.deepEqual(w.rotated, []);
  });

  it('[E-P22] [W-12] what the server asks for is done; without a server that keeps passwords, nothing is', async () => {
    await using w = await world();
    await w.putHash(Date.now() - 1000);
    w.server.breakGlass.rotateBefore = Date.now();
    w.server.breakGlass.escrow = false;
    assert.match((await lookAfter(w.deps, null)).problem ?? '', /the server keeps none/);
    assert.equal(w.rotated.length, 0);
    w.server.breakGlass.escrow = true;
    assert.deepEqual(await lookAfter(w.deps, null), { problem: null, replaced: true });
    assert.equal(w.rotated.length, 1);
  });

  it('turned off, it says so and makes none', async () => {
    await using w = await world('IDENTREE_BREAKGLASS_ENABLED=false\n');
    await lookAfter(w.deps, null);
    assert.deepEqual(w.server.breakGlass.states, [{ enabled: false, current: null, problem: null }]);
    assert.equal(w.rotated.length, 0);
  });

  it('a file that cannot be believed is told to operators, and left for them to look at', async () => {
    await using w = await world();
    await writeFile(w.file, 'x', { mode: 0o600 });
    await lookAfter(w.deps, null);
    assert.match(w.server.breakGlass.states[0]?.problem ?? '', /holds no bcrypt hash/);
    assert.equal(w.rotated.length, 0);
  });

  it('a server that is away changes nothing, and is tried again', async () => {
    await using w = await world();
    await w.host.journal.append('opened', w.record);
    await w.server.close();
    const stop = new AbortController();
    const { clock, pauses } = countedClock(3, stop);
    const randoms = [0, 1, 0];
    await keepBreakGlass({ ...w.deps, clock, random: () => randoms.shift() ?? 0 }, stop.signal);
    assert.deepEqual(pauses, [45_000, 36_000, 45_000]);
    assert.equal((await w.host.journal.unreported()).length, 1);
  });

  it('a server that keeps its answer is asked again at once; one that knows no waiting is not', async () => {
    await using w = await world();
    await w.putHash();
    for (const [holds, expected] of [
      [true, [500, 500, 500]],
      [false, [36_000, 36_000, 36_000]],
    ] as const) {
      const stop = new AbortController();
      const { clock, pauses, pass } = countedClock(3, stop);
      const waits: (number | undefined)[] = [];
      const client: KeepDeps['client'] = {
        ...w.host.client,
        async breakGlassState(_state, wait) {
          waits.push(wait?.seconds);
          if (holds) pass((wait?.seconds ?? 0) * 1000);
          return { kind: 'ok', value: { escrow: true, rotateBefore: null } };
        },
      };
      await keepBreakGlass({ ...w.deps, client, clock, random: () => 1 }, stop.signal);
      assert.deepEqual(waits, [36, 36, 36]);
      assert.deepEqual(pauses, expected);
    }
  });

  it('another password is told at once; one that stays due, or cannot be replaced, makes no haste', async () => {
    await using w = await world();
    await w.putHash(Date.now() - 1000);
    w.server.breakGlass.rotateBefore = Date.now();
    for (const [failure, expected] of [
      [null, [0, 45_000, 45_000]],
      ['the disk is full', [45_000, 45_000, 45_000]],
    ] as const) {
      const stop = new AbortController();
      const { clock, pauses } = countedClock(3, stop);
      const rotate = async () => failure;
      await keepBreakGlass({ ...w.deps, rotate, clock, random: () => 0 }, stop.signal);
      assert.deepEqual(pauses, expected);
    }
  });

  it('what is due by itself does not wait until the server wants something', async () => {
    await using w = await world();
    const asked = () =>
      w.server.calls.flatMap(({ path }) => /^\/break-glass\/state\?(?:wait=\d+)?/.exec(path)?.[0] ?? []);
    const wait = { seconds: 7, signal: AbortSignal.timeout(60_000) };
    await lookAfter(w.deps, null, wait);
    await w.putHash();
    await lookAfter(w.deps, null, wait);
    assert.deepEqual(asked(), ['/break-glass/state?', '/break-glass/state?wait=7']);
    assert.equal(w.rotated.length, 1);
  });

  it('one that was replaced by hand while the answer was waited for is not replaced again', async () => {
    await using w = await world();
    await w.putHash(Date.now() - 1000);
    w.server.breakGlass.rotateBefore = Date.now();
    w.server.intercept = async ({ path }) => {
      if (path.startsWith('/break-glass/state')) await w.putHash(Date.now() + 1000);
      return false;
    };
    assert.deepEqual(await lookAfter(w.deps, null), { problem: null, replaced: false });
    assert.deepEqual(w.rotated, []);
  });

  it('an agent that stops leaves the server that keeps its answer', async () => {
    await using w = await world();
    await w.putHash();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    w.server.intercept = ({ path }) => {
      if (!path.startsWith('/break-glass/state')) return false;
      arrive();
      return true;
    };
    const stop = new AbortController();
    const keeping = keepBreakGlass({ ...w.deps, random: () => 0 }, stop.signal);
    await arrived;
    stop.abort();
    await keeping;
  });

  it('that this host may not speak any more is passed on, and no other refusal', async () => {
    await using w = await world();
    await w.putHash();
    let told = 0;
    const refused = () => {
      told += 1;
    };
    for (const [code, expected] of [
      ['bad_request', 0],
      ['host_revoked', 1],
    ] as const) {
      w.server.intercept = ({ response }) => {
        w.server.refuse(response, 403, code, 'no');
        return true;
      };
      assert.deepEqual(await lookAfter({ ...w.deps, refused }, 'it was late'), {
        problem: 'it was late',
        replaced: false,
      });
      assert.equal(told, expected);
    }
  });

  it('[E-P21] settings that the server tells count from the same answer on, and are not told again', async () => {
    await using w = await world();
    w.server.clientDefaults = { breakGlassEnabled: false };
    await lookAfter(w.deps, null);
    assert.deepEqual(w.rotated, [], 'the first password was due until the answer said that none is wanted');
    await lookAfter(w.deps, null);
    assert.deepEqual(
      w.server.breakGlass.states.map(({ enabled }) => enabled),
      [true, false],
    );
    const hear = w.host.defaults.hear;
    let heard = 0;
    w.deps.defaults.hear = (token, nonce) => {
      heard += 1;
      return hear(token, nonce);
    };
    await lookAfter(w.deps, null);
    assert.equal(heard, 0);
    w.server.clientDefaults = { breakGlassRotationDays: 7 };
    await w.putHash(Date.now() - 8 * 86_400_000);
    await lookAfter(w.deps, null);
    assert.deepEqual([heard, w.rotated.length], [1, 1], 'with seven days it is due');
  });

  it('a setting that cannot be kept keeps nobody from another password, and is asked for again', async () => {
    await using w = await world();
    await w.putHash(Date.now() - 1000);
    w.server.clientDefaults = { breakGlassRotationDays: 7 };
    w.server.breakGlass.rotateBefore = Date.now();
    const { hear } = w.deps.defaults;
    w.deps.defaults.hear = () => Promise.reject(new Error('ENOSPC: no space left on device'));
    assert.deepEqual(await lookAfter(w.deps, null), { problem: null, replaced: true });
    w.deps.defaults.hear = hear;
    await lookAfter(w.deps, null);
    assert.deepEqual(w.host.defaults.current(), w.server.clientDefaults);
  });

  it('a host that is revoked forgets what it was told, one that waits for an operator does not', async () => {
    await using w = await world();
    w.server.clientDefaults = { breakGlassEnabled: false };
    await lookAfter(w.deps, null);
    for (const [code, expected] of [
      ['host_quarantined', { breakGlassEnabled: false }],
      ['host_revoked', {}],
    ] as const) {
      w.server.intercept = ({ response }) => {
        w.server.refuse(response, 403, code, 'no');
        return true;
      };
      await lookAfter(w.deps, null);
      assert.deepEqual(w.host.defaults.current(), expected, code);
    }
  });

  it('replaces it in a process of its own', async () => {
    await using w = await world();
    const flags = ['--config', w.paths.config, '--state', w.paths.state];
    const rotate = rotateOutside([process.execPath, MAIN], flags, systemRun);
    assert.equal(await rotate(), null);
    const [kept] = w.server.breakGlass.kept;
    assert.equal((await readHashFile(w.file))?.escrowId, kept!.id);
    await w.server.close();
    assert.match((await rotate()) ?? '', /The server cannot keep a new password now/);
  });
});
