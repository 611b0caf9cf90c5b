import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { generateTlsKey } from '../../agent/src/certificates/key.ts';
import { createCertificateAuthority } from '../../server/src/certificates/authority.ts';
import { FULL_MODE_TLS } from '../directory/sssd-conf.ts';
import {
  askSssd,
  type DirectorySite,
  known,
  NSSWITCH,
  openDirectorySite,
  pairIsWhole,
  said,
  serialOf,
  snapshot,
  TLS_PORT,
} from '../harness/directory-site.ts';
import type { Host } from '../harness/lab.ts';
import { CODE, granted, newApprover, type Person } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { agentReady, enrol, mark, skip } from '../harness/world.ts';

/** `identree setup --sssd` on a real host: stock sssd and sudo, the directory of a real server over LDAPS. */

const DAY = 86_400_000;

describe('identree setup --sssd on a real host', () => {
  let site: DirectorySite;
  let host: Host;
  let original: string;
  let alice: Person;
  before(async () => {
    if (skip) return;
    site = await openDirectorySite();
    ({ host } = site);
    original = await snapshot(host);
  });
  after(async () => {
    alice?.web.close();
    await site?.close();
  });

  test('[W-17] a dry run shows the plan, changes nothing and has nothing issued', { skip }, async () => {
    const issued = site.server.data.events({ event: 'certificate_issued' }).length;
    const result = await site.setup('--sssd', '--dry-run');
    assert.equal(result.code, 0, said(result));
    assert.match(result.stdout, /\/etc\/sssd\/sssd\.conf \(new\)/);
    assert.match(result.stdout, new RegExp(`\\+ ldap_uri = ldaps://identree\\.example\\.com:${TLS_PORT}`));
    assert.match(result.stdout, /client\.key → tls\/current\/client\.key/);
    assert.equal(await snapshot(host), original);
    assert.equal(site.server.data.events({ event: 'certificate_issued' }).length, issued);
  });

  test('one command, and people of the directory are people of the host', { skip }, async () => {
    const result = await site.setup('--pam', 'sudo', '--sssd');
    assert.equal(result.code, 0, said(result));
    assert.match(result.stdout, /--undo/, "root's way back is printed");
    for (const [path, mode] of [
      ['/etc/identree/client.crt', '644'],
      ['/etc/identree/client.key', '600'],
      ['/etc/identree/ca.crt', '644'],
      ['/etc/sssd/sssd.conf', '600'],
    ]) {
      assert.equal((await host.sh(`stat -L -c "%a %U" ${path}`)).trim(), `${mode} root`, path);
    }
    await pairIsWhole(host);
    assert.equal(
      await host.read('/etc/nsswitch.conf'),
      `${NSSWITCH.replace('passwd:         files ', 'passwd:         files sss ').replace('files [NOT', 'files sss [NOT')}\nsudoers:        files sss\n`,
    );
    assert.match((await host.exec(['getent', 'passwd', 'alice2'])).stdout, /^alice2:\*:200000:200000:/);
    assert.match((await host.exec(['id', 'alice2'])).stdout, /uid=200000\(alice2\).*\(ops\)/);
    const rules = await until('the rules of alice2', async () => {
      const listed = await host.exec(['sudo', '-l', '-U', 'alice2']);
      return listed.stdout.includes('(root) ALL') ? listed.stdout : null;
    });
    assert.match(rules, /alice2 may run the following commands on web1/);
  });

  test('what sssd may be asked about, and the directory does not have, does not send it offline', {
    skip,
  }, async () => {
    await host.exec(['getent', '-s', 'sss', 'netgroup', 'web']);
    await host.exec(['getent', '-s', 'sss', 'services', 'nothing']);
    await host.exec(['getent', '-s', 'sss', 'passwd', 'nobody-of-this-name']);
    assert.equal((await askSssd(host, 'bob2')).code, 0);
    const status = await host.exec(['identree', 'doctor']);
    assert.equal(status.code, 0, said(status));
    assert.match(status.stdout, /^Directory +ldaps:\/\/identree\.example\.com:1636, answers$/m);
    assert.match(status.stdout, /^sssd +running, online$/m);
    assert.match(status.stdout, /^Certificate +until 20\d\d-\d\d-\d\d, 36\d days left$/m);
  });

  test('somebody of the directory runs sudo, with an approval by passkey', { skip }, async () => {
    alice = await newApprover(site.server, 'alice2');
    const file = mark();
    const sudo = ['runuser', '-u', 'alice2', '--', 'sudo', 'touch', file];
    const terminal = host.terminal('root', sudo, { cwd: '/' });
    const [code] = await terminal.see(CODE);
    assert.equal(host.exists(file), false);
    granted(await alice.approve(code));
    assert.equal(await terminal.exit, 0, terminal.text());
    assert.equal(host.exists(file), true);
    assert.equal(site.server.data.challenge(code)?.username, 'alice2');
    const denied = host.terminal('root', ['runuser', '-u', 'bob2', '--', 'sudo', 'touch', mark()], { cwd: '/' });
    assert.equal(await denied.exit, 1);
    assert.match(denied.text(), /bob2 is not (allowed|in the sudoers)/, 'sudo itself knows no rule for bob2');
    assert.ok(!site.server.data.challenges().some(({ username }) => username === 'bob2'), 'and nobody is asked');
  });

  test('setup twice gives the same bytes', { skip }, async () => {
    const once = await snapshot(host);
    const again = await site.setup('--pam', 'sudo', '--sssd');
    assert.equal(again.code, 0, said(again));
    assert.match(again.stdout, /nothing changes/);
    assert.equal(await snapshot(host), once);
  });

  test('renew-cert: another key and certificate, and sssd goes on with them', { skip }, async () => {
    const before = await serialOf(host);
    const key = await host.sh('sha256sum < /etc/identree/client.key');
    const main = await host.sh('systemctl show -p MainPID --value sssd');
    const result = await host.exec(['identree', 'renew-cert'], { timeoutMs: 120_000 });
    assert.equal(result.code, 0, said(result));
    const now = await serialOf(host);
    assert.notEqual(now, before);
    assert.ok(result.stdout.includes(now.slice('serial='.length).toLowerCase().replace(/^0+/, '')), result.stdout);
    assert.notEqual(await host.sh('sha256sum < /etc/identree/client.key'), key);
    await pairIsWhole(host);
    assert.notEqual(await host.sh('systemctl show -p MainPID --value sssd'), main, 'sssd has read the new files');
    await site.people('alice2', 'bob2', 'carol2');
    await known(host, 'carol2');
  });

  test('killed at any moment, renewal leaves a pair that works', { skip }, async () => {
    const serials = new Set<string>();
    for (const delay of ['0.15', '0.25', '0.32', '0.38', '0.44', '0.5', '0.6', '0.8']) {
      await host.exec(['timeout', '-s', 'KILL', delay, 'identree', 'renew-cert']);
      await pairIsWhole(host);
      serials.add(await serialOf(host));
    }
    const result = await host.exec(['identree', 'renew-cert'], { timeoutMs: 120_000 });
    assert.equal(result.code, 0, said(result));
    await pairIsWhole(host);
    assert.equal((await host.sh('ls -A /etc/identree/tls | wc -l')).trim(), '3', 'two sets and the link');
    await site.people('alice2', 'bob2', 'carol2', 'dave2');
    await known(host, 'dave2');
  });

  test('in the last third of its life the agent renews by itself; until then status warns', { skip }, async () => {
    const row = site.server.data.host('web1.example.com');
    const pem = (name: string) => readFile(join(site.server.keysDir, name), 'utf8');
    const aged = createCertificateAuthority({
      ca: { keyPem: await pem('ca.pem'), certificatePem: await pem('ca.crt') },
      now: () => Date.now() - 250 * DAY,
      hostTtlMs: 365 * DAY,
    });
    const key = await generateTlsKey('web1.example.com');
    const issued = await aged.issue(key.csr, 'web1.example.com', row!.id);
    await host.sh('systemctl stop identree-agent');
    const folder = (await host.sh('readlink -f /etc/identree/tls/current')).trim();
    await host.write(`${folder}/client.crt`, issued!.pem);
    await host.write(`${folder}/client.key`, key.pem, 0o600);
    const old = await serialOf(host);
    const status = await host.exec(['identree', 'status']);
    assert.equal(status.code, 1);
    assert.match(status.stdout, /Certificate +until .*11[45] days left\n +It should have been renewed by now/);

    const main = await host.sh('systemctl show -p MainPID --value sssd');
    await host.sh('systemctl start identree-agent');
    await agentReady(host);
    await until('the agent to renew', async () => (await serialOf(host)) !== old, 90_000);
    await pairIsWhole(host);
    await until(
      'sssd to have read the new files',
      async () => (await host.sh('systemctl show -p MainPID --value sssd')) !== main,
    );
    await until(
      'status to be content',
      async () => /Certificate +until .*36\d days left\n/.test((await host.exec(['identree', 'status'])).stdout),
      90_000,
    );
    await site.people('alice2', 'bob2', 'carol2', 'dave2', 'erin2');
    await known(host, 'erin2');
    const sandbox = await host.sh('systemctl show -p ProtectSystem,CapabilityBoundingSet identree-agent');
    assert.match(sandbox, /ProtectSystem=strict/, 'in its sandbox');
  });

  test('another authority takes the place of the first: two hosts go on without being enrolled again', {
    skip,
  }, async () => {
    const web2 = await site.lab.up('web2');
    await web2.write('/etc/nsswitch.conf', NSSWITCH);
    await enrol(web2, site.server);
    const set = await web2.exec(['identree', 'setup', '--pam', 'sudo', '--sssd'], { timeoutMs: 180_000 });
    assert.equal(set.code, 0, said(set));
    const hosts = [host, web2];
    const served = ['alice2', 'bob2', 'carol2', 'dave2', 'erin2'];
    const identity = (one: Host) => one.sh('sha256sum /var/lib/identree/identity.json /var/lib/identree/api-key.pem');
    const before = await Promise.all(hosts.map(identity));
    const ends = (one: Host) =>
      one.sh(
        'openssl crl2pkcs7 -nocrl -certfile /etc/identree/ca.crt | openssl pkcs7 -print_certs -noout | grep -c subject',
      );

    /** Takes a step when nothing is waited for any more, and has both hosts hear of it as with their next heartbeat. */
    async function step(name: string, authorities: number): Promise<void> {
      const took = await until(
        `ca ${name} not to wait for a host`,
        async () => {
          const result = await site.server.cli(['ca', name]);
          return result.code === 0 ? result : null;
        },
        90_000,
      );
      assert.match(took.stdout, /heartbeat/);
      const serials = await Promise.all(hosts.map(serialOf));
      for (const one of hosts) {
        await one.sh('systemctl restart identree-agent');
        await agentReady(one);
      }
      for (const [index, one] of hosts.entries()) {
        await until(`${one.name} to renew`, async () => (await serialOf(one)) !== serials[index], 90_000);
        await pairIsWhole(one);
        assert.equal((await ends(one)).trim(), String(authorities), `${one.name} after ${name}`);
      }
      // Somebody whom no sssd remembers, over a connection that both sides believe.
      // After the others by name: setup asks for the first one.
      const fresh = `then_${name}`;
      served.push(fresh);
      await site.people(...served);
      for (const one of hosts) {
        await known(one, fresh);
        const file = mark();
        const sudo = ['runuser', '-u', 'alice2', '--', 'sudo', 'touch', file];
        const terminal = one.terminal('root', sudo, { cwd: '/' });
        const [code] = await terminal.see(CODE);
        granted(await alice.approve(code));
        assert.equal(await terminal.exit, 0, terminal.text());
        assert.ok(one.exists(file));
      }
    }
    const first = (await host.sh('openssl x509 -in /etc/identree/ca.crt -noout -fingerprint')).trim();
    await step('rotate', 2);
    await step('activate', 2);
    await step('finish', 1);
    assert.notEqual((await host.sh('openssl x509 -in /etc/identree/ca.crt -noout -fingerprint')).trim(), first);
    assert.deepEqual(await Promise.all(hosts.map(identity)), before);
    const status = await host.exec(['identree', 'status']);
    assert.match(status.stdout, /^Authority +until 20\d\d-\d\d-\d\d$/m);
  });

  test('the directory is away: doctor names the cause, and sssd answers from memory', { skip }, async () => {
    await site.server.stop();
    const status = await host.exec(['identree', 'doctor'], { timeoutMs: 60_000 });
    assert.equal(status.code, 1);
    assert.match(status.stdout, /Nothing listens at identree\.example\.com:1636: the connection was refused/);
    assert.match(status.stdout, /^sssd +running, on what it remembers$/m);
    assert.equal((await askSssd(host, 'alice2')).code, 0);
    await site.server.start();
    await known(host, 'alice2');
  });

  test('--undo brings back every byte, and stops sssd that had no configuration', { skip }, async () => {
    const result = await site.setup('--undo');
    assert.equal(result.code, 0, said(result));
    assert.equal(await snapshot(host), original);
    assert.equal((await host.exec(['systemctl', 'is-active', 'sssd'])).stdout.trim(), 'inactive');
    assert.notEqual((await host.exec(['getent', 'passwd', 'alice2'])).code, 0);
    assert.equal((await host.exec(['getent', 'passwd', 'alice'])).code, 0, 'local people are not affected');
    const status = await host.exec(['identree', 'status']);
    assert.doesNotMatch(status.stdout, /^(Directory|sssd)/m);
  });

  test("somebody else's sssd.conf stays; --force replaces it, and undo brings it back", { skip }, async () => {
    const theirs = `[sssd]\nservices = nss\ndomains = local\n[domain/local]\nid_provider = proxy\nproxy_lib_name = files\nproxy_pam_target = sssd-shadowutils\n# gr\u00fc\u00dfe, no newline at the end`;
    await host.write('/etc/sssd/sssd.conf', theirs, 0o600);
    const before = await snapshot(host);
    const refused = await site.setup('--sssd');
    assert.notEqual(refused.code, 0);
    assert.match(said(refused), /not as identree wrote it.*\n.*--force/);
    assert.equal(await snapshot(host), before);

    const forced = await site.setup('--sssd', '--force');
    assert.equal(forced.code, 0, said(forced));
    assert.equal((await askSssd(host, 'alice2')).code, 0);

    // What root changes afterwards is as much theirs.
    await host.sh("sed -i 's/^enumerate = false/enumerate = true/' /etc/sssd/sssd.conf");
    const edited = await snapshot(host);
    const again = await site.setup('--sssd');
    assert.notEqual(again.code, 0);
    assert.match(said(again), /--force/);
    assert.equal(await snapshot(host), edited);

    const undone = await site.setup('--undo');
    assert.equal(undone.code, 0, said(undone));
    assert.equal(await snapshot(host), before);
    await host.remove('/etc/sssd/sssd.conf');
    await host.exec(['systemctl', 'stop', 'sssd']);
  });

  test('sssd that does not come up: everything is put back', { skip }, async () => {
    // A setting of root's that is read after ours and sends sssd elsewhere.
    await host.write(
      '/etc/sssd/conf.d/10-theirs.conf',
      '[domain/identree]\nldap_uri = ldaps://identree.example.com:1\noffline_timeout = 1\n',
      0o600,
    );
    await host.sh('rm -f /var/lib/sss/db/* /var/lib/sss/mc/*');
    const before = await snapshot(host);
    const result = await site.setup('--sssd');
    assert.notEqual(result.code, 0);
    assert.match(said(result), /Also read by sssd.*10-theirs\.conf/);
    assert.match(said(result), /sssd runs but does not know alice2, whom the directory knows/);
    assert.match(said(result), /put back as it was/);
    assert.equal(await snapshot(host), before);
    assert.notEqual((await host.exec(['systemctl', 'is-active', 'sssd'])).stdout.trim(), 'active');
    await host.remove('/etc/sssd/conf.d/10-theirs.conf');
    const undone = await site.setup('--undo');
    assert.match(undone.stdout, /Nothing is set up/);
  });

  test("the sample configuration for mutual TLS works with the host's files", { skip }, async () => {
    assert.equal((await site.setup('--sssd')).code, 0);
    await host.write('/etc/sssd/sssd.conf', FULL_MODE_TLS.replace(':636', `:${TLS_PORT}`), 0o600);
    await host.sh('systemctl restart sssd');
    await known(host, 'alice2');
    // It is not identree's file any more, so undo leaves it where it is.
    const undone = await site.setup('--undo');
    assert.equal(undone.code, 0, said(undone));
    assert.match(undone.stdout, /\/etc\/sssd\/sssd\.conf was edited since/);
    assert.match(await host.read('/etc/sssd/sssd.conf'), /domains = IDENTREE/);
    await host.remove('/etc/sssd/sssd.conf');
    await host.exec(['systemctl', 'stop', 'sssd']);
  });
});
