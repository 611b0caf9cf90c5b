import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OID } from '../../server/src/ldap/protocol/operation.ts';
import {
  BASE_DN,
  copyAgentCertificate,
  type DirectoryWorld,
  group,
  openDirectoryWorld,
  printed,
  startSssd,
  user,
} from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import { CODE, granted } from '../harness/person.ts';
import { must, until } from '../harness/run.ts';
import { mark, repository, skip } from '../harness/world.ts';
import { FULL_MODE_TLS, NSSWITCH, recommended } from './sssd-conf.ts';

/** People whom a host has not asked for yet. */
const GUESTS = Array.from({ length: 60 }, (_, i) => `guest${i}`);

/** The tap cannot look into TLS, so what counts here is what a host gets and what it does not get. */
describe('sssd over LDAPS with the certificate of the host', () => {
  let world: DirectoryWorld;
  let host: Host;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      people: ['ada'],
      content: {
        users: ['ada', 'barbara', 'dennis', 'edsger', 'grace', ...GUESTS].map((name) => user(name)),
        groups: [
          group('ops', ['ada'], { sudoCommands: 'ALL' }),
          group('dbas', ['ada', 'grace'], { sudoCommands: '/usr/bin/id', sudoHosts: 'db1.example.com' }),
          group('robots', ['dennis'], { sudoCommands: '/usr/bin/whoami', sudoOptions: '!authenticate' }),
        ],
      },
      env: (lab) => ({
        // Client certificates are required then; those of the embedded authority go on being good.
        IDENTREE_LDAP_TLS_CA_CERT: lab.certs.caFile,
        IDENTREE_LDAP_SUDO_HOST_SCOPE: 'bound',
        IDENTREE_LDAP_SUDO_NO_AUTHENTICATE: 'claims',
        IDENTREE_LDAP_ACCESS_DEFAULT: 'allow',
      }),
    });
    host = world.host();
    await host.write('/etc/nsswitch.conf', NSSWITCH);
    await copyAgentCertificate(host);
  });
  after(() => world?.close());

  const out = (...command: string[]): Promise<string> => printed(host, command);
  const start = async (configuration: string): Promise<void> => {
    await startSssd(host, configuration);
  };
  /** ldapsearch on the host with files of its own choice. */
  const search = (url: string, files: Record<string, string>, ...query: string[]): Promise<string> =>
    out(
      'env',
      ...Object.entries(files).map(([name, path]) => `LDAPTLS_${name}=${path}`),
      ...['ldapsearch', '-x', '-LLL', '-H', url, '-b', BASE_DN, ...query],
    );
  const OWN = {
    CERT: '/etc/identree/client.crt',
    KEY: '/etc/identree/client.key',
    CACERT: '/etc/identree/ca.crt',
    REQCERT: 'demand',
  };
  /** Has an authority issue a certificate, makes the authority if there is none, and puts the files on the host. */
  async function certificateOf(authority: string, name: string): Promise<typeof OWN> {
    await must(join(repository, 'e2e/lab/mkcerts.sh'), [authority, 'unused', world.lab.serverAddress, name]);
    const [CERT, KEY] = await Promise.all(
      ['crt', 'key'].map(async (kind) => {
        const path = `/etc/identree/other.${kind}`;
        await host.write(path, await readFile(join(authority, `client-${name}.${kind}`), 'utf8'), 0o600);
        return path;
      }),
    );
    return { ...OWN, CERT: CERT!, KEY: KEY! };
  }
  const LDAPS = 'ldaps://identree.example.com:636';

  test('the documented file of full mode with mutual TLS, as printed', { skip }, async () => {
    await start(FULL_MODE_TLS);
    assert.match(await out('getent', 'passwd', 'ada'), /^ada:\*:\d+:\d+:Ada Sample:\/home\/ada:\/bin\/bash$/);
    assert.match(await out('id', 'ada'), /\(ops\)/);
    assert.match(await out('sudo', '-l', '-U', 'ada'), /^\s+\(root\) ALL$/m);
    const file = mark();
    const terminal = host.terminal('root', ['su', '-', 'ada', '--session-command', `sudo touch ${file}`]);
    const [code] = await terminal.see(CODE);
    granted(await world.person('ada').approve(code));
    assert.equal(await terminal.exit, 0, terminal.text());
    assert.equal(host.exists(file), true);
    assert.match(await out('sudo', '-l', '-U', 'dennis'), /NOPASSWD: \/usr\/bin\/whoami/, 'it did authenticate');
    // Asked for once only: the responder repeats its first answer for two minutes.
    const cached = async (name: string): Promise<boolean> =>
      /creation date/.test(await out('sssctl', 'user-show', name));
    await until('the enumeration', async () => (await cached('edsger')) && (await cached(GUESTS.at(-1)!)));
    const lines = (await out('getent', 'passwd')).split('\n').map((line) => line.split(':')[0]);
    assert.deepEqual(
      world.content.users.map(({ username }) => username).filter((name) => !lines.includes(name)),
      [],
    );
  });

  test('the recommended file', { skip }, async () => {
    await start(recommended());
    assert.match(await out('getent', 'passwd', 'barbara'), /^barbara:/);
    assert.match(await out('sudo', '-l', '-U', 'ada'), /^\s+\(root\) ALL$/m);
    assert.match(await out('sssctl', 'user-checks', 'ada', '-a', 'acct', '-s', 'sshd'), /pam_acct_mgmt: Success/);
  });

  test('StartTLS on the plain port: nobody on the way reads more than the wish for it', { skip }, async () => {
    const since = world.tap.seen.length;
    await start(recommended({ ldap_uri: 'ldap://identree.example.com', ldap_id_use_start_tls: 'true' }));
    assert.match(await out('getent', 'passwd', 'grace'), /^grace:/);
    assert.match(await out('sudo', '-l', '-U', 'ada'), /^\s+\(root\) ALL$/m);
    const seen = world.tap.seen.slice(since);
    assert.ok(seen.length > 0);
    assert.ok(seen.every((request) => request.kind === 'extended' && request.name === OID.startTls));
  });

  test('a host sees the rules that may apply to it, and no others', { skip }, async () => {
    const rules = await search(LDAPS, OWN, '(objectClass=sudoRole)', 'cn');
    assert.deepEqual([...rules.matchAll(/^cn: (.*)$/gm)].map(([, cn]) => cn).sort(), ['defaults', 'ops', 'robots']);
  });

  /** Refused as a whole: sssd has nobody, and ldapsearch says why. */
  async function refused(
    changes: Record<string, string | null>,
    url: string,
    files: Record<string, string>,
    why: RegExp,
  ) {
    await start(recommended(changes));
    assert.equal((await host.exec(['getent', 'passwd', 'ada'])).code, 2);
    assert.match(await out('sudo', '-l', '-U', 'root'), /./, 'the machine itself goes on');
    const answer = await search(url, files, '(uid=ada)', 'uid');
    assert.match(answer, why);
    assert.doesNotMatch(answer, /^uid: /m);
  }

  test('no certificate: nobody', { skip }, async () => {
    const { CERT, KEY, ...files } = OWN;
    assert.ok(CERT && KEY);
    await refused({ ldap_tls_cert: null, ldap_tls_key: null }, LDAPS, files, /Can't contact LDAP server/);
  });

  test('a certificate of the authority that the site has named, for this host: it is this host', { skip }, async () => {
    const files = await certificateOf(dirname(world.lab.certs.caFile), 'web1.example.com');
    await start(recommended({ ldap_tls_cert: files.CERT, ldap_tls_key: files.KEY }));
    assert.match(await out('getent', 'passwd', 'barbara'), /^barbara:/);
    assert.match(await search(LDAPS, files, '(uid=ada)', 'uid'), /^uid: ada$/m);
    const stranger = await certificateOf(dirname(world.lab.certs.caFile), 'web9.example.com');
    assert.match(
      await search(LDAPS, stranger, '(uid=ada)', 'uid'),
      /Insufficient access/,
      'a host that never enrolled',
    );
  });

  test('a certificate of any other authority in the name of this host: nobody', { skip }, async () => {
    const files = await certificateOf(join(world.lab.dir, 'other-authority'), 'web1.example.com');
    await refused({ ldap_tls_cert: files.CERT, ldap_tls_key: files.KEY }, LDAPS, files, /Can't contact LDAP server/);
  });

  test('a server under a name that is not in its certificate: nobody', { skip }, async () => {
    const url = 'ldaps://ldap.example.com:636';
    assert.match(await out('getent', 'hosts', 'ldap.example.com'), new RegExp(world.lab.frontAddress));
    await refused({ ldap_uri: url }, url, OWN, /Can't contact LDAP server/);
    assert.match(
      await search(url, { ...OWN, REQCERT: 'never' }, '(uid=ada)', 'uid'),
      /^uid: ada$/m,
      'but for the name',
    );
  });

  test('a server of another authority: nobody', { skip }, async () => {
    await host.write('/etc/identree/other-ca.crt', world.lab.certs.ca);
    const files = { ...OWN, CACERT: '/etc/identree/other-ca.crt' };
    await refused({ ldap_tls_cacert: files.CACERT }, LDAPS, files, /Can't contact LDAP server/);
  });

  test('revoked while it is connected: what it knows already is all that it has', { skip }, async () => {
    await start(recommended());
    const knows = async (name: string): Promise<boolean> => (await host.exec(['getent', 'passwd', name])).code === 0;
    const guests = [...GUESTS];
    assert.ok(await knows('ada'));
    assert.ok(await knows(guests.pop()!));
    const { id } = world.server.data.host('web1.example.com')!;
    assert.equal((await world.server.cli(['hosts', 'revoke', id])).code, 0);
    const revoked = performance.now();
    assert.match(await search(LDAPS, OWN, '(uid=ada)', 'uid'), /Insufficient access/, 'a new connection gets nothing');
    // The one that is open is cut within the second in which the server hears of it.
    await until('sssd to be cut off', async () => !(await knows(guests.pop()!)));
    assert.ok(performance.now() - revoked < 30_000);
    assert.ok(!(await knows(guests.pop()!)));
    assert.ok(await knows('ada'), 'the cache');
    await start(recommended());
    assert.ok(!(await knows('ada')), 'and without its cache nobody');
  });
});
