import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareCode } from './compare-code.ts';

test('fixed vectors: both ends must show the same code', () => {
  // The code challenge of RFC 7636, appendix B. Independently: printf %s CHALLENGE | sha256sum | xxd -r -p | base32
  assert.equal(compareCode('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'), 'BUUZ-WHVV');
  assert.equal(compareCode(''), '4OYM-IQUY');
});

test('eight unambiguous base32 characters, and another challenge gives another code', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 1000; i++) {
    const code = compareCode(`challenge-${i}`);
    assert.match(code, /^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
    seen.add(code);
  }
  assert.equal(seen.size, 1000);
});
