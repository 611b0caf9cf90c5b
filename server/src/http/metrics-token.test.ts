import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { mock, test } from 'node:test';
import { createMayMeasure } from './metrics-token.ts';

const TOKEN = 'b4bQ1wWqvJ7m0r9cXk2ZsT5u';
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

const GIVEN = [TOKEN, `${TOKEN}x`, TOKEN.slice(1), TOKEN.replace('b', 'c'), 'x'];

test('[M-05] the token of the metrics is all of it, and no other; without one anybody may read them', () => {
  const mayMeasure = createMayMeasure(TOKEN);
  assert.deepEqual(
    GIVEN.map((token) => mayMeasure(bearer(token))),
    [true, false, false, false, false],
  );
  for (const headers of [{}, { authorization: 'Bearer' }, { authorization: `Basic ${TOKEN}` }]) {
    assert.equal(mayMeasure({ headers }), false);
    assert.equal(createMayMeasure(null)({ headers }), true);
  }
});

test('[M-05] the token of the metrics is compared in a time that tells nothing of it, not even its length', (t) => {
  const compare = mock.method(crypto, 'timingSafeEqual');
  syncBuiltinESMExports();
  t.after(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  const mayMeasure = createMayMeasure(TOKEN);
  for (const token of GIVEN) mayMeasure(bearer(token));
  const lengths = compare.mock.calls.map(({ arguments: [left, right] }) => [left.byteLength, right.byteLength]);
  assert.equal(lengths.length, GIVEN.length, 'each was compared so');
  // Neither is the token: both are as long, whatever was given.
  assert.equal(new Set(lengths.flat()).size, 1);
  for (const { arguments: compared } of compare.mock.calls)
    assert.ok(compared.every((one) => !Buffer.from(one as Uint8Array).includes(TOKEN)));
});
