import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSnapshot } from '../tree/test-tree.ts';
import { spelledAsKnown } from './issuer-spelling.ts';
import type { DirectorySnapshot } from './model.ts';

const A = 'https://id.example';
const of = (...issuers: string[]): DirectorySnapshot => {
  const one = testSnapshot([{ username: 'ada' }], [{ name: 'ops', members: ['ada'] }]);
  const by = <T extends object>(records: readonly T[]) =>
    issuers.flatMap((issuer) => records.map((record) => ({ ...record, issuer })));
  return { users: by(one.users), groups: by(one.groups) };
};
const spelled = async (said: DirectorySnapshot, known: string[], published: DirectorySnapshot | null = null) =>
  (await spelledAsKnown(said, published, async () => new Set(known))).users.map(({ issuer }) => issuer);

test('an issuer is written as it was when numbers were given under it', async () => {
  assert.deepEqual(await spelled(of(A), [`${A}/`]), [`${A}/`]);
  assert.deepEqual(await spelled(of(`${A}/`), [A, 'https://other.example']), [A]);
  assert.deepEqual(await spelled(of(A), []), [A], 'the first one is as it comes');
  const { groups } = await spelledAsKnown(of(`${A}/`), null, async () => new Set([A]));
  assert.equal(groups[0]?.issuer, A, 'groups go with their members');
});

test('two who differ are not made one', async () => {
  assert.deepEqual(await spelled(of(A, `${A}/`), [`${A}/`]), [A, `${A}/`], 'the source has both');
  assert.deepEqual(await spelled(of(`${A}//`), [A, `${A}/`]), [`${A}//`], 'both have numbers');
  assert.deepEqual(await spelled(of('https://id.example.org'), [A]), ['https://id.example.org']);
});

test('numbers are read only for an issuer that hosts do not see', async () => {
  const never = async (): Promise<ReadonlySet<string>> => assert.fail('they were read');
  assert.deepEqual(await spelledAsKnown(of(A), of(A), never), of(A));
});
