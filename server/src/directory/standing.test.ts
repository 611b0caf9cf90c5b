import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStanding } from './standing.ts';

const issuer = 'https://id.example';
const served = {
  alice: { issuer, id: 'sub-alice', disabled: false },
  bob: { issuer, id: 'sub-bob', disabled: true },
  eve: { issuer: 'https://other.example', id: 'sub-eve', disabled: false },
};

type State = 'enabled' | 'disabled' | 'gone' | 'unknown';

function standing(states: Record<string, State> | null) {
  const asked: string[] = [];
  const refreshes: string[] = [];
  const made = createStanding({
    ownerOf: async (account) => {
      const owner = served[account as keyof typeof served];
      return owner ? { issuer: owner.issuer, subject: owner.id } : null;
    },
    knownAs: (known) => known,
    directory: {
      isPersonDisabled: (known) => known.issuer === issuer && known.subject === 'sub-bob',
      isAccountDisabled: (name) => name === 'bob',
      refresh: (trigger) => void refreshes.push(trigger),
    },
    client: states && {
      userState: async (id) => {
        asked.push(id);
        const state = states[id];
        if (state === undefined) throw new Error('no answer');
        return state;
      },
    },
    issuer,
    log: { warn: () => {} },
  });
  return { asked, refreshes, made };
}

const person = (subject: string) => ({ issuer, subject, sourceId: null });

test('what is served counts where nobody can be asked', async () => {
  const { made } = standing(null);
  assert.deepEqual(
    [made.accountMayAct('alice'), made.accountMayAct('bob'), made.accountMayAct('local')],
    [true, false, true],
  );
  assert.deepEqual([made.personMayAct(person('sub-alice')), made.personMayAct(person('sub-bob'))], [true, false]);
  assert.deepEqual(await made.confirm({ person: person('sub-alice'), account: 'bob' }), {
    person: true,
    account: false,
  });
});

for (const state of ['disabled', 'gone'] as const) {
  test(`the source says ${state} now: nobody approves, and the rest of the directory is fetched`, async () => {
    const { made, refreshes, asked } = standing({ 'sub-alice': state });
    assert.deepEqual(await made.confirm({ person: person('sub-alice'), account: 'alice' }), {
      person: false,
      account: false,
    });
    assert.deepEqual(refreshes, ['login']);
    assert.deepEqual(asked, ['sub-alice'], 'one question about one person');
  });
}

test('an approver and an account of different people are asked about one by one', async () => {
  const { made } = standing({ 'sub-olga': 'enabled', 'sub-alice': 'disabled' });
  assert.deepEqual(await made.confirm({ person: person('sub-olga'), account: 'alice' }), {
    person: true,
    account: false,
  });
});

test('a source that is slow or fails changes nothing, and cannot give back what is taken away', async () => {
  const silent = standing({});
  assert.deepEqual(await silent.made.confirm({ person: person('sub-alice'), account: 'bob' }), {
    person: true,
    account: false,
  });
  assert.deepEqual(silent.refreshes, []);
  const stale = standing({ 'sub-bob': 'enabled' });
  assert.deepEqual(await stale.made.confirm({ person: person('sub-bob'), account: 'bob' }), {
    person: false,
    account: false,
  });
});

test('people of another issuer are not looked for at this source', async () => {
  const { made, asked } = standing({ 'sub-alice': 'enabled' });
  await made.confirm({ person: person('sub-alice'), account: 'eve' });
  assert.deepEqual(asked, ['sub-alice']);
});
