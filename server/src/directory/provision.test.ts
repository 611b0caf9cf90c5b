import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { hostBindPassword } from '../ldap/credential-checker.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { certificateRequest, enrolBody, enrolTestHost, sendEnrol, type TestHost } from '../testing/test-host.ts';

const SECRET = 'a long secret of the directory, hosts never see it';
const BY = { username: 'op', remoteAddr: null };

describe('POST /api/client/provision', () => {
  let t: TestApp;
  let host: TestHost;
  let csr: string;
  let key: string;
  const begin = (env: Record<string, string>) => createTestApp({ now: Date.now(), env });
  before(async () => {
    t = await begin({
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:6360',
      IDENTREE_LDAP_PROVISION_ENABLED: 'true',
      IDENTREE_LDAP_SECRET: SECRET,
    });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    ({ csr, key } = await certificateRequest('somebody.else.example.com'));
  });
  after(() => t.close());

  const tokenFor = async (name: string): Promise<string> => (await t.app.hosts.createToken(name, 'test', null)).token;
  const ask = (payload: object, app = t.app) =>
    app.http.inject({ method: 'POST', url: '/api/client/provision', payload });
  async function refused(code: string, status: number, payload: object): Promise<void> {
    // A minute after whatever was before, so that no limit is in the way.
    t.clock.advance(61_000);
    const answer = await ask(payload);
    assert.deepEqual([answer.statusCode, answer.json().error?.code], [status, code], answer.body);
    assert.ok(!answer.body.includes('BEGIN CERTIFICATE'));
  }

  it('gives an enrolled host another certificate for a token and a request, under the names that are known', async () => {
    const { seq } = await t.app.events.head();
    const answer = await ask({ token: await tokenFor('web1.example.com'), csr });
    assert.equal(answer.statusCode, 200, answer.body);
    const { client_cert, ca_cert, cert_serial, tls_ca_cert, ...directory } = answer.json();
    assert.deepEqual(directory, {
      ldap_url: 'ldaps://identree.example.com:6360',
      base_dn: 'dc=example,dc=com',
      bind_dn: 'uid=web1.example.com,ou=identree-hosts,dc=example,dc=com',
      bind_password: hostBindPassword(SECRET, 'web1.example.com'),
    });
    const certificate = new X509Certificate(client_cert);
    assert.ok(certificate.verify(new X509Certificate(ca_cert).publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    // Whatever the request names: the token says whose it is.
    assert.equal(certificate.subjectAltName, `DNS:web1.example.com, URI:urn:uuid:${host.id}`);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'for clients only');
    assert.equal(certificate.serialNumber.toLowerCase(), cert_serial);
    assert.equal(tls_ca_cert, ca_cert);
    assert.ok(!answer.body.includes('PRIVATE'));
    assert.equal(answer.headers['cache-control'], 'no-store');
    const events = await t.app.events.read(seq, 10);
    assert.deepEqual(
      events.map(({ event, hostname }) => [event, hostname]),
      [
        ['enrolment_token_created', 'web1.example.com'],
        ['certificate_issued', 'web1.example.com'],
      ],
    );
  });

  it('takes a token once, and not at all when it is none, another, or too old', async () => {
    const token = await tokenFor('web1.example.com');
    assert.equal((await ask({ token, csr })).statusCode, 200);
    await refused('token_used', 409, { token, csr });
    const [version, id, , root] = (await tokenFor('web1.example.com')).split('.');
    const forged = [version, id, randomBytes(32).toString('base64url'), root].join('.');
    await refused('token_unknown', 401, { token: forged, csr });
    await refused('token_malformed', 400, { token: 'idt1.x', csr });
    const late = await tokenFor('web1.example.com');
    t.clock.advance(60 * 60_000);
    await refused('token_expired', 410, { token: late, csr });
    await refused('bad_request', 400, { csr });
    await refused('bad_request', 400, { token: late, csr, hostname: 'web2.example.com' });
  });

  it('spends no token on a request that it cannot answer', async () => {
    const token = await tokenFor('web1.example.com');
    await refused('csr_invalid', 400, { token, csr: 'none' });
    assert.equal((await ask({ token, csr })).statusCode, 200);
  });

  it('gives nothing to a host that is not enrolled; its token still enrols it', async () => {
    const token = await tokenFor('new.example.com');
    await refused('host_unknown', 401, { token, csr });
    assert.equal((await sendEnrol(t.app, t.clock, await enrolBody('new.example.com', { token }))).status, 200);
  });

  it('gives nothing to a host that was revoked', async () => {
    const gone = await enrolTestHost(t.app, t.clock, 'gone.example.com');
    await t.app.hosts.revoke(gone.id, BY);
    await refused('host_unknown', 401, { token: await tokenFor('gone.example.com'), csr });
  });

  it('gives nothing to a host of which there may be two', async () => {
    const twice = await enrolTestHost(t.app, t.clock, 'twice.example.com');
    await twice.send('POST', '/challenges', { ...twice.createBody(), machineId: 'A'.repeat(43) });
    await refused('host_quarantined', 403, { token: await tokenFor('twice.example.com'), csr });
  });

  it('stops listening to who guesses', async () => {
    t.clock.advance(61_000);
    const [version, id, , root] = (await tokenFor('web1.example.com')).split('.');
    const codes = new Set<number>();
    for (let i = 0; i < 40; i += 1) {
      const token = [version, id, randomBytes(32).toString('base64url'), root].join('.');
      codes.add((await ask({ token, csr })).statusCode);
    }
    assert.deepEqual([...codes], [401, 429]);
    assert.equal((await ask({ token: await tokenFor('web1.example.com'), csr })).statusCode, 429);
    t.clock.advance(61_000);
  });

  it('is by this method alone, and nothing where there is no directory', async () => {
    const answer = await t.app.http.inject({ method: 'GET', url: '/api/client/provision' });
    assert.deepEqual([answer.statusCode, answer.json().error.code], [410, 'gone']);
    const without = await begin({});
    try {
      const { token } = await without.app.hosts.createToken('web1.example.com', 'test', null);
      const none = await ask({ token, csr }, without.app);
      assert.deepEqual([none.statusCode, none.json().error.code], [404, 'directory_off']);
    } finally {
      await without.close();
    }
  });
});
