import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { element } from '../ber/writer.ts';
import { OID, OP, RESULT } from '../protocol/operation.ts';
import { snapshotOf } from '../testing/entries.ts';
import { type Answer, abandon, bind, compare, extended, filterElement, search, unbind } from '../testing/messages.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import {
  createTestServer,
  SERVICE_DN,
  type TestConnection,
  type TestServerOptions,
} from '../testing/session-harness.ts';
import { forget } from './lifetime.ts';

/** Each limit as a client meets it. Every test fails when its limit is taken away. */

const ask = async (connection: TestConnection, ...messages: Uint8Array[]): Promise<Answer[]> => {
  connection.send(...messages);
  return connection.answers();
};
const sample = (users: number) => snapshotOf(sampleEntries(users), { lastUsn: sampleUsn(users) });
const isNotice = (answer: Answer | undefined, code: number): void =>
  assert.deepEqual([answer?.id, answer?.responseName, answer?.code], [0, OID.noticeOfDisconnection, code]);
const look = (id = 1): Buffer => search(id, { base: BASE, scope: 0, attributes: ['1.1'] });
const withoutAnonymous: TestServerOptions = { settings: { allowAnonymous: false } };

describe('message size', () => {
  const ofSize = (size: number): Buffer => search(1, { base: BASE, scope: 0, attributes: ['x'.repeat(size)] });

  test('64 KiB before authentication, 1 MiB after', async () => {
    const server = createTestServer();
    assert.equal((await ask(server.connect(), ofSize(65_000))).at(-1)!.code, RESULT.success);
    const nobody = server.connect();
    isNotice((await ask(nobody, ofSize(65_600)))[0], RESULT.adminLimitExceeded);
    assert.equal(nobody.closed(), true);
    const bound = server.connect();
    await ask(bound, bind(1, SERVICE_DN, 'secret'));
    assert.equal((await ask(bound, ofSize(1_000_000))).at(-1)!.code, RESULT.success);
    isNotice((await ask(bound, ofSize(1_050_000)))[0], RESULT.adminLimitExceeded);
  });

  test('is decided on the header: a gigabyte that is only announced takes no room', async () => {
    const connection = createTestServer().connect();
    isNotice((await ask(connection, Buffer.from('308440000000', 'hex')))[0], RESULT.adminLimitExceeded);
    assert.equal(connection.session.partial, null);
    assert.equal(connection.closed(), true);
  });

  test('what is announced within the limit gets room as it comes, not before', () => {
    const connection = createTestServer().connect();
    connection.send(Buffer.from('3083 00ff00 02'.replaceAll(' ', ''), 'hex'));
    assert.ok(connection.session.partial!.bytes.length <= 1024);
  });

  test('a length that is no length is garbage', async () => {
    for (const hex of ['3080', '3085ffffffffff', '16030100', '474554202f']) {
      const connection = createTestServer().connect();
      assert.deepEqual(await ask(connection, Buffer.from(hex, 'hex')), []);
      assert.equal(connection.closed(), true);
    }
  });
});

describe('time', () => {
  test('an idle connection goes after 30 s without authentication, after 1,000 s with it', async () => {
    const server = createTestServer(withoutAnonymous);
    const nobody = server.connect();
    const bound = server.connect();
    await ask(bound, bind(1, SERVICE_DN, 'secret'));
    server.advance(29_000);
    assert.equal(nobody.closed(), false);
    server.advance(1_100);
    isNotice((await nobody.answers())[0], RESULT.unavailable);
    assert.equal(nobody.closed(), true);
    server.advance(960_000);
    assert.equal(bound.closed(), false);
    server.advance(20_000);
    isNotice((await bound.answers())[0], RESULT.unavailable);
    assert.equal(bound.closed(), true);
  });

  test('who says something now and then is not idle', async () => {
    const server = createTestServer(withoutAnonymous);
    const connection = server.connect();
    for (let i = 0; i < 10; i++) {
      server.advance(20_000);
      await ask(connection, extended(i + 1, OID.whoAmI));
    }
    assert.equal(connection.closed(), false);
  });

  test('where anonymous clients may search they may stay', () => {
    const server = createTestServer();
    const connection = server.connect();
    server.advance(900_000);
    assert.equal(connection.closed(), false);
  });

  test('a message that comes octet by octet must be there within 15 s', () => {
    const server = createTestServer();
    const connection = server.connect();
    for (const octet of look().subarray(0, 14)) {
      connection.send(Uint8Array.of(octet));
      server.advance(1_000);
    }
    assert.equal(connection.closed(), false);
    connection.send(look().subarray(14, 15));
    server.advance(1_100);
    assert.equal(connection.closed(), true);
  });

  test('a client that does not read is given up after 60 s', () => {
    const server = createTestServer({ snapshot: sample(1500) });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }));
    return connection.answers().then(() => {
      server.advance(59_000);
      assert.equal(connection.closed(), false);
      server.advance(1_100);
      assert.equal(connection.closed(), true);
    });
  });

  test('a client’s time limit ends its search with 3', async () => {
    const server = createTestServer({ snapshot: sample(1500) });
    const connection = server.connect();
    connection.send(search(1, { base: BASE, timeLimit: 2 }));
    server.advance(2_100);
    assert.equal((await connection.answers()).at(-1)!.code, RESULT.timeLimitExceeded);
  });

  test('work on a search ends after 30 s with 3', async () => {
    const server = createTestServer({ snapshot: sample(1500) });
    const connection = server.connect();
    connection.send(search(1, { base: BASE }));
    connection.session.running[0]!.worked = 30_001;
    assert.equal((await connection.answers()).at(-1)!.code, RESULT.timeLimitExceeded);
  });

  test('time that a search waits for its client is not held against it', async () => {
    const server = createTestServer({ snapshot: sample(1000), limits: { writeStall: 1e9 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }));
    await server.settle();
    server.advance(100_000);
    connection.drain();
    const answers = await connection.answers();
    assert.deepEqual([answers.length, answers.at(-1)!.code], [2116, RESULT.success]);
  });
});

describe('how much at once', () => {
  test('32 searches under way; the next one waits until one has ended', async () => {
    const connection = createTestServer({ snapshot: sample(300) }).connect();
    connection.stall();
    for (let id = 1; id <= 33; id++) {
      connection.session.stalledSince = 0;
      connection.send(search(id, { base: BASE }));
    }
    assert.equal(connection.session.running.length, 32);
    connection.drain();
    const answers = (await connection.answers()).filter(({ tag }) => tag === OP.searchDone);
    assert.deepEqual([...new Set(answers.map(({ code }) => code))], [RESULT.success]);
    assert.deepEqual([answers.length, answers.at(-1)!.id], [33, 33]);
  });

  const done = async (connection: TestConnection): Promise<number> => {
    const answers = (await connection.answers()).filter(({ tag }) => tag === OP.searchDone);
    assert.ok(answers.every(({ code }) => code === RESULT.success));
    return answers.length;
  };
  const looks = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, i) => look(i + 1)));
  /** So many lookups were answered, give or take what answering them cost. */
  const isAbout = (count: number, wanted: number): void =>
    assert.ok(count <= wanted && count > wanted * 0.9, `${count} instead of ${wanted}`);

  test('200 searches a second and 1,000 at once on a connection; the others wait and none is refused', async () => {
    const server = createTestServer({ limits: { searchRate: 200, searchBurst: 1000 } });
    const connection = server.connect();
    connection.send(looks(1500));
    const atOnce = await done(connection);
    isAbout(atOnce, 1000);
    assert.equal(connection.paused(), true);
    let later = 0;
    for (let i = 0; i < 10; i++) {
      server.advance(100);
      later += await done(connection);
    }
    isAbout(later, 210);
    for (let i = 0; i < 20; i++) {
      server.advance(100);
      later += await done(connection);
    }
    assert.equal(atOnce + later, 1500);
    assert.equal(connection.paused(), false);
  });

  test('who has authenticated may ask more at once, and binding again pays for nothing', async () => {
    const server = createTestServer({ limits: { searchRate: 10, searchBurst: 50, searchBurstAuthenticated: 200 } });
    const [stranger, host] = [server.connect(), server.connect()];
    for (let i = 1; i < 4; i++) {
      host.send(bind(i, SERVICE_DN, 'secret'));
      await host.answers();
    }
    assert.equal(stranger.session.searches.tokens, 50);
    assert.equal(host.session.searches.tokens, 200);
    stranger.send(bind(1, SERVICE_DN, 'wrong'));
    await stranger.answers();
    assert.equal(stranger.session.searches.tokens, 50);
  });

  test('a search counts for what it costs: the directory as a whole is no lookup', async () => {
    const server = createTestServer({ snapshot: sample(1000), limits: { searchRate: 10, searchBurst: 50 } });
    const connection = server.connect();
    connection.send(search(1, { base: BASE }));
    assert.equal(await done(connection), 1);
    connection.send(look(2));
    assert.equal(await done(connection), 0);
    server.advance(1000);
    assert.equal(await done(connection), 0);
    // Nobody waits longer than half of what may come at once takes.
    server.advance(1700);
    assert.equal(await done(connection), 1);
  });

  test('a large search counts as one for each KiB of it', async () => {
    const server = createTestServer({ limits: { searchRate: 200, searchBurst: 1000 } });
    const connection = server.connect();
    const large = (id: number) => search(id, { base: BASE, scope: 0, filter: `(uid=${'x'.repeat(20_000)})` });
    connection.send(...Array.from({ length: 52 }, (_, i) => large(i + 1)));
    isAbout(await done(connection), 50);
    const small = createTestServer({ limits: { searchRate: 1, searchBurst: 5 } }).connect();
    small.send(large(1), look(2));
    assert.equal(await done(small), 1);
  });

  test('compares count as well', async () => {
    const connection = createTestServer({ limits: { searchRate: 1, searchBurst: 5 } }).connect();
    connection.send(...Array.from({ length: 9 }, (_, i) => compare(i + 1, BASE, 'objectClass', 'top')));
    assert.equal((await connection.answers()).length, 5);
  });

  test('1,000 searches a second from an address, over all its connections', async () => {
    const server = createTestServer({ limits: { searchRatePerAddress: 1000, searchBurstPerAddress: 50 } });
    const peer = server.peer();
    const connections = Array.from({ length: 3 }, () => server.connect({ peer }));
    for (const connection of connections) connection.send(looks(40));
    const count = async (): Promise<number> => {
      let sum = 0;
      for (const connection of connections) sum += await done(connection);
      return sum;
    };
    assert.equal(await count(), 50);
    server.advance(10);
    assert.equal(await count(), 10);
    const elsewhere = server.connect();
    elsewhere.send(looks(40));
    assert.equal(await done(elsewhere), 40);
    let rest = 0;
    for (let i = 0; i < 10; i++) {
      server.advance(10);
      rest += await count();
    }
    assert.equal(rest, 60);
  });

  test('beside clients at its address that never stop asking a host waits no longer than for the next search', async () => {
    const server = createTestServer({ limits: { searchRatePerAddress: 1000, searchBurstPerAddress: 50 } });
    const peer = server.peer();
    const flood = Array.from({ length: 20 }, () => server.connect({ peer }));
    for (const connection of flood) {
      connection.send(looks(400));
      server.context.scheduler.spend(connection.session, 1);
    }
    await server.settle();
    const host = server.connect({ peer });
    for (let i = 0; i < 30; i++) {
      host.send(look(1));
      let waited = 0;
      for (; (await done(host)) === 0; waited++) server.advance(1);
      assert.ok(waited <= 3, `waited ${waited} ms`);
    }
  });

  test('nor beside clients at its address that come anew for every search', async () => {
    const server = createTestServer({ limits: { searchRatePerAddress: 1000, searchBurstPerAddress: 50 } });
    const peer = server.peer();
    const host = server.connect({ peer });
    server.context.scheduler.spend(host.session, 0.1);
    const busy = server.connect({ peer });
    busy.send(looks(400));
    server.context.scheduler.spend(busy.session, 20);
    await server.settle();
    for (let i = 0; i < 30; i++) {
      host.send(look(1));
      let waited = 0;
      for (; (await done(host)) === 0; waited++) {
        server.connect({ peer }).send(looks(2));
        server.connect({ peer }).send(looks(2));
        server.advance(1);
        assert.ok(waited <= 3, `waited ${waited} ms`);
      }
    }
  });

  test('a client that goes while it waits leaves nothing behind', async () => {
    const server = createTestServer({ limits: { searchRatePerAddress: 10, searchBurstPerAddress: 5 } });
    const peer = server.peer();
    const [gone, other] = [server.connect({ peer }), server.connect({ peer })];
    gone.send(looks(9));
    other.send(look(1));
    await server.settle();
    assert.equal(peer.resting.size, 2);
    forget(gone.session);
    server.advance(110);
    assert.equal(await done(other), 1);
    assert.equal(peer.resting.size, 0);
  });

  test('output for a client that does not read stops at the limit, and so does reading from it', async () => {
    const server = createTestServer({ snapshot: sample(1000), limits: { writeBuffer: 200_000 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }), search(2, { base: BASE }));
    await server.settle();
    const waiting = connection.raw().length;
    assert.ok(waiting >= 200_000 && waiting < 300_000, `${waiting} octets wait`);
    connection.send(look(3), look(4));
    await server.settle();
    assert.equal(connection.raw().length, waiting);
    assert.equal(connection.paused(), true);
    connection.drain();
    const done = (await connection.answers()).filter(({ tag }) => tag === OP.searchDone);
    assert.deepEqual(done.map(({ id }) => id).toSorted(), [1, 2, 3, 4]);
    assert.equal(connection.paused(), false);
  });

  test('filters: 32 levels, 1,024 assertions, 64 KiB', async () => {
    const nested = (depth: number): Buffer => {
      let filter = element(0x87, 'uid');
      for (let i = 1; i < depth; i++) filter = element(0xa2, filter);
      return filter;
    };
    const many = (count: number) => element(0xa1, ...Array.from({ length: count }, () => element(0x87, 'x')));
    const large = (size: number) => element(0xa3, element(4, 'uid'), element(4, 'x'.repeat(size)));
    for (const [filter, code] of [
      [nested(32), RESULT.success],
      [nested(33), RESULT.adminLimitExceeded],
      [many(1024), RESULT.success],
      [many(1025), RESULT.adminLimitExceeded],
      [large(65_000), RESULT.success],
      [large(65_536), RESULT.adminLimitExceeded],
    ] as const) {
      const connection = createTestServer({ limits: { messageSizeUnauthenticated: 200_000 } }).connect();
      assert.equal((await ask(connection, search(1, { base: BASE, filter }))).at(-1)!.code, code);
      assert.equal(connection.closed(), false);
    }
  });
});

describe('memory', () => {
  const enumerate = (connection: TestConnection): void => {
    connection.stall();
    connection.send(search(1, { base: BASE }));
  };

  test('beyond half of what may be kept for all, everybody gets small portions', async () => {
    const snapshot = sample(2000);
    const server = createTestServer({ snapshot, limits: { memory: 1_000_000, writeBuffer: 200_000 } });
    const clients = Array.from({ length: 40 }, () => server.connect());
    for (const client of clients) {
      enumerate(client);
      await server.settle();
    }
    const waiting = clients.map((client) => client.raw().length);
    assert.ok(waiting[0]! > 150_000, 'the first one was short of room already');
    assert.ok(waiting.at(-1)! < 20_000, `${waiting.at(-1)} octets wait for the last one`);
    assert.ok(waiting.every((octets) => octets > 0));
    assert.ok(server.context.held <= 1_000_000, `${server.context.held} octets are kept`);
    for (const client of clients) client.drain();
    for (const client of clients) assert.equal((await client.answers()).at(-1)!.code, RESULT.success);
  });

  test('beyond all of it, whoever makes the server keep most has to go', async () => {
    const server = createTestServer({ snapshot: sample(2000), limits: { memory: 100_000, writeBuffer: 200_000 } });
    const modest = server.connect();
    modest.send(look(1).subarray(0, 5));
    const greedy = Array.from({ length: 20 }, () => server.connect());
    for (const client of greedy) client.send(Buffer.concat([Buffer.from('3082fa00', 'hex'), Buffer.alloc(20_000)]));
    assert.ok(server.context.held <= 100_000);
    assert.ok(greedy.some((client) => client.closed()));
    assert.equal(server.context.stats.rejected.memory, greedy.filter((client) => client.closed()).length);
    modest.send(look(1).subarray(5));
    assert.equal((await modest.answers()).at(-1)!.code, RESULT.success);
  });

  test('searches under way count with their filters and lists', async () => {
    const server = createTestServer({ snapshot: sample(2000), limits: { memory: 2_000_000 } });
    const filter = element(0xa1, ...Array.from({ length: 1000 }, () => filterElement('(description>=zzz)')));
    const hoarders = Array.from({ length: 8 }, () => server.connect());
    for (const hoarder of hoarders) {
      hoarder.stall();
      for (let id = 1; id <= 3; id++) hoarder.send(search(id, { base: BASE, filter }));
    }
    assert.ok(hoarders.some((hoarder) => hoarder.closed()));
    assert.ok(server.context.held <= 2_000_000);
    const kept = hoarders.find((hoarder) => !hoarder.closed())!;
    assert.ok(kept.session.held > 100_000);
    kept.drain();
    await kept.answers();
    assert.equal(kept.session.held, 0);
  });

  test('while the searches of a connection weigh much its next request waits', async () => {
    const order = async (assertions: number) => {
      const connection = createTestServer({ snapshot: sample(2000) }).connect();
      const filter = element(0xa1, ...Array.from({ length: assertions }, () => filterElement('(description>=zzz)')));
      connection.send(search(1, { base: BASE, filter }), look(2));
      return (await connection.answers()).filter(({ tag }) => tag === OP.searchDone).map(({ id }) => id);
    };
    assert.deepEqual(await order(200), [2, 1]);
    assert.deepEqual(await order(1000), [1, 2]);
  });

  test('what was kept for a client is given back when it is taken, handled or gone', async () => {
    const server = createTestServer({ snapshot: sample(500) });
    const reader = server.connect();
    enumerate(reader);
    const slow = server.connect();
    slow.send(look(1).subarray(0, 5));
    await server.settle();
    assert.ok(server.context.held > 1000);
    reader.drain();
    await reader.answers();
    slow.send(look(1).subarray(5));
    assert.equal(server.context.held, 0);
    slow.send(look(2).subarray(0, 5));
    assert.ok(server.context.held > 0);
    forget(slow.session);
    assert.equal(server.context.held, 0);
  });
});

describe('many messages in one piece', () => {
  test('9,000 searches are all answered, each once, and nobody else waits for all of them', async () => {
    const server = createTestServer();
    const connection = server.connect();
    const other = server.connect();
    connection.send(Buffer.concat(Array.from({ length: 9000 }, (_, i) => look(i + 1))));
    // One slice has been done; the rest is queued behind whoever comes now.
    const first = connection.raw().length;
    other.send(look(1));
    assert.ok(other.raw().length > 0);
    const answers = await connection.answers();
    assert.ok(first < answers.length * 10);
    assert.deepEqual(
      answers.filter(({ tag }) => tag === OP.searchDone).map(({ id }) => id),
      Array.from({ length: 9000 }, (_, i) => i + 1),
    );
  });

  test('a slice ends when its time is up, however little work it was by count', async () => {
    const server = createTestServer({ tick: 0.2 });
    const connection = server.connect();
    connection.send(Buffer.concat(Array.from({ length: 500 }, (_, i) => look(i + 1))));
    const first = connection.raw().length;
    const answers = await connection.answers();
    assert.equal(answers.filter(({ tag }) => tag === OP.searchDone).length, 500);
    assert.ok(first > 0 && first < 2000, `${first} octets in one go`);
  });

  test('who comes in a busy moment waits for a turn, and the one who has had least gets the first', async () => {
    const server = createTestServer();
    const { scheduler } = server.context;
    const [greedy, modest] = [server.connect(), server.connect()];
    scheduler.spend(greedy.session, 30);
    greedy.send(look(1));
    modest.send(look(1));
    assert.deepEqual([greedy.raw().length, modest.raw().length], [0, 0]);
    assert.equal(scheduler.length, 2);
    assert.equal((await modest.answers()).at(-1)!.code, RESULT.success);
    assert.equal((await greedy.answers()).at(-1)!.code, RESULT.success);
  });

  test('9,000 abandons and 9,000 unbinds do no harm', async () => {
    const server = createTestServer();
    const connection = server.connect();
    const abandons = Array.from({ length: 9000 }, (_, i) => abandon(i + 1, 1));
    assert.equal((await ask(connection, ...abandons, look(9001))).at(-1)!.code, RESULT.success);
    const leaving = server.connect();
    await ask(leaving, ...Array.from({ length: 9000 }, (_, i) => unbind(i + 1)));
    assert.equal(leaving.closed(), true);
    assert.ok(server.events.every(({ kind }) => kind !== 'bug'));
  });
});
