import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BreakGlassUse } from '#shared/break-glass-api.ts';
import type { EventName } from '#shared/events.ts';
import { fileSystem, makeBare } from '../harness/bare-host.ts';
import {
  type DirectorySite,
  known,
  NSSWITCH,
  openDirectorySite,
  pairIsWhole,
  said,
  serialOf,
} from '../harness/directory-site.ts';
import { readExamples, settingsOf } from '../harness/examples.ts';
import { letBobIn } from '../harness/key-and-pam.ts';
import type { Host } from '../harness/lab.ts';
import { CODE, granted, newApprover, type Person } from '../harness/person.ts';
import type { Terminal } from '../harness/pty.ts';
import { buildDebs, createRelease, type Release, releaseSettings } from '../harness/release.ts';
import { until } from '../harness/run.ts';
import { enrolmentToken } from '../harness/server.ts';
import { agentReady, mark, skip } from '../harness/world.ts';

/** Each step has its own tests; this is all of them on one host, and takes minutes. */
const LONG = process.env.IDENTREE_LONG === '1';

const PROMPT = /Break-glass password: $/;

if (LONG)
  describe('the whole life of a host', { concurrency: false, skip }, () => {
    let site: DirectorySite;
    let release: Release;
    let debs: { older: string; newer: string };
    let alice: Person;
    let host: Host;
    let untouched: string[];
    let bobOverSsh: (command: string) => Promise<Terminal>;
    let password = '';
    before(async () => {
      const page = await readExamples('docs/break-glass.md');
      const settings = await settingsOf(page.text('settings'));
      site = await openDirectorySite({ bare: true, env: async (lab) => ({ ...settings, ...releaseSettings(lab) }) });
      ({ host } = site);
      release = createRelease(site.lab, await readExamples('docs/install.md'));
      debs = await buildDebs(site.lab);
      await release.publish(debs.older);
      alice = await newApprover(site.server, 'alice2');
      bobOverSsh = await letBobIn(site.lab, host);
      untouched = await fileSystem(host);
    });
    after(() => site?.close());

    /** Fetches the installer anew and runs it, as somebody does who has the key from elsewhere. */
    async function install(one: Host, token = ''): Promise<string> {
      await one.write('/root/install.pub', await release.publicKey());
      await one.write('/root/install.sh', await release.file('install.sh'));
      const command = 'install.sh --key /root/install.pub --pam sudo,sudo-i,sshd --sssd --no-confirm';
      const done = await one.exec(
        ['sh', '-ec', `cd /root; sh ${command} --hostname ${one.name}.example.com ${site.server.url}`],
        { input: token === '' ? '' : `${token}\n`, timeoutMs: 400_000 },
      );
      assert.equal(done.code, 0, said(done));
      return done.stdout;
    }
    const sudo = (one: Host, command: readonly string[]): Terminal =>
      one.terminal('root', ['runuser', '-u', 'alice2', '--', 'sudo', ...command], { cwd: '/' });
    /** Somebody of the directory runs a command that they themselves approve with a passkey. */
    async function runs(one: Host): Promise<void> {
      const file = mark();
      const terminal = sudo(one, ['touch', file]);
      const [code] = await terminal.see(CODE);
      assert.equal(one.exists(file), false);
      granted(await alice.approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.ok(one.exists(file));
    }
    const events = (event: EventName) => site.server.data.events({ event });
    const versionOf = async (one: Host) => (await one.sh('dpkg --list identree-agent | tail -1')).split(/\s+/)[2];
    const created = async () => /created=(\S+)/.exec(await host.read('/etc/identree-breakglass'))?.[1];
    const looksNow = async (one: Host): Promise<void> => {
      await one.sh('systemctl reset-failed identree-agent 2>/dev/null || true; systemctl restart identree-agent');
      await agentReady(one);
    };

    test('one command on a bare host, and somebody of the directory runs an approved sudo', async () => {
      assert.equal(host.exists('/usr/bin/identree'), false);
      await install(host, await enrolmentToken(site.server, 'web1.example.com'));
      assert.equal(await versionOf(host), '0.0.1');
      await known(host, 'alice2');
      await until('the rules of alice2', async () =>
        (await host.exec(['sudo', '-l', '-U', 'alice2'])).stdout.includes('(root) ALL'),
      );
      await runs(host);
    });

    test('started anew it is as it was', async () => {
      await host.powerOff();
      await host.boot();
      await agentReady(host);
      await known(host, 'alice2');
      await runs(host);
    });

    test('the same command upgrades it in place', async () => {
      await release.publish(debs.newer);
      const before = await host.sh('sha256sum /var/lib/identree/identity.json');
      assert.match(await install(host), /This host is enrolled already\./);
      assert.notEqual(await versionOf(host), '0.0.1');
      assert.equal(await host.sh('sha256sum /var/lib/identree/identity.json'), before);
      await runs(host);
    });

    test('the server is dead: sudo and ssh are entered with the break-glass password', async () => {
      await until('a password that the server keeps', () => events('rotated_breakglass').length > 0);
      await site.server.stop();
      const shown = await site.server.cli(['reveal-breakglass', 'web1.example.com', '--reason', 'the server is dead']);
      assert.equal(shown.code, 0, said(shown));
      password = shown.stdout.trim();
      const inside = sudo(host, ['touch', '/srv/mark-whole-life']);
      await inside.see(PROMPT);
      inside.type(`${password}\r`);
      assert.equal(await inside.exit, 0, inside.text());
      assert.ok(host.exists('/srv/mark-whole-life'));
      const ssh = await bobOverSsh('id -un');
      await ssh.see(PROMPT);
      ssh.type(`${password}\r`);
      assert.equal(await ssh.exit, 0, ssh.text());
      assert.match(ssh.text(), /^bob$/m);
    });

    test('the server is back: journal and events agree, and the password is another one', async () => {
      const journal = (await host.read('/var/lib/identree/break-glass.journal'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as BreakGlassUse);
      const before = await created();
      await site.server.start();
      await looksNow(host);
      await until('all uses to be reported', () => events('break_glass_used').length >= journal.length);
      assert.deepEqual(
        events('break_glass_used').map(({ data, username }) => [data.id, data.journalHash, username, data.gate]),
        journal.map(({ id, hash, record }) => [id, hash, record.user, record.gate]),
      );
      assert.deepEqual(
        journal.map(({ record }) => record.user),
        ['alice2', 'bob'],
      );
      await until('another password', async () => (await created()) !== before);
      await known(host, 'alice2');
      await runs(host);
    });

    test('another authority takes the place of the first, with two hosts on line', async () => {
      const web2 = await site.lab.up('web2');
      await makeBare(web2);
      await web2.write('/etc/nsswitch.conf', NSSWITCH);
      await install(web2, await enrolmentToken(site.server, 'web2.example.com'));
      const hosts = [host, web2];
      const identities = () => Promise.all(hosts.map((one) => one.sh('sha256sum /var/lib/identree/identity.json')));
      const before = await identities();
      for (const step of ['rotate', 'activate', 'finish']) {
        const serials = await Promise.all(hosts.map(serialOf));
        await until(`ca ${step}`, async () => (await site.server.cli(['ca', step])).code === 0);
        for (const one of hosts) await looksNow(one);
        for (const [index, one] of hosts.entries()) {
          await until(`${one.name} to renew`, async () => (await serialOf(one)) !== serials[index]);
          await pairIsWhole(one);
          await known(one, 'alice2');
          await runs(one);
        }
      }
      assert.deepEqual(await identities(), before, 'enrolled once');
      await web2.down();
    });

    test('revoked, it runs nothing any more', async () => {
      const id = site.server.data.host('web1.example.com')!.id;
      const revoked = await site.server.cli(['hosts', 'revoke', id]);
      assert.equal(revoked.code, 0, said(revoked));
      const file = mark();
      const terminal = sudo(host, ['touch', file]);
      assert.notEqual(await terminal.exit, 0, terminal.text());
      assert.match(terminal.text(), /revoked/);
      assert.equal(host.exists(file), false);
    });

    test('uninstalled, the whole file system is as it was', async () => {
      const gone = await host.exec(['identree', 'uninstall'], { timeoutMs: 300_000 });
      assert.equal(gone.code, 0, said(gone));
      const left = await fileSystem(host);
      const [now, then] = [new Set(left), new Set(untouched)];
      assert.deepEqual(
        { gone: untouched.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
        { gone: [], new: [] },
      );
    });
  });
