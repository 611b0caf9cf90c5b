import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { fileSystem, isOfIdentree } from '../harness/bare-host.ts';
import {
  askSssd,
  type DirectorySite,
  known,
  openDirectorySite,
  PLAIN_PORT,
  pairIsWhole,
  said,
  snapshot,
  TLS_PORT,
} from '../harness/directory-site.ts';
import type { Host } from '../harness/lab.ts';
import { type RunResult, until } from '../harness/run.ts';
import { enrol, skip } from '../harness/world.ts';

/** What keeps a host from using the directory is found and named before anything changes. */

/** Runs a command as the agent looks at its host: with everything that its unit takes from it. */
const inSandbox = (command: string): string[] => [
  'bash',
  '-ec',
  `mapfile -t properties < <(sed -n '/^\\[Service\\]/,/^\\[Install\\]/p' /usr/lib/systemd/system/identree-agent.service |
    grep -E '^[A-Z][A-Za-z]*=' | grep -vE '^(ExecStart|Restart|RestartSec|TimeoutStopSec|KillMode|RuntimeDirectory|RuntimeDirectoryMode)=')
    systemd-run --quiet --pipe --wait "\${properties[@]/#/--property=}" ${command}`,
];

/** What doctor found of what an agent tells its server, by its name. */
function found({ stdout, stderr }: RunResult): Map<string, string> {
  assert.notEqual(stdout, '', stderr);
  const { lines } = JSON.parse(stdout) as { lines: { what: string; value: string; problem: string | null }[] };
  const told = ['Certificate', 'Authority', 'Break-glass', 'Setup', 'sudo', 'Directory', 'sssd'];
  return new Map(
    lines.filter(({ what }) => told.includes(what)).map(({ what, value, problem }) => [what, `${value} ${problem}`]),
  );
}

const HEALTH = '/var/lib/identree/health.json';

describe('identree setup --sssd where something is wrong', () => {
  let site: DirectorySite;
  let host: Host;
  let original: string;
  before(async () => {
    if (skip) return;
    site = await openDirectorySite();
    ({ host } = site);
    original = await snapshot(host);
  });
  after(() => site?.close());

  describe('what is refused before anything changes, in words that name the cause', () => {
    const refused = async (words: RegExp, ...args: string[]): Promise<void> => {
      const before = await snapshot(host);
      const result = await site.setup('--sssd', ...args);
      assert.notEqual(result.code, 0, said(result));
      assert.match(said(result), words);
      assert.match(said(result), /Nothing is changed/);
      assert.equal(await snapshot(host), before);
      assert.notEqual((await host.exec(['systemctl', 'is-active', 'sssd'])).stdout.trim(), 'active');
    };
    const own = () => ({
      IDENTREE_LDAP_TLS_CERT_FILE: site.lab.certs.certFile,
      IDENTREE_LDAP_TLS_KEY_FILE: site.lab.certs.keyFile,
    });

    test('an authority that nobody named', { skip }, async () => {
      await site.restart(own());
      await refused(/signed by an unknown authority \(CN=lab CA\).*IDENTREE_LDAP_TLS_SERVER_CA_CERT/);
    });

    test('a name that is not in the certificate', { skip }, async () => {
      await site.restart({
        ...own(),
        IDENTREE_LDAP_TLS_SERVER_CA_CERT: site.lab.certs.caFile,
        IDENTREE_LDAP_EXTERNAL_URL: `ldaps://ldap.example.com:${TLS_PORT}`,
      });
      await refused(/certificate of the directory is not for ldap\.example\.com; it names .*identree\.example\.com/);
    });

    test('nobody there', { skip }, async () => {
      await site.restart({ IDENTREE_LDAP_EXTERNAL_URL: 'ldaps://identree.example.com:1637' });
      await refused(/Nothing listens at identree\.example\.com:1637/);
      await site.restart({ IDENTREE_LDAP_EXTERNAL_URL: 'ldaps://no-such-name.invalid' });
      await refused(/no-such-name\.invalid of the directory cannot be resolved/);
      await site.restart({ IDENTREE_LDAP_EXTERNAL_URL: `ldaps://identree.example.com:${PLAIN_PORT}` });
      await refused(/Is it the port for plain LDAP\?/);
    });

    test('plain LDAP, unless it is asked for by name', { skip }, async () => {
      const url = `ldap://identree.example.com:${PLAIN_PORT}`;
      await site.restart({ IDENTREE_LDAP_EXTERNAL_URL: url, IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true' });
      await refused(/plain LDAP, without TLS[\s\S]*--start-tls[\s\S]*--allow-plain-ldap/);
      const plain = await site.setup('--sssd', '--allow-plain-ldap');
      assert.equal(plain.code, 0, said(plain));
      assert.doesNotMatch(await host.read('/etc/sssd/sssd.conf'), /tls_cert|start_tls = true/);
      assert.equal((await askSssd(host, 'alice2')).code, 0);
      assert.equal((await site.setup('--undo')).code, 0);
    });

    test('no way to say who one is', { skip }, async () => {
      await site.restart({ IDENTREE_LDAP_TLS_CLIENT_CERTIFICATES: 'off' });
      await refused(/no way to say who it is[\s\S]*IDENTREE_LDAP_PROVISION_ENABLED/);
    });

    test('bridge mode', { skip }, async () => {
      await site.restart({ IDENTREE_DIRECTORY_SOURCE: 'none', IDENTREE_DIRECTORY_FILE: null });
      await refused(/sudo rules only \(bridge mode\)[\s\S]*--sudo-ldap[\s\S]*slapd-ldap/);
      const before = await snapshot(host);
      const sudo = await site.setup('--sudo-ldap');
      assert.notEqual(sudo.code, 0);
      assert.match(said(sudo), /This sudo cannot read rules from a directory/);
      assert.equal(await snapshot(host), before);
    });

    test('no directory at all', { skip }, async () => {
      await site.restart({ IDENTREE_LDAP_ENABLED: 'false' });
      await refused(/serves no directory/);
    });
  });

  test('StartTLS and a password instead of a certificate', { skip }, async () => {
    await site.restart({
      IDENTREE_LDAP_EXTERNAL_URL: `ldap://identree.example.com:${PLAIN_PORT}`,
      IDENTREE_LDAP_TLS_CLIENT_CERTIFICATES: 'off',
      IDENTREE_LDAP_PROVISION_ENABLED: 'true',
      IDENTREE_LDAP_SECRET: 'a secret that only the server and its test know',
    });
    // A heartbeat that fell into the restart: setup asks the server itself, which is back.
    await host.sh(`sed -i 's/"result":"[a-z]*"/"result":"unreachable"/' ${HEALTH}; grep -q unreachable ${HEALTH}`);
    const result = await site.setup('--sssd', '--start-tls');
    assert.equal(result.code, 0, said(result));
    const text = await host.read('/etc/sssd/sssd.conf');
    assert.match(text, /^ldap_id_use_start_tls = true$/m);
    assert.match(text, /^ldap_default_bind_dn = uid=web1\.example\.com,ou=identree-hosts,dc=example,dc=com$/m);
    const password = /^ldap_default_authtok = ([0-9a-f]{64})$/m.exec(text)?.[1];
    assert.ok(password);
    assert.doesNotMatch(text, /ldap_tls_cert /);
    assert.ok(!said(result).includes(password), 'the password is not shown');
    assert.equal((await askSssd(host, 'alice2')).code, 0);
    const undone = await site.setup('--undo');
    assert.ok(!said(undone).includes(password), 'nor when it goes');
    await site.restart({});
  });

  test('set up with everything there is: doctor sees in the sandbox of the agent what root sees; uninstalled, the whole file system is as it was', {
    skip,
  }, async () => {
    const whole = await site.lab.up('web2');
    // A service that somebody installed and turned off is turned off again.
    await whole.sh('systemctl disable --quiet --now sssd');
    const before = (await fileSystem(whole)).filter((line) => !isOfIdentree(line));
    await enrol(whole, site.server);
    await whole.sh(`printf '#!/bin/sh\\ncase $1 in -R) cp "$2" /run/rules ;; -l) cat /run/rules ;; -s) echo enabled 1 ;; esac\\n' >/run/auditctl
      chmod 755 /run/auditctl; mount --bind /run/auditctl "$(readlink -f /sbin/auditctl)"`);
    const options = ['--pam', 'sudo,sudo-i,sshd', '--sssd', '--auditd', '--hostname', 'web2.example.com'];
    const result = await whole.exec(['identree', 'setup', ...options], { timeoutMs: 180_000 });
    assert.equal(result.code, 0, said(result));
    assert.equal((await askSssd(whole, 'alice2')).code, 0);
    assert.equal((await whole.sh('systemctl is-enabled sssd')).trim(), 'enabled');
    await known(whole, 'alice2');
    const seen = await until('doctor to see the directory', async () => {
      const lines = found(await whole.exec(['identree', 'doctor', '--json'], { timeoutMs: 60_000 }));
      return lines.get('sssd') === 'running, online null' ? lines : null;
    });
    assert.deepEqual(
      [...seen.keys()],
      ['Certificate', 'Authority', 'Break-glass', 'Setup', 'sudo', 'Directory', 'sssd'],
      'as root',
    );
    assert.notEqual((await whole.exec(inSandbox('/usr/bin/touch /etc/escaped'))).code, 0, 'it is one');
    // On a busy machine the directory may once be late for either.
    const told = await until(
      'doctor to see the same in the sandbox',
      async () => {
        const lines = found(await whole.exec(inSandbox('/usr/bin/identree doctor --json'), { timeoutMs: 60_000 }));
        return isDeepStrictEqual(lines, seen) ? lines : null;
      },
      30_000,
    ).catch(async () => found(await whole.exec(inSandbox('/usr/bin/identree doctor --json'))));
    assert.deepEqual(told, seen);
    const gone = await whole.exec(['identree', 'uninstall'], { timeoutMs: 180_000 });
    assert.equal(gone.code, 0, said(gone));
    await whole.sh('umount "$(readlink -f /sbin/auditctl)"');
    const left = await fileSystem(whole);
    const [now, then] = [new Set(left), new Set(before)];
    assert.deepEqual(
      { gone: before.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
      { gone: [], new: [] },
    );
    await whole.down();
  });

  test('a revoked host: setup refuses, doctor says why, and the directory is closed to it', { skip }, async () => {
    assert.equal((await site.setup('--sssd')).code, 0);
    await known(host, 'alice2');
    const id = site.server.data.host('web1.example.com')!.id;
    const revoked = await site.server.cli(['hosts', 'revoke', id]);
    assert.equal(revoked.code, 0, said(revoked));
    const status = await until('the directory to be closed', async () => {
      const result = await host.exec(['identree', 'doctor'], { timeoutMs: 60_000 });
      return /^Directory .*does not serve this host$/m.test(result.stdout) ? result : null;
    });
    assert.match(status.stdout, /revoked|insufficientAccessRights/);
    const before = await snapshot(host);
    const again = await site.setup('--sssd');
    assert.notEqual(again.code, 0);
    assert.match(said(again), /This host was revoked/);
    assert.equal(await snapshot(host), before);
    const renewal = await host.exec(['identree', 'renew-cert']);
    assert.notEqual(renewal.code, 0);
    assert.match(said(renewal), /This host was revoked/);
    await pairIsWhole(host);
    assert.equal((await site.setup('--undo')).code, 0, 'the way back needs nobody');
    assert.equal(await snapshot(host), original);
  });
});
