import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ApproverKeySet } from '#shared/decision.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { createServerKey } from '../testing/fake-server.ts';
import { createPasskey } from '../testing/passkey.ts';
import { openApproverKeys } from './approver-keys.ts';
import { atomicWrite } from './atomic-write.ts';
import { NOTHING_SEEN, observeHead, openCheckpoints, type StoredCheckpoint } from './checkpoint.ts';
import { createCounter, createCounterFile, readCounter } from './counter.ts';
import { createLock, withLock } from './lock.ts';
import { machineId } from './machine-id.ts';
import { readTrustedFile, UntrustedFile } from './trusted-file.ts';

const isRoot = process.geteuid?.() === 0;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'identree-state-'));
});
after(() => rm(dir, { recursive: true, force: true }));
const fresh = async (name: string) => {
  const path = join(dir, name);
  await mkdir(path, { mode: 0o700 });
  return path;
};

describe('request counter', () => {
  const counterIn = (folder: string) =>
    createCounter({ file: join(folder, 'counter'), lock: join(folder, 'lock'), clock: systemClock });

  it('grows by one and is on disk before it is used', async () => {
    const folder = await fresh('grow');
    await createCounterFile(join(folder, 'counter'));
    const counter = counterIn(folder);
    for (let expected = 1; expected <= 5; expected += 1) {
      await counter.next(async (value) => {
        assert.equal(value, expected);
        assert.equal(await readCounter(join(folder, 'counter')), expected);
      });
    }
  });

  it('sends one at a time, in order, even when one fails', async () => {
    const folder = await fresh('order');
    await createCounterFile(join(folder, 'counter'));
    const counter = counterIn(folder);
    const log: string[] = [];
    const work = [1, 2, 3].map((index) =>
      counter.next(async (value) => {
        log.push(`start ${value}`);
        await systemClock.sleep(5);
        log.push(`end ${value}`);
        if (index === 2) throw new Error('lost');
      }),
    );
    const results = await Promise.allSettled(work);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(log, ['start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3']);
  });

  it('a number that was taken ahead is the next one, once, and only while no other process has taken a higher one', async () => {
    const folder = await fresh('ahead');
    await createCounterFile(join(folder, 'counter'));
    const counter = counterIn(folder);
    const other = counterIn(folder);
    const next = (of = counter) => of.next(async (value) => value);
    await Promise.all([counter.takeAhead(), counter.takeAhead()]);
    await counter.takeAhead();
    assert.equal(await readCounter(join(folder, 'counter')), 1, 'one is on disk before anybody uses it');
    assert.deepEqual([await next(), await next()], [1, 2]);
    await counter.takeAhead();
    assert.equal(await next(other), 4);
    assert.deepEqual([await next(), await next()], [5, 6], '3 is lost: the server has seen 4');
    await counter.takeAhead();
    assert.equal(await next(counterIn(folder)), 8, 'an agent that was started anew knows nothing of it');
  });

  it('what keeps a number from being taken ahead is said to who asks', async () => {
    const folder = await fresh('ahead-bad');
    const counter = counterIn(folder);
    await counter.takeAhead();
    await assert.rejects(
      counter.next(async () => undefined),
      UntrustedFile,
    );
    await createCounterFile(join(folder, 'counter'));
    await counter.takeAhead();
    assert.equal(await counter.next(async (value) => value), 1);
  });

  it('a write that was torn by a power failure loses no number that was used', async () => {
    const folder = await fresh('torn');
    const file = join(folder, 'counter');
    await createCounterFile(file);
    const counter = counterIn(folder);
    for (let i = 0; i < 7; i += 1) await counter.next(async () => undefined);
    const whole = await readFile(file);
    // The next number goes to the slot that does not hold the current one; any part of it may be there.
    for (let cut = 0; cut <= 64; cut += 1) {
      const torn = Buffer.from(whole);
      Buffer.from(`${'0'.repeat(19)}8 ${'0'.repeat(19)}8`).copy(torn, 0, 0, Math.min(cut, 41));
      await writeFile(file, torn);
      assert.ok([7, 8].includes(await readCounter(file)), `cut at ${cut}`);
    }
  });

  for (const [name, content] of [
    ['missing', null],
    ['empty', ''],
    ['rubbish', 'x'.repeat(128)],
    ['cut short', '0'.repeat(30)],
    ['a number that is none', `${'9'.repeat(20)} ${'9'.repeat(20)}`.padEnd(63).concat('\n').repeat(2)],
  ] as const) {
    it(`${name}: no number at all, because starting anew would repeat old ones`, async () => {
      const folder = await fresh(`bad-${name.replaceAll(' ', '-')}`);
      if (content !== null) await writeFile(join(folder, 'counter'), content, { mode: 0o600 });
      let used = false;
      await assert.rejects(
        counterIn(folder).next(async () => {
          used = true;
        }),
        UntrustedFile,
      );
      assert.equal(used, false);
    });
  }

  it('two processes never take the same number, and the lock of one that was killed holds nobody up', {
    timeout: 60_000,
  }, async (t) => {
    const folder = await fresh('processes');
    await createCounterFile(join(folder, 'counter'));
    const script = join(folder, 'taker.ts');
    const source = (path: string) => JSON.stringify(join(import.meta.dirname, path));
    await writeFile(
      script,
      `import { createCounter } from ${source('counter.ts')};
       import { systemClock } from ${source('../platform/clock.ts')};
       const counter = createCounter({ file: ${JSON.stringify(join(folder, 'counter'))}, lock: ${JSON.stringify(join(folder, 'lock'))}, clock: systemClock });
       if (process.argv[2] === 'hang') await counter.next((n) => { console.log(n); return new Promise(() => setInterval(() => undefined, 1000)); });
       process.stderr.write('asks');
       for (let i = 0; i < 25; i += 1) await counter.next(async (n) => console.log(n));`,
    );
    const start = (...args: string[]) => {
      const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      t.after(() => child.kill('SIGKILL'));
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      const asks = new Promise((resolve) => child.stderr.once('data', resolve));
      const done = new Promise<number[]>((resolve) =>
        child.on('close', () => resolve(text.trim().split('\n').map(Number))),
      );
      return { child, asks, done, took: () => text };
    };
    const hung = start('hang');
    await new Promise((resolve) => hung.child.stdout.once('data', resolve));
    const takers = [start(), start()];
    await Promise.all(takers.map(({ asks }) => asks));
    await systemClock.sleep(200);
    for (const { took } of takers) assert.equal(took(), '');
    hung.child.kill('SIGKILL');
    const taken = (await Promise.all([hung.done, ...takers.map(({ done }) => done)])).flat();
    assert.equal(taken.length, 51);
    assert.deepEqual(
      [...taken].sort((a, b) => a - b),
      Array.from({ length: 51 }, (_, i) => i + 1),
    );
  });
});

describe('the lock', () => {
  const held = () => Promise.withResolvers<void>();

  it('who comes while it is held waits, whether its file stays open or is opened once', async () => {
    const path = join(await fresh('lock-held'), 'lock');
    const keeps = createLock(path, systemClock);
    const order: string[] = [];
    await keeps(async () => undefined);
    const [first, second] = [held(), held()];
    const one = withLock(path, systemClock, () => first.promise.then(() => void order.push('one')));
    const two = keeps(() => second.promise.then(() => void order.push('two')));
    const three = createLock(path, systemClock)(async () => void order.push('three'));
    second.resolve();
    await systemClock.sleep(60);
    assert.deepEqual(order, []);
    first.resolve();
    await Promise.all([one, two, three]);
    assert.deepEqual(order.slice().sort(), ['one', 'three', 'two']);
    assert.equal(order[0], 'one');
  });

  it('is let go of by work that fails', async () => {
    const path = join(await fresh('lock-fails'), 'lock');
    const keeps = createLock(path, systemClock);
    await assert.rejects(
      keeps(async () => {
        throw new Error('no');
      }),
      /no/,
    );
    assert.equal(await withLock(path, systemClock, async () => 'taken'), 'taken');
    assert.equal(await keeps(async () => 'again'), 'again');
  });

  it('that nobody lets go of is waited for as long by who comes last as by who comes first', async () => {
    const path = join(await fresh('lock-stuck'), 'lock');
    const never = held();
    const holding = withLock(path, systemClock, () => never.promise);
    // Looks take a second each.
    let now = 0;
    const passes = async (ms: number) => {
      now += ms;
    };
    const clock = { ...systemClock, monotonic: () => now, sleep: () => passes(1000) };
    const keeps = createLock(path, clock);
    const gaveUp = [1, 2, 3, 4].map(() =>
      keeps(async () => 'taken').then(
        () => assert.fail('it is held'),
        () => now,
      ),
    );
    assert.deepEqual(await Promise.all(gaveUp), [15_000, 15_000, 15_000, 15_000]);
    never.resolve();
    await holding;
    const long = keeps(() => passes(20_000));
    assert.equal(await keeps(async () => 'taken'), 'taken', 'one that is free is taken, however late it is');
    await long;
  });

  it('a file that was put in its place is the lock from then on', async () => {
    const path = join(await fresh('lock-replaced'), 'lock');
    const keeps = createLock(path, systemClock);
    await keeps(async () => undefined);
    await rm(path);
    const other = held();
    const order: string[] = [];
    const holding = withLock(path, systemClock, () => other.promise.then(() => void order.push('holder')));
    const waiting = keeps(async () => void order.push('who waits'));
    await systemClock.sleep(60);
    other.resolve();
    await Promise.all([holding, waiting]);
    assert.deepEqual(order, ['holder', 'who waits']);
  });

  it('makes no file beside it, and what an earlier version left there when it was killed holds nobody up', async () => {
    const folder = await fresh('lock-beside');
    const path = join(folder, 'lock');
    const keeps = createLock(path, systemClock);
    assert.deepEqual(await keeps(() => readdir(folder)), ['lock']);
    await writeFile(`${path}-journal`, Buffer.alloc(512, 'journal'));
    assert.equal(await keeps(async () => 'taken'), 'taken');
    assert.equal(await withLock(path, systemClock, async () => 'taken'), 'taken');
  });
});

describe('approver keys', () => {
  async function setUp() {
    const root = await createServerKey();
    const serverId = '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e';
    const person = { issuer: 'https://i', subject: 's', username: 'u' };
    const set = (version: number, change: Partial<ApproverKeySet> = {}, key = root) =>
      signToken(
        tokenType.approverKeys,
        {
          v: 1,
          iss: serverId,
          version,
          issuedAt: 1,
          rpId: 'x',
          origins: ['https://x'],
          keys: [createPasskey(person).key],
          ...change,
        },
        key,
      );
    const path = join(await fresh(`keys-${Math.random()}`), 'approver-keys.jws');
    await atomicWrite(path, await set(3));
    return { root, serverId, set, path, trust: { serverId, trustRoot: root.public, verificationKeys: [] } };
  }

  it('go forward only, also across a restart', async () => {
    const { set, path, trust } = await setUp();
    const keys = await openApproverKeys(path, trust);
    const older = await set(2);
    assert.equal(await keys.offer(older), 'not_newer');
    assert.equal(await keys.offer(await set(3)), 'not_newer');
    assert.equal(await keys.offer(await set(7)), 'accepted');
    assert.equal(await keys.offer(await set(6)), 'not_newer');
    assert.equal(keys.current().version, 7);
    assert.equal((await openApproverKeys(path, trust)).current().version, 7);
  });

  it('are taken from the pinned root and server only', async () => {
    const { set, path, trust, root } = await setUp();
    const keys = await openApproverKeys(path, trust);
    const stranger = await createServerKey();
    assert.equal(await keys.offer(await set(9, {}, stranger)), 'rejected');
    assert.equal(await keys.offer(await set(9, {}, { ...stranger, kid: root.kid })), 'rejected');
    assert.equal(await keys.offer(await set(9, { iss: '00000000-0000-4000-8000-000000000000' })), 'rejected');
    assert.equal(await keys.offer('rubbish'), 'rejected');
    assert.equal(await keys.offer(await signToken(tokenType.verdict, { version: 9 }, root)), 'rejected');
    assert.equal(keys.current().version, 3);
  });

  it('two offers at once end with the higher version', async () => {
    const { set, path, trust } = await setUp();
    const keys = await openApproverKeys(path, trust);
    await Promise.all([keys.offer(await set(8)), keys.offer(await set(5))]);
    assert.equal(keys.current().version, 8);
    assert.equal((await openApproverKeys(path, trust)).current().version, 8);
  });

  it('a file that does not verify stops the agent', async () => {
    const { path, trust } = await setUp();
    await writeFile(path, 'rubbish');
    await assert.rejects(openApproverKeys(path, trust), UntrustedFile);
    await rm(path);
    await assert.rejects(openApproverKeys(path, trust), UntrustedFile);
  });
});

describe('the head of the event log', () => {
  const state: StoredCheckpoint = { ...NOTHING_SEEN, seq: 10, hash: 'h10' };
  it('moves forward', () => {
    assert.deepEqual(observeHead(state, { seq: 11, hash: 'h11' }, 5), { ...state, seq: 11, hash: 'h11' });
    assert.deepEqual(observeHead(state, { seq: 10, hash: 'h10' }, 5), state);
  });
  it('that went back is remembered, with when and to where', () => {
    const back = observeHead(state, { seq: 9, hash: 'h9' }, 5);
    assert.deepEqual(back, { ...state, contradiction: { kind: 'rolled_back', seq: 9, at: 5 } });
    const again = observeHead(back, { seq: 8, hash: 'h8' }, 6);
    assert.deepEqual(again.contradiction, { kind: 'rolled_back', seq: 9, at: 5 }, 'the first time counts');
  });
  it('of the same length with another hash is another log', () => {
    const other = observeHead(state, { seq: 10, hash: 'x' }, 5);
    assert.deepEqual(other.contradiction, { kind: 'forked', seq: 10, at: 5 });
  });
  it('that is not signed and caught up is trusted again', () => {
    const back = observeHead(state, { seq: 9, hash: 'h9' }, 5);
    assert.equal(observeHead(back, { seq: 12, hash: 'h12' }, 7).contradiction, null);
  });
  it('survives a restart, and a lost file is not taken for a fresh start', async () => {
    const path = join(await fresh('checkpoint'), 'checkpoint.json');
    await atomicWrite(path, JSON.stringify(state));
    await (await openCheckpoints(path)).keep(observeHead(state, { seq: 3, hash: 'x' }, 9));
    const { contradiction } = (await openCheckpoints(path)).current();
    assert.deepEqual(contradiction, { kind: 'rolled_back', seq: 3, at: 9 });
    await rm(path);
    await assert.rejects(openCheckpoints(path), UntrustedFile);
  });
  it('as an older agent kept it is known on, with what it had found out', async () => {
    const path = join(await fresh('checkpoint-1'), 'checkpoint.json');
    await atomicWrite(path, JSON.stringify({ v: 1, seq: 10, hash: 'h10', rolledBack: { seq: 3, at: 9 } }));
    assert.deepEqual((await openCheckpoints(path)).current(), {
      ...state,
      contradiction: { kind: 'rolled_back', seq: 3, at: 9 },
    });
  });
});

describe('files that decide whom we trust', () => {
  it('read when they are as they should be, null when they are not there', async () => {
    const folder = await fresh('good');
    await writeFile(join(folder, 'a'), 'x', { mode: 0o644 });
    assert.equal((await readTrustedFile(join(folder, 'a')))?.toString(), 'x');
    assert.equal(await readTrustedFile(join(folder, 'b')), null);
    assert.equal(await readTrustedFile(join(folder, 'no', 'b')), null);
  });

  const bad: [string, (folder: string) => Promise<unknown>, { private?: boolean }?][] = [
    ['a link', (folder) => symlink('/etc/hostname', join(folder, 'a'))],
    [
      'a link to a good file',
      async (folder) => {
        await writeFile(join(folder, 'real'), 'x', { mode: 0o600 });
        await symlink('real', join(folder, 'a'));
      },
    ],
    [
      'writable by the group',
      (folder) => writeFile(join(folder, 'a'), 'x').then(() => chmod(join(folder, 'a'), 0o660)),
    ],
    ['writable by all', (folder) => writeFile(join(folder, 'a'), 'x').then(() => chmod(join(folder, 'a'), 0o602))],
    [
      'readable by others when it is private',
      (folder) => writeFile(join(folder, 'a'), 'x').then(() => chmod(join(folder, 'a'), 0o640)),
      { private: true },
    ],
    ['a folder', (folder) => mkdir(join(folder, 'a'))],
    ['too large', (folder) => writeFile(join(folder, 'a'), Buffer.alloc(2 * 1024 * 1024), { mode: 0o600 })],
    [
      'in a folder that others can write',
      (folder) => writeFile(join(folder, 'a'), 'x', { mode: 0o600 }).then(() => chmod(folder, 0o777)),
    ],
  ];
  for (const [name, make, options] of bad) {
    it(`refused: ${name}`, async () => {
      const folder = await fresh(`bad-file-${name.replaceAll(' ', '-')}`);
      await make(folder);
      await assert.rejects(readTrustedFile(join(folder, 'a'), options), UntrustedFile);
    });
  }

  it('refused: owned by somebody else', { skip: isRoot ? false : 'needs root' }, async () => {
    const folder = await fresh('foreign');
    await writeFile(join(folder, 'a'), 'x', { mode: 0o600 });
    await chown(join(folder, 'a'), 1000, 1000);
    await assert.rejects(readTrustedFile(join(folder, 'a')), /chown root/);
  });
});

describe('atomic write', () => {
  it('[E-S6] replaces bytes and mode and leaves nothing behind', async () => {
    const folder = await fresh('atomic');
    const path = join(folder, 'f');
    await atomicWrite(path, 'one', 0o600);
    await atomicWrite(path, 'two', 0o640);
    assert.equal(await readFile(path, 'utf8'), 'two');
    assert.equal((await stat(path)).mode & 0o777, 0o640);
    assert.deepEqual(await readdir(folder), ['f']);
  });
  it('[E-S6] that fails leaves the old file', async () => {
    const folder = await fresh('atomic-fails');
    await mkdir(join(folder, 'f'));
    await assert.rejects(atomicWrite(join(folder, 'f'), 'x'));
    assert.deepEqual(await readdir(folder), ['f']);
  });
});

describe('machine id', () => {
  it('is a hash: the same machine, the same text, and never the id itself', async () => {
    const etc = join(dir, 'etc-machine-id');
    await writeFile(etc, `${'0123456789abcdef'.repeat(2)}\n`);
    const read = () => machineId({ fallback: join(dir, 'unused'), random: systemRandom, etc });
    assert.equal(await read(), await read());
    assert.match(await read(), /^[A-Za-z0-9_-]{43}$/);
    assert.ok(!(await readdir(dir)).includes('unused'));
  });
  it('of a machine without one is made once and kept', async () => {
    const fallback = join(await fresh('machine'), 'machine-id');
    const read = () => machineId({ fallback, random: systemRandom, etc: '/nonexistent' });
    assert.equal(await read(), await read());
  });
});
