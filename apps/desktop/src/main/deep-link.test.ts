import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deepLinkInArguments, parseDeepLink } from './deep-link.ts';

const code = fc
  .tuple(
    fc.string({ unit: fc.constantFrom(...'ABCDEFGHJKLMNPQRSTUVWXYZ'), minLength: 6, maxLength: 6 }),
    fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 6, maxLength: 6 }),
  )
  .map((parts) => parts.join('-'));

test('a link to a request gives its code and nothing else', () => {
  assert.deepEqual(parseDeepLink('identree://approve/ABCDEF-123456'), { kind: 'approve', code: 'ABCDEF-123456' });
  assert.deepEqual(parseDeepLink('identree://approve/ABCDEF-123456/'), { kind: 'approve', code: 'ABCDEF-123456' });
  fc.assert(
    fc.property(code, (c) => assert.deepEqual(parseDeepLink(`identree://approve/${c}`), { kind: 'approve', code: c })),
  );
});

test('every other link means nothing', () => {
  for (const link of [
    '',
    'identree:',
    'identree://',
    'identree:approve/ABCDEF-123456',
    'identree:///approve/ABCDEF-123456',
    'identree://deny/ABCDEF-123456',
    'identree://approve',
    'identree://approve/',
    'identree://approve/ABCDEF-123456?decision=approved',
    'identree://approve/ABCDEF-123456#x',
    'identree://approve/ABCDEF-123456/../../deny',
    'identree://approve//ABCDEF-123456',
    'identree://approve/ABCDEF%2D123456',
    'identree://approve/abcdef-123456',
    'identree://approve/ABCDEI-123456',
    'identree://approve/ABCDEF-12345６',
    'identree://approve/ABCDEF-123456\n',
    ' identree://approve/ABCDEF-123456',
    'IDENTREE://approve/ABCDEF-123456',
    'identree://user@approve/ABCDEF-123456',
    'identree://approve:1/ABCDEF-123456',
    'identree://approve.evil.example/ABCDEF-123456',
    'https://identree.example.com/approve/ABCDEF-123456',
    'javascript:alert(1)//identree://approve/ABCDEF-123456',
    `identree://approve/ABCDEF-123456${'/'.repeat(2)}`,
    `identree://approve/${'A'.repeat(100_000)}`,
  ]) {
    assert.equal(parseDeepLink(link), null, link.slice(0, 80));
  }
});

test('fuzz: whatever is understood is exactly one spelling of one code', () => {
  const near = fc
    .tuple(
      fc.constantFrom('identree://approve/', 'identree://', 'identree:', ''),
      fc.string({ unit: 'binary', maxLength: 40 }),
      code,
    )
    .chain(([head, noise, c]) =>
      fc.constantFrom(head + noise, head + c + noise, head + noise + c, noise + head + c, `${head}${c}/${noise}`),
    );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), near), (text) => {
      const link = parseDeepLink(text);
      if (link === null) return;
      assert.match(link.code, /^[A-HJ-NP-Z]{6}-[0-9]{6}$/);
      assert.ok([`identree://approve/${link.code}`, `identree://approve/${link.code}/`].includes(text));
    }),
    { numRuns: 5000 },
  );
});

test('among arguments the first link counts, and a broken one is not passed over for the next', () => {
  const good = 'identree://approve/ABCDEF-123456';
  assert.equal(deepLinkInArguments(['/usr/bin/identree', '--flag']), null);
  assert.deepEqual(deepLinkInArguments(['/usr/bin/identree', '--flag', good, 'identree://approve/GHJKLM-000000']), {
    kind: 'approve',
    code: 'ABCDEF-123456',
  });
  assert.equal(deepLinkInArguments(['identree', 'identree://evil', good]), null);
  assert.equal(deepLinkInArguments(['identree', `--x=${good}`]), null);
});
