import assert from 'node:assert/strict';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { type SetupDeps, setUp, undo } from '../setup/setup.ts';
import type { ProbeResult } from './probe.ts';
import { createSssdAddition, type SssdInput } from './sssd-addition.ts';
import { createSudoLdapAddition } from './sudo-ldap-addition.ts';

const NSSWITCH = 'passwd: files # local\ngroup: files [NOTFOUND=return] nis\nshadow: files\nhosts: files dns\n';
const TEXT = '# Managed by identree; removed by: identree setup --undo\n[sssd]\nldap_default_authtok = hunter2\n';
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
const FILES: Record<string, [string, number]> = {
  '/etc/nsswitch.conf': [NSSWITCH, 0o644],
  '/etc/identree/client.conf': ['IDENTREE_SERVER_URL=https://x\n', 0o600],
  '/etc/sssd/conf.d/README': ['', 0o644],
  '/usr/sbin/sssd': ['', 0o755],
  [`${LIBRARIES}/sssd/libsss_ldap.so`]: ['', 0o644],
  [`${LIBRARIES}/libnss_sss.so.2`]: ['', 0o644],
  [`${LIBRARIES}/libsss_sudo.so`]: ['', 0o644],
};

async function host(change: Partial<SssdInput> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'identree-sssd-'));
  const root = join(dir, 'root');
  await mkdir(join(dir, 'backup'), { mode: 0o700 });
  const write = async (path: string, text: string, mode = 0o644) => {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, path), text, 'latin1');
    await chmod(join(root, path), mode);
  };
  for (const [path, [text, mode]] of Object.entries(FILES)) await write(path, text, mode);
  const printed: string[] = [];
  const ran: string[] = [];
  const answers = new Map<string, { code: number; output: string }>();
  let time = 0;
  const deps: SetupDeps = {
    root,
    ownerUid: process.geteuid!(),
    run: async (program, args) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      return answers.get(line) ?? answers.get(program) ?? { code: 0, output: '' };
    },
    enrolment: async () => null,
    agent: async () => null,
    serverAccepts: async () => null,
    breakGlass: async () => ({ problem: null, note: null }),
    backup: join(dir, 'backup'),
    deadMan: null,
    timer: { disarm: async () => undefined },
    now: () => 1,
    print: (line) => printed.push(line),
  };
  const probed: ProbeResult = { ok: true, person: 'alice' };
  const input: SssdInput = {
    text: TEXT,
    written: null,
    force: false,
    probe: async () => probed,
    pending: false,
    ...change,
  };
  const clock = {
    monotonic: () => time,
    sleep: async (ms: number) => {
      time += ms;
    },
  };
  /** Every path with mode, owner and bytes. */
  const everything = async () => {
    const out: Record<string, string> = {};
    for (const entry of await readdir(join(root, 'etc'), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const info = await lstat(path);
      const what = entry.isSymbolicLink()
        ? `→ ${await readlink(path)}`
        : entry.isFile()
          ? await readFile(path, 'latin1')
          : null;
      if (what !== null)
        out[path.slice(root.length)] = `${(info.mode & 0o7777).toString(8)} ${info.uid}:${info.gid} ${what}`;
    }
    return out;
  };
  return {
    root,
    deps,
    printed,
    ran,
    answers,
    everything,
    write,
    read: (path: string) => readFile(join(root, path), 'latin1'),
    addition: () => createSssdAddition(input, { ...deps, run: (program, args) => deps.run(program, args), clock }),
    setUp: (more: Partial<SssdInput> = {}, dryRun = false) =>
      setUp(
        [],
        { dryRun },
        deps,
        createSssdAddition({ ...input, ...more }, { ...deps, run: (program, args) => deps.run(program, args), clock }),
      ),
    said: () => printed.join('\n'),
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true });
    },
  };
}

describe('setup --sssd', () => {
  it('links, sssd.conf and nsswitch.conf, then sssd, and somebody is looked up', async () => {
    await using h = await host();
    assert.equal(await h.setUp(), true, h.said());
    assert.equal(await h.read('/etc/sssd/sssd.conf'), TEXT);
    assert.equal((await stat(join(h.root, '/etc/sssd/sssd.conf'))).mode & 0o7777, 0o600);
    for (const name of ['client.crt', 'client.key', 'ca.crt'])
      assert.equal(await readlink(join(h.root, '/etc/identree', name)), `tls/current/${name}`);
    assert.equal(
      await h.read('/etc/nsswitch.conf'),
      'passwd: files sss # local\ngroup: files sss [NOTFOUND=return] nis\nshadow: files\nhosts: files dns\nsudoers:        files sss\n',
    );
    const restart = h.ran.indexOf('systemctl restart sssd.service');
    assert.ok(restart > h.ran.findIndex((line) => line.startsWith('restorecon ')), 'labels before sssd starts');
    assert.ok(h.ran.indexOf('getent -s sss passwd alice') > restart);
    assert.match(h.said(), /identree setup --undo/);
    assert.doesNotMatch(h.said(), /hunter2/, 'passwords are not shown');
  });

  it('a service that was installed and turned off is turned off again: by undo, and when something after it fails', async () => {
    const enabled = '/etc/systemd/system/multi-user.target.wants/sssd.service';
    const off = async () => {
      const h = await host();
      await h.write('/etc/systemd/system/multi-user.target.wants/cron.service', '');
      const { run } = h.deps;
      h.deps.run = async (program, args) => {
        const line = [program, ...args].join(' ');
        if (line === 'systemctl is-enabled sssd.service') return { code: 1, output: 'disabled\n' };
        if (line === 'systemctl enable sssd.service')
          await symlink('/lib/systemd/system/sssd.service', join(h.root, enabled));
        return run(program, args);
      };
      return h;
    };
    await using h = await off();
    const before = await h.everything();
    assert.equal(await h.setUp(), true, h.said());
    assert.equal(await readlink(join(h.root, enabled)), '/lib/systemd/system/sssd.service');
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.ok(h.ran.includes('systemctl disable sssd.service'));

    await using other = await off();
    const sssd = other.addition();
    const failing = {
      ...sssd,
      switchOver: async (changes: Parameters<typeof sssd.switchOver>[0]) =>
        (await sssd.switchOver(changes)) ?? 'something after it',
    };
    assert.equal(await setUp([], { dryRun: false }, other.deps, failing), false);
    assert.deepEqual(await other.everything(), before);
    assert.ok(other.ran.includes('systemctl disable sssd.service'));
  });

  it('twice is once, and a file that sssd has opened for its group is left alone', async () => {
    await using h = await host();
    await h.setUp();
    const once = await h.everything();
    await chmod(join(h.root, '/etc/sssd/sssd.conf'), 0o640);
    const again = { ...once, '/etc/sssd/sssd.conf': once['/etc/sssd/sssd.conf']!.replace('600', '640') };
    h.ran.length = 0;
    assert.equal(await h.setUp({ written: sha256(TEXT) }), true);
    assert.deepEqual(await h.everything(), again);
    assert.match(h.said(), /nothing changes/);
    assert.deepEqual(h.ran, []);
    await chmod(join(h.root, '/etc/sssd/sssd.conf'), 0o644);
    assert.equal(await h.setUp({ written: sha256(TEXT) }), true);
    assert.deepEqual(await h.everything(), once, 'one that everybody can read is not');
  });

  it('new files behind the links are reason enough to start sssd anew', async () => {
    await using h = await host();
    await h.setUp();
    h.ran.length = 0;
    assert.equal(await h.setUp({ written: sha256(TEXT), pending: true }), true);
    assert.ok(h.ran.includes('systemctl restart sssd.service'));
  });

  it('[E-S5] a dry run writes nothing and starts nothing', async () => {
    await using h = await host({ probe: () => Promise.reject(new Error('asked')) });
    const before = await h.everything();
    assert.equal(await h.setUp({}, true), true);
    assert.deepEqual(await h.everything(), before);
    assert.deepEqual(h.ran, []);
    assert.match(h.said(), /\+ \[sssd\]/);
  });

  it("[E-S5] somebody else's file stays unless forced, and comes back to the byte with undo", async () => {
    await using h = await host();
    const secrets = '#ldap_default_authtok= theirs, before\nidp_client_secret=theirs too\nTLS_KEYPW theirs as well\n';
    await h.write('/etc/sssd/sssd.conf', `[sssd]\nldap_default_authtok = theirs\n${secrets}# gr\xfc\xdfe`, 0o640);
    await h.write('/etc/identree/client.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n', 0o600);
    const before = await h.everything();
    assert.equal(await h.setUp(), false);
    assert.match(h.said(), /not as identree wrote it[\s\S]*--force[\s\S]*Nothing is changed/);
    assert.deepEqual(await h.everything(), before);
    assert.equal(await h.setUp({ force: true }), true, h.said());
    assert.equal(await h.read('/etc/sssd/sssd.conf'), TEXT);
    assert.doesNotMatch(h.said(), /theirs|AAAA/, 'neither password nor key is shown');
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.equal(
      h.ran.at(-1)?.startsWith('restorecon') ? h.ran.at(-2) : h.ran.at(-1),
      'systemctl restart sssd.service',
    );
  });

  it('one that was edited since is as much theirs', async () => {
    await using h = await host();
    await h.setUp();
    await h.write('/etc/sssd/sssd.conf', `${TEXT}enumerate = true\n`, 0o600);
    assert.equal(await h.setUp({ written: sha256(TEXT) }), false);
    assert.match(await h.read('/etc/sssd/sssd.conf'), /enumerate = true/);
    // What identree wrote itself is replaced without a word: the server may name another address.
    await h.write('/etc/sssd/sssd.conf', TEXT, 0o600);
    assert.equal(await h.setUp({ written: sha256(TEXT), text: `${TEXT}new\n` }), true);
  });

  it('undo: sssd that had no configuration stops, one that was replaced since is left', async () => {
    await using h = await host();
    const before = await h.everything();
    await h.setUp();
    h.ran.length = 0;
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.ok(h.ran.includes('systemctl stop sssd.service'));

    await h.setUp();
    await h.write('/etc/sssd/sssd.conf', '[sssd]\ndomains = theirs\n', 0o600);
    await h.write('/etc/nsswitch.conf', `${await h.read('/etc/nsswitch.conf')}automount: files\n`);
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.match(h.said(), /sssd\.conf was edited since/);
    assert.equal(await h.read('/etc/sssd/sssd.conf'), '[sssd]\ndomains = theirs\n');
    assert.equal(await h.read('/etc/nsswitch.conf'), `${NSSWITCH}automount: files\n`);
  });

  const FAULTS: Record<
    string,
    { do: (h: Awaited<ReturnType<typeof host>>) => unknown; says: RegExp; input?: Partial<SssdInput> }
  > = {
    'the host is not enrolled': {
      do: (h) => {
        h.deps.enrolment = async () => 'This host is not enrolled.';
      },
      says: /not enrolled/,
    },
    'nobody would renew the certificate': {
      do: (h) => {
        h.deps.agent = async () => 'The agent does not answer.';
      },
      says: /agent does not answer/,
    },
    'there is no sssd': { do: (h) => rm(join(h.root, '/usr/sbin/sssd')), says: /sssd is not installed/ },
    'sssd knows no LDAP': { do: (h) => rm(join(h.root, LIBRARIES, 'sssd/libsss_ldap.so')), says: /sssd-ldap/ },
    'names do not come from sssd': { do: (h) => rm(join(h.root, LIBRARIES, 'libnss_sss.so.2')), says: /libnss-sss/ },
    'rules do not come from sssd': { do: (h) => rm(join(h.root, LIBRARIES, 'libsss_sudo.so')), says: /libsss-sudo/ },
    'there is no systemd': {
      do: (h) => h.answers.set('systemctl', { code: 127, output: '' }),
      says: /no service of systemd/,
    },
    'the directory does not answer as it should': {
      do: () => undefined,
      says: /signed by an unknown authority/,
      input: { probe: async () => ({ ok: false, problem: 'The certificate is signed by an unknown authority.' }) },
    },
    'sssd.conf is a link': {
      do: (h) => symlink('elsewhere', join(h.root, '/etc/sssd/sssd.conf')),
      says: /symbolic link/,
      input: { force: true },
    },
    'authselect manages nsswitch.conf': {
      do: (h) => h.write('/etc/nsswitch.conf', `# Generated by authselect\n${NSSWITCH}`),
      says: /authselect select sssd with-sudo/,
    },
    'nsswitch.conf is a link of authselect': {
      do: async (h) => {
        await rm(join(h.root, '/etc/nsswitch.conf'));
        await h.write('/etc/authselect/nsswitch.conf', NSSWITCH);
        await symlink('authselect/nsswitch.conf', join(h.root, '/etc/nsswitch.conf'));
      },
      says: /authselect select sssd with-sudo/,
    },
  };
  for (const [name, { do: spoil, says, input }] of Object.entries(FAULTS)) {
    it(`nothing is changed when ${name}`, async () => {
      await using h = await host();
      await spoil(h);
      const before = await h.everything();
      assert.equal(await h.setUp(input), false);
      assert.deepEqual(await h.everything(), before);
      assert.match(h.said(), says);
      assert.match(h.said(), /Nothing is changed/);
      assert.ok(!h.ran.includes('systemctl restart sssd.service'));
    });
  }

  it('an authselect profile that has sss everywhere needs no edit', async () => {
    await using h = await host();
    await rm(join(h.root, '/etc/nsswitch.conf'));
    await h.write(
      '/etc/authselect/nsswitch.conf',
      '# Generated by authselect\npasswd: sss files\ngroup: sss files\nsudoers: files sss\n',
    );
    await symlink('authselect/nsswitch.conf', join(h.root, '/etc/nsswitch.conf'));
    assert.equal(await h.setUp(), true, h.said());
    assert.equal(await readlink(join(h.root, '/etc/nsswitch.conf')), 'authselect/nsswitch.conf');
  });

  for (const [name, line, answer, says] of [
    ['sssd does not start', 'systemctl restart sssd.service', { code: 1, output: '' }, /sssd does not start/],
    [
      'sssd finds nobody',
      'getent -s sss passwd alice',
      { code: 2, output: '' },
      /does not know alice, whom the directory knows/,
    ],
  ] as const) {
    it(`everything is put back when ${name}, and sssd goes on as before`, async () => {
      await using h = await host();
      await h.write('/etc/sssd/sssd.conf', '[sssd]\ndomains = theirs\n', 0o600);
      const before = await h.everything();
      h.answers.set(line, answer);
      assert.equal(await h.setUp({ force: true }), false);
      assert.deepEqual(await h.everything(), before);
      assert.match(h.said(), says);
      assert.match(h.said(), /put back/);
      assert.equal(h.ran.at(-1), 'systemctl restart sssd.service', 'with the file that it had');
      if (name === 'sssd finds nobody')
        assert.ok(
          h.ran.some((text) => text.includes('SIGUSR2')),
          'it is asked to go online',
        );
      // What was not set up cannot be undone: by then the file may be of somebody else.
      h.printed.length = 0;
      assert.equal(await undo({ dryRun: false }, h.deps), true);
      assert.match(h.said(), /Nothing is set up/);
    });
  }

  it('a name that getent could take for an option is not looked up', async () => {
    await using h = await host();
    assert.equal(await h.setUp({ probe: async () => ({ ok: true, person: '--service=evil' }) }), true);
    assert.ok(!h.ran.some((line) => line.startsWith('getent')));
  });

  it('a directory without people: sssd is started, and that nobody was looked up is told', async () => {
    await using h = await host();
    assert.equal(await h.setUp({ probe: async () => ({ ok: true, person: null }) }), true);
    assert.match(h.said(), /knows nobody yet/);
  });

  it('what else sssd reads is told', async () => {
    await using h = await host();
    await h.write('/etc/sssd/conf.d/10-theirs.conf', '');
    await h.setUp();
    assert.match(h.said(), /Also read by sssd.*10-theirs\.conf/);
  });
});

describe('setup --sudo-ldap', () => {
  const CONF = '# Managed by identree\nuri ldaps://x\nbindpw hunter2\n';
  const additionOf = (h: Awaited<ReturnType<typeof host>>, probe: ProbeResult = { ok: true, person: null }) =>
    createSudoLdapAddition({ text: CONF, written: null, force: false, probe: async () => probe }, h.deps);
  const run = (h: Awaited<ReturnType<typeof host>>, probe?: ProbeResult) =>
    setUp([], { dryRun: false }, h.deps, additionOf(h, probe));
  const ABLE = { code: 0, output: 'Sudo version 1.9.13p3\nldap.conf path: /etc/sudo-ldap.conf\n' };

  it('its own file, a word in nsswitch.conf, nothing of sssd; undone to the byte', async () => {
    await using h = await host();
    h.answers.set('sudo -V', ABLE);
    const before = await h.everything();
    assert.equal(await run(h), true, h.said());
    assert.equal(await h.read('/etc/sudo-ldap.conf'), CONF);
    assert.equal((await stat(join(h.root, '/etc/sudo-ldap.conf'))).mode & 0o7777, 0o600);
    assert.match(await h.read('/etc/nsswitch.conf'), /^sudoers: +files ldap$/m);
    assert.ok(!h.ran.some((line) => line.includes('sssd')));
    assert.doesNotMatch(h.said(), /hunter2/);
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.ok(!h.ran.some((line) => line.includes('sssd')));
  });

  it('a sudo that cannot is told', async () => {
    await using h = await host();
    const before = await h.everything();
    h.answers.set('sudo -V', { code: 0, output: 'Sudo version 1.9.13p3\n' });
    assert.equal(await run(h), false);
    assert.match(h.said(), /This sudo cannot read rules from a directory/);
    h.answers.set('sudo -V', { code: 0, output: 'ldap.conf path: /etc/ldap.conf\n' });
    assert.equal(await run(h), false);
    assert.match(h.said(), /reads \/etc\/ldap\.conf/);
    h.answers.set('sudo -V', ABLE);
    assert.equal(await run(h, { ok: false, problem: 'Nothing listens.' }), false);
    h.answers.set('sudo -n -l -U root', { code: 1, output: 'sudo: unable to parse' });
    assert.equal(await run(h), false);
    assert.match(h.said(), /sudo finds fault with its rules now/);
    assert.deepEqual(await h.everything(), before);
  });
});
