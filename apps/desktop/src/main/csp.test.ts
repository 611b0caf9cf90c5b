import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentSecurityPolicy } from './csp.ts';

const NONCE = 'abcdefghijklmnopqrstuvwx';

function directives(policy: string): Map<string, string[]> {
  return new Map(
    policy.split('; ').map((directive) => {
      const [name, ...sources] = directive.split(' ');
      return [name!, sources];
    }),
  );
}

for (const page of ['console', 'setup'] as const) {
  test(`${page}: nothing is allowed that is not named, and no address outside the page's own origin`, () => {
    const policy = directives(contentSecurityPolicy(page, NONCE));
    assert.deepEqual(policy.get('default-src'), ["'none'"]);
    assert.deepEqual(policy.get('script-src'), ["'self'"]);
    for (const name of ['base-uri', 'form-action', 'frame-ancestors', 'object-src']) {
      assert.deepEqual(policy.get(name), ["'none'"], name);
    }
    const sources = [...policy.values()].flat();
    for (const source of sources) {
      assert.ok(["'none'", "'self'", 'data:', `'nonce-${NONCE}'`].includes(source), source);
    }
    assert.ok(!policy.get('script-src')?.includes('data:'));
    assert.ok(!policy.get('connect-src')?.includes('data:'));
  });
}

test('the console speaks only to its own origin, the setup page to nobody', () => {
  assert.deepEqual(directives(contentSecurityPolicy('console', NONCE)).get('connect-src'), ["'self'"]);
  assert.deepEqual(directives(contentSecurityPolicy('setup', NONCE)).get('connect-src'), ["'none'"]);
});

test('a nonce that could end the directive, or could be guessed, is a bug', () => {
  for (const nonce of ['', 'short', "abcdefghijklmnopqrst' 'unsafe-inline", 'abcdefghijklmnopqrst; script-src *']) {
    assert.throws(() => contentSecurityPolicy('console', nonce), TypeError);
  }
});
