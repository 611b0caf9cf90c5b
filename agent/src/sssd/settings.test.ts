import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DirectorySettings } from '#shared/host-api.ts';
import { openHost } from '../app.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { UntrustedFile } from '../state/trusted-file.ts';
import { createTestAuthority } from '../testing/certificate.ts';
import { createFakeServer, type FakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { settingsProblem } from './prepare-directory.ts';
import {
  accessOf,
  directoryUse,
  fetchDirectory,
  isExposed,
  parseLdapUrl,
  readDirectoryUse,
  showsCertificate,
  writeDirectoryUse,
} from './settings.ts';
import { sssdConf } from './sssd-conf.ts';
import { sudoLdapConf } from './sudo-ldap-conf.ts';

const authority = await createTestAuthority();
const SETTINGS: DirectorySettings = {
  v: 1,
  nonce: 'n'.repeat(43),
  serverId: '00000000-0000-4000-8000-000000000001',
  hostId: '00000000-0000-4000-8000-000000000002',
  ldapUrl: 'ldaps://identree.example.com:636',
  baseDn: 'dc=example,dc=com',
  mode: 'full',
  caBundle: authority.pem,
  clientCertificates: 'optional',
  anonymous: false,
  bind: null,
};
const directoryWith = (change: Partial<DirectorySettings> = {}, client: 'sssd' | 'sudo' = 'sssd', startTls = false) =>
  directoryUse({ ...SETTINGS, ...change }, { client, startTls });

describe('what the server says about its directory', () => {
  async function world() {
    const server = await createFakeServer();
    server.directory = {
      ldapUrl: SETTINGS.ldapUrl,
      baseDn: SETTINGS.baseDn,
      mode: 'full',
      caBundle: authority.pem,
      clientCertificates: 'optional',
      anonymous: false,
      bind: { dn: 'uid=web1,dc=example,dc=com', password: 'p' },
    };
    const enrolled = await createEnrolledHost(server);
    const host = await openHost(enrolled.paths, { log: silentLog });
    return {
      server,
      ask: () => fetchDirectory({ client: host.client, enrolment: host.enrolment, random: systemRandom }),
      async [Symbol.asyncDispose]() {
        host.close();
        await server.close();
        await enrolled.remove();
      },
    };
  }

  it('is believed when the trust root has signed it for this host and this question', async () => {
    await using w = await world();
    const fetched = await w.ask();
    assert.ok(fetched.ok);
    assert.equal(fetched.settings.ldapUrl, SETTINGS.ldapUrl);
    assert.deepEqual(fetched.settings.bind, { dn: 'uid=web1,dc=example,dc=com', password: 'p' });
    const { calls } = w.server;
    await w.ask();
    const nonces = calls.filter(({ path }) => path.startsWith('/directory')).map(({ path }) => path);
    assert.equal(new Set(nonces).size, 2, 'a question is not asked twice with the same nonce');
  });

  const BAD: Record<string, { do: (server: FakeServer) => void; says: RegExp }> = {
    'another key has signed it': {
      do: (server) => {
        server.grantKey = server.verdictKey;
      },
      says: /pinned has not signed it/,
    },
    'it answers another question': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, nonce: 'A'.repeat(43) });
      },
      says: /another question/,
    },
    'it is for another host': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, hostId: SETTINGS.hostId });
      },
      says: /another host/,
    },
    'it is of another server': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, serverId: SETTINGS.serverId });
      },
      says: /another host/,
    },
    'it holds more than was agreed': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, more: 1 });
      },
      says: /not signed it/,
    },
    'a value would be two lines of a configuration file': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, baseDn: 'dc=x\naccess_provider = permit' });
      },
      says: /not signed it/,
    },
    'it names no authority': {
      do: (server) => {
        server.tamperDirectory = (settings) => ({ ...settings, caBundle: 'none' });
      },
      says: /names no authority/,
    },
    'there is no directory': {
      do: (server) => {
        server.directory = null;
      },
      says: /serves no directory/,
    },
    'the server is older than this': {
      do: (server) => {
        server.intercept = ({ path, response }) => {
          if (path.startsWith('/directory')) server.refuse(response, 404, 'not_found', 'There is nothing here.');
          return path.startsWith('/directory');
        };
      },
      says: /version that does not tell/,
    },
    'the server is broken': {
      do: (server) => {
        server.intercept = ({ path, response }) => {
          if (path.startsWith('/directory')) response.writeHead(502).end();
          return path.startsWith('/directory');
        };
      },
      says: /could not be asked/,
    },
  };
  for (const [name, { do: spoil, says }] of Object.entries(BAD)) {
    it(`is refused when ${name}`, async () => {
      await using w = await world();
      spoil(w.server);
      const fetched = await w.ask();
      assert.equal(fetched.ok, false);
      assert.match(fetched.ok ? '' : fetched.message, says);
    });
  }
});

describe('what may be used on a host', () => {
  const judge = (use: ReturnType<typeof directoryWith>, allowPlainLdap = false) =>
    settingsProblem(use, { allowPlainLdap });

  it('LDAPS with a certificate', () => assert.equal(judge(directoryWith()), null));

  it('plain LDAP is refused beyond loopback unless it is asked for by name', () => {
    const plain = directoryWith({ ldapUrl: 'ldap://identree.example.com', anonymous: true });
    assert.match(judge(plain) ?? '', /plain LDAP, without TLS[\s\S]*--allow-plain-ldap/);
    assert.equal(judge(plain, true), null);
    for (const host of ['10.0.0.5', '[2001:db8::1]', '127.evil.example.com', 'localhost.example.com', '128.0.0.1'])
      assert.ok(isExposed(directoryWith({ ldapUrl: `ldap://${host}:389` })), host);
    for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]'])
      assert.equal(judge(directoryWith({ ldapUrl: `ldap://${host}:3389`, anonymous: true })), null, host);
  });

  it('StartTLS makes it acceptable; on LDAPS it is a mistake', () => {
    assert.equal(judge(directoryWith({ ldapUrl: 'ldap://identree.example.com' }, 'sssd', true)), null);
    assert.match(judge(directoryWith({}, 'sssd', true)) ?? '', /is TLS already/);
  });

  it('bridge mode is for sudo alone', () => {
    assert.match(judge(directoryWith({ mode: 'bridge' })) ?? '', /sudo rules only \(bridge mode\)[\s\S]*--sudo-ldap/);
    assert.equal(judge(directoryWith({ mode: 'bridge' }, 'sudo')), null);
  });

  it('a host has to be able to say who it is', () => {
    assert.match(judge(directoryWith({ clientCertificates: 'off' })) ?? '', /no way to say who it is/);
    assert.match(judge(directoryWith({ ldapUrl: 'ldap://x.example.com' }), true) ?? '', /no way to say who it is/);
    assert.equal(judge(directoryWith({ clientCertificates: 'off', anonymous: true })), null);
    assert.equal(judge(directoryWith({ clientCertificates: 'off', bind: { dn: 'uid=x', password: 'p' } })), null);
  });

  it('addresses', () => {
    assert.deepEqual(parseLdapUrl('ldaps://a.example.com'), { scheme: 'ldaps', host: 'a.example.com', port: 636 });
    assert.deepEqual(parseLdapUrl('LDAP://[::1]'), { scheme: 'ldap', host: '::1', port: 389 });
    assert.deepEqual(parseLdapUrl('ldap://10.0.0.1:1389/'), { scheme: 'ldap', host: '10.0.0.1', port: 1389 });
    for (const bad of ['http://x', 'ldap://', 'ldaps://a b', 'ldaps://user@host', 'ldaps://x/dc=example'])
      assert.throws(() => parseLdapUrl(bad), bad);
  });

  it('the certificate is shown over TLS only', () => {
    assert.equal(showsCertificate(directoryWith()), true);
    assert.equal(showsCertificate(directoryWith({ clientCertificates: 'off' })), false);
    const plain = directoryWith({ ldapUrl: 'ldap://localhost' });
    assert.equal(showsCertificate(plain), false);
    const set = { certificate: 'c', key: 'k', ca: 'a' };
    assert.equal(accessOf(plain, set).endpoint.client, null);
    assert.deepEqual(accessOf(directoryWith(), set).endpoint.client, { certificate: 'c', key: 'k' });
  });
});

describe('sssd.conf', () => {
  const lines = (text: string) => text.split('\n');
  const settingOf = (text: string, key: string) => new RegExp(`^${key} = (.*)$`, 'm').exec(text)?.[1];

  it('over LDAPS, with the certificate and without a password', () => {
    const text = sssdConf(directoryWith(), { hostAccess: false });
    assert.equal(settingOf(text, 'services'), 'nss, pam, sudo, ssh');
    assert.equal(settingOf(text, 'ldap_uri'), 'ldaps://identree.example.com:636');
    assert.equal(settingOf(text, 'ldap_tls_reqcert'), 'demand');
    assert.equal(settingOf(text, 'ldap_tls_cacert'), '/etc/identree/ca.crt');
    assert.equal(settingOf(text, 'ldap_tls_cert'), '/etc/identree/client.crt');
    assert.equal(settingOf(text, 'ldap_tls_key'), '/etc/identree/client.key');
    assert.equal(settingOf(text, 'ldap_access_order'), 'expire');
    assert.equal(settingOf(text, 'enumerate'), 'false');
    assert.equal(settingOf(text, 'offline_timeout'), '10');
    assert.equal(settingOf(text, 'offline_timeout_random_offset'), '5');
    assert.notEqual(
      settingOf(text, 'ldap_sudo_smart_refresh_interval'),
      settingOf(text, 'ldap_sudo_full_refresh_interval'),
    );
    assert.doesNotMatch(text, /authtok/);
  });

  it('is what the guide shows', async () => {
    const guide = await readFile(new URL('../../../docs/sssd.md', import.meta.url), 'utf8');
    const shown = /## What it writes\n\n```ini\n([\s\S]*?)```/.exec(guide)?.[1] ?? '';
    const bare = (text: string) => lines(text).filter((line) => line !== '' && !line.startsWith('#'));
    assert.deepEqual(bare(shown), bare(sssdConf(directoryWith(), { hostAccess: false })));
  });

  it('[E-S5] every search base follows from the base', () => {
    const text = sssdConf(directoryWith({ baseDn: 'o=Example Ltd,c=GB' }), { hostAccess: false });
    const bases = lines(text).filter((line) => /_search_base/.test(line));
    assert.ok(bases.length >= 7);
    for (const line of bases) assert.match(line, /o=Example Ltd,c=GB$/);
  });

  it('sssd takes a comment behind a value for a part of it, so there is none', () => {
    for (const use of [directoryWith(), directoryWith({ bind: { dn: 'uid=web1,dc=x', password: 'p' } })])
      for (const line of lines(sssdConf(use, { hostAccess: true }))) assert.doesNotMatch(line, /^[^#].*#/, line);
  });

  it('a password of the host, access by host, StartTLS, plain', () => {
    const bound = sssdConf(directoryWith({ bind: { dn: 'uid=web1,dc=x', password: 'p#%$ ' } }), { hostAccess: true });
    assert.equal(settingOf(bound, 'ldap_default_bind_dn'), 'uid=web1,dc=x');
    assert.equal(settingOf(bound, 'ldap_default_authtok'), 'p#%$ ');
    assert.equal(settingOf(bound, 'ldap_access_order'), 'expire, host');
    const started = sssdConf(directoryWith({ ldapUrl: 'ldap://x' }, 'sssd', true), { hostAccess: false });
    assert.equal(settingOf(started, 'ldap_id_use_start_tls'), 'true');
    assert.equal(settingOf(started, 'ldap_tls_reqcert'), 'demand');
    const plain = sssdConf(directoryWith({ ldapUrl: 'ldap://localhost' }), { hostAccess: false });
    assert.doesNotMatch(plain, /tls_(cert|key|cacert|reqcert)/);
    for (const text of [bound, started, plain]) assert.doesNotMatch(text, /reqcert = (never|allow|try)/);
  });
});

describe('sudo-ldap.conf', () => {
  it('the rules, by TLS with the certificate; a password where there is one', () => {
    const text = sudoLdapConf(directoryWith({ mode: 'bridge', bind: { dn: 'uid=web1', password: 'p' } }, 'sudo'));
    for (const line of [
      'uri ldaps://identree.example.com:636',
      'sudoers_base ou=sudoers,dc=example,dc=com',
      'tls_checkpeer yes',
      'tls_cacertfile /etc/identree/ca.crt',
      'tls_cert /etc/identree/client.crt',
      'tls_key /etc/identree/client.key',
      'binddn uid=web1',
      'bindpw p',
    ])
      assert.ok(text.split('\n').includes(line), line);
    assert.doesNotMatch(sudoLdapConf(directoryWith({ ldapUrl: 'ldap://localhost' }, 'sudo')), /tls|ssl/);
    assert.match(sudoLdapConf(directoryWith({ ldapUrl: 'ldap://x' }, 'sudo', true)), /^ssl start_tls$/m);
  });
});

describe('what is remembered about the directory', () => {
  it('comes back as it was, is private, and damage is not guessed at', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-directory-'));
    try {
      await chmod(dir, 0o700);
      const file = join(dir, 'directory.json');
      assert.equal(await readDirectoryUse(file), null);
      const use = directoryWith({ bind: { dn: 'uid=web1', password: 'secret' } });
      await writeDirectoryUse(file, use);
      assert.deepEqual(await readDirectoryUse(file), use);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.doesNotMatch(await readFile(file, 'utf8'), /nonce|hostId/);
      await chmod(file, 0o644);
      await assert.rejects(readDirectoryUse(file), UntrustedFile);
      await chmod(file, 0o600);
      await writeFile(file, '{}');
      await assert.rejects(readDirectoryUse(file), UntrustedFile);
      await writeDirectoryUse(file, null);
      assert.equal(await readDirectoryUse(file), null);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
