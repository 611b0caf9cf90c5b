import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HttpPort } from './ports.ts';
import { newProfile } from './profile.ts';
import { OtherCertificate } from './reach.ts';
import { createServers } from './servers.ts';
import { createFakeInbox } from './testing/fake-inbox.ts';
import { nodeHttp, startFakeServer } from './testing/fake-server.ts';
import { until } from './testing/until.ts';

async function setUp(t: TestContext, options: { http?: HttpPort; now?: () => number } = {}) {
  const sites = await Promise.all(
    [0, 1].map(async () => {
      const inbox = createFakeInbox();
      const server = await startFakeServer(inbox.answer);
      t.after(() => server.close());
      return { ...server, inbox };
    }),
  );
  const [first, second] = sites as [(typeof sites)[0], (typeof sites)[0]];
  const secrets = new Map(sites.map(({ origin }) => [origin, `secret-of-${origin}-0123456789`]));
  const ended: string[] = [];
  let changes = 0;
  const servers = createServers({
    http: options.http ?? nodeHttp,
    credentials: {
      get: (origin) => {
        const secret = secrets.get(origin);
        return secret ? { origin, secret, expiresAt: Number.MAX_SAFE_INTEGER } : null;
      },
    },
    userAgent: 'test',
    now: options.now ?? Date.now,
    onChange: () => {
      changes += 1;
    },
    onSessionEnded: (origin) => {
      ended.push(origin);
      servers.leave(origin);
    },
  });
  const profiles = sites.map(({ origin }) => newProfile(origin, []));
  t.after(() => {
    for (const { origin } of sites) servers.leave(origin);
  });
  const view = (origin: string) => servers.view(profiles).find(({ profile }) => profile.origin === origin)!;
  for (const { origin } of sites) servers.follow(origin);
  await until('both', () => sites.every(({ origin }) => view(origin).reach === 'live'));
  return { first, second, servers, view, ended, changes: () => changes };
}

test('what waits is known of every server at once, and each is told apart', async (t) => {
  const { first, second, view, changes } = await setUp(t);
  const before = changes();
  const { code } = first.inbox.ask('rm -rf /srv');
  await until('the request', () => view(first.origin).pending.length === 1);
  assert.ok(changes() > before);
  assert.deepEqual(
    view(first.origin).pending.map((one) => [one.code, one.command, one.who, one.host]),
    [[code, 'rm -rf /srv', 'alice', 'web1.example.com']],
  );
  assert.deepEqual(view(second.origin).pending, []);
  second.inbox.ask();
  second.inbox.ask();
  await until('the others', () => view(second.origin).pending.length === 2);
  assert.equal(view(first.origin).pending.length, 1);
});

test('one connection for each server, with its own credential', async (t) => {
  const { first, second } = await setUp(t);
  for (const { inbox, seen, origin } of [first, second]) {
    assert.equal(inbox.followers(), 1);
    const sent = new Set(seen.map(({ headers }) => headers.authorization));
    assert.deepEqual([...sent], [`Bearer secret-of-${origin}-0123456789`]);
  }
});

test('what was decided elsewhere is gone', async (t) => {
  const { first, view } = await setUp(t);
  const { id } = first.inbox.ask();
  await until('the request', () => view(first.origin).pending.length === 1);
  first.inbox.settle(id);
  await until('its end', () => view(first.origin).pending.length === 0);
});

test('a request whose time is over is gone without a word of the server', async (t) => {
  const { first, view, changes } = await setUp(t);
  first.inbox.ask('id', { leftMs: 400 });
  await until('the request', () => view(first.origin).pending.length === 1);
  const before = changes();
  await until('its end', () => view(first.origin).pending.length === 0);
  await until('the word of it', () => changes() > before);
});

test('a session that ends on one server disturbs no other', async (t) => {
  const { first, second, view, ended } = await setUp(t);
  first.inbox.fail(401);
  first.inbox.hangUp();
  await until('the end', () => ended.includes(first.origin));
  assert.equal(view(first.origin).reach, 'signed_out');
  assert.equal(view(second.origin).reach, 'live');
  second.inbox.ask();
  await until('the request', () => view(second.origin).pending.length === 1);
  assert.deepEqual(new Set(ended), new Set([first.origin]));
});

test('a connection that was lost comes back by itself, and what happened meanwhile is known', async (t) => {
  const { first, view } = await setUp(t);
  first.inbox.fail(503);
  first.inbox.hangUp();
  await until('the outage', () => view(first.origin).reach === 'unavailable');
  first.inbox.fail(null);
  first.inbox.ask();
  await until('the server', () => view(first.origin).reach === 'live');
  assert.equal(view(first.origin).pending.length, 1);
});

test('a request that could not be asked about when it came is not forgotten until the next one', async (t) => {
  const { first, view } = await setUp(t);
  const asked = () => first.seen.filter(({ url }) => url === '/trpc/challenges.inbox').length;
  const before = asked();
  first.inbox.fail(503);
  first.inbox.ask();
  await until('a refusal', () => asked() > before);
  first.inbox.fail(null);
  await until('the request', () => view(first.origin).pending.length === 1);
  assert.equal(view(first.origin).reach, 'live');
});

/** Waits without a timer: those of the program stand still meanwhile. */
async function whileTimersStand(t: TestContext, what: string, check: () => boolean): Promise<void> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  try {
    for (const end = Date.now() + 90_000; !check(); ) {
      assert.ok(Date.now() < end, `waited for ${what}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    t.mock.timers.reset();
  }
}

const connectionsTo = ({ seen }: { seen: readonly { url: string }[] }) =>
  seen.filter(({ url }) => url === '/api/events').length;

test('a computer that wakes up connects at once, however long it would have waited', async (t) => {
  const { first, servers, view } = await setUp(t);
  first.inbox.fail(503);
  first.inbox.hangUp();
  await until('a few tries', () => connectionsTo(first) >= 4);
  first.inbox.fail(null);
  servers.kick();
  await whileTimersStand(t, 'the server', () => view(first.origin).reach === 'live');
  // A connection that seems well may be dead too after a sleep.
  const before = connectionsTo(first);
  servers.kick();
  await whileTimersStand(t, 'a new connection', () => connectionsTo(first) > before);
  await until('the server', () => view(first.origin).reach === 'live');
});

test('a computer that fell asleep in the middle of connecting does not wait either', async (t) => {
  let isAsleep = false;
  let waiting = 0;
  const { servers, view, first } = await setUp(t, {
    http: {
      fetch: (url, init) =>
        isAsleep && url.endsWith('/api/events')
          ? new Promise((_resolve, reject) => {
              waiting += 1;
              init.signal.addEventListener('abort', () => reject(new Error('aborted')));
            })
          : nodeHttp.fetch(url, init),
    },
  });
  isAsleep = true;
  first.inbox.hangUp();
  await until('a try that hears nothing', () => waiting > 0);
  isAsleep = false;
  servers.kick();
  await whileTimersStand(t, 'the server', () => view(first.origin).reach === 'live');
});

test('a computer that wakes up before its network does looks for it every two seconds', async (t) => {
  let tries = 0;
  let isAway = false;
  const { servers, view, first, second } = await setUp(t, {
    http: {
      fetch(url, init) {
        if (!isAway) return nodeHttp.fetch(url, init);
        if (url.startsWith(first.origin)) tries += 1;
        return Promise.reject(new Error('net::ERR_NAME_NOT_RESOLVED'));
      },
    },
  });
  servers.leave(second.origin);
  isAway = true;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  servers.kick();
  await settle();
  assert.equal(view(first.origin).reach, 'name_not_found');
  for (let seconds = 0; seconds < 30; seconds += 2) {
    const before = tries;
    t.mock.timers.tick(2000);
    await settle();
    assert.ok(tries > before, `after ${seconds} s`);
  }
  t.mock.timers.reset();
});

test('every way of not reaching a server has its kind', async (t) => {
  const failures: [error: unknown, kind: string][] = [
    [new Error('net::ERR_INTERNET_DISCONNECTED'), 'no_network'],
    [new Error('net::ERR_NAME_NOT_RESOLVED'), 'name_not_found'],
    [new Error('net::ERR_CONNECTION_REFUSED'), 'unreachable'],
    [new Error('net::ERR_CONNECTION_TIMED_OUT'), 'unreachable'],
    [new Error('net::ERR_SSL_CLIENT_AUTH_CERT_NEEDED'), 'unreachable'],
    [new Error('net::ERR_CERT_AUTHORITY_INVALID'), 'certificate'],
    [new Error('net::ERR_CERT_DATE_INVALID'), 'certificate'],
    [new OtherCertificate(new Error('self-signed certificate')), 'other_certificate'],
    [new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ENOTFOUND' }) }), 'name_not_found'],
  ];
  let error: unknown = null;
  const http: HttpPort = {
    fetch: (url, init) => (error ? Promise.reject(error) : nodeHttp.fetch(url, init)),
  };
  const { first, servers, view } = await setUp(t, { http });
  for (const [next, kind] of failures) {
    error = next;
    servers.kick();
    await until(kind, () => view(first.origin).reach === kind);
  }
});

test('denying goes the way of the console: the same procedure, as this person, and only for what is shown', async (t) => {
  const { first, second, servers, view } = await setUp(t);
  const { id } = first.inbox.ask();
  const other = first.inbox.ask('id', { canDeny: false });
  await until('the requests', () => view(first.origin).pending.length === 2);
  assert.equal(await servers.deny(second.origin, id), false, 'of another server');
  assert.equal(await servers.deny(first.origin, other.id), false, 'which is not theirs to deny');
  assert.equal(await servers.deny(first.origin, 'f'.repeat(32)), false, 'which is not there');
  assert.deepEqual(first.inbox.denied, []);
  assert.equal(await servers.deny(first.origin, id), true);
  assert.deepEqual(first.inbox.denied, [id]);
  const call = first.seen.find(({ url }) => url === '/trpc/challenges.deny');
  assert.equal(call?.headers.authorization, `Bearer secret-of-${first.origin}-0123456789`);
  assert.deepEqual(
    view(first.origin).pending.map((one) => one.id),
    [other.id],
  );
});

test('a denial whose answer is lost is neither one that was made nor one that was refused', async (t) => {
  let isLost = false;
  const http: HttpPort = {
    async fetch(url, init) {
      const answer = await nodeHttp.fetch(url, init);
      if (isLost && url.endsWith('/trpc/challenges.deny')) throw new Error('net::ERR_CONNECTION_RESET');
      return answer;
    },
  };
  const { first, servers, view } = await setUp(t, { http });
  const [lost, refused] = [first.inbox.ask().id, first.inbox.ask().id];
  await until('the requests', () => view(first.origin).pending.length === 2);
  isLost = true;
  assert.equal(await servers.deny(first.origin, lost), null);
  assert.deepEqual(first.inbox.denied, [lost]);
  first.inbox.fail(503);
  isLost = false;
  assert.equal(await servers.deny(first.origin, refused), false);
});

test('an answer that is no inbox is not believed: nothing of it is shown, and the server counts as not there', async (t) => {
  const { first, view } = await setUp(t);
  first.inbox.ask('id', { leftMs: Number.NaN });
  first.inbox.hangUp();
  await until('the word of it', () => view(first.origin).reach === 'unavailable');
  assert.deepEqual(view(first.origin).pending, []);
});

test('a server that answers with megabytes is given up, and the others go on', async (t) => {
  const { first, second, view } = await setUp(t);
  first.inbox.ask();
  await until('the request', () => view(first.origin).pending.length === 1);
  second.inbox.flood('x'.repeat(10_000_000));
  second.inbox.hangUp();
  await until('the word of it', () => view(second.origin).reach === 'unavailable');
  first.inbox.ask();
  await until('the other', () => view(first.origin).pending.length === 2);
  assert.equal(view(first.origin).reach, 'live');
  second.inbox.flood(null);
  second.inbox.ask();
  await until('it again', () => view(second.origin).pending.length === 1);
});
