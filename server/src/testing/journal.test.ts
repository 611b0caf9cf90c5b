import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Finding, findContradictions, type Kept, type Told } from './journal.ts';

const well = (): {
  told: Told[];
  kept: { -readonly [K in keyof Kept]: Kept[K] extends readonly (infer T)[] ? T[] : Kept[K] };
} => ({
  told: [
    { kind: 'created', id: 'a', status: 'approved', at: 0, ms: 1 },
    { kind: 'created', id: 'b', status: 'pending', at: 0, ms: 1 },
    { kind: 'waited', id: 'b', status: 'pending', at: 0, ms: 1 },
    { kind: 'cancelled', id: 'b', at: 0, ms: 1 },
    { kind: 'refused', what: 'create', code: 'unavailable', message: 'Try again.', at: 0, ms: 1 },
  ],
  kept: {
    chain: null,
    challenges: [
      { id: 'a', status: 'approved', verdict: 'v' },
      { id: 'b', status: 'cancelled', verdict: 'v' },
      { id: 'c', status: 'pending', verdict: null },
    ],
    events: [
      { event: 'auto_approved', challenge_id: 'a' },
      { event: 'challenge_created', challenge_id: 'b' },
      { event: 'challenge_cancelled', challenge_id: 'b' },
      { event: 'challenge_created', challenge_id: 'c' },
    ],
  },
});

test('what clients were told and what is kept agree, also where a client was told nothing', () => {
  const { told, kept } = well();
  assert.deepEqual(findContradictions(told, kept), []);
});

const planted: [string, (all: ReturnType<typeof well>) => void, Finding['kind'], RegExp][] = [
  ['a request that was lost', ({ kept }) => kept.challenges.shift(), 'lost', /^a was created and is lost$/],
  [
    'a decision that was lost',
    ({ kept }) => Object.assign(kept.challenges[1]!, { status: 'pending', verdict: null }),
    'lost',
    /^b was cancelled and is pending$/,
  ],
  [
    'a decision whose event was lost',
    ({ kept }) => kept.events.shift(),
    'lost',
    /^a is approved and has the event auto_approved 0 times$/,
  ],
  [
    'a decision that is told twice',
    ({ kept }) => kept.events.push({ event: 'challenge_cancelled', challenge_id: 'b' }),
    'doubled',
    /2 times$/,
  ],
  ['a request that was made twice', ({ told }) => told.push(told[0]!), 'doubled', /^a was made twice$/],
  [
    'a decision of which somebody who waited was told another one',
    ({ told }) => told.push({ kind: 'waited', id: 'b', status: 'approved', at: 0, ms: 1 }),
    'contradiction',
    /^b was approved and is cancelled$/,
  ],
  [
    'an event of a request that never was',
    ({ kept }) => kept.events.push({ event: 'challenge_created', challenge_id: 'x' }),
    'lost',
    /^x is lost/,
  ],
  [
    'the event of a decision that was not made',
    ({ kept }) => kept.events.push({ event: 'auto_approved', challenge_id: 'c' }),
    'contradiction',
    /^c is pending and has the event auto_approved 1 times$/,
  ],
  [
    'a decision without its verdict',
    ({ kept }) => Object.assign(kept.challenges[0]!, { verdict: null }),
    'contradiction',
    /^a is approved and its verdict/,
  ],
  [
    'a gap in the log',
    ({ kept }) => Object.assign(kept, { chain: { seq: 3, problem: 'gap' } }),
    'contradiction',
    /breaks at event 3: gap$/,
  ],
];
for (const [what, plant, kind, expected] of planted) {
  test(`${what} is found, as ${kind}`, () => {
    const all = well();
    plant(all);
    const found = findContradictions(all.told, all.kept);
    assert.ok(
      found.some((one) => one.kind === kind && expected.test(one.text)),
      JSON.stringify(found),
    );
  });
}
