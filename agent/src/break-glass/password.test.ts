import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PASSWORD_TYPES } from '#shared/break-glass-api.ts';
import { systemRandom } from '../platform/random.ts';
import { below, LONGEST_PASSWORD, makePassword, PASSWORD_BITS } from './password.ts';
import { WORDS } from './words.ts';

/** Every word that is one slip away: a letter wrong, missing, added, or swapped with its neighbour. */
function* slips(word: string): Generator<string> {
  for (let at = 0; at <= word.length; at += 1) {
    const [before, after] = [word.slice(0, at), word.slice(at)];
    if (after !== '') yield before + after.slice(1);
    if (after.length > 1) yield `${before}${after[1]}${after[0]}${after.slice(2)}`;
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') {
      yield before + letter + after;
      if (after !== '') yield before + letter + after.slice(1);
    }
  }
}

describe('break-glass passwords', () => {
  const shapes = {
    random: /^[A-Za-z0-9_-]{43}$/,
    passphrase: /^([a-z]{4,6}-){9}[a-z]{4,6}$/,
    alphanumeric: /^[2-9A-HJ-NP-Za-hjkmnp-z]{24}$/,
  };
  for (const type of PASSWORD_TYPES) {
    it(`[E-B2] ${type}: of the right shape, below what bcrypt reads, and never twice the same`, () => {
      const made = Array.from({ length: 200 }, () => makePassword(type, systemRandom).toString('latin1'));
      for (const password of made) {
        assert.match(password, shapes[type]);
        assert.ok(password.length <= LONGEST_PASSWORD);
      }
      assert.equal(new Set(made).size, made.length);
    });
  }

  it('[W-29] are as hard to guess as the page says', () => {
    assert.deepEqual(
      Object.fromEntries(Object.entries(PASSWORD_BITS).map(([type, bits]) => [type, Math.floor(bits)])),
      { random: 256, passphrase: 100, alphanumeric: 138 },
    );
  });

  it('[E-B2] choose among 1024 words that nobody can take for one another', () => {
    assert.equal(WORDS.length, 1024);
    const words = new Set(WORDS);
    assert.equal(words.size, 1024);
    for (const word of WORDS) {
      assert.match(word, /^[a-z]{4,6}$/);
      for (const slip of slips(word)) assert.ok(slip === word || !words.has(slip), `${word} and ${slip}`);
    }
    for (let n = 0; n < 50; n += 1) {
      for (const word of makePassword('passphrase', systemRandom).toString('latin1').split('-'))
        assert.ok(words.has(word));
    }
  });

  it('throw away what would make some symbols likelier than others', () => {
    // 65,536 is 1191 times 55 and 31: the last 31 values belong to no symbol.
    const values = [0xffff, 0xffe1, 0xffe0, 54, 55];
    const random = {
      bytes: () => {
        const bytes = Buffer.alloc(2);
        bytes.writeUInt16BE(values.shift()!);
        return bytes;
      },
    };
    assert.deepEqual([below(random, 55), below(random, 55), below(random, 55)], [54, 54, 0]);
    assert.deepEqual(values, []);
  });
});
