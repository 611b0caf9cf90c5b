import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { order, snapshotHash } from './model.ts';
import type { DirectorySource } from './source.ts';

/** What a test puts behind a source, in PocketID's words. */
export interface Upstream {
  users: {
    id: string;
    username: string;
    firstName?: string;
    disabled?: boolean;
    email?: string | null;
    customClaims?: { key: string; value: string }[] | null;
  }[];
  groups: {
    id: string;
    name: string;
    userIds: string[];
    customClaims?: { key: string; value: string }[] | null;
  }[];
}

/** A source with a way to change what is behind it, and to break it. */
export interface SourceUnderTest {
  source: DirectorySource;
  issuer: string;
  put(content: Upstream): Promise<void>;
  /** The id that a user put under this id has, where what is behind the source makes its own. */
  idOf?: (id: string) => string;
  /** From now on the source cannot deliver. */
  breakIt(): Promise<void>;
}

export const ALICE = '6f0c1a52-6c66-4f55-9d42-000000000001';
export const BOB = '6f0c1a52-6c66-4f55-9d42-000000000002';
export const OPS = 'a1000000-0000-4000-8000-000000000001';

/** A small directory: alice and bob, both in ops. */
export const SAMPLE: Upstream = {
  users: [
    { id: BOB, username: 'bob', disabled: true, customClaims: null, email: null },
    { id: ALICE, username: 'alice', firstName: 'Alice', customClaims: [{ key: 'loginShell', value: '/bin/zsh' }] },
  ],
  groups: [{ id: OPS, name: 'ops', userIds: [BOB, ALICE], customClaims: [{ key: 'sudoCommands', value: 'ALL' }] }],
};

/** What every source promises. */
export function sourceContract(name: string, make: (t: Pick<TestContext, 'after'>) => Promise<SourceUnderTest>): void {
  const signal = () => new AbortController().signal;

  describe(`${name} as a directory source`, () => {
    test('delivers users, groups, members and claims in canonical order', async (t) => {
      const { source, issuer, put, idOf = (id: string) => id } = await make(t);
      await put(SAMPLE);
      const result = await source.fetch(signal());
      assert.ok(result.ok, JSON.stringify(result));
      const { users, groups } = result.snapshot;
      const [alice, bob] = [idOf(ALICE), idOf(BOB)];
      assert.deepEqual(
        users.map(({ id, username, disabled, email }) => ({ id, username, disabled, email })),
        [
          { id: alice, username: 'alice', disabled: false, email: '' },
          { id: bob, username: 'bob', disabled: true, email: '' },
        ].sort((a, b) => order(a.id, b.id)),
      );
      assert.deepEqual(new Set(users.map((user) => user.issuer)), new Set([issuer]));
      assert.deepEqual(users.find(({ id }) => id === alice)?.customClaims, [{ key: 'loginShell', value: '/bin/zsh' }]);
      assert.deepEqual(groups[0]?.userIds, [alice, bob].sort(order));
      assert.deepEqual(groups[0]?.customClaims, [{ key: 'sudoCommands', value: 'ALL' }]);
      assert.equal(groups[0]?.issuer, issuer);
    });

    test('delivers the same content twice with the same hash, and a change with another', async (t) => {
      const { source, put } = await make(t);
      await put(SAMPLE);
      const one = await source.fetch(signal());
      const two = await source.fetch(signal());
      await put({ ...SAMPLE, users: SAMPLE.users.map((user) => ({ ...user, disabled: false })) });
      const three = await source.fetch(signal());
      assert.ok(one.ok && two.ok && three.ok);
      assert.equal(snapshotHash(one.snapshot), snapshotHash(two.snapshot));
      assert.notEqual(snapshotHash(one.snapshot), snapshotHash(three.snapshot));
    });

    test('says that it failed instead of delivering less', async (t) => {
      const { source, put, breakIt } = await make(t);
      await put(SAMPLE);
      assert.ok((await source.fetch(signal())).ok);
      await breakIt();
      const result = await source.fetch(signal());
      assert.ok(!result.ok);
      assert.notEqual(result.problem.message, '');
    });

    test('stops when it is told to', async (t) => {
      const { source, put } = await make(t);
      await put(SAMPLE);
      await assert.rejects(source.fetch(AbortSignal.abort()));
    });
  });
}
