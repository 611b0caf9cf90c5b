import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sealedPassword } from '#shared/sealed-password.ts';
import { systemRandom } from '../platform/random.ts';
import { systemRun } from '../platform/run.ts';
import { ageIdentity, openPart } from '../testing/age.ts';
import { identree } from '../testing/cli.ts';
import { makePassword } from './password.ts';
import { type Sealing, SealingFailed, seal, sealingId } from './sealing.ts';
import { combineShares, readShare, splitPassword, WrongShares, writeShare } from './shares.ts';

const PASSWORD = Buffer.from('otter-maple-violin-cactus');

const people = (count: number) => Promise.all(Array.from({ length: count }, ageIdentity));

async function sealedTo(count: number, threshold: number, id = randomUUID()) {
  const them = await people(count);
  const sealed = await seal(PASSWORD, { recipients: them.map(({ recipient }) => recipient), threshold }, id);
  return { them, sealed };
}

/** Every choice of so many of these. */
function choices<T>(of: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return of.flatMap((one, i) => choices(of.slice(i + 1), count - 1).map((others) => [one, ...others]));
}

describe('a password that is sealed to people', () => {
  it('each of them opens their own part alone, and no part of somebody else', async () => {
    const { them, sealed } = await sealedTo(3, 1);
    assert.deepEqual(sealedPassword.parse(sealed), sealed);
    for (const [i, { identity }] of them.entries()) {
      for (const [j, { age }] of sealed.parts.entries()) {
        if (i === j) assert.equal(await openPart(age, identity), PASSWORD.toString());
        else await assert.rejects(openPart(age, identity));
      }
    }
  });

  it('is opened by stock age', async () => {
    const { them, sealed } = await sealedTo(2, 1);
    const folder = await mkdtemp(join(tmpdir(), 'identree-age-'));
    const [key, part] = [join(folder, 'key.txt'), join(folder, 'part.age')];
    await writeFile(key, `${them[1]!.identity}\n`, { mode: 0o600 });
    await writeFile(part, sealed.parts[1]!.age);
    const { code, output } = await systemRun('age', ['--decrypt', '--identity', key, part]);
    await rm(folder, { recursive: true });
    assert.deepEqual([code, output.trim()], [0, PASSWORD.toString()]);
  });

  it('where it takes several, any of them who are enough put it together, and any who are fewer learn nothing', async () => {
    const { them, sealed } = await sealedTo(5, 3);
    const lines = await Promise.all(them.map(({ identity }, i) => openPart(sealed.parts[i]!.age, identity)));
    for (const some of choices(lines, 3)) assert.deepEqual(await combineShares(some.map(readShare)), PASSWORD);
    for (const few of [...choices(lines, 2), ...choices(lines, 1)]) {
      await assert.rejects(combineShares(few.map(readShare)), /takes the shares of 3 people/);
      // As if it took fewer.
      const lying = few.map((line) => ({ ...readShare(line), threshold: few.length }));
      await assert.rejects(combineShares(lying), WrongShares);
    }
    assert.ok(lines.every((line) => !line.includes(PASSWORD.toString())));
  });

  it('the same person twice is one person', async () => {
    const [share] = await splitPassword(PASSWORD, { id: randomUUID(), threshold: 2, people: 2 });
    await assert.rejects(combineShares([share!, share!]), /there are 1/);
  });

  it('shares of different passwords, and damaged ones, give no password', async () => {
    const split = () => splitPassword(PASSWORD, { id: randomUUID(), threshold: 2, people: 2 });
    const [[a, b], [, d]] = [await split(), await split()] as const;
    await assert.rejects(combineShares([a!, d!]), /different passwords/);
    await assert.rejects(combineShares([a!, { ...d!, id: a!.id }]), /damaged/);
    for (let at = 0; at < b!.share.length - 1; at += 1) {
      const share = Uint8Array.from(b!.share);
      share[at]! ^= 1;
      await assert.rejects(combineShares([a!, { ...b!, share }]), /damaged/, `byte ${at}`);
    }
    for (const line of ['', 'hello', writeShare(a!).slice(9), `${writeShare(a!)} x`]) {
      assert.throws(() => readShare(line), WrongShares);
    }
  });

  it('somebody who is no recipient stops it', async () => {
    await assert.rejects(
      seal(PASSWORD, { recipients: [`age1${'q'.repeat(58)}`], threshold: 1 }, randomUUID()),
      SealingFailed,
    );
  });

  it('every type of password survives it', async () => {
    for (const type of ['random', 'passphrase', 'alphanumeric'] as const) {
      const password = makePassword(type, systemRandom);
      const shares = await splitPassword(password, { id: randomUUID(), threshold: 2, people: 3 });
      assert.deepEqual(await combineShares(shares.slice(1).map(writeShare).map(readShare)), password);
    }
  });
});

describe('who it is sealed to', () => {
  const of = (change: Partial<Sealing>): Sealing => ({ recipients: ['a', 'b'], threshold: 1, ...change });
  it('is the same in another order, and another with other people or another number of them', () => {
    assert.equal(sealingId(null), null);
    assert.equal(sealingId(of({ recipients: ['b', 'a'] })), sealingId(of({})));
    assert.notEqual(sealingId(of({ threshold: 2 })), sealingId(of({})));
    assert.notEqual(sealingId(of({ recipients: ['a'] })), sealingId(of({})));
  });
});

describe('identree combine-breakglass', () => {
  it('prints the password alone, as soon as there are enough, on a machine that is no host', async () => {
    const shares = await splitPassword(PASSWORD, { id: randomUUID(), threshold: 2, people: 3 });
    const lines = shares.map(writeShare);
    const put = await identree(['combine-breakglass'], { input: `${lines[2]}\n\n  ${lines[0]}  \nnot needed\n` });
    assert.deepEqual([put.code, put.stdout], [0, `${PASSWORD}\n`], put.stderr);
    const few = await identree(['combine-breakglass'], { input: `${lines[0]}\n` });
    assert.deepEqual([few.code, few.stdout], [1, '']);
    assert.match(few.stderr, /takes the shares of 2 people; there are 1/);
  });
});
