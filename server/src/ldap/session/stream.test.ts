import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OID, OP } from '../protocol/operation.ts';
import { baseEntry, container, entry, group, smallDirectory, snapshotOf } from '../testing/entries.ts';
import { cases, randomFrom, testSeed } from '../testing/long.ts';
import {
  abandon,
  bind,
  cancel,
  compare,
  extended,
  pagingControl,
  saslBind,
  search,
  unbind,
} from '../testing/messages.ts';
import { mutateOften } from '../testing/mutate.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { createTestServer, SERVICE_DN } from '../testing/session-harness.ts';

const MESSAGES: readonly ((id: number) => Buffer)[] = [
  (id) => search(id, { base: BASE, filter: '(uid=alice)' }),
  (id) => search(id, { base: BASE }),
  (id) => search(id, { base: '', scope: 0, attributes: ['*', '+'] }),
  (id) => search(id, { base: 'ou=nowhere,dc=example,dc=com' }),
  (id) => search(id, { base: 'no dn' }),
  (id) => search(id, { base: BASE, scope: 9 }),
  (id) => search(id, { base: BASE, controls: [pagingControl(3)] }),
  (id) => bind(id),
  (id) => bind(id, SERVICE_DN, 'secret'),
  (id) => bind(id, SERVICE_DN, 'wrong'),
  (id) => saslBind(id, 'GSSAPI'),
  (id) => compare(id, BASE, 'dc', 'example'),
  (id) => extended(id, OID.whoAmI),
  (id) => extended(id, '1.2.3'),
  (id) => abandon(id, 1),
  (id) => cancel(id, 1),
  (id) => search(id, { base: BASE, attributes: ['x'.repeat(3000)] }),
];
const LAST: readonly Buffer[] = [
  unbind(9),
  Buffer.from('308440000000', 'hex'),
  Buffer.from('160301', 'hex'),
  Buffer.from('3000', 'hex'),
  Buffer.alloc(0),
];
const snapshot = snapshotOf(smallDirectory());

/** What a client receives that sends these octets in these pieces. */
async function received(stream: Buffer, cuts: readonly number[]): Promise<string> {
  const connection = createTestServer({ snapshot, limits: { bindFailures: 1000 } }).connect();
  const positions = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...positions, stream.length]) {
    if (to > from) connection.send(stream.subarray(from, to));
    from = to;
  }
  const answers = await connection.answers();
  const shown = answers.map(({ attributes, ...rest }) => ({ ...rest, attributes: attributes && [...attributes] }));
  return JSON.stringify([connection.closed(), shown]);
}

describe('how octets are cut into segments does not change the answers', () => {
  const conversations = fc.tuple(fc.array(fc.constantFrom(...MESSAGES), { maxLength: 12 }), fc.constantFrom(...LAST));
  const streamOf = ([messages, last]: [((id: number) => Buffer)[], Buffer]): Buffer =>
    Buffer.concat([...messages.map((make, index) => make(index + 1)), last]);

  test('any cuts', async () => {
    await fc.assert(
      fc.asyncProperty(conversations, fc.array(fc.nat(), { maxLength: 30 }), async (parts, cuts) => {
        const stream = streamOf(parts);
        assert.equal(await received(stream, cuts), await received(stream, []));
      }),
      { numRuns: cases(60, 2000) },
    );
  });

  test('octet by octet', async () => {
    await fc.assert(
      fc.asyncProperty(conversations, async (parts) => {
        const stream = streamOf(parts);
        const every = Array.from({ length: stream.length }, (_, i) => i);
        assert.equal(await received(stream, every), await received(stream, []));
      }),
      { numRuns: cases(15, 200) },
    );
  });
});

test('whatever is sent, every octet that comes back is part of a message, and there is no bug', async () => {
  const random = randomFrom(testSeed('mutated streams'));
  const count = cases(400, 20_000);
  for (let i = 0; i < count; i++) {
    const server = createTestServer({ snapshot, limits: { bindFailures: 1000 } });
    const connection = server.connect();
    for (let id = 1; id < 6; id++) {
      const valid = random.pick(MESSAGES)(id);
      connection.send(random.int(3) === 0 ? valid : mutateOften(random, valid));
    }
    await connection.answers();
    const bugs = server.events.filter(({ kind }) => kind === 'bug');
    assert.deepEqual(bugs, []);
  }
});

describe('a large entry is never mixed with anything else', () => {
  const members = Array.from({ length: 40_000 }, (_, i) => `member${i}`);
  const big = snapshotOf([
    baseEntry(),
    container('groups'),
    entry(`cn=big,ou=groups,${BASE}`, ['posixGroup'], { cn: 'big', gidNumber: '2', memberUid: members }),
    group('small', 3, ['a']),
  ]);

  test('two enumerations, lookups and cancels at once on a slow connection', async () => {
    const server = createTestServer({ snapshot: big, limits: { writeBuffer: 100_000 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }));
    connection.send(
      search(2, { base: BASE }),
      search(3, { base: BASE, filter: '(cn=small)' }),
      cancel(4, 1),
      abandon(5, 2),
      extended(6, OID.whoAmI),
    );
    for (let i = 0; i < 40; i++) {
      await server.settle();
      connection.drain();
      connection.stall();
    }
    connection.drain();
    const answers = await connection.answers();
    const whole = answers.filter(({ dn }) => dn?.startsWith('cn=big'));
    for (const { attributes } of whole) assert.deepEqual(attributes!.get('memberUid'), members);
    for (const id of [1, 3, 4, 6]) {
      assert.equal(
        answers.filter((answer) => answer.id === id && answer.tag !== OP.searchEntry).length,
        1,
        `answer ${id}`,
      );
    }
  });

  test('a client that stops reading in the middle of one keeps little of it waiting', async () => {
    const server = createTestServer({ snapshot: big, limits: { writeBuffer: 100_000 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }));
    await server.settle();
    assert.ok(connection.raw().length < 200_000);
  });
});

describe('StartTLS (RFC 4511 4.14)', () => {
  const startTls = (id: number): Buffer => extended(id, OID.startTls);

  test('what came with it in clear text is dropped', async () => {
    const server = createTestServer({ tls: true });
    const connection = server.connect();
    connection.send(startTls(1), bind(2, SERVICE_DN, 'secret'), search(3, { base: BASE }));
    const answers = await connection.answers();
    assert.deepEqual(
      answers.map(({ id, code, responseName }) => [id, code, responseName]),
      [[1, 0, OID.startTls]],
    );
    assert.equal(server.context.stats.rejected.plaintext_after_starttls, 1);
    connection.send(extended(4, OID.whoAmI));
    assert.equal((await connection.answers())[0]!.responseValue!.length, 0);
    assert.equal(server.binds.length, 0);
  });

  test('so is the beginning of a message', async () => {
    const connection = createTestServer({ tls: true }).connect();
    connection.send(startTls(1), search(3, { base: BASE }).subarray(0, 9));
    await connection.answers();
    connection.send(extended(4, OID.whoAmI));
    assert.deepEqual(
      (await connection.answers()).map(({ id }) => id),
      [4],
    );
  });

  test('what was proved in clear text counts no more', async () => {
    const connection = createTestServer({ tls: true }).connect();
    connection.send(bind(1, SERVICE_DN, 'secret'));
    await connection.answers();
    connection.send(startTls(2));
    await connection.answers();
    connection.send(extended(3, OID.whoAmI));
    assert.equal((await connection.answers())[0]!.responseValue!.toString(), '');
  });

  test('not twice, not without a certificate, not while something is under way', async () => {
    const once = async (
      connection: ReturnType<ReturnType<typeof createTestServer>['connect']>,
      ...messages: Buffer[]
    ) => {
      connection.send(...messages);
      return (await connection.answers()).find(({ responseName }) => responseName === OID.startTls)?.code;
    };
    assert.equal(await once(createTestServer().connect(), startTls(1)), 52);
    assert.equal(await once(createTestServer({ tls: true }).connect({ secure: true }), startTls(1)), 1);
    const users = snapshotOf(sampleEntries(2000), { lastUsn: sampleUsn(2000) });
    const busy = createTestServer({ tls: true, snapshot: users }).connect();
    busy.send(search(1, { base: BASE }));
    assert.equal(await once(busy, startTls(2)), 1);
  });
});
