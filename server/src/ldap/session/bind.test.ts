import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OID, OP, RESULT } from '../protocol/operation.ts';
import { snapshotOf } from '../testing/entries.ts';
import { bind, extended, saslBind, search } from '../testing/messages.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import {
  CERTIFICATE,
  createTestServer,
  HOST,
  SERVICE_DN,
  type TestConnection,
  type TestServerOptions,
} from '../testing/session-harness.ts';
import { forget } from './lifetime.ts';

const closedToAnonymous: TestServerOptions = { settings: { allowAnonymous: false } };
const code = async (connection: TestConnection, message: Uint8Array): Promise<number | undefined> => {
  connection.send(message);
  return (await connection.answers()).at(-1)?.code;
};
const whoAmI = async (connection: TestConnection): Promise<string> => {
  connection.send(extended(90, OID.whoAmI));
  return (await connection.answers()).at(-1)!.responseValue!.toString();
};
const searchCode = (connection: TestConnection): Promise<number | undefined> =>
  code(connection, search(91, { base: BASE, scope: 0 }));

describe('simple bind (RFC 4513 5.1)', () => {
  for (const [name, options, message, wanted] of [
    ['anonymous where it is allowed', {}, bind(1), RESULT.success],
    ['anonymous where it is not', closedToAnonymous, bind(1), RESULT.inappropriateAuthentication],
    ['a password without a name', {}, bind(1, '', 'x'), RESULT.unwillingToPerform],
    ['a name without a password', {}, bind(1, SERVICE_DN, ''), RESULT.unwillingToPerform],
    ['the service account', closedToAnonymous, bind(1, SERVICE_DN, 'secret'), RESULT.success],
    ['a wrong password', {}, bind(1, SERVICE_DN, 'wrong'), RESULT.invalidCredentials],
    ['an unknown name', {}, bind(1, `cn=nobody,${BASE}`, 'secret'), RESULT.invalidCredentials],
    ['a name that is none', {}, bind(1, 'sssd', 'secret'), RESULT.invalidDnSyntax],
    ['version 2', {}, bind(1, SERVICE_DN, 'secret', { version: 2 }), RESULT.protocolError],
    [
      'a password in clear text where TLS is required',
      { settings: { requireTls: true } },
      bind(1, SERVICE_DN, 'secret'),
      RESULT.confidentialityRequired,
    ],
    [
      'sssd, with its password policy control',
      {},
      bind(1, SERVICE_DN, 'secret', { controls: [{ oid: OID.passwordPolicy }] }),
      RESULT.success,
    ],
    [
      'a critical control that nobody knows',
      {},
      bind(1, SERVICE_DN, 'secret', { controls: [{ oid: '1.2.3', critical: true }] }),
      RESULT.unavailableCriticalExtension,
    ],
  ] as const) {
    test(`${name}: ${wanted}`, async () => {
      const connection = createTestServer(options).connect();
      assert.equal(await code(connection, message), wanted);
      assert.equal(connection.closed(), false);
    });
  }

  test('who has bound may search; who has not may not', async () => {
    const connection = createTestServer(closedToAnonymous).connect();
    assert.equal(await searchCode(connection), RESULT.insufficientAccessRights);
    await code(connection, bind(1, SERVICE_DN, 'secret'));
    assert.equal(await searchCode(connection), RESULT.success);
    assert.equal(await whoAmI(connection), `dn:${SERVICE_DN}`);
  });

  test('a failed bind takes away what an earlier one gave', async () => {
    const connection = createTestServer(closedToAnonymous).connect();
    for (const second of [
      bind(2, SERVICE_DN, 'wrong'),
      bind(2),
      bind(2, SERVICE_DN, ''),
      saslBind(2, 'GSSAPI'),
      bind(2, 'x', 'y'),
    ]) {
      await code(connection, bind(1, SERVICE_DN, 'secret'));
      assert.equal(await searchCode(connection), RESULT.success);
      await code(connection, second);
      assert.equal(await searchCode(connection), RESULT.insufficientAccessRights);
      assert.equal(await whoAmI(connection), '');
    }
  });

  test('what was sent behind a bind is looked at after it', async () => {
    const connection = createTestServer(closedToAnonymous).connect();
    connection.send(bind(1, SERVICE_DN, 'secret'), search(2, { base: BASE, scope: 0 }), extended(3, OID.whoAmI));
    const answers = await connection.answers();
    assert.deepEqual(
      answers.map(({ id, code: result }) => [id, result]),
      [
        [1, 0],
        [2, undefined],
        [2, 0],
        [3, 0],
      ],
    );
    assert.equal(answers[3]!.responseValue!.toString(), `dn:${SERVICE_DN}`);
  });

  test('a checker that fails lets nobody in and says that it is unavailable', async () => {
    const checkBind = async () => {
      throw new Error('database gone');
    };
    const connection = createTestServer({ ...closedToAnonymous, checker: { checkBind } }).connect();
    assert.equal(await code(connection, bind(1, SERVICE_DN, 'secret')), RESULT.unavailable);
    assert.equal(await searchCode(connection), RESULT.insufficientAccessRights);
  });

  test('the password is wiped when it has been checked', async () => {
    let seen: Uint8Array = new Uint8Array();
    const checkBind = async ({ password }: { password: Uint8Array }) => {
      seen = password;
      return null;
    };
    await code(createTestServer({ checker: { checkBind } }).connect(), bind(1, SERVICE_DN, 'secret'));
    assert.deepEqual([...seen], [0, 0, 0, 0, 0, 0]);
  });
});

describe('client certificates', () => {
  test('a verified certificate is its host without any bind', async () => {
    const connection = createTestServer(closedToAnonymous).connect({ certificate: CERTIFICATE });
    assert.equal(await searchCode(connection), RESULT.success);
    assert.equal(await whoAmI(connection), `dn:${HOST.dn}`);
  });

  test('an anonymous bind leaves the host what its certificate proves', async () => {
    const connection = createTestServer(closedToAnonymous).connect({ certificate: CERTIFICATE });
    assert.equal(await code(connection, bind(1)), RESULT.success);
    assert.equal(await whoAmI(connection), `dn:${HOST.dn}`);
  });

  test('a failed bind does not', async () => {
    const connection = createTestServer(closedToAnonymous).connect({ certificate: CERTIFICATE });
    assert.equal(await code(connection, bind(1, SERVICE_DN, 'wrong')), RESULT.invalidCredentials);
    assert.equal(await searchCode(connection), RESULT.insufficientAccessRights);
  });

  test('TLS without a certificate is nobody', async () => {
    const connection = createTestServer(closedToAnonymous).connect({ certificate: null, secure: true });
    assert.equal(await searchCode(connection), RESULT.insufficientAccessRights);
  });

  test('the checker sees the certificate of this connection', async () => {
    const server = createTestServer(closedToAnonymous);
    await code(server.connect({ certificate: CERTIFICATE }), bind(1, HOST.dn, 'x'));
    await code(server.connect(), bind(1, HOST.dn, 'x'));
    assert.deepEqual(
      server.binds.map(({ certificate }) => certificate),
      [CERTIFICATE, null],
    );
  });

  test('a certificate of no host: the first operation is refused and is the last', async () => {
    const server = createTestServer({ checker: { identify: async () => null } });
    const connection = server.connect({ certificate: CERTIFICATE });
    connection.send(search(1, { base: BASE }));
    const [answer, notice] = await connection.answers();
    assert.deepEqual([answer!.id, answer!.code], [1, RESULT.insufficientAccessRights]);
    assert.deepEqual([notice!.id, notice!.responseName], [0, OID.noticeOfDisconnection]);
    assert.equal(connection.closed(), true);
  });

  test('when nobody can tell whose certificate it is, the connection ends', async () => {
    const identify = async () => {
      throw new Error('database gone');
    };
    const server = createTestServer({ checker: { identify } });
    const connection = server.connect({ certificate: CERTIFICATE });
    connection.send(search(1, { base: BASE }));
    assert.deepEqual(await connection.answers(), []);
    assert.equal(connection.closed(), true);
  });
});

describe('SASL', () => {
  const authzid: [string | undefined, number][] = [
    [undefined, RESULT.success],
    ['', RESULT.success],
    [`dn:${HOST.dn.toUpperCase()}`, RESULT.success],
    ['u:web1.example.com', RESULT.success],
    ['u:web2.example.com', RESULT.invalidCredentials],
    [`dn:${SERVICE_DN}`, RESULT.invalidCredentials],
    ['dn:', RESULT.invalidCredentials],
    ['web1.example.com', RESULT.invalidCredentials],
  ];
  for (const [credentials, wanted] of authzid) {
    test(`EXTERNAL as ${credentials ?? 'nobody in particular'}: ${wanted}`, async () => {
      const connection = createTestServer(closedToAnonymous).connect({ certificate: CERTIFICATE });
      assert.equal(await code(connection, saslBind(1, 'EXTERNAL', credentials)), wanted);
      assert.equal(await whoAmI(connection), wanted === RESULT.success ? `dn:${HOST.dn}` : '');
    });
  }

  test('EXTERNAL without a certificate: 48', async () => {
    assert.equal(await code(createTestServer().connect(), saslBind(1, 'EXTERNAL')), RESULT.inappropriateAuthentication);
  });

  test('any other mechanism: 7', async () => {
    for (const mechanism of ['GSSAPI', 'PLAIN', 'external', '']) {
      assert.equal(await code(createTestServer().connect(), saslBind(1, mechanism)), RESULT.authMethodNotSupported);
    }
  });
});

describe('guessing passwords', () => {
  const limits = { bindFailures: 3 };

  test('after too many failures nothing is looked at for a while, from that address or under that name', async () => {
    const server = createTestServer({ limits });
    const connection = server.connect();
    for (let i = 0; i < 4; i++) await code(connection, bind(i + 1, SERVICE_DN, 'wrong'));
    assert.equal(server.binds.length, 4);
    // The right password is of no use now.
    assert.equal(await code(connection, bind(9, SERVICE_DN, 'secret')), RESULT.invalidCredentials);
    assert.equal(await code(connection, bind(10, `cn=other,${BASE}`, 'x')), RESULT.invalidCredentials);
    assert.equal(server.binds.length, 4);
    server.advance(1001);
    assert.equal(await code(connection, bind(11, SERVICE_DN, 'secret')), RESULT.success);
  });

  test('the wait doubles up to the limit', async () => {
    const server = createTestServer({ limits: { bindFailures: 0, bindPenalty: 4000 } });
    const connection = server.connect();
    for (const wait of [1000, 2000, 4000, 4000]) {
      const before = server.binds.length;
      await code(connection, bind(1, SERVICE_DN, 'wrong'));
      assert.equal(server.binds.length, before + 1);
      server.advance(wait - 10);
      await code(connection, bind(1, SERVICE_DN, 'wrong'));
      assert.equal(server.binds.length, before + 1, `looked at again before ${wait} ms`);
      server.advance(11);
    }
    const before = server.binds.length;
    await code(connection, bind(1, SERVICE_DN, 'wrong'));
    assert.equal(server.binds.length, before + 1, 'the wait went on growing');
  });

  test('who has proved to know a password is not locked out by others who guess at it', async () => {
    const server = createTestServer({ limits });
    const { throttle } = server.context;
    throttle.succeeded('10.0.0.1', 'cn=sssd');
    for (let i = 0; i < 10; i++) throttle.failed(`10.9.9.${i}`, 'cn=sssd', server.context.now());
    assert.equal(throttle.waitFor('10.0.0.1', 'cn=sssd', server.context.now()), 0);
    assert.equal(throttle.waitFor('10.0.0.2', 'cn=sssd', server.context.now()), null);
    assert.equal(throttle.waitFor('10.0.0.2', 'cn=other', server.context.now()), 0);
  });

  test('eleven wrong ones under other names, or the same, do not lock out whom their address has proved to know', async () => {
    for (const name of [`cn=other,${BASE}`, SERVICE_DN]) {
      const server = createTestServer();
      const [host, guesser] = [server.connect(), server.connect()];
      assert.equal(await code(host, bind(1, SERVICE_DN, 'secret')), RESULT.success);
      for (let i = 0; i < 11; i++) await code(guesser, bind(i + 1, name, 'wrong'));
      assert.equal(await code(host, bind(2, SERVICE_DN, 'secret')), RESULT.success);
      // Another name has proved nothing there.
      assert.equal(await code(guesser, bind(20, `cn=third,${BASE}`, 'wrong')), RESULT.invalidCredentials);
      assert.deepEqual(server.events.at(-1), {
        kind: 'bind',
        address: guesser.session.transport.address,
        dn: `cn=third,${BASE}`,
        outcome: 'withheld',
      });
    }
  });

  test('guesses at a name that was proved wait each, and are not looked at when their connection is gone', async () => {
    const server = createTestServer({ limits: { ...limits, bindProvenWait: 100 } });
    const guesser = server.connect();
    await code(guesser, bind(1, SERVICE_DN, 'secret'));
    for (let i = 0; i < 4; i++) await code(guesser, bind(i + 2, SERVICE_DN, 'wrong'));
    const before = server.binds.length;
    const started = performance.now();
    await code(guesser, bind(9, SERVICE_DN, 'wrong'));
    assert.ok(performance.now() - started >= 95, 'looked at without a wait');
    assert.equal(server.binds.length, before + 1);
    const gone = server.connect();
    gone.send(bind(1, SERVICE_DN, 'wrong'));
    assert.equal(gone.session.waiting, true);
    forget(gone.session);
    await code(server.connect(), bind(1, SERVICE_DN, 'secret'));
    assert.equal(server.binds.length, before + 2, 'a guess was looked at whose client was gone');
  });

  test('a refusal is held back', async () => {
    const server = createTestServer({ limits: { bindFailureDelay: 60 } });
    const connection = server.connect();
    const started = performance.now();
    connection.send(bind(1, SERVICE_DN, 'wrong'));
    while (connection.raw().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(performance.now() - started >= 55);
  });

  test('refusals are reported, and once per address a password in clear text; never the password', async () => {
    const server = createTestServer({ limits: { bindFailures: 1 } });
    const connection = server.connect();
    for (const password of ['secret', 'secret']) await code(connection, bind(1, SERVICE_DN, password));
    const dn = `cn=other,${BASE}`;
    for (const password of ['wrong-one', 'wrong-two', 'wrong-three']) await code(connection, bind(1, dn, password));
    const { address } = connection.session.transport;
    assert.deepEqual(server.events, [
      { kind: 'clear-text-password', address, dn: SERVICE_DN },
      { kind: 'bind', address, dn, outcome: 'refused' },
      { kind: 'bind', address, dn, outcome: 'refused' },
      { kind: 'bind', address, dn, outcome: 'withheld' },
    ]);
  });
});

test('binding while searches are under way gives them up', async () => {
  const snapshot = snapshotOf(sampleEntries(2000), { lastUsn: sampleUsn(2000) });
  const connection = createTestServer({ snapshot }).connect();
  connection.send(search(1, { base: BASE }));
  assert.equal(connection.session.running.length, 1);
  connection.send(bind(2, SERVICE_DN, 'secret'));
  const answers = await connection.answers();
  assert.equal(answers.at(-1)!.tag, OP.bindResponse);
  assert.ok(answers.every(({ tag }) => tag !== OP.searchDone));
});
