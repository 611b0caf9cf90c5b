import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { approverKeySet, verdict } from '#shared/decision.ts';
import type { EventRecord } from '#shared/events.ts';
import {
  type CertificateGrant,
  certificateGrant,
  directorySettings,
  enrolmentGrant,
  type HostReport,
  LEASE_SECONDS,
  reportDigest,
} from '#shared/host-api.ts';
import {
  contentDigest,
  SIGNATURE_LABEL,
  type SignatureParameters,
  signatureParameters,
} from '#shared/http-signature.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import { makeCaCertificate } from '../certificates/authority.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { checkChain } from '../events/store.ts';
import { hostBindPassword } from '../ldap/credential-checker.ts';
import { createTestApp, passTime, type TestApp } from '../testing/test-app.ts';
import {
  certificateRequest,
  enrolBody,
  enrolTestHost,
  sendEnrol,
  sendSigned,
  type Tampering,
  type TestHost,
} from '../testing/test-host.ts';
import { createReportReader } from './reports.ts';

/** An authority of the operator's own, with its key; both in PEM. */
async function makeForeignAuthority(): Promise<{ certificate: string; key: string }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { certificate: await makeCaCertificate(key, Date.now()), key };
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing) test(`the host API on ${driver}`, { skip: missing }, () => {});
  else describe(`the host API on ${driver}`, () => hostApi(driver));
}

function hostApi(driver: 'sqlite' | 'postgres') {
  let t: TestApp;
  let host: TestHost;
  let other: TestHost;

  before(async () => {
    t = await createTestApp({ driver });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    other = await enrolTestHost(t.app, t.clock, 'web2.example.com');
  });
  after(() => t.close());

  const count = async (table: 'challenges' | 'hosts' | 'events') =>
    Number(
      (
        await sql<{ n: number }>`/* test */ select count(*) as n from ${sql.table(table)}`.execute(
          kysely(t.app.db.query),
        )
      ).rows[0]?.n,
    );

  /** A refusal has its own code, changes nothing, and leaves exactly one security event that names it. */
  async function refused(
    code: string,
    status: number,
    run: () => Promise<{ status: number; body: { error?: { code: string } } }>,
    /** True: a minute after whatever was before, so that no limit is in the way. */
    rested = true,
  ) {
    if (rested) t.clock.advance(61_000);
    const [challenges, hosts, events] = [await count('challenges'), await count('hosts'), await count('events')];
    const answer = await run();
    assert.equal(answer.body.error?.code, code);
    assert.equal(answer.status, status);
    assert.equal(await count('challenges'), challenges, 'no challenge was written');
    assert.equal(await count('hosts'), hosts, 'no host was written');
    const added = await t.app.events.read((await t.app.events.head()).seq - ((await count('events')) - events), 10);
    assert.deepEqual(
      added.filter((event) => event.event === 'host_request_refused').map((event) => event.data.refusal),
      [code],
    );
  }

  /** Waits until a long poll of `seconds` has been admitted: it extends the lease first. */
  async function polled(challengeId: string, seconds: number): Promise<void> {
    for (;;) {
      const row = await kysely(t.app.db.query)
        .selectFrom('challenges')
        .select('lease_until')
        .where('id', '=', challengeId)
        .executeTakeFirstOrThrow();
      if (row.lease_until >= t.clock.now() + (seconds + LEASE_SECONDS) * 1000) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const create = (tampering: Tampering, body: object = host.createBody()) =>
    host.send('POST', '/challenges', body, tampering);

  describe('what the host API refuses', () => {
    test('malformed JSON', () => refused('bad_json', 400, () => create({ body: '{"record":' })));
    test('a body of another shape', () => refused('bad_request', 400, () => create({ body: '{"record":{}}' })));
    test('an unknown member in the record', () =>
      refused('bad_request', 400, () => create({}, { ...host.createBody(), record: { ...host.record(), extra: 1 } })));
    test('a text that has no UTF-8, and one with a NUL', async () => {
      for (const text of ['\ud800', 'a\0b'])
        await refused('bad_request', 400, () =>
          create({}, { ...host.createBody(), record: { ...host.record(), argv: ['sudo', text] } }),
        );
    });
    test('a body over 32 KiB', () =>
      refused('body_too_large', 413, () => create({ body: `"${'x'.repeat(33 * 1024)}"` })));
    test('another content type', () =>
      refused('wrong_content_type', 415, () => create({ headers: { 'content-type': 'text/plain' } })));
    test('no signature', () => refused('signature_missing', 401, () => create({ headers: { signature: undefined } })));
    test('no signature input', () =>
      refused('signature_missing', 401, () => create({ headers: { 'signature-input': undefined } })));
    test('a signature header that is none', () =>
      refused('signature_malformed', 401, () => create({ headers: { signature: 'sig1=(((' } })));
    test('a date that is no whole second', () =>
      refused('signature_malformed', 401, () => create({ parameters: { created: t.clock.now() / 1000 + 0.5 } })));
    test('a signature by another key', () =>
      refused('signature_invalid', 401, () => create({ key: generateKeyPairSync('ed25519').privateKey })));
    test('another method than was signed', () =>
      refused('signature_invalid', 401, () =>
        host.send('GET', `/challenges/${'a'.repeat(32)}`, undefined, { after: { method: 'DELETE' } }),
      ));
    test('another target than was signed', () =>
      refused('signature_invalid', 401, () =>
        host.send('GET', `/challenges/${'a'.repeat(32)}?wait=0`, undefined, {
          after: { path: `/api/host/v1/challenges/${'a'.repeat(32)}?wait=1` },
        }),
      ));
    test('[W-31] another body than was signed', () =>
      refused('digest_mismatch', 401, () => create({ after: { body: JSON.stringify(host.createBody()) } })));
    test('a digest that was exchanged with the body', () =>
      refused('signature_invalid', 401, async () => {
        const body = JSON.stringify(host.createBody());
        return create({ after: { body }, headers: { 'content-digest': contentDigest(Buffer.from(body)) } });
      }));
    for (const [name, altered] of Object.entries<() => Partial<SignatureParameters>>({
      date: () => ({ created: Math.floor(t.clock.now() / 1000) - 1 }),
      nonce: () => ({ nonce: 'n'.repeat(24) }),
      'key id, to that of another host': () => ({ keyid: other.id }),
    })) {
      test(`another ${name} than was signed`, () =>
        refused('signature_invalid', 401, () => {
          const signed = {
            created: Math.floor(t.clock.now() / 1000),
            nonce: randomBytes(18).toString('base64url'),
            keyid: host.id,
            tag: host.serverId,
          };
          const header = `${SIGNATURE_LABEL}=${signatureParameters({ ...signed, ...altered() })}`;
          return create({ parameters: signed, headers: { 'signature-input': header } });
        }));
    }
    test('a signature that covers less', () =>
      refused('signature_components', 401, () =>
        create({
          headers: {
            'signature-input': `sig1=("@method" "@target-uri");created=${Math.floor(t.clock.now() / 1000)};nonce="${'n'.repeat(24)}";keyid="${host.id}";alg="ed25519";tag="${host.serverId}"`,
          },
        }),
      ));
    test('a request signed for another server', () =>
      refused('wrong_server', 401, () => create({ parameters: { tag: '00000000-0000-4000-8000-000000000000' } })));
    test('a date 61 seconds back, with words about the clock', async () => {
      await refused('clock_skew', 401, () =>
        create({ parameters: { created: Math.floor(t.clock.now() / 1000) - 61 } }),
      );
      const answer = await create({ parameters: { created: Math.floor(t.clock.now() / 1000) - 61 } });
      assert.match(answer.body.error!.message, /clock/);
    });
    test('a date 61 seconds ahead', () =>
      refused('clock_skew', 401, () => create({ parameters: { created: Math.floor(t.clock.now() / 1000) + 61 } })));
    test('[W-8] a host that is not enrolled', () =>
      refused('host_unknown', 401, () => create({ parameters: { keyid: '00000000-0000-4000-8000-000000000000' } })));
    test('a record that names another host', () =>
      refused('wrong_host_record', 403, () => create({}, host.createBody(host.record({ hostId: other.id })))));
    test('a record that is too old', () =>
      refused('stale_record', 400, () =>
        create({}, host.createBody(host.record({ createdAt: t.clock.now() - 121_000 }))),
      ));
    test('[E-P17] a challenge id that is none', () =>
      refused('challenge_not_found', 404, () => host.send('GET', '/challenges/1%20or%201', undefined)));
  });

  test('a request within the allowed skew is served', async () => {
    for (const seconds of [-59, 59]) {
      const answer = await create({ parameters: { created: Math.floor(t.clock.now() / 1000) + seconds } });
      assert.equal(answer.status, 201);
      await host.send('DELETE', `/challenges/${answer.body.challengeId}`);
    }
  });

  test('a replayed request is refused', async () => {
    const nonce = randomBytes(18).toString('base64url');
    const { challengeId } = await host.create();
    const path = `/challenges/${challengeId}?wait=0`;
    assert.equal((await host.send('GET', path, undefined, { parameters: { nonce } })).status, 200);
    await refused('nonce_replayed', 401, () => host.send('GET', path, undefined, { parameters: { nonce } }), false);
    await host.send('DELETE', `/challenges/${challengeId}`);
  });

  if (driver === 'postgres') {
    test('a request that one replica has served is refused by the other', async () => {
      const replica = await t.replica();
      const nonce = randomBytes(18).toString('base64url');
      const { challengeId } = await host.create();
      const path = `/challenges/${challengeId}?wait=0`;
      assert.equal((await host.send('GET', path, undefined, { parameters: { nonce } })).status, 200);
      const there = () => host.send('GET', path, undefined, { parameters: { nonce } }, replica);
      await refused('nonce_replayed', 401, there, false);
      await host.send('DELETE', `/challenges/${challengeId}`);
    });

    test('a long poll at one replica is answered by a decision at the other', async () => {
      const replica = await t.replica();
      const created = await host.create();
      const waiting = host.send('GET', `/challenges/${created.challengeId}?wait=25`, undefined, {}, replica);
      await polled(created.challengeId, 25);
      const started = Date.now();
      await host.send('DELETE', `/challenges/${created.challengeId}`);
      assert.equal((await waiting).body.status, 'cancelled');
      assert.ok(Date.now() - started < 20_000, 'not only when the wait was over');
    });
  }

  test('a record that was submitted once is not submitted again', async () => {
    const record = host.record();
    const first = await host.create(record);
    await refused('nonce_reused', 409, () => create({}, host.createBody(record)));
    await host.send('DELETE', `/challenges/${first.challengeId}`);
  });

  test("another host's challenge cannot be read, cancelled or reported on; the answer is the same as for none", async () => {
    const { challengeId } = await host.create();
    for (const [method, path, body] of [
      ['GET', `/challenges/${challengeId}?wait=0`, undefined],
      ['DELETE', `/challenges/${challengeId}`, undefined],
      ['POST', `/challenges/${challengeId}/outcome`, { outcome: 'granted', detail: null }],
    ] as const) {
      await refused('challenge_not_found', 404, () => other.send(method, path, body), false);
    }
    const mine = await host.send('GET', `/challenges/${challengeId}?wait=0`);
    assert.equal(mine.body.status, 'pending');
    await host.send('DELETE', `/challenges/${challengeId}`);
  });

  test('cancel answers with a signed verdict, and twice is once', async () => {
    const created = await host.create();
    const path = `/challenges/${created.challengeId}`;
    const first = await host.send('DELETE', path);
    assert.equal(first.body.status, 'cancelled');
    const again = await host.send('DELETE', path);
    assert.equal(again.body.verdict, first.body.verdict);
    const read = await verifyToken(tokenType.verdict, String(first.body.verdict), host.grant.verificationKeys, verdict);
    assert.ok(read.ok && read.payload.decision === 'cancelled' && read.payload.aud === host.id);
  });

  test('nobody answers: the host gets a signed expiry', async () => {
    const created = await host.create();
    const path = `/challenges/${created.challengeId}?wait=0`;
    t.clock.advance(39_000);
    await host.send('GET', path);
    t.clock.advance(39_000);
    await host.send('GET', path);
    t.clock.advance(39_000);
    await host.send('GET', path);
    t.clock.advance(2_999);
    await t.app.settling.reap();
    assert.equal((await host.send('GET', path)).body.status, 'pending');
    t.clock.advance(1);
    await t.app.settling.reap();
    const answer = await host.send('GET', path);
    assert.equal(answer.body.status, 'expired');
    const read = await verifyToken(
      tokenType.verdict,
      String(answer.body.verdict),
      host.grant.verificationKeys,
      verdict,
    );
    assert.ok(read.ok && read.payload.decision === 'expired');
  });

  test('a host that fell silent: its request is cancelled 40 seconds after the last poll', async () => {
    const created = await host.create();
    await passTime(t, 39_999);
    const path = `/challenges/${created.challengeId}?wait=0`;
    assert.equal((await host.send('GET', path)).body.status, 'pending');
    await passTime(t, 40_000);
    assert.equal((await host.send('GET', path)).body.status, 'cancelled');
  });

  test('a long poll is answered at once when the request is decided', async () => {
    const created = await host.create();
    const waiting = host.send('GET', `/challenges/${created.challengeId}?wait=25`);
    await polled(created.challengeId, 25);
    const started = Date.now();
    await host.send('DELETE', `/challenges/${created.challengeId}`);
    assert.equal((await waiting).body.status, 'cancelled');
    assert.ok(Date.now() - started < 20_000, 'not only when the wait was over');
  });

  test('[W-32] ten requests of one user wait on one host, the eleventh is refused, another user and another host are not', async () => {
    const open = [];
    for (let i = 0; i < 10; i++) open.push(await host.create(host.record({ user: 'loop' })));
    const eleventh = () => create({}, host.createBody(host.record({ user: 'loop' })));
    await refused('too_many_pending_user', 429, eleventh, false);
    const elsewhere = await other.create(other.record({ user: 'loop' }));
    const somebody = await host.create(host.record({ user: 'somebody' }));
    for (const { challengeId } of [...open, somebody]) await host.send('DELETE', `/challenges/${challengeId}`);
    await other.send('DELETE', `/challenges/${elsewhere.challengeId}`);
  });

  test('the outcome is told once', async () => {
    const created = await host.create();
    const path = `/challenges/${created.challengeId}/outcome`;
    const early = await host.send('POST', path, { outcome: 'granted', detail: null });
    assert.equal(early.body.error?.code, 'superseded');
    await host.send('DELETE', `/challenges/${created.challengeId}`);
    assert.equal((await host.send('POST', path, { outcome: 'refused', detail: 'gone' })).status, 204);
    assert.equal((await host.send('POST', path, { outcome: 'granted', detail: null })).status, 204);
    const row = await kysely(t.app.db.query)
      .selectFrom('challenges')
      .select(['outcome', 'outcome_detail'])
      .where('id', '=', created.challengeId)
      .executeTakeFirstOrThrow();
    assert.deepEqual(row, { outcome: 'refused', outcome_detail: 'gone' });
  });

  test('report: kept once per change, told in the heartbeat, and about nobody but the host itself', async () => {
    const known = async (of: TestHost) => {
      of.counter += 1;
      const { counter, machineId } = of;
      const facts = { approverKeysVersion: 0, now: t.clock.now(), checkpointSeq: 0, agentVersion: '1', osInfo: 'x' };
      return (await of.send('POST', '/heartbeat', { counter, machineId, ...facts })).body.reportDigest;
    };
    assert.equal(await known(host), null);
    const report: HostReport = {
      v: 1,
      grants: [{ type: 'group', name: 'fleet', gives: 'any command as any user', file: '/etc/sudoers.d/x', line: 2 }],
      accounts: [['deploy', 1000, 1000]],
      unread: 1,
      drift: ['/etc/pam.d/sudo does not name identree-pam'],
      cut: false,
    };
    const events = await count('events');
    assert.equal((await host.report(report)).status, 204);
    assert.equal((await host.report(report)).status, 204);
    assert.equal(await count('events'), events + 1);
    assert.equal(await known(host), reportDigest(report));
    assert.equal(await known(other), null);
    assert.deepEqual(
      (await t.app.hosts.reports()).map(({ hostId, report }) => [hostId, report]),
      [[host.id, report]],
    );

    const read = createReportReader(t.app.db.query);
    assert.deepEqual(
      (await read()).map((kept) => kept.report),
      [report],
    );
    const [again] = await read();
    assert.equal((await read())[0], again, 'what has not changed is not read again');

    assert.equal((await host.report({})).status, 429, 'not all the time');
    t.clock.advance(61_000);
    const many = Array.from({ length: 300 }, (_, n) => ({
      ...report.grants[0]!,
      name: `g${n}`,
      gives: 'x'.repeat(20),
    }));
    await refused('bad_request', 400, () => host.report({ grants: many }));
    await refused('bad_request', 400, () => host.report({ grants: [{ ...report.grants[0]!, name: 'a\u202eb' }] }));
    await refused('nonce_replayed', 401, async () => {
      const parameters = { nonce: randomBytes(18).toString('base64url') };
      host.counter += 1;
      const { counter, machineId } = host;
      const send = () => host.send('POST', '/report', { counter, machineId, report }, { parameters });
      await send();
      return send();
    });
    assert.equal((await host.report({})).status, 204, 'and less than before is told as well');
    assert.deepEqual(
      (await read()).map((kept) => kept.report.grants),
      [[]],
    );
    assert.deepEqual(
      (await t.app.hosts.reports()).map(({ report }) => report.grants),
      [[]],
    );
  });

  test('heartbeat: seen, version, clock skew, newest event', async () => {
    host.counter += 1;
    const answer = await host.send('POST', '/heartbeat', {
      counter: host.counter,
      machineId: host.machineId,
      approverKeysVersion: 0,
      now: t.clock.now() + 5000,
      checkpointSeq: 3,
      agentVersion: '9.9.9',
      osInfo: 'Debian',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.state, 'active');
    const set = await verifyToken(
      tokenType.approverKeys,
      String(answer.body.approverKeys),
      [host.grant.trustRoot],
      approverKeySet,
    );
    assert.ok(set.ok && set.payload.version >= 1);
    const row = await kysely(t.app.db.query)
      .selectFrom('hosts')
      .selectAll()
      .where('id', '=', host.id)
      .executeTakeFirstOrThrow();
    assert.equal(row.agent_version, '9.9.9');
    assert.equal(row.clock_skew_ms, 5000);
    assert.equal(row.checkpoint_seq, 3);
  });

  test('heartbeat: what the host found by itself is kept for people, and replaced by what it finds next', async () => {
    const beat = async (checks: unknown) => {
      host.counter += 1;
      const { counter, machineId } = host;
      const facts = { approverKeysVersion: 0, now: t.clock.now(), checkpointSeq: 0, agentVersion: '1', osInfo: 'x' };
      return host.send('POST', '/heartbeat', { counter, machineId, ...facts, ...(checks ? { checks } : {}) });
    };
    const kept = async () =>
      (await kysely(t.app.db.query).selectFrom('host_checks').selectAll().execute()).map(({ host_id, lines }) => ({
        host_id,
        lines: JSON.parse(lines),
      }));
    const line = { what: 'sssd', value: 'failed', problem: 'Run: systemctl restart sssd' };
    assert.equal((await beat(null)).body.takesChecks, true);
    assert.deepEqual(await kept(), []);
    assert.equal((await beat({ at: 1, lines: [line] })).status, 200);
    assert.deepEqual(await kept(), [{ host_id: host.id, lines: [line] }]);
    const good = { ...line, value: 'running', problem: null };
    await beat({ at: 2, lines: [good] });
    await beat(null);
    assert.deepEqual(await kept(), [{ host_id: host.id, lines: [good] }]);
    for (const bad of [
      { at: 3, lines: Array(25).fill(line) },
      { at: 3, lines: [{ ...line, what: 'a\u001b[2J' }] },
      { at: 3, lines: [{ ...line, more: 1 }] },
      { at: 3, lines: Array(24).fill({ ...line, value: 'é'.repeat(200), problem: 'é'.repeat(400) }) },
    ])
      assert.equal((await beat(bad)).status, 400);
    assert.deepEqual(await kept(), [{ host_id: host.id, lines: [good] }]);
  });

  describe('enrolment', () => {
    test('the grant is signed by the trust root that the token names, and the certificate is for that host', async () => {
      const { token } = await t.app.hosts.createToken('db1.example.com', 'test', null);
      const request = await enrolBody('db1.example.com', { token });
      const answer = await sendEnrol(t.app, t.clock, request);
      const grant = await verifyToken(
        tokenType.enrolment,
        String(answer.body.grant),
        [t.app.trust.trustRoot],
        enrolmentGrant,
      );
      assert.ok(grant.ok);
      assert.equal(grant.payload.nonce, request.body.nonce);
      assert.equal(token.split('.')[3], grant.payload.trustRoot.kid);
      const certificate = new X509Certificate(grant.payload.certificate);
      const ca = new X509Certificate(grant.payload.caBundle);
      assert.ok(certificate.verify(createPublicKey(ca.publicKey.export({ type: 'spki', format: 'pem' }))));
      assert.ok(certificate.checkHost('db1.example.com'));
      assert.match(certificate.subjectAltName ?? '', new RegExp(`urn:uuid:${grant.payload.hostId}`));
    });

    test('a token works once', async () => {
      const { token } = await t.app.hosts.createToken('db2.example.com', 'test', null);
      assert.equal((await sendEnrol(t.app, t.clock, await enrolBody('db2.example.com', { token }))).status, 200);
      const again = await enrolBody('db2.example.com', { token });
      await refused('token_used', 409, () => sendEnrol(t.app, t.clock, again));
    });

    test('a token works for its name only', async () => {
      const { token } = await t.app.hosts.createToken('db3.example.com', 'test', null);
      const request = await enrolBody('db4.example.com', { token });
      await refused('token_wrong_name', 403, () => sendEnrol(t.app, t.clock, request));
      assert.equal((await sendEnrol(t.app, t.clock, await enrolBody('db3.example.com', { token }))).status, 200);
    });

    test('a token works for an hour', async () => {
      const { token } = await t.app.hosts.createToken('db5.example.com', 'test', null);
      t.clock.advance(60 * 60 * 1000);
      const request = await enrolBody('db5.example.com', { token });
      await refused('token_expired', 410, () => sendEnrol(t.app, t.clock, request));
    });

    test('a token that was never made, or not whole, is refused', async () => {
      const made = await t.app.hosts.createToken('db6.example.com', 'test', null);
      const parts = made.token.split('.');
      const forged = [parts[0], parts[1], randomBytes(32).toString('base64url'), parts[3]].join('.');
      const unknown = await enrolBody('db6.example.com', { token: forged });
      await refused('token_unknown', 401, () => sendEnrol(t.app, t.clock, unknown));
      const malformed = await enrolBody('db6.example.com', { token: 'idt1.x' });
      await refused('token_malformed', 400, () => sendEnrol(t.app, t.clock, malformed));
    });

    test('a live identity is never replaced', async () => {
      const { token } = await t.app.hosts.createToken('web1.example.com', 'test', null);
      const request = await enrolBody('web1.example.com', { token });
      await refused('host_exists', 409, () => sendEnrol(t.app, t.clock, request));
    });

    test('who enrols proves possession of the key', async () => {
      const { token } = await t.app.hosts.createToken('db7.example.com', 'test', null);
      const request = await enrolBody('db7.example.com', { token });
      const stolen = { ...request, key: generateKeyPairSync('ed25519').privateKey };
      await refused('signature_invalid', 401, () => sendEnrol(t.app, t.clock, stolen));
    });

    test('a certificate request that is none, or signed by another key, is refused', async () => {
      const { token } = await t.app.hosts.createToken('db8.example.com', 'test', null);
      const request = await enrolBody('db8.example.com', { token });
      request.body.csr = 'no';
      await refused('csr_invalid', 400, () => sendEnrol(t.app, t.clock, request));
      const { csr: pem } = await certificateRequest('db8.example.com');
      const lines = pem.split('\n');
      const last = Buffer.from(lines.slice(1, -1).join(''), 'base64');
      last[last.length - 1] = last[last.length - 1]! ^ 1;
      request.body.csr = `${lines[0]}\n${last.toString('base64')}\n${lines.at(-1)}`;
      await refused('csr_invalid', 400, () => sendEnrol(t.app, t.clock, request));
    });

    test('the shared secret is refused where it is not in use', async () => {
      const request = await enrolBody('db9.example.com', { sharedSecret: 'x'.repeat(40) });
      await refused('shared_secret_wrong', 401, () => sendEnrol(t.app, t.clock, request));
    });
  });

  describe('a new certificate', () => {
    let csr: string;
    before(async () => {
      ({ csr } = await certificateRequest('web1.example.com'));
    });

    const bodyOf = (who: TestHost, change: object = {}) => {
      who.counter += 1;
      return {
        counter: who.counter,
        machineId: who.machineId,
        nonce: randomBytes(32).toString('base64url'),
        csr,
        ...change,
      };
    };
    const renew = (who: TestHost, change: object = {}, tampering: Tampering = {}) =>
      who.send('POST', '/certificate', bodyOf(who, change), tampering);
    /** Seconds since the epoch, as a certificate says it. */
    const rememberedLife = async (who: TestHost) => {
      const { certificate_from, certificate_until } = await kysely(t.app.db.query)
        .selectFrom('hosts')
        .select(['certificate_from', 'certificate_until'])
        .where('id', '=', who.id)
        .executeTakeFirstOrThrow();
      return [certificate_from, certificate_until].map((at) => Math.floor((at ?? 0) / 1000));
    };
    const lifeIn = (pem: string) => {
      const { validFromDate, validToDate } = new X509Certificate(pem);
      return [validFromDate, validToDate].map((at) => at.getTime() / 1000);
    };

    async function grantOf(answer: { body: object }): Promise<CertificateGrant> {
      const token = String((answer.body as { grant?: unknown }).grant);
      const read = await verifyToken(tokenType.certificate, token, [t.app.trust.trustRoot], certificateGrant);
      assert.ok(read.ok, JSON.stringify(read));
      return read.payload;
    }

    test('is for whoever asks, signed by the trust root, remembered, and an event', async () => {
      t.clock.advance(1000);
      const own = await certificateRequest('anything.example.org');
      const nonce = randomBytes(32).toString('base64url');
      const answer = await renew(host, { csr: own.csr, nonce });
      assert.equal(answer.status, 200);
      const grant = await grantOf(answer);
      assert.deepEqual(
        { nonce: grant.nonce, hostId: grant.hostId, hostname: grant.hostname, serverId: grant.serverId },
        { nonce, hostId: host.id, hostname: 'web1.example.com', serverId: host.serverId },
      );
      const certificate = new X509Certificate(grant.certificate);
      assert.ok(certificate.verify(new X509Certificate(grant.caBundle).publicKey));
      assert.ok(certificate.checkPrivateKey(createPrivateKey(own.key)));
      assert.notEqual(certificate.serialNumber, new X509Certificate(host.grant.certificate).serialNumber);
      assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'for clients only');
      assert.deepEqual(await rememberedLife(host), lifeIn(grant.certificate));
      const [event] = (await t.app.events.read((await t.app.events.head()).seq - 1, 1)) as [EventRecord];
      assert.equal(event.event, 'certificate_issued');
      assert.equal(event.hostId, host.id);
      assert.equal(event.code, certificate.serialNumber.toLowerCase());
    });

    test("[W-7] another host's name in the request is worth nothing", async () => {
      const theirs = await certificateRequest('web2.example.com');
      const grant = await grantOf(await renew(host, { csr: theirs.csr }));
      const certificate = new X509Certificate(grant.certificate);
      assert.equal(certificate.subject, 'CN=web1.example.com');
      assert.equal(certificate.subjectAltName, `DNS:web1.example.com, URI:urn:uuid:${host.id}`);
      assert.deepEqual(await rememberedLife(other), lifeIn(other.grant.certificate));
    });

    test('a host cannot ask in the name of another', async () => {
      await refused('signature_invalid', 401, () => renew(other, {}, { key: host.key }));
      await refused('bad_request', 400, () => renew(host, { hostname: 'web2.example.com' }));
      await refused('bad_request', 400, () => renew(host, { hostId: other.id }));
    });

    test('a certificate request that is none, or not signed with its own key, is refused', async () => {
      const before = await rememberedLife(host);
      await refused('csr_invalid', 400, () => renew(host, { csr: 'no' }));
      const lines = csr.split('\n');
      const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
      bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1;
      const forged = `${lines[0]}\n${bytes.toString('base64')}\n${lines.at(-1)}`;
      await refused('csr_invalid', 400, () => renew(host, { csr: forged }));
      assert.deepEqual(await rememberedLife(host), before);
    });

    test('unsigned, unknown, late, repeated: refused like everything else', async () => {
      await refused('signature_missing', 401, () => renew(host, {}, { headers: { signature: undefined } }));
      await refused('host_unknown', 401, () =>
        renew(host, {}, { parameters: { keyid: '00000000-0000-4000-8000-000000000000' } }),
      );
      await refused('wrong_server', 401, () =>
        renew(host, {}, { parameters: { tag: '00000000-0000-4000-8000-000000000000' } }),
      );
      await refused('clock_skew', 401, () =>
        renew(host, {}, { parameters: { created: Math.floor(t.clock.now() / 1000) - 61 } }),
      );
      const changed = bodyOf(host);
      await refused('digest_mismatch', 401, () =>
        host.send('POST', '/certificate', bodyOf(host), { after: { body: JSON.stringify(changed) } }),
      );
      const nonce = randomBytes(18).toString('base64url');
      assert.equal((await renew(host, {}, { parameters: { nonce } })).status, 200);
      await refused('nonce_replayed', 401, () => renew(host, {}, { parameters: { nonce } }));
    });

    test('a copy of the host is noticed', async () => {
      const twin = await enrolTestHost(t.app, t.clock, 'twin3.example.com');
      assert.equal((await renew(twin)).status, 200);
      await refused('host_quarantined', 403, () => renew(twin, { counter: twin.counter }));
      await refused('host_quarantined', 403, () => renew(twin), false);
      const second = await enrolTestHost(t.app, t.clock, 'twin4.example.com');
      await refused('host_quarantined', 403, () => renew(second, { machineId: 'm'.repeat(43) }));
    });

    test('only an active host gets one', async () => {
      const gone = await enrolTestHost(t.app, t.clock, 'gone2.example.com');
      await t.app.hosts.revoke(gone.id, { username: 'op', remoteAddr: null });
      await refused('host_revoked', 403, () => renew(gone));
      const waiting = await enrolTestHost(t.app, t.clock, 'waiting.example.com');
      await t.app.db.transaction(async ({ query }) => {
        await kysely(query).updateTable('hosts').set({ state: 'waiting' }).where('id', '=', waiting.id).execute();
      });
      await refused('host_waiting', 403, () => renew(waiting));
      assert.deepEqual(await rememberedLife(gone), lifeIn(gone.grant.certificate));
    });
  });

  describe('where the directory is', () => {
    const ask = (who: TestHost, nonce: string = randomBytes(32).toString('base64url'), tampering: Tampering = {}) =>
      who.send('GET', `/directory?nonce=${nonce}`, undefined, tampering);

    test('a server without one says so', () => refused('directory_off', 404, () => ask(host)));
    test('a request without a nonce, or with something else for one', async () => {
      await refused('bad_request', 400, () => host.send('GET', '/directory'));
      await refused('bad_request', 400, () => ask(host, 'short'));
    });
    test('unsigned, or signed by another host', async () => {
      await refused('signature_missing', 401, () => ask(host, undefined, { headers: { signature: undefined } }));
      await refused('signature_invalid', 401, () => ask(host, undefined, { key: other.key }));
      await refused('clock_skew', 401, () =>
        ask(host, undefined, { parameters: { created: Math.floor(t.clock.now() / 1000) - 61 } }),
      );
    });
    test('a revoked host is told nothing', async () => {
      const gone = await enrolTestHost(t.app, t.clock, 'gone3.example.com');
      await t.app.hosts.revoke(gone.id, { username: 'op', remoteAddr: null });
      await refused('host_revoked', 403, () => ask(gone));
    });
    describe('of a server with one', () => {
      const SECRET = 'a long secret of the directory, hosts never see it';
      let site: TestApp;
      let member: TestHost;
      const begin = async (env: Record<string, string>) => {
        site = await createTestApp({
          driver,
          now: Date.now(),
          env: {
            IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
            IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
            IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:6360',
            ...env,
          },
        });
        member = await enrolTestHost(site.app, site.clock, 'web1.example.com');
      };
      const read = async (nonce = randomBytes(32).toString('base64url')) => {
        const answer = await member.send('GET', `/directory?nonce=${nonce}`);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        const token = String(answer.body.settings);
        const checked = await verifyToken(tokenType.directory, token, [member.grant.trustRoot], directorySettings);
        assert.ok(checked.ok, JSON.stringify(checked));
        return { settings: checked.payload, nonce };
      };

      test('signed settings: address, base, CA; no password where hosts have none', async () => {
        await begin({});
        try {
          const { settings, nonce } = await read();
          assert.deepEqual(settings, {
            v: 1,
            nonce,
            serverId: member.serverId,
            hostId: member.id,
            ldapUrl: 'ldaps://identree.example.com:6360',
            baseDn: 'dc=example,dc=com',
            mode: 'bridge',
            caBundle: `${site.app.keys.ca.certificatePem.trim()}\n`,
            clientCertificates: 'optional',
            anonymous: false,
            bind: null,
          });
        } finally {
          await site.close();
        }
      });

      test("the host's own password, a further authority without its key, and neither in the log", async () => {
        const foreign = await makeForeignAuthority();
        await begin({
          IDENTREE_LDAP_PROVISION_ENABLED: 'true',
          IDENTREE_LDAP_SECRET: SECRET,
          IDENTREE_LDAP_TLS_CA_CERT: `${foreign.certificate}\n${foreign.key}`,
          IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true',
          IDENTREE_LDAP_EXTERNAL_URL: 'ldaps://ldap.example.com',
        });
        try {
          const { settings } = await read();
          assert.deepEqual(settings.bind, {
            dn: 'uid=web1.example.com,ou=identree-hosts,dc=example,dc=com',
            password: hostBindPassword(SECRET, 'web1.example.com'),
          });
          assert.equal(settings.caBundle.match(/BEGIN CERTIFICATE/g)?.length, 2);
          assert.ok(settings.caBundle.includes(foreign.certificate.trim()));
          assert.doesNotMatch(settings.caBundle, /PRIVATE/);
          assert.equal(settings.clientCertificates, 'required');
          assert.equal(settings.anonymous, true);
          assert.equal(settings.ldapUrl, 'ldaps://ldap.example.com');
          const other = await enrolTestHost(site.app, site.clock, 'web2.example.com');
          assert.notEqual(hostBindPassword(SECRET, other.hostname), settings.bind?.password);
          const log = JSON.stringify(await site.app.events.read(0, 100));
          assert.ok(!log.includes(settings.bind!.password));
          const raw = await site.app.http.inject({ method: 'GET', url: '/api/host/v1/directory' });
          assert.equal(raw.headers['cache-control'], 'no-store');
        } finally {
          await site.close();
        }
      });

      test('who signed the certificate of the directory is told to hosts, and vouches for none of them', async () => {
        const foreign = await makeForeignAuthority();
        await begin({ IDENTREE_LDAP_TLS_SERVER_CA_CERT: foreign.certificate });
        try {
          const { settings } = await read();
          assert.ok(settings.caBundle.includes(foreign.certificate.trim()));
          // A client certificate of it would have to be asked for, as with IDENTREE_LDAP_TLS_CA_CERT.
          assert.equal(settings.clientCertificates, 'optional');
        } finally {
          await site.close();
        }
      });

      test('a request that was served is refused the second time', async () => {
        await begin({});
        try {
          const parameters = { nonce: randomBytes(18).toString('base64url') };
          const path = `/directory?nonce=${randomBytes(32).toString('base64url')}`;
          assert.equal((await member.send('GET', path, undefined, { parameters })).status, 200);
          const again = await member.send('GET', path, undefined, { parameters });
          assert.equal(again.body.error?.code, 'nonce_replayed');
        } finally {
          await site.close();
        }
      });
    });
  });

  test('with the shared secret a host waits until an operator has compared its fingerprint', async () => {
    const secret = 'correct horse battery staple, twice over';
    const own = await createTestApp({ driver, config: { sharedSecret: secret } });
    try {
      const wrong = await sendEnrol(
        own.app,
        own.clock,
        await enrolBody('a.example.com', { sharedSecret: `${secret}!` }),
      );
      assert.equal(wrong.body.error?.code, 'shared_secret_wrong');
      const request = await enrolBody('a.example.com', { sharedSecret: secret });
      assert.equal((await sendEnrol(own.app, own.clock, request)).status, 200);
      const [waiting] = await own.app.hosts.list();
      assert.equal(waiting?.state, 'waiting');
      const early = await sendSigned(own.app, {
        externalUrl: own.app.config.externalUrl,
        method: 'GET',
        path: `/challenges/${'a'.repeat(32)}?wait=0`,
        body: undefined,
        parameters: {
          created: Math.floor(own.clock.now() / 1000),
          nonce: randomBytes(18).toString('base64url'),
          keyid: waiting!.id,
          tag: own.app.trust.serverId,
        },
        key: request.key,
      });
      assert.equal(early.body.error?.code, 'host_waiting');
      await assert.rejects(own.app.hosts.confirm(waiting!.id, 'A'.repeat(43), { username: 'op', remoteAddr: null }));
      assert.equal((await own.app.hosts.list())[0]?.state, 'waiting');
      await own.app.hosts.confirm(waiting!.id, request.body.apiKey.kid, { username: 'op', remoteAddr: null });
      assert.equal((await own.app.hosts.list())[0]?.state, 'active');
    } finally {
      await own.close();
    }
  });

  describe('a host identity in two places', () => {
    test('a repeated counter stops both until an operator releases the host', async () => {
      const twin = await enrolTestHost(t.app, t.clock, 'twin.example.com');
      const first = twin.createBody();
      assert.equal((await twin.send('POST', '/challenges', first)).status, 201);
      twin.counter -= 1;
      await refused('host_quarantined', 403, () => twin.send('POST', '/challenges', twin.createBody()));
      const { state } = (await t.app.hosts.list()).find(({ id }) => id === twin.id)!;
      assert.equal(state, 'quarantined');
      // From here on the original is refused as well, whatever it asks.
      await refused('host_quarantined', 403, () => twin.send('POST', '/challenges', twin.createBody()));
      await refused('host_quarantined', 403, () => twin.send('GET', `/challenges/${'a'.repeat(32)}?wait=0`), false);
      await t.app.hosts.release(twin.id, { username: 'op', remoteAddr: null });
      assert.equal((await twin.send('POST', '/challenges', twin.createBody())).status, 201);
    });

    test('what was held up on its way stops nobody: it was signed before what was taken', async () => {
      const late = await enrolTestHost(t.app, t.clock, 'held-up.example.com');
      const report: HostReport = { v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false };
      for (const [path, bodyOf] of [
        ['/challenges', () => late.createBody()],
        ['/report', () => ({ counter: ++late.counter, machineId: late.machineId, report })],
      ] as const) {
        const held = bodyOf();
        const parameters = { created: Math.floor(t.clock.now() / 1000) };
        t.clock.advance(1000);
        assert.ok((await late.send('POST', path, bodyOf())).status < 300);
        await refused('superseded', 409, () => late.send('POST', path, held, { parameters }), false);
        assert.ok((await late.send('POST', path, bodyOf())).status < 300);
        t.clock.advance(1000);
        late.counter -= 1;
        const copied = bodyOf();
        await refused('host_quarantined', 403, () => late.send('POST', path, copied), false);
        await t.app.hosts.release(late.id, { username: 'op', remoteAddr: null });
        assert.ok((await late.send('POST', path, bodyOf())).status < 300);
      }
      // A copy that signs in advance would have every later request of its original pass for one that was held up.
      const ahead = { created: Math.floor(t.clock.now() / 1000) + 30 };
      late.counter += 10;
      assert.equal((await late.send('POST', '/challenges', late.createBody(), { parameters: ahead })).status, 201);
      t.clock.advance(1000);
      late.counter -= 5;
      await refused('host_quarantined', 403, () => late.send('POST', '/challenges', late.createBody()), false);
    });

    test('another machine id stops both', async () => {
      const twin = await enrolTestHost(t.app, t.clock, 'twin2.example.com');
      const body = { ...twin.createBody(), machineId: 'm'.repeat(43) };
      assert.equal((await twin.send('POST', '/challenges', body)).body.error?.code, 'host_quarantined');
      assert.equal((await twin.send('POST', '/challenges', twin.createBody())).body.error?.code, 'host_quarantined');
      const events = await t.app.events.read((await t.app.events.head()).seq - 5, 5);
      assert.ok(events.some((event) => event.event === 'host_quarantined' && event.hostId === twin.id));
    });
  });

  test('[W-8] a revoked host is told so and can do nothing', async () => {
    const gone = await enrolTestHost(t.app, t.clock, 'gone.example.com');
    await t.app.hosts.revoke(gone.id, { username: 'op', remoteAddr: null });
    await refused('host_revoked', 403, () => gone.send('POST', '/challenges', gone.createBody()));
    // Its name is free again.
    const next = await enrolTestHost(t.app, t.clock, 'gone.example.com');
    assert.notEqual(next.id, gone.id);
  });

  test('strangers cannot fill the event log', async () => {
    t.clock.advance(61_000);
    const { seq } = await t.app.events.head();
    for (let i = 0; i < 60; i++) await create({ parameters: { keyid: '00000000-0000-4000-8000-000000000000' } });
    const written = (await t.app.events.read(seq, 100)).filter(({ event }) => event === 'host_request_refused');
    assert.ok(written.length <= 20, `${written.length} events`);
    t.clock.advance(61_000);
  });

  test('thirty failures in a minute are all that an address may have, and a host beside them is served all the same', async () => {
    t.clock.advance(61_000);
    const stranger = { parameters: { keyid: '00000000-0000-4000-8000-000000000000' } };
    for (let i = 0; i < 30; i++) assert.equal((await create(stranger)).body.error?.code, 'host_unknown');
    const limited = await create(stranger);
    assert.equal(limited.status, 429);
    assert.equal(limited.body.error?.code, 'rate_limited');
    // Where a secret could be guessed, not even a good one counts now.
    const { token } = await t.app.hosts.createToken('late.example.com', 'test', null);
    const enrolment = await enrolBody('late.example.com', { token });
    assert.equal((await sendEnrol(t.app, t.clock, enrolment)).body.error?.code, 'rate_limited');
    const mine = await host.create();
    assert.equal(mine.status, 'pending');
    await host.send('DELETE', `/challenges/${mine.challengeId}`);
    t.clock.advance(60_000);
    assert.equal((await sendEnrol(t.app, t.clock, enrolment)).status, 200);
    assert.equal((await create(stranger)).body.error?.code, 'host_unknown');
    t.clock.advance(61_000);
  });

  test('the old endpoints say where to go', async () => {
    const answer = await t.app.http.inject({ method: 'POST', url: '/api/challenge', payload: {} });
    assert.equal(answer.statusCode, 410);
    assert.match(answer.json().error.message, /enrol/);
  });

  test('after all of this the event chain is whole', async () => {
    assert.equal(await checkChain(t.app.db.query), null);
  });
}
