import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../platform/clock.ts';
import { UntrustedFile } from '../state/trusted-file.ts';
import { countRight, countTry, createAttempts, type Failures, NO_FAILURES, waitFor } from './attempts.ts';

const T = 1_700_000_000_000;
const after = (tries: number, user = 'alice', now = T): Failures => {
  let state = NO_FAILURES;
  for (let n = 0; n < tries; n += 1) state = countTry(state, user, now);
  return state;
};

describe('back-off after wrong passwords', () => {
  it('[E-B10] two are free, from the third on each doubles the pause, up to four minutes', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40].map((tries) =>
      waitFor({ ...after(tries), host: null }, 'alice', T),
    );
    assert.deepEqual(
      waits,
      [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256].map((seconds) => seconds * 1000),
    );
  });

  it('the pause counts from the last try', () => {
    const state = { ...after(5), host: null };
    assert.equal(waitFor(state, 'alice', T + 3000), 1000);
    assert.equal(waitFor(state, 'alice', T + 4000), 0);
  });

  it('[W-15] what one account guesses makes the next one wait too, but never for minutes', () => {
    assert.equal(waitFor(after(4), 'bob', T), 0);
    assert.equal(waitFor(after(5), 'bob', T), 1000);
    assert.equal(waitFor(after(500), 'bob', T), 16_000);
    assert.equal(waitFor(after(500), 'bob', T + 16_000), 0);
  });

  it('many accounts together wait as one does', () => {
    let state = NO_FAILURES;
    for (let n = 0; n < 12; n += 1) state = countTry(state, `user${n}`, T);
    assert.equal(waitFor(state, 'somebody-new', T), 16_000);
  });

  it('the right password clears both counts', () => {
    const state = countTry(after(8), 'bob', T);
    assert.equal(waitFor(countRight(state, 'alice'), 'alice', T), 0);
    assert.deepEqual(Object.keys(countRight(state, 'alice').users), ['bob']);
  });

  it('a clock that is set back makes nobody wait longer than the pause', () => {
    assert.equal(waitFor({ ...after(5), host: null }, 'alice', T - 86_400_000), 4000);
  });

  it('what is a day old is forgotten, and many accounts fill no disk', () => {
    const later = T + 25 * 3_600_000;
    assert.equal(waitFor({ ...countTry(after(9), 'alice', later), host: null }, 'alice', later), 0);
    let state = NO_FAILURES;
    for (let n = 0; n < 1100; n += 1) state = countTry(state, `user${n}`, T + n);
    assert.equal(Object.keys(state.users).length, 1024);
    assert.ok('user1099' in state.users);
  });

  it('accounts may be named as members of objects are', () => {
    for (const user of ['constructor', '__proto__', 'toString']) {
      assert.equal(waitFor(NO_FAILURES, user, T), 0);
      assert.equal(waitFor({ ...after(4, user), host: null }, user, T), 2000);
    }
  });
});

describe('counting', () => {
  /** A pause of a second must not pass while tries are counted. */
  const still: Clock = { ...systemClock, now: () => T };
  async function world(clock: Clock = still) {
    const dir = await mkdtemp(join(tmpdir(), 'identree-attempts-'));
    const file = join(dir, 'attempts.json');
    const attempts = createAttempts({ file, lock: join(dir, 'lock'), clock });
    return { dir, file, attempts, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
  }

  it('[W-15] a hundred at once are a hundred tries: only the free ones go on to the password', async () => {
    await using w = await world();
    const waits = await Promise.all(Array.from({ length: 20 }, () => w.attempts.begin('alice')));
    assert.equal(waits.filter((wait) => wait === 0).length, 3);
    assert.equal((await stat(w.file)).mode & 0o777, 0o600);
  });

  it('[E-B9] outlives the process; the right password clears it', async () => {
    await using w = await world();
    for (let n = 0; n < 3; n += 1) await w.attempts.begin('alice');
    const next = createAttempts({ file: w.file, lock: join(w.dir, 'lock'), clock: still });
    assert.ok((await next.wait('alice')) > 0);
    await next.right('alice');
    assert.equal(await w.attempts.begin('alice'), 0);
  });

  it('a try that has to wait is not counted again', async () => {
    await using w = await world();
    for (let n = 0; n < 3; n += 1) await w.attempts.begin('alice');
    const before = await readFile(w.file, 'utf8');
    assert.ok((await w.attempts.begin('alice')) > 0);
    assert.equal(await readFile(w.file, 'utf8'), before);
  });

  const broken: [string, (file: string) => Promise<void>][] = [
    ['damaged', (file) => writeFile(file, '3 1700000000', { mode: 0o600 })],
    [
      'open to others',
      async (file) => {
        await writeFile(file, JSON.stringify(NO_FAILURES), { mode: 0o600 });
        await chmod(file, 0o644);
      },
    ],
  ];
  for (const [what, make] of broken) {
    it(`[E-B9] who cannot be counted is not let in: a file that is ${what}`, async () => {
      await using w = await world();
      await make(w.file);
      await assert.rejects(w.attempts.begin('alice'), UntrustedFile);
    });
  }

  it('who cannot be counted is not let in: a disk that takes nothing', async () => {
    await using w = await world();
    await using gone = await world();
    const attempts = createAttempts({
      file: join(gone.dir, 'missing', 'attempts.json'),
      lock: join(w.dir, 'lock'),
      clock: systemClock,
    });
    await assert.rejects(attempts.begin('alice'));
  });
});
