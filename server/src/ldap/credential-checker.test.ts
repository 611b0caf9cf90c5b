import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { readClientCertificate } from './client-certificate.ts';
import {
  type CredentialCheckerDeps,
  createCredentialChecker,
  hostBindPassword,
  hostDn,
  type LdapHost,
  type ServiceAccount,
  withServiceAccount,
} from './credential-checker.ts';
import type { ClientCertificate } from './session/credentials.ts';
import { createTestCa } from './testing/certificates.ts';

const BASE = 'dc=example,dc=com';
const SECRET = 'correct horse battery staple';
const web1: LdapHost = { id: 'id-web1', hostname: 'web1.example.com' };
const web2: LdapHost = { id: 'id-web2', hostname: 'web2' };
const certificateOf = (host: LdapHost): ClientCertificate => ({
  serial: `serial-${host.id}`,
  names: [host.hostname],
  uris: [],
  fingerprint: '',
});

const ACCOUNT = { dn: `cn=sssd,${BASE}`, password: 'secret' };

function checkerWith(
  hosts: LdapHost[],
  more: Partial<CredentialCheckerDeps> = {},
  account: ServiceAccount | null = ACCOUNT,
) {
  const own = createCredentialChecker({
    baseDn: BASE,
    hostSecrets: [SECRET, 'the one before'],
    hosts: {
      byName: async (name) => hosts.find(({ hostname }) => hostname === name) ?? null,
      byCertificate: async ({ serial }) => hosts.find(({ id }) => serial === `serial-${id}`) ?? null,
      isActive: async (id, serial) =>
        hosts.some((host) => host.id === id && (serial === null || serial === `serial-${id}`)),
    },
    ...more,
  });
  return withServiceAccount(account, own);
}

const checker = checkerWith([web1, web2]);
const bind = async (dn: string, password: string, certificate: ClientCertificate | null = null, using = checker) =>
  (await using.checkBind({ dn, password: Buffer.from(password), certificate }))?.dn ?? null;

describe('service account', () => {
  test('its name may be spelled in any way, its password in one', async () => {
    assert.equal(await bind(`CN = SSSD, ${BASE}`, 'secret'), `cn=sssd,${BASE}`);
    for (const password of ['Secret', 'secret ', 'secre', '', 'secret\u0000']) {
      assert.equal(await bind(`cn=sssd,${BASE}`, password), null);
    }
    assert.equal(await bind(`cn=sssd,ou=x,${BASE}`, 'secret'), null);
  });

  test('without one nobody is it', async () => {
    assert.equal(await bind(`cn=sssd,${BASE}`, 'secret', null, checkerWith([], {}, null)), null);
  });

  test('a name that is none is refused at start', () => {
    assert.throws(() => checkerWith([], {}, { dn: 'sssd', password: 'x' }), /not a distinguished name/);
  });
});

describe('host passwords', () => {
  const password = hostBindPassword(SECRET, 'web1.example.com');

  test('are what the derivation says', () => {
    // Written down from: printf ldap-bind | openssl dgst -sha256 -hmac …, then the host name under that key.
    assert.equal(password, '76680d8922db99b06ad24f1215c38f246a95a820b7c3121ea361eb0d0d2b737c');
    assert.equal(hostBindPassword(SECRET, 'WEB1.example.com'), password);
  });

  test('open the host’s own name and no other', async () => {
    assert.equal(await bind(hostDn('web1.example.com', BASE), password), hostDn('web1.example.com', BASE));
    assert.equal(await bind(hostDn('web2', BASE), password), null);
    assert.equal(await bind(hostDn('web1.example.com', BASE), password.toUpperCase()), null);
  });

  test('of the secret before are still good', async () => {
    const old = hostBindPassword('the one before', 'web1.example.com');
    assert.notEqual(await bind(hostDn('web1.example.com', BASE), old), null);
    const rotated = checkerWith([web1], { hostSecrets: [SECRET] });
    assert.equal(await bind(hostDn('web1.example.com', BASE), old, null, rotated), null);
  });

  test('are of no use to a host that is not registered', async () => {
    const ghost = hostBindPassword(SECRET, 'ghost');
    assert.equal(await bind(hostDn('ghost', BASE), ghost), null);
  });

  test('do not exist without a secret', async () => {
    const off = checkerWith([web1], { hostSecrets: [] });
    assert.equal(await bind(hostDn('web1.example.com', BASE), password, null, off), null);
  });

  for (const dn of [
    `uid=web1.example.com,ou=people,${BASE}`,
    `uid=web1.example.com,ou=identree-hosts,dc=other`,
    `cn=web1.example.com,ou=identree-hosts,${BASE}`,
    `uid=web1.example.com,uid=web1.example.com,ou=identree-hosts,${BASE}`,
    `uid=web1.example.com+cn=x,ou=identree-hosts,${BASE}`,
    `uid=,ou=identree-hosts,${BASE}`,
    `uid=web1.example.com\\,ou=identree-hosts,${BASE}`,
    '',
    'no dn',
  ]) {
    test(`"${dn}" is no host’s name`, async () => assert.equal(await bind(dn, password), null));
  }
});

describe('certificates', () => {
  test('stand for the host they were issued to, and let it bind under its own name only', async () => {
    const certificate = certificateOf(web1);
    assert.equal((await checker.identify(certificate))?.dn, hostDn('web1.example.com', BASE));
    assert.equal(
      await bind(hostDn('web1.example.com', BASE), 'anything', certificate),
      hostDn('web1.example.com', BASE),
    );
    assert.equal(await bind(hostDn('web2', BASE), 'anything', certificate), null);
  });

  test('a password of another host does not make up for the certificate', async () => {
    assert.equal(await bind(hostDn('web2', BASE), hostBindPassword(SECRET, 'web2'), certificateOf(web1)), null);
  });

  test('a certificate whose names are not the host’s does not open its name', async () => {
    const odd = { ...certificateOf(web1), names: ['web9'] };
    assert.equal(await bind(hostDn('web1.example.com', BASE), 'x', odd), null);
  });

  test('a name in it does not make it the certificate of another host', async () => {
    const both = { ...certificateOf(web1), names: ['web1.example.com', 'web2'] };
    assert.equal(await bind(hostDn('web2', BASE), 'x', both), null);
    assert.notEqual(await bind(hostDn('web1.example.com', BASE), 'x', both), null);
  });

  test('names in full and in short are both the host', async () => {
    assert.deepEqual((await checker.identify(certificateOf(web1)))?.hostNames, ['web1.example.com', 'web1']);
    assert.deepEqual((await checker.identify(certificateOf(web2)))?.hostNames, ['web2']);
  });

  test('an identity holds as long as host and certificate do', async () => {
    const hosts = [web1];
    const changing = checkerWith(hosts);
    const byCertificate = (await changing.identify(certificateOf(web1)))!;
    const service = (await changing.checkBind({
      dn: `cn=sssd,${BASE}`,
      password: Buffer.from('secret'),
      certificate: null,
    }))!;
    assert.deepEqual([await changing.isCurrent(byCertificate), await changing.isCurrent(service)], [true, true]);
    hosts.pop();
    assert.deepEqual([await changing.isCurrent(byCertificate), await changing.isCurrent(service)], [false, true]);
  });

  test('serial, names and URIs are read out of a real certificate', async () => {
    const ca = await createTestCa();
    const { certificate } = await ca.issue('Web1.example.com', 'client', { serial: '00ab12', uris: ['urn:uuid:1-2'] });
    const read = readClientCertificate(new X509Certificate(certificate));
    assert.deepEqual([read.serial, read.names, read.uris], ['ab12', ['web1.example.com'], ['urn:uuid:1-2']]);
    assert.match(read.fingerprint, /^[0-9a-f]{64}$/);
  });
});
