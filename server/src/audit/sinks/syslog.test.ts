import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestSqlite } from '../../db/test-databases.ts';
import { createTestCa } from '../../ldap/testing/certificates.ts';
import type { AuditRecord } from '../record.ts';
import { TurnLost } from '../sink.ts';
import { AWKWARD, auditCluster, createRecords, numbers, ownTurn, until } from '../testing/audit-kit.ts';
import { startRsyslog, type Understood, whyNoRsyslog } from '../testing/rsyslog.ts';
import { createSyslog, type SyslogLookup, type SyslogTarget, type SyslogTls } from './syslog.ts';
import { shortened, syslogMessage } from './syslog-message.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const ORIGIN = { hostname: 'id1.example.com', pid: 4711, enterprise: 32473 };
const NO_TLS: SyslogTls = { ca: null, cert: null, key: null };
const BOM = '\ufeff';

function sinkTo(
  t: Pick<TestContext, 'after'>,
  target: Partial<SyslogTarget> & { port: number },
  {
    tls = NO_TLS,
    windowMs = 10_000,
    writeMs = 30_000,
    now = () => performance.now(),
    lookup = undefined as SyslogLookup | undefined,
  } = {},
) {
  const sink = createSyslog({
    target: { transport: 'tcp', host: '127.0.0.1', framing: 'octet-counting', ...target },
    tls: async () => tls,
    origin: ORIGIN,
    windowMs,
    writeMs,
    now,
    ...(lookup ? { lookup } : {}),
  });
  t.after(() => sink.close());
  return sink;
}

/** A receiver that keeps what it is sent, for connections that are ended by the test. */
async function receiver(t: Pick<TestContext, 'after'>) {
  const sockets: Socket[] = [];
  const received: string[] = [];
  const server = createServer((socket) => {
    const index = sockets.push(socket) - 1;
    received[index] = '';
    socket.setEncoding('utf8').on('data', (text) => {
      received[index] += String(text);
    });
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets, received };
}

const seqOf = ({ msg }: Understood): number => (JSON.parse(msg.replace(BOM, '')) as { seq: number }).seq;

describe('[A-23] a message', () => {
  const records = createRecords();
  const textOf = (more: Parameters<typeof records>[1]) => {
    const [record] = records(1, more);
    return { record: record!, text: syslogMessage(record!, ORIGIN).toString('utf8') };
  };

  test('has the parts of RFC 5424, and structured data that finds it', () => {
    const { record, text } = textOf({ username: 'a "b" \\ ]\n', hostname: 'web1.example.com' });
    assert.equal(
      text,
      `<86>1 2026-11-29T12:00:00.000Z id1.example.com identree 4711 user_logged_in [identree@32473 event="user_logged_in" username="a \\"b\\" \\\\ \\]\ufffd" hostname="web1.example.com" seq="1" hash="${record.event.hash}"] ${BOM}${record.text}`,
    );
  });

  test('names the enterprise that is configured', () => {
    const [record] = createRecords()(1);
    const text = syslogMessage(record!, { ...ORIGIN, enterprise: 61_000 }).toString('utf8');
    assert.ok(text.includes(' user_logged_in [identree@61000 event="user_logged_in" '));
  });

  test('is louder where somebody should look', () => {
    const priorityOf = (event: string) => /^<(\d+)>/.exec(textOf({ event }).text)?.[1];
    assert.deepEqual(
      ['user_logged_in', 'decision_refused', 'policy_changed', 'break_glass_used', 'of_another_version'].map(
        priorityOf,
      ),
      ['86', '84', '85', '81', '86'],
    );
  });

  test('is one line, and its structured data is short, whatever is in it', () => {
    const { text } = textOf({
      username: AWKWARD,
      hostname: AWKWARD,
      reason: AWKWARD,
      event: `odd name\n${'x'.repeat(90)}`,
    });
    assert.doesNotMatch(text, /[\u0000-\u001f\u007f]/);
    assert.ok(text.indexOf(BOM) < 1200);
    assert.equal((JSON.parse(text.slice(text.indexOf(BOM) + 1)) as { reason: string }).reason, AWKWARD);
  });

  test('is shortened between two characters', () => {
    const bytes = Buffer.from(`${'x'.repeat(7)}🔑é`);
    for (let most = 0; most <= bytes.length; most += 1) {
      const text = shortened(bytes, most).toString('utf8');
      assert.ok(Buffer.byteLength(text) <= most && !text.includes('\ufffd') && bytes.toString('utf8').startsWith(text));
    }
    assert.equal(shortened(bytes, 10).toString('utf8'), 'xxxxxxx');
    assert.equal(shortened(bytes, 11).toString('utf8'), 'xxxxxxx🔑');
  });
});

test('[A-23] over UDP a long event has at most 2,048 octets, with its hash', async (t) => {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  const received: Buffer[] = [];
  socket.on('message', (message) => received.push(message));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const sink = sinkTo(t, { transport: 'udp', port: socket.address().port });
  const records = createRecords();
  const sent = [...records(1), ...records(1, { reason: AWKWARD, username: AWKWARD, hostname: AWKWARD })];
  await sink.deliver(sent, ownTurn());
  await until(() => received.length === 2);
  assert.deepEqual(received[0], syslogMessage(sent[0]!, ORIGIN));
  assert.ok(received[1]!.length <= 2048 && received[1]!.length > 2044);
  assert.ok(received[1]!.includes(`hash="${sent[1]!.event.hash}"`));
  assert.ok(!received[1]!.toString('utf8').includes('\ufffd}'));
});

test('[A-23] over UDP an address that cannot be reached is what the failure says', async (t) => {
  // No program may send to everybody unless it says so first.
  const sink = sinkTo(t, { transport: 'udp', host: '255.255.255.255', port: 514 });
  for (const _ of [1, 2]) await assert.rejects(sink.deliver(createRecords()(1), ownTurn()), { syscall: 'connect' });
});

async function datagrams(t: TestContext, host: string, port = 0) {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const received: string[] = [];
  socket.on('message', (message) => received.push(message.toString('utf8')));
  socket.bind(port, host);
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { port: socket.address().port, received };
}

test('[A-23] over UDP a name is looked up again: its receiver may be elsewhere by now', async (t) => {
  const four = await datagrams(t, '127.0.0.1');
  const moved = await datagrams(t, '127.0.0.2', four.port);
  const six = await datagrams(t, '::1', four.port);
  let now = 0;
  let found = { address: '127.0.0.1', family: 4 };
  const asked: string[] = [];
  const lookup: SyslogLookup = async (host) => {
    asked.push(host);
    return found;
  };
  const sink = sinkTo(t, { transport: 'udp', host: 'syslog.example.com', port: four.port }, { lookup, now: () => now });
  const records = createRecords();
  for (const _ of [1, 2]) await sink.deliver(records(1), ownTurn());
  await until(() => four.received.length === 2);
  assert.deepEqual(asked, ['syslog.example.com']);
  found = { address: '127.0.0.2', family: 4 };
  now += 60_000;
  await sink.deliver(records(1), ownTurn());
  await until(() => moved.received.length === 1);
  // Where nobody listens, the next ones are not sent there for a minute.
  found = { address: '127.0.0.3', family: 4 };
  now += 60_000;
  await sink.deliver(records(2), ownTurn());
  // It has an address of the newer kind only.
  found = { address: '::1', family: 6 };
  await until(async () => {
    await sink.deliver(records(1), ownTurn());
    return six.received.length > 0;
  });
  assert.equal(now, 120_000);
});

test('[A-09] over UDP what the operating system did not take, because it told of one before, is handed to it again', async (t) => {
  const nobody = createSocket('udp4');
  nobody.bind(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address();
  await new Promise<void>((resolve) => nobody.close(resolve));
  /** How many datagrams have come to this machine where nobody listens. */
  const noPorts = async () => {
    const lines = (await readFile('/proc/net/snmp', 'utf8')).split('\n').filter((line) => line.startsWith('Udp:'));
    const [names, values] = lines.map((line) => line.split(' '));
    return Number(values![names!.indexOf('NoPorts')]);
  };
  const before = await noPorts();
  await sinkTo(t, { transport: 'udp', port }).deliver(createRecords()(50), ownTurn());
  assert.ok((await noPorts()) - before >= 50);
});

test('[A-23] over TCP messages are counted, or end with a line feed', async (t) => {
  const r = await receiver(t);
  const records = createRecords()(2);
  const messages = records.map((record) => syslogMessage(record, ORIGIN).toString('utf8'));
  await sinkTo(t, { port: r.port }).deliver(records, ownTurn());
  await sinkTo(t, { port: r.port, framing: 'newline' }).deliver(records, ownTurn());
  const counted = messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join('');
  await until(() => r.received[0] === counted && r.received[1] === messages.map((message) => `${message}\n`).join(''));
});

test('[A-24] when a connection breaks, what was sent within the window before that comes again', async (t) => {
  const r = await receiver(t);
  let now = 0;
  const sink = sinkTo(t, { port: r.port }, { windowMs: 10_000, now: () => now });
  const records = createRecords();
  for (const at of [0, 5000, 12_000, 14_000]) {
    now = at;
    await sink.deliver(records(10), ownTurn());
  }
  assert.equal(await sink.comesAgain!(), null);
  now = 20_000;
  r.sockets[0]!.destroy();
  await until(async () => (await sink.comesAgain!()) !== null);
  const again = await sink.comesAgain!();
  assert.equal(again?.after, 20, 'what was sent at 12 s and later');
  again?.noted();
  assert.equal(await sink.comesAgain!(), null);
  // It is an attempt that failed, though every write had looked well.
  await assert.rejects(sink.deliver(records(1), ownTurn()), /the connection broke/);
  await sink.deliver(records(1), ownTurn());
  await until(() => r.received.length === 2);
});

test('[A-24] what a receiver took with it while the server stopped comes again, and nothing else', async (t) => {
  const r = await receiver(t);
  const c = await auditCluster(t, openTestSqlite);
  const seen = (index: number) =>
    [...(r.received[index] ?? '').matchAll(/ seq="(\d+)"/g)].map(([, seq]) => Number(seq));
  const started = async (holder: string) => {
    const server = await c.start(holder, [sinkTo(t, { port: r.port })]);
    return { ...server, done: () => until(async () => (await server.status())[0]?.behind === 0) };
  };
  const a = await started('a');
  await c.write(20);
  await a.done();
  await until(() => seen(0).length === 20);
  r.sockets[0]!.resetAndDestroy();
  await a.stop();
  const b = await started('b');
  await until(() => seen(1).length === 20);
  await b.done();
  await b.stop();
  await c.write(1);
  const last = await started('c');
  await last.done();
  await until(() => seen(2).length > 0);
  assert.deepEqual([seen(1), seen(2)], [numbers(20), [21]]);
});

test('[A-05] a receiver that is slow has everything at its own pace', async (t) => {
  const seen = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  const server = createServer((socket) => {
    let rest = '';
    socket.on('error', () => {}).pause();
    // Far less at a time than the operating system has to be rid of before it asks for more.
    const timer = setInterval(() => {
      const chunk = socket.read() as Buffer | null;
      const lines = `${rest}${chunk?.toString('latin1') ?? ''}`.split('\n');
      rest = lines.pop()!;
      for (const line of lines) seen.add(/ seq="(\d+)"/.exec(line)![1]!);
    }, 10);
    timers.add(timer);
    socket.on('close', () => clearInterval(timer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const timer of timers) clearInterval(timer);
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const sink = sinkTo(t, { port, framing: 'newline' }, { writeMs: 20 });
  const records = createRecords()(900, { reason: AWKWARD });
  let attempts = 0;
  for (let next = 0; next < records.length; ) {
    const again = await sink.comesAgain!();
    if (again !== null) {
      next = Math.min(next, again.after);
      again.noted();
    }
    try {
      await sink.deliver(records.slice(next, next + 100), ownTurn());
      next += 100;
    } catch {
      attempts += 1;
      await sleep(20);
      assert.ok(attempts < 60, 'it begins anew each time');
    }
  }
  assert.ok(attempts > 0, 'it was slow');
  await until(() => seen.size === records.length);
});

test('[A-24] an idle receiver that closes has lost nothing', async (t) => {
  const r = await receiver(t);
  let now = 0;
  const sink = sinkTo(t, { port: r.port }, { now: () => now });
  await sink.deliver(createRecords()(3), ownTurn());
  now = 10_001;
  const [socket] = r.sockets;
  const closed = once(socket!, 'close');
  socket!.end();
  await closed;
  const again = createRecords()(4).slice(3);
  // The end may not have been heard yet: then it is found while it is written to.
  await until(() =>
    sink.deliver(again, ownTurn()).then(
      () => r.sockets.length === 2,
      () => false,
    ),
  );
});

test('[A-03] a server that may have a successor sends nothing more', async (t) => {
  const r = await receiver(t);
  const sink = sinkTo(t, { port: r.port });
  let left = 2;
  const turn = { signal: new AbortController().signal, isSure: () => left-- > 0 };
  await assert.rejects(sink.deliver(createRecords()(5), turn), TurnLost);
  await sink.close();
  await until(() => r.sockets[0]?.readableEnded === true);
  assert.deepEqual(
    [...r.received[0]!.matchAll(/ seq="(\d+)"/g)].map(([, seq]) => Number(seq)),
    [1, 2],
  );
});

const skip = whyNoRsyslog() ?? false;
describe('[A-25] a real rsyslog', { skip }, () => {
  const LONG_REASON = AWKWARD + 'ü'.repeat(1200);
  assert.ok(Buffer.byteLength(LONG_REASON) > 8192);
  /** Awkward ones and plain ones. */
  const someRecords = (): AuditRecord[] => {
    const records = createRecords();
    return [
      ...records(1),
      ...records(1, { reason: LONG_REASON, username: 'a"b\\c]d🔑', hostname: 'web1.example.com' }),
      ...records(1, { event: 'break_glass_used', data: { list: ['\n', '\u0000', '"]'] } }),
      ...records(7),
    ];
  };

  function check(understood: readonly Understood[], sent: readonly AuditRecord[]): void {
    assert.equal(understood.length, sent.length);
    for (const [index, { event, text }] of sent.entries()) {
      const one = understood[index]!;
      assert.deepEqual(
        [one.time, one.host, one.app, one.pid, one.msgid],
        [new Date(event.at).toISOString(), ORIGIN.hostname, 'identree', String(ORIGIN.pid), event.event],
      );
      assert.equal(one.pri, event.event === 'break_glass_used' ? '81' : '86');
      assert.equal(one.msg, `${BOM}${text}`);
      const parameters = [...one.sd.matchAll(/ (\w+)="((?:[^"\\\]]|\\.)*)"/g)];
      const told = Object.fromEntries(
        parameters.map(([, name, value]) => [name, value!.replace(/\\(["\\\]])/g, '$1')]),
      );
      const { username, hostname, hash } = event;
      assert.deepEqual(
        { ...told },
        { event: event.event, username, ...(hostname ? { hostname } : {}), seq: String(event.seq), hash },
      );
    }
  }

  /** An authority, and the files of a receiver: good for 127.0.0.1 and for its name. */
  async function authority(t: Pick<TestContext, 'after'>) {
    const folder = await mkdtemp(join(tmpdir(), 'identree-syslog-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const ca = await createTestCa();
    const own = await ca.issue('syslog.example.com', 'server', { kind: 'RSA' });
    const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    await writeFile(files.ca, ca.certificate);
    await writeFile(files.cert, own.certificate);
    await writeFile(files.key, own.key, { mode: 0o600 });
    return { ca, trusted: { ca: ca.certificate }, files };
  }

  for (const framing of ['octet-counting', 'newline'] as const) {
    test(`understands every field over TCP, ${framing}`, async (t) => {
      const rsyslog = await startRsyslog(t, { input: 'imtcp' });
      const sent = someRecords();
      await sinkTo(t, { port: rsyslog.port, framing }).deliver(sent, ownTurn());
      await until(async () => (await rsyslog.understood()).length >= sent.length);
      check(await rsyslog.understood(), sent);
    });
  }

  test('understands every field over UDP', async (t) => {
    const rsyslog = await startRsyslog(t, { input: 'imudp' });
    const sent = someRecords().filter(({ text }) => text.length < 1500);
    await sinkTo(t, { transport: 'udp', port: rsyslog.port }).deliver(sent, ownTurn());
    await until(async () => (await rsyslog.understood()).length >= sent.length);
    check(await rsyslog.understood(), sent);
  });

  test('over TLS is believed by its name and authority alone, and asks for a certificate of this server', {
    skip: whyNoRsyslog({ tls: true }) ?? false,
  }, async (t) => {
    const { ca, trusted, files } = await authority(t);
    const other = await createTestCa();
    const client = await ca.issue('id1.example.com', 'client');
    const stranger = await other.issue('id1.example.com', 'client');

    const open = await startRsyslog(t, { input: 'imtcp', tls: { ...files, clients: false } });
    const sent = someRecords();
    const to = (host: string, tls: Partial<SyslogTls>, port = open.port) =>
      sinkTo(t, { transport: 'tls', host, port }, { tls: { ...NO_TLS, ...tls } });
    await to('127.0.0.1', trusted).deliver(sent, ownTurn());
    await until(async () => (await open.understood()).length >= sent.length);
    check(await open.understood(), sent);
    await assert.rejects(to('127.0.0.1', {}).deliver(sent, ownTurn()), /certificate/);
    await assert.rejects(to('127.0.0.1', { ca: other.certificate }).deliver(sent, ownTurn()), /certificate/);
    await assert.rejects(to('localhost', trusted).deliver(sent, ownTurn()), /does not match|not in the cert/);

    const mutual = await startRsyslog(t, { input: 'imtcp', tls: { ...files, clients: true } });
    const shown = { ...trusted, cert: client.certificate, key: client.key };
    await to('127.0.0.1', shown, mutual.port).deliver(sent, ownTurn());
    await until(async () => (await mutual.understood()).length >= sent.length);
    check(await mutual.understood(), sent);
    const wrong = { ...trusted, cert: stranger.certificate, key: stranger.key };
    for (const tls of [trusted, wrong]) {
      const sink = to('127.0.0.1', tls, mutual.port);
      // Told at once, or once it is seen that what was written went nowhere.
      await until(async () => {
        try {
          await sink.deliver(sent, ownTurn());
        } catch {
          return true;
        }
        return (await sink.comesAgain!())?.after === 0;
      });
    }
    assert.equal((await mutual.understood()).length, sent.length);
  });

  test('[A-24] that speaks TLS and is killed or restarted has every event in its file', {
    skip: whyNoRsyslog({ tls: true }) ?? false,
  }, async (t) => {
    const { trusted, files } = await authority(t);
    const rsyslog = await startRsyslog(t, { input: 'imtcp', tls: { ...files, clients: false } });
    const c = await auditCluster(t, openTestSqlite);
    const sink = sinkTo(t, { transport: 'tls', port: rsyslog.port }, { tls: { ...NO_TLS, ...trusted } });
    const a = await c.start('a', [sink]);
    const seen = async () => new Set((await rsyslog.understood()).map(seqOf));
    const rounds = LONG ? 20 : 2;
    for (let round = 0; round < rounds; round += 1) {
      const before = (await seen()).size;
      await c.write(200);
      await until(async () => (await seen()).size > before);
      await rsyslog.kill(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
      await rsyslog.start();
    }
    await until(async () => (await seen()).size === rounds * 200);
    await until(async () => (await a.status())[0]?.behind === 0);
  });

  test(`[A-24] that is killed ${LONG ? 50 : 3} times has every event in its file`, async (t) => {
    const rsyslog = await startRsyslog(t, { input: 'imtcp' });
    const c = await auditCluster(t, openTestSqlite);
    const a = await c.start('a', [sinkTo(t, { port: rsyslog.port })]);
    const rounds = LONG ? 50 : 3;
    const total = LONG ? 10_000 : 900;
    const seen = async () => new Set((await rsyslog.understood()).map(seqOf));
    for (let round = 0; round < rounds; round += 1) {
      const before = (await seen()).size;
      await c.write(total / rounds);
      await until(async () => (await seen()).size > before);
      await rsyslog.kill();
      await rsyslog.start();
    }
    await until(async () => (await seen()).size === total);
    assert.deepEqual(
      [...(await seen())].sort((x, y) => x - y),
      numbers(total),
    );
    await until(async () => (await a.status())[0]?.behind === 0);
    assert.ok(c.count('syslog', 'failed') > 0, 'an alert fires');
  });
});
