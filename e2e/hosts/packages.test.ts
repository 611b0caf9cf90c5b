import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type Server as HttpsServer } from 'node:https';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type HostRecord, hostRecord } from '#shared/decision.ts';
import { fileSystem, makeBare } from '../harness/bare-host.ts';
import { readExamples } from '../harness/examples.ts';
import type { Host, Suite } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { buildDebs, createRelease, type Release, releaseSettings } from '../harness/release.ts';
import { must, type RunResult, until } from '../harness/run.ts';
import { enrolmentToken } from '../harness/server.ts';
import { ask, enrol, gate, mark, openWorld, repository, skip, type World } from '../harness/world.ts';

const HOSTS = { bookworm: 'old1', trixie: 'new1' } as const satisfies Partial<Record<Suite, string>>;
const examples = await readExamples('docs/install.md');
const SECRET = 'a shared secret of more than 32 characters';
const ORIGINALS = '/var/lib/identree/backup/originals.json';

/** A line of `identree doctor --json`. */
interface DoctorLine {
  what: string;
  value: string;
  problem: string | null;
}

/** Hosts side by side, each with one package after the other. */
describe('the package of the agent', { concurrency: 3 }, () => {
  let world: World;
  let older: string;
  let newer: string;
  let release: Release;
  before(async () => {
    if (skip) return;
    world = await openWorld({
      hosts: [],
      people: ['alice'],
      policy: [
        { name: 'default', approval: 'passkey' },
        { name: 'bob', match_users: ['bob'], approval: 'none' },
      ],
      env: async (lab) => ({ IDENTREE_SHARED_SECRET: SECRET, ...releaseSettings(lab) }),
    });
    release = createRelease(world.lab, examples);
    ({ older, newer } = await buildDebs(world.lab));
  });
  after(() => world?.close());

  let publication: Promise<void> | null = null;
  /** Puts what was built where the server hands it out, signed. */
  const published = (): Promise<void> => (publication ??= release.publish(newer));

  for (const [suite, name] of Object.entries(HOSTS) as [Suite, string][]) {
    describe(`on ${suite}`, { concurrency: false }, () => {
      let host: Host;
      let untouched: string[];
      before(async () => {
        if (skip) return;
        host = await world.lab.up(name, { suite });
        await makeBare(host);
        untouched = await fileSystem(host);
        for (const deb of [older, newer]) await host.write(`/root/${basename(deb)}`, await readFile(deb));
      });

      const dpkg = (...words: string[]): Promise<RunResult> =>
        host.exec(['env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', ...words], { timeoutMs: 180_000 });
      const install = async (deb: string): Promise<void> => {
        const { code, stdout, stderr } = await dpkg('--install', `/root/${basename(deb)}`);
        assert.equal(code, 0, stdout + stderr);
      };
      const agentPid = async (): Promise<string> =>
        (await host.sh('systemctl show --property MainPID --value identree-agent')).trim();
      const status = async (): Promise<string> =>
        (await host.sh('dpkg --list identree-agent | tail -1')).split(/\s+/, 3).join(' ');

      /** What doctor finds at the gate of sudo, each finding once. */
      const findings = (printed: string): string[] => {
        const looks = printed
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { lines: DoctorLine[] });
        const found = looks.flatMap(({ lines }) => lines.filter(({ what }) => what === 'sudo'));
        return [...new Set(found.map(({ value, problem }) => problem ?? value))];
      };
      const askedOf = (user: string): HostRecord[] =>
        world.server.data
          .challenges()
          .filter(({ hostname, username }) => hostname === `${name}.example.com` && username === user)
          .map(({ record }) => hostRecord.parse(JSON.parse(record)));

      /**
       * Somebody who may, somebody who may not and somebody who looks, all the while that something is done to the host.
       * Each sudo is asked by the plugin, once.
       */
      async function sudoThroughout(work: () => Promise<void>): Promise<void> {
        const secret = mark();
        const script = `until [ -e /srv/over ]; do
          runuser -u bob -- sudo -n true || echo refused
          runuser -u alice -- sudo -n touch ${secret} 2>/dev/null && echo let through
          echo asked
          sleep 0.1
        done`;
        const look = 'until [ -e /srv/over ]; do identree doctor --json; echo; done | grep .';
        const before = askedOf('bob').length;
        const asking = host.exec(['bash', '-c', script], { timeoutMs: 240_000 });
        const looking = host.exec(['bash', '-c', look], { timeoutMs: 240_000 });
        await work().finally(() => host.sh('touch /srv/over'));
        const { stdout, stderr } = await asking;
        const seen = await looking;
        await host.sh('rm /srv/over');
        const printed = stdout.trim().split('\n');
        assert.deepEqual([...new Set(printed)], ['asked'], stdout + stderr);
        assert.equal(host.exists(secret), false);
        assert.deepEqual(findings(seen.stdout), ['the plugin in sudo asks'], seen.stderr);
        await until('every sudo to be known at the server', () => askedOf('bob').length - before >= printed.length);
        const asked = askedOf('bob').slice(before);
        assert.equal(asked.length, printed.length, 'nobody was asked twice');
        assert.deepEqual([...new Set(asked.map(({ gate }) => gate))], ['plugin']);
      }

      test('is installed and changes no login; the agent waits for an enrolment', { skip }, async () => {
        const login = () => host.sh('cat /etc/pam.d/* /etc/sudoers /etc/sudoers.d/*; ls /etc/sudo.conf 2>&1 || true');
        const before = await login();
        await install(older);
        assert.equal(await login(), before);
        assert.equal(await status(), 'ii identree-agent 0.0.1');
        assert.equal((await host.sh('systemctl is-enabled identree-agent')).trim(), 'enabled');
        assert.equal(await agentPid(), '0');
        assert.match(await host.sh('stat -c %a%U /var/lib/identree'), /^700root$/m);
      });

      test('upgraded while configured and gated: who waits goes on, and sudo is asked at every moment', {
        skip,
      }, async () => {
        await enrol(host, world.server);
        await gate(host, 'sudo,sudo-i', 'plugin');
        const file = mark();
        const waiting = await ask(world, host, 'alice', ['sudo', 'touch', file]);
        const before = await agentPid();
        await sudoThroughout(() => install(newer));
        assert.notEqual(await agentPid(), before, 'the agent is of the new package');
        assert.equal(host.exists(file), false);
        granted(await world.person('alice').approve(waiting.code));
        assert.equal(await waiting.terminal.exit, 0, waiting.terminal.text());
        assert.equal(host.exists(file), true);
      });

      test('downgraded in place, with the same promise', { skip }, async () => {
        await sudoThroughout(() => install(older));
        assert.equal(await status(), 'ii identree-agent 0.0.1');
        const request = await ask(world, host, 'alice', ['sudo', 'true']);
        granted(await world.person('alice').approve(request.code));
        assert.equal(await request.terminal.exit, 0, request.terminal.text());
      });

      test('does not go while sudo needs it and the way back is lost', { skip }, async () => {
        await host.sh(`mv ${ORIGINALS} /root/`);
        for (const how of ['--remove', '--purge']) {
          const { code, stderr } = await dpkg(how, 'identree-agent');
          assert.notEqual(code, 0);
          assert.match(stderr, /identree stays: it is still named in .*\/etc\/sudo\.conf/);
        }
        assert.equal((await host.as('bob', ['sudo', '-n', 'id', '-u'])).stdout, '0\n', 'sudo still works');
        await host.sh(`mv /root/originals.json ${ORIGINALS}`);
      });

      test('removed on a gated host: setup is undone first, and the identity is kept', { skip }, async () => {
        const { code, stdout, stderr } = await dpkg('--remove', 'identree-agent');
        assert.equal(code, 0, stdout + stderr);
        assert.match(stdout, /everything is as it was before identree/);
        assert.equal(host.exists('/etc/sudo.conf') && /identree/.test(await host.read('/etc/sudo.conf')), false);
        assert.equal(host.exists('/var/lib/identree/identity.json'), true);
        await install(newer);
        await gate(host, 'sudo,sudo-i', 'plugin');
      });

      test('purged on a gated host: the whole file system is as it was before the package', { skip }, async () => {
        const { code, stdout, stderr } = await dpkg('--purge', 'identree-agent');
        assert.equal(code, 0, stdout + stderr);
        const left = await fileSystem(host);
        const now = new Set(left);
        const then = new Set(untouched);
        assert.deepEqual(
          { gone: untouched.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
          { gone: [], new: [] },
        );
      });
    });
  }

  describe('by the installer', { concurrency: false }, () => {
    let host: Host;
    /** A server that somebody has broken into: it answers whatever they like. */
    let broken: HttpsServer;
    const answers = new Map<string, Buffer | string>();
    const at = (url: string): URL => Object.assign(new URL(url), { port: '9443' });
    before(async () => {
      if (skip) return;
      host = await world.lab.up('web1');
      await makeBare(host);
      const { cert, key } = world.lab.certs;
      broken = createServer({ cert, key }, ({ url = '' }, response) => {
        const body = answers.get(url);
        response.writeHead(body === undefined ? 404 : 200).end(body);
      });
      await new Promise<void>((resolve) => broken.listen(9443, world.lab.serverAddress, resolve));
    });
    after(() => broken?.close());

    const onHost = (script: string, input = ''): Promise<RunResult> =>
      host.exec(['bash', '-ec', `cd /root; ${script}`], { input, timeoutMs: 300_000 });

    test('the folder is signed where the key is, and the host has the key from elsewhere', { skip }, async () => {
      await published();
      await host.write('/etc/identree/install.pub', await release.publicKey());
      const fetched = await onHost(examples.text('fetch'));
      assert.equal(fetched.code, 0, fetched.stderr);
      const checked = await onHost(examples.text('check'));
      assert.match(checked.stdout, /Verified Successfully/);
    });

    test('an installer that was changed is refused before it is run', { skip }, async () => {
      const good = (await release.file('install.sh')).toString();
      await host.write('/root/good/install.sh', good);
      await host.write('/root/install.sh', good.replace('main() {', 'main() {\n  touch /srv/mine'));
      const { code, stderr } = await onHost(examples.text('check'));
      assert.notEqual(code, 0);
      assert.match(
        stderr + (await onHost(`${examples.text('check')} 2>&1 || true`)).stdout,
        /Signature Verification Failure/,
      );
      await host.write('/root/install.sh', good);
    });

    test("a thief's key, a changed manifest, signature or package: nothing is installed", {
      skip,
    }, async () => {
      const url = at(world.server.url).origin;
      const deb = basename(newer);
      const manifest = (await release.file('manifest')).toString();
      const good = {
        '/download/manifest': manifest,
        '/download/manifest.sig': await release.file('manifest.sig'),
        [`/download/${deb}`]: await release.file(deb),
        '/install-config.json': `{"server_url":"${url}","version":"1"}\n`,
      };
      await must(
        'bash',
        [
          '-ec',
          'mkdir thief; cp -r dist/packages thief/; cd thief; identree sign-script --generate-key --key k.pem; identree sign-script --key k.pem --folder packages',
        ],
        {
          cwd: release.signing,
          env: { PATH: `${join(repository, 'dist/agent')}:${process.env.PATH}` },
        },
      );
      const thief = (name: string) => readFile(join(release.signing, 'thief/packages', name));
      const changed = Buffer.from(good[`/download/${deb}`] as Buffer);
      changed[changed.length - 1]! ^= 1;
      for (const [change, words] of [
        [
          { '/download/manifest': manifest.replace(/^version .*/m, 'version 9') },
          /manifest of the server is not signed with the key/,
        ],
        [
          { '/download/manifest.sig': await release.file('install.sh.sig') },
          /manifest of the server is not signed with the key/,
        ],
        [{ '/download/manifest.sig': 'none' }, /has no signature that can be read|is not signed with the key/],
        [
          { '/download/manifest': await thief('manifest'), '/download/manifest.sig': await thief('manifest.sig') },
          /manifest of the server is not signed with the key/,
        ],
        [{ [`/download/${deb}`]: changed }, /identree-agent_.*\.deb is not what was signed/],
        [{ [`/download/${deb}`]: 'short' }, /identree-agent_.*\.deb is not what was signed/],
      ] as [Record<string, Buffer | string>, RegExp][]) {
        answers.clear();
        for (const [path, body] of Object.entries({ ...good, ...change })) answers.set(path, body);
        const { code, stderr } = await onHost(`sh install.sh --hostname web1.example.com ${url}`, 'idt1.a.b.c\n');
        assert.equal(code, 1, stderr);
        assert.match(stderr, words);
      }
      // A script that is not the one of the manifest knows it too, where it can look at itself.
      for (const [path, body] of Object.entries(good)) answers.set(path, body);
      const other = await onHost(`sed 's/^fail()/# \\n&/' install.sh > other.sh; sh other.sh ${url}`, 'idt1.a.b.c\n');
      assert.match(other.stderr, /install\.sh is not what was signed/);
      const both = await onHost(`sh install.sh --no-setup --sssd ${url}`);
      assert.match(both.stderr, /--sssd: not with --no-setup/);
      const listed = await onHost(`sh install.sh --no-setup --pam sudo ${url}`);
      assert.match(listed.stderr, /--pam: not with --no-setup/);
      const plain = await onHost('sh install.sh http://identree.example.com:8443');
      assert.match(plain.stderr, /An address begins with https/);
      assert.equal(host.exists('/usr/bin/identree'), false);
      assert.equal(host.exists('/etc/identree/client.conf'), false);
    });

    test('[W-2] [W-19] one command installs, enrols and switches over, and the token is in no argument', {
      skip,
    }, async () => {
      const token = await enrolmentToken(world.server, 'web1.example.com');
      const watching = host.exec(
        [
          'bash',
          '-c',
          'until [ -e /srv/over ]; do cat /proc/[0-9]*/cmdline; echo; sleep 0.05; done 2>/dev/null | tr "\\0" " " | sort -u',
        ],
        { timeoutMs: 300_000 },
      );
      const { code, stdout, stderr } = await onHost(examples.text('install'), `${token}\n`).finally(() =>
        host.sh('touch /srv/over'),
      );
      assert.equal(code, 0, stdout + stderr);
      const seen = (await watching).stdout;
      assert.match(seen, /identree enroll --hostname web1\.example\.com/);
      assert.ok(!seen.includes(token.slice(0, 30)));
      const request = await ask(world, host, 'alice', ['sudo', 'true']);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
      const kept = await onHost(examples.text('confirm'));
      assert.match(kept.stdout, /^Confirmed: /);
      const verified = await onHost(examples.text('verify-install'));
      assert.equal(verified.stdout, 'install.sh is as it was signed.\n');
    });

    test('run again it needs no token and changes nothing', { skip }, async () => {
      const { code, stdout, stderr } = await onHost(examples.text('install'));
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /This host is enrolled already\.[\s\S]*nothing changes/);
    });

    test('uninstalled it is a host without the package again', { skip }, async () => {
      const { code, stdout, stderr } = await onHost('identree uninstall');
      assert.equal(code, 0, stdout + stderr);
      for (const path of ['/usr/bin/identree', '/etc/identree', '/var/lib/identree'])
        assert.equal(host.exists(path), false, path);
      assert.notEqual((await host.exec(['dpkg-query', '--show', 'identree-agent'])).code, 0);
      assert.equal((await host.exec(['grep', '-rqs', 'identree', '/etc/sudo.conf', '/etc/pam.d'])).code, 1);
    });

    test('with the shared secret of the server it waits for an operator, and sudo is as it was', { skip }, async () => {
      const other = await world.lab.up('web2');
      await makeBare(other);
      const before = await other.sh('cat /etc/pam.d/sudo /etc/sudo.conf');
      for (const [path, bytes] of [
        ['/etc/identree/install.pub', await release.publicKey()],
        ['/root/install.sh', await release.file('install.sh')],
      ] as const)
        await other.write(path, bytes);
      const { code, stdout, stderr } = await other.exec(
        ['env', `IDENTREE_SHARED_SECRET=${SECRET}`, 'bash', '/root/install.sh', world.server.url],
        { timeoutMs: 300_000 },
      );
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /Enrolled as web2\.example\.com[\s\S]*an operator confirms this host in the console first/);
      assert.equal(await other.sh('cat /etc/pam.d/sudo /etc/sudo.conf'), before);
      assert.equal((await other.exec(['grep', '-rqF', SECRET, '/etc/identree', '/var/lib/identree'])).code, 1);
    });
  });

  /** The operator is at a host of the lab, from which the server has its name. */
  describe('over ssh', { concurrency: false }, () => {
    let operator: Host;
    let hosts: Host[] = [];
    const tokens: string[] = [];
    before(async () => {
      if (skip) return;
      const up = async (name: string) => {
        const host = await world.lab.up(name);
        await makeBare(host);
        return host;
      };
      const booted = Promise.all([up('dep1'), up('dep2')]);
      [operator, hosts] = await Promise.all([world.lab.up('ops1'), booted, published()]);
      const [dep1, dep2] = hosts as [Host, Host];
      // In the agent alone: no file has this key any more.
      await operator.sh(`mkdir -p -m 700 /root/.ssh
        ssh-keygen -q -t ed25519 -N '' -f /root/id
        eval "$(ssh-agent -a /root/agent.sock)" >/dev/null
        ssh-add -q /root/id
        rm /root/id`);
      const key = await operator.read('/root/id.pub');
      await dep1.write('/root/.ssh/authorized_keys', key, 0o600);
      await dep2.write('/home/bob/.ssh/authorized_keys', key, 0o600);
      await dep2.write('/etc/sudoers.d/zz-bob', 'bob ALL=(ALL) NOPASSWD: ALL\n', 0o440);
      await dep2.sh('chown -R bob:bob /home/bob/.ssh; chmod 700 /home/bob/.ssh');
      // dep2 is behind dep1; nobody answers at the last address of the network.
      await operator.write(
        '/root/.ssh/config',
        `Host dep1 impostor\n  HostName ${dep1.address}\nHost impostor\n  HostKeyAlias impostor\n  User root
Host dep2\n  HostName ${dep2.address}\n  ProxyJump root@dep1
Host gone\n  HostName ${world.lab.serverAddress.replace(/\d+$/, '254')}\n  ConnectTimeout 1\n`,
        0o600,
      );
      // Stands for the shell of the server: a token for the name that is its last word.
      for (const host of hosts) tokens.push(await enrolmentToken(world.server, `${host.name}.example.com`));
      for (const [index, token] of tokens.entries()) await operator.write(`/root/tokens/dep${index + 1}`, token, 0o600);
      await operator.write(
        '/usr/local/bin/ssh',
        `#!/bin/sh\n[ "$1" = identree.example.com ] || exec /usr/bin/ssh "$@"\nfor name; do :; done\necho "$name" >> /root/asked\ncat "/root/tokens/\${name%%.*}"\n`,
        0o755,
      );
      await operator.write('/root/install-sign.pub', await release.publicKey());
      await operator.write('/root/hosts.txt', examples.text('deploy-hosts'));
    });

    /** The example of the page, at the operator's. */
    const command = (more: string) =>
      `cd /root; export SSH_AUTH_SOCK=/root/agent.sock; ${examples.text('deploy').trim()} ${more}`;
    const deploy = (more: string): Promise<RunResult> =>
      operator.exec(['bash', '-c', command(more)], { timeoutMs: 400_000 });
    const ends = ({ stdout, stderr }: RunResult): Record<string, string> => {
      const lines = stdout.trim().split('\n');
      const read = lines.map((line) => {
        try {
          return JSON.parse(line) as { event: string; host: string; outcome: string; reason?: string };
        } catch {
          throw new Error(`${stdout}\n${stderr}`);
        }
      });
      return Object.fromEntries(
        read.filter(({ event }) => event === 'ended').map(({ host, outcome, reason }) => [host, reason ?? outcome]),
      );
    };

    test('a host whose key nobody has confirmed is left, and its fingerprint is told', { skip }, async () => {
      const fingerprint = (await hosts[0]!.sh('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1]!;
      const result = await deploy('--json gone.example.com=gone');
      assert.equal(result.code, 1);
      assert.deepEqual(ends(result), {
        'dep1.example.com': 'host_key_unknown',
        'dep2.example.com': 'host_key_unknown',
        'gone.example.com': 'unreachable',
      });
      assert.ok(result.stdout.includes(fingerprint), result.stdout);
      assert.equal(operator.exists('/root/asked'), false, 'no token was made');
      assert.equal(operator.exists('/root/.ssh/known_hosts'), false);
    });

    test('one whose key has changed is left; the others are asked about, and done', { skip }, async () => {
      await operator.sh('ssh-keygen -q -t ed25519 -N "" -f /root/other');
      const other = (await operator.read('/root/other.pub')).trim();
      await operator.write('/root/.ssh/known_hosts', `impostor ${other}\n`, 0o600);
      await operator.write('/root/hosts.txt', 'dep1.example.com root@dep1\nimpostor.example.com impostor\n');
      const terminal = operator.terminal('root', ['bash', '-c', command('')]);
      await terminal.see(/impostor\.example\.com: failed: .*\[host_key_changed\]/);
      await terminal.see(/ED25519 key fingerprint is SHA256:[\s\S]*continue connecting \(yes\/no/);
      await terminal.type('yes\r');
      assert.equal(await terminal.exit, 1, terminal.text());
      assert.match(terminal.text(), /dep1\.example\.com \| Confirmed: [\s\S]*dep1\.example\.com: done/);
      assert.match(terminal.text(), /1 done, 1 failed\.\n {2}impostor\.example\.com: failed/);
      const request = await ask(world, hosts[0]!, 'alice', ['sudo', 'true']);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
    });

    test('an installation that is killed in the middle is done by the next run, behind another host and by sudo', {
      skip,
    }, async () => {
      const dep2 = hosts[1]!;
      await operator.write('/root/hosts.txt', examples.text('deploy-hosts'));
      const known = (await dep2.read('/etc/ssh/ssh_host_ed25519_key.pub')).split(' ').slice(0, 2).join(' ');
      await operator.sh(`echo '${dep2.address} ${known}' >> /root/.ssh/known_hosts`);
      // What dpkg tells of its steps ends it, and the installer, when the package is half there.
      await dep2.write(
        '/root/kill',
        `#!/bin/sh
while read -r line; do
  case $line in *half-installed*) rm /etc/dpkg/dpkg.cfg.d/kill; pkill -KILL -f /install.sh; pkill -KILL -x dpkg;; esac
done\n`,
        0o755,
      );
      await dep2.write('/etc/dpkg/dpkg.cfg.d/kill', 'status-logger=/root/kill\n');
      const first = await deploy('--json');
      assert.deepEqual(ends(first), { 'dep1.example.com': 'skipped', 'dep2.example.com': 'installer_failed' });
      const second = await deploy('--json');
      assert.deepEqual(ends(second), { 'dep1.example.com': 'skipped', 'dep2.example.com': 'done' });
      assert.equal(second.code, 0);
      assert.equal(world.server.data.host('dep2.example.com')?.state, 'active');
    });

    test('a third run has nothing to do, and nothing of the tokens is left anywhere', { skip }, async () => {
      const third = await deploy('--json');
      assert.deepEqual(ends(third), { 'dep1.example.com': 'skipped', 'dep2.example.com': 'skipped' });
      for (const [index, host] of hosts.entries()) {
        const secret = tokens[index]!.slice(0, 40);
        const left = await host.exec(['grep', '-rqsF', secret, '/etc', '/root', '/home', '/tmp', '/var']);
        assert.equal(left.code, 1, host.name);
      }
      // On dep2 the installer was killed, which leaves what it fetched until the next start.
      assert.equal((await hosts[0]!.sh('ls -d /tmp/tmp.* 2>/dev/null || true')).trim(), '');
      const record = await operator.read('/root/.local/state/identree/deploy.jsonl');
      assert.ok(!record.includes('idt1.'));
    });
  });
});

test('no example of the page is left out', { skip }, () => assert.deepEqual(examples.untried(), []));
