import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { ALICE, BOB, OPS, SAMPLE, sourceContract } from '../source/test-source-contract.ts';
import { createPocketIdClient } from './client.ts';
import { createPocketIdSource } from './source.ts';
import { type Compat, FAKE_API_KEY, type FakePocketId, startFakePocketId } from './test-pocketid.ts';
import { createHttpGet, TransportError } from './transport.ts';

const issuer = 'https://id.example';
const signal = new AbortController().signal;
const NOW = 1_800_000_000_000;

function connect(fake: FakePocketId, over: { apiKey?: string; get?: ReturnType<typeof createHttpGet> } = {}) {
  const slept: number[] = [];
  const sleep = async (ms: number) => void slept.push(ms);
  const client = createPocketIdClient({
    baseUrl: `${fake.url}/`,
    apiKey: FAKE_API_KEY,
    get: createHttpGet({ userAgent: 'identree/test' }),
    now: () => NOW,
    sleep,
    ...over,
  });
  return { client, slept, source: createPocketIdSource({ client, issuer, sleep }) };
}

for (const compat of ['2.14', 'detail'] satisfies Compat[]) {
  sourceContract(`PocketID (${compat})`, async (t) => {
    const fake = await startFakePocketId(t, compat);
    return {
      source: connect(fake).source,
      issuer,
      put: async (content) => {
        fake.content = content;
      },
      breakIt: async () => {
        fake.intercept = (_path, response) => {
          response.writeHead(500).end();
          return true;
        };
      },
    };
  });
}

const list = (name: string, column: string, page = 1) =>
  `/api/${name}?pagination%5Bpage%5D=${page}&pagination%5Blimit%5D=100&sort%5Bcolumn%5D=${column}&sort%5Bdirection%5D=asc`;

const many = (count: number) => ({
  users: Array.from({ length: count }, (_, n) => ({
    id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    username: `u${String(n).padStart(5, '0')}`,
  })),
  groups: [],
});

test('asks for two sorted lists with the key, and for nothing else', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  assert.ok((await connect(fake).source.fetch(signal)).ok);
  assert.deepEqual(
    fake.requests.map(({ method, path, key }) => [method, path, key]),
    [
      ['GET', list('user-groups', 'name'), FAKE_API_KEY],
      ['GET', list('users', 'username'), FAKE_API_KEY],
    ],
  );
  assert.equal(fake.requests[0]?.headers['user-agent'], 'identree/test');
  assert.equal(fake.requests[0]?.headers.accept, 'application/json');
});

test('reads every page, at most four at once, and stops by the count', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = many(1050);
  const result = await connect(fake).source.fetch(signal);
  assert.ok(result.ok && result.snapshot.users.length === 1050);
  const pages = fake.requests.map(({ path }) => path).filter((path) => path.startsWith('/api/users'));
  assert.deepEqual(pages.toSorted(), Array.from({ length: 11 }, (_, n) => list('users', 'username', n + 1)).toSorted());
  assert.ok(fake.mostAtOnce > 1 && fake.mostAtOnce <= 4, String(fake.mostAtOnce));
});

test('an old PocketID is asked for the members of each group', async (t) => {
  const fake = await startFakePocketId(t, 'detail');
  fake.content = SAMPLE;
  assert.ok((await connect(fake).source.fetch(signal)).ok);
  assert.deepEqual(fake.requests.map(({ path }) => path).at(-1), `/api/user-groups/${OPS}`);
});

test('somebody who edits meanwhile makes it start again; what never adds up is a problem', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = many(250);
  let edits = 0;
  fake.intercept = (path) => {
    if (path === list('users', 'username', 2) && edits < 1) {
      edits += 1;
      fake.content = many(249);
    }
    return false;
  };
  const { source, slept } = connect(fake);
  const result = await source.fetch(signal);
  assert.ok(result.ok && result.snapshot.users.length === 249);
  assert.deepEqual(slept, [500]);

  fake.intercept = (path) => {
    if (path === list('users', 'username', 2)) fake.content = many(fake.content.users.length - 1);
    return false;
  };
  const never = await source.fetch(signal);
  assert.ok(!never.ok && never.problem.code === 'inconsistent');
  assert.deepEqual(slept, [500, 500, 500]);
});

test('a member count that does not fit is not believed', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  fake.intercept = (path, response) => {
    if (!path.startsWith('/api/user-groups')) return false;
    const group = { id: OPS, name: 'ops', friendlyName: 'ops', customClaims: null, userCount: 3 };
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ data: [group], pagination: { totalPages: 1, totalItems: 1, currentPage: 1 } }));
    return true;
  };
  const result = await connect(fake).source.fetch(signal);
  assert.ok(!result.ok && result.problem.code === 'inconsistent');
});

test('the pseudo user of a static key is nobody', async (t) => {
  const fake = await startFakePocketId(t);
  const ghost = { id: '00000000-0000-0000-0000-000000000000', username: 'static-api-user-abc123' };
  fake.content = { ...SAMPLE, users: [...SAMPLE.users, ghost] };
  const result = await connect(fake).source.fetch(signal);
  assert.ok(result.ok);
  assert.deepEqual(
    result.snapshot.users.map(({ id }) => id),
    [ALICE, BOB],
  );
});

test('a key that is not accepted is said so, and not tried again at once', async (t) => {
  const fake = await startFakePocketId(t);
  const { source } = connect(fake, { apiKey: 'expired' });
  const result = await source.fetch(signal);
  assert.ok(!result.ok);
  assert.deepEqual(result.problem, {
    code: 'unauthorised',
    message: 'PocketID: the API key is not accepted. It may have expired',
    retryAfterMs: 300_000,
  });
});

test('waits as long as it is asked to, at most a minute, then gives up', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  let refusals = 2;
  fake.intercept = (_path, response) => {
    if (refusals === 0) return false;
    refusals -= 1;
    response.writeHead(429, { 'retry-after': refusals === 1 ? '7' : '9999' }).end();
    return true;
  };
  const { source, slept } = connect(fake);
  assert.ok((await source.fetch(signal)).ok);
  assert.deepEqual(slept, [7000, 60_000]);
  refusals = 99;
  const result = await source.fetch(signal);
  assert.ok(!result.ok && result.problem.retryAfterMs === 60_000);
});

test('redirects, HTML, broken JSON, cut answers and unknown shapes are problems that repeat nothing of the answer', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  const answers: [string, (response: import('node:http').ServerResponse) => void][] = [
    ['redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/secret' }).end()],
    ['html', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<b>secret</b>')],
    ['broken', (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"secret')],
    ['shape', (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":"secret"}')],
    ['error', (response) => response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":"secret"}')],
    [
      'cut',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{"secret');
        setTimeout(() => response.destroy(), 10);
      },
    ],
  ];
  for (const [name, send] of answers) {
    fake.intercept = (_path, response) => {
      send(response);
      return true;
    };
    const result = await connect(fake).source.fetch(signal);
    assert.ok(!result.ok, name);
    assert.doesNotMatch(result.problem.message, /secret|kkk/, name);
  }
});

test('an answer that is too large is not read to its end', async (t) => {
  const fake = await startFakePocketId(t);
  fake.intercept = (_path, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(100_000));
    return true;
  };
  const get = createHttpGet({ userAgent: 'x', maxBody: 50_000 });
  await assert.rejects(get(`${fake.url}/api/users`, {}, signal), TransportError);
});

test('addresses of cloud metadata services are not asked', async () => {
  const get = createHttpGet({ userAgent: 'x' });
  for (const url of [
    'http://169.254.169.254/latest',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'file:///etc/passwd',
  ]) {
    await assert.rejects(get(url, {}, signal), TransportError, url);
  }
});

test('a page that has not changed is not sent again', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  const { source } = connect(fake);
  const page = { data: [], pagination: { totalPages: 1, totalItems: 0, currentPage: 1 } };
  const seen: (string | undefined)[] = [];
  fake.intercept = (path, response) => {
    const index = fake.requests.length - 1;
    const asked = fake.requests[index]?.headers['if-none-match'];
    seen.push(asked);
    if (asked === '"1"') response.writeHead(304).end();
    else response.writeHead(200, { 'content-type': 'application/json', etag: '"1"' }).end(JSON.stringify(page));
    return path !== '';
  };
  assert.ok((await source.fetch(signal)).ok);
  assert.ok((await source.fetch(signal)).ok);
  assert.deepEqual(seen, [undefined, undefined, '"1"', '"1"']);
});

test('a person is looked up live: enabled, disabled, gone or unknown', async (t) => {
  const fake = await startFakePocketId(t);
  fake.content = SAMPLE;
  const { client } = connect(fake);
  assert.equal(await client.userState(ALICE, signal), 'enabled');
  assert.equal(await client.userState(BOB, signal), 'disabled');
  assert.equal(await client.userState(ALICE.replace(/1$/, '9'), signal), 'gone');
  const asked = fake.requests.length;
  assert.equal(await client.userState('../user-groups', signal), 'gone');
  assert.equal(fake.requests.length, asked, 'an id that is a path goes nowhere');
  fake.intercept = (_path, response) => {
    response.writeHead(500).end();
    return true;
  };
  assert.equal(await client.userState(ALICE, signal), 'unknown');
});

test('a PocketID whose TLS offers only h2 is reached', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-tls-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
    ],
    { stdio: 'ignore' },
  );
  const pem = readFileSync(cert, 'utf8');
  // As Go's server: refuses a client that names other protocols, speaks HTTP/1.1 to one that names none.
  const server = tls.createServer(
    { key: readFileSync(key), cert: pem, ALPNProtocols: ['h2'], minVersion: 'TLSv1.3' },
    (socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}',
        ),
      );
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
  assert.equal((await createHttpGet({ userAgent: 'x', ca: pem })(url, {}, signal)).body, '{}');
  await assert.rejects(
    createHttpGet({ userAgent: 'x' })(url, {}, signal),
    TransportError,
    'an unknown certificate is refused',
  );
});
