import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readGateState } from './gate-state.ts';
import { BrokenBlock, withBlock, withoutBlock } from './marked-block.ts';
import { asksThrough, MODULE, STAGE, stackLines } from './pam-stacks.ts';
import { sudoersProblems } from './self-test.ts';
import { type SetupDeps, setUp, undo } from './setup.ts';
import { putSnapshot } from './snapshot.ts';
import { chooseGate, PLUGIN, SUDO_CONF_LINES } from './sudo-gate.ts';

const DEBIAN_SUDO = `#%PAM-1.0

# Set up user limits from /etc/security/limits.conf.
session    required   pam_limits.so

session    required   pam_env.so readenv=1 user_readenv=0

@include common-auth
@include common-account
@include common-session-noninteractive
`;
const REDHAT_SUDO = '#%PAM-1.0\nauth       include      system-auth\naccount    include      system-auth';
const DEBIAN_SSHD =
  '# PAM configuration for the Secure Shell service\n\n# Standard Un*x authentication.\n@include common-auth\n\naccount    required     pam_nologin.so\n';

const FILES: Record<string, [string, number]> = {
  '/etc/pam.d/sudo': [DEBIAN_SUDO, 0o644],
  '/etc/pam.d/sudo-i': [REDHAT_SUDO, 0o640],
  '/etc/pam.d/sshd': [DEBIAN_SSHD, 0o644],
  '/etc/sudoers': ['root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n', 0o440],
  '/etc/ssh/sshd_config': ['Include /etc/ssh/sshd_config.d/*.conf\n', 0o644],
  [STAGE]: ['stage', 0o755],
  [MODULE]: ['module', 0o644],
  '/usr/lib/x86_64-linux-gnu/security/pam_deny.so': ['', 0o644],
  '/usr/lib/x86_64-linux-gnu/security/pam_permit.so': ['', 0o644],
};

async function host() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-setup-'));
  const root = join(dir, 'root');
  await mkdir(join(dir, 'backup'), { mode: 0o700 });
  for (const [path, [text, mode]] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, path), text);
    await chmod(join(root, path), mode);
  }
  const printed: string[] = [];
  const ran: string[] = [];
  const answers = new Map<string, { code: number; output: string }>();
  const deps: SetupDeps = {
    root,
    ownerUid: process.geteuid!(),
    run: async (program, args) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      const sshd = 'kbdinteractiveauthentication yes\nusepam yes\n';
      return answers.get(line) ?? answers.get(program) ?? { code: 0, output: line === 'sshd -T' ? sshd : '' };
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
  /** Every file with mode and bytes. */
  const everything = async () => {
    const out: Record<string, string> = {};
    for (const entry of await readdir(join(root, 'etc'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const info = await stat(path);
      out[path.slice(root.length)] =
        `${(info.mode & 0o7777).toString(8)} ${info.uid}:${info.gid} ${await readFile(path, 'latin1')}`;
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
    read: (path: string) => readFile(join(root, path), 'utf8'),
    write: (path: string, text: string) => writeFile(join(root, path), text),
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const ALL = ['sudo', 'sudo-i', 'sshd'] as const;

/**
 * What a PAM stack comes to, by the rules of pam.conf(5), for the controls that are used here.
 *
 * @param results of each module by the name of its file.
 */
function authenticate(
  text: string,
  results: Record<string, 'success' | 'failure' | 'missing'>,
): 'granted' | 'denied' | 'password' {
  let positive = false;
  for (const line of text.split('\n')) {
    if (/^@include\s+common-auth/.test(line) || /^auth\s+include/.test(line)) return 'password';
    const match = /^auth\s+(\[[^\]]*\]|\w+)\s+(\S+)/.exec(line);
    if (!match) continue;
    const [, control, module] = match as unknown as [string, string, string];
    const result = results[module.split('/').at(-1)!];
    const ok = result === 'success';
    if (result === 'failure' && control.includes('perm_denied=die')) return 'denied';
    if ((control === 'requisite' || control.includes('default=die')) && !ok) return 'denied';
    if (control.includes('success=done') && ok) return 'granted';
    if (ok && (control === 'required' || control === 'requisite')) positive = true;
    if (!ok && control === 'required') return 'denied';
  }
  return positive ? 'granted' : 'denied';
}

const MODULES = { 'pam_permit.so': 'success', 'pam_deny.so': 'failure' } as const;

describe('the PAM lines', () => {
  for (const service of ALL) {
    const text = withBlock(DEBIAN_SUDO, stackLines(service));
    const answering = (value: 'success' | 'failure' | 'missing') => ({ ...MODULES, 'pam_identree.so': value });

    it(`[W-4] ${service}: a yes of the module grants without a password, a no or no module denies`, () => {
      assert.equal(authenticate(text, answering('success')), 'granted');
      assert.equal(authenticate(text, answering('failure')), 'denied');
      assert.equal(authenticate(text, answering('missing')), 'denied');
    });

    it(`${service}: whichever of its lines are lost, nobody gets in without a yes`, () => {
      const lines = stackLines(service);
      for (let kept = 0; kept < 2 ** lines.length; kept += 1) {
        const some = lines.filter((_, index) => kept & (1 << index));
        for (const value of ['failure', 'missing'] as const) {
          const outcome = authenticate(withBlock(DEBIAN_SUDO, some), answering(value));
          assert.notEqual(outcome, 'granted', some.join('\n'));
        }
      }
    });
  }

  it('tell how identree is asked: by its module, through pam_exec as before, or not', () => {
    for (const service of ALL) assert.equal(asksThrough(withBlock(DEBIAN_SUDO, stackLines(service))), 'module');
    for (const lines of Object.values(EARLIER)) assert.equal(asksThrough(withBlock(DEBIAN_SUDO, lines)), 'pam_exec');
    for (const text of [
      DEBIAN_SUDO,
      `# auth required ${MODULE} sudo\n`,
      '# auth required pam_exec.so /x/identree-pam sudo\n',
    ])
      assert.equal(asksThrough(text), null, text);
  });
});

/** The lines that earlier versions wrote. */
const STAGED = 'pam_exec.so quiet seteuid stdout';
const EARLIER = {
  sudo: [
    'auth required pam_permit.so',
    `auth [success=done default=ignore] ${STAGED} ${STAGE} sudo`,
    'auth requisite pam_deny.so',
  ],
  sshd: [
    'auth required pam_permit.so',
    `auth requisite ${STAGED} ${STAGE} ssh-begin`,
    `auth [success=done ignore=ignore default=die] ${STAGED} expose_authtok ${STAGE} ssh-wait`,
  ],
};

describe('the marked block', () => {
  it('[E-S2] goes before the first line that could authenticate', () => {
    for (const [text, before] of [
      [DEBIAN_SUDO, '@include common-auth'],
      [REDHAT_SUDO, 'auth       include'],
      ['account x\n-auth optional y\nauth z\n', '-auth optional y'],
      ['account x\n', 'account x'],
      ['', ''],
    ] as const) {
      const result = withBlock(text, ['auth line']);
      assert.ok(result.includes(`auth line\n# identree end\n${before}`), result);
    }
  });

  it('[E-S1] comes out without a trace, whatever the file', () => {
    const line = fc.constantFrom(
      'auth required x',
      '@include common-auth',
      'session y',
      '# c',
      '',
      '\tauth z',
      ' -auth q',
      'authx',
      '\r',
    );
    fc.assert(
      fc.property(fc.array(line), fc.boolean(), (lines, newline) => {
        const text = lines.join('\n') + (newline ? '\n' : '');
        const once = withBlock(text, stackLines('sudo'));
        assert.equal(withoutBlock(once), text);
        assert.equal(withBlock(once, stackLines('sudo')), once, 'twice is once');
      }),
    );
  });

  for (const text of [
    '# identree begin\n',
    '# identree end\n',
    '# identree end\n# identree begin\n',
    '# identree begin\n# identree begin\n# identree end\n',
  ]) {
    it(`half a block is not touched: ${JSON.stringify(text)}`, () =>
      assert.throws(() => withBlock(text, []), BrokenBlock));
  }
});

describe('setup', () => {
  it('[E-S3] changes what it says, prints the way back first, and twice gives the same bytes', async () => {
    await using h = await host();
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), true, h.printed.join('\n'));
    const way = h.printed.findIndex((line) => line.includes('identree setup --undo'));
    const first = h.printed.findIndex((line) => line.includes('/etc/'));
    assert.ok(way >= 0 && way < first);
    const once = await h.everything();
    assert.match(once['/etc/pam.d/sudo']!, /pam_identree\.so sudo\n/);
    assert.match(once['/etc/pam.d/sudo-i']!, /^640 /, 'modes are kept');
    assert.match(once['/etc/sudoers.d/identree']!, /^440 .*[\s\S]*timestamp_timeout=0, passwd_tries=1/);
    assert.match(once['/etc/ssh/sshd_config.d/50-identree.conf']!, /KbdInteractiveAuthentication yes/);
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), once);
  });

  it('checks before it switches, and sudoers and sshd again after', async () => {
    await using h = await host();
    const seen: string[] = [];
    h.deps.put = async (path, snapshot) => {
      seen.push(path);
      if (seen.length === 1) assert.ok(h.ran.includes('visudo -c') && h.ran.includes('sshd -t'), 'before');
      await putSnapshot(path, snapshot);
    };
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), true);
    assert.ok(seen.findIndex((path) => path.includes('/pam.d/')) >= 2, 'settings first, the gate last');
    assert.equal(h.ran.filter((line) => line === 'visudo -c').length, 2);
    assert.ok(h.ran.includes('sshd -T'));
    assert.ok(h.ran.includes('systemctl try-reload-or-restart ssh.service'));
  });

  it('a dry run writes nothing', async () => {
    await using h = await host();
    const before = await h.everything();
    assert.equal(await setUp(ALL, { dryRun: true }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.match(h.printed.join('\n'), /\+ auth requisite pam_deny\.so/);
    assert.deepEqual(await readdir(h.deps.backup), []);
  });

  const FAULTS: Record<string, (h: Awaited<ReturnType<typeof host>>) => unknown> = {
    'this host is not enrolled': (h) => {
      h.deps.enrolment = async () => 'This host is not enrolled.';
    },
    'the agent does not answer': (h) => {
      h.deps.agent = async () => 'The agent does not answer.';
    },
    'the server does not accept the host': (h) => {
      h.deps.serverAccepts = async () => 'This host waits.';
    },
    'nobody would get in without the server': (h) => {
      h.deps.breakGlass = async () => ({ problem: 'This host has no break-glass password yet.', note: null });
    },
    'the stage is missing': (h) => rm(join(h.root, STAGE)),
    'the stage cannot be executed': (h) => chmod(join(h.root, STAGE), 0o644),
    'the stage can be changed by others': (h) => chmod(join(h.root, STAGE), 0o777),
    'the folder of the stage can be changed by others': (h) => chmod(join(h.root, dirname(STAGE)), 0o777),
    'the stage belongs to somebody else': (h) => {
      h.deps.ownerUid = process.geteuid!() + 1;
    },
    'the module is missing': (h) => rm(join(h.root, MODULE)),
    'the module can be changed by others': (h) => chmod(join(h.root, MODULE), 0o666),
    'there is a folder in its place': async (h) => {
      await rm(join(h.root, MODULE));
      await mkdir(join(h.root, MODULE), { mode: 0o755 });
    },
    'pam_permit is missing': (h) => rm(join(h.root, '/usr/lib/x86_64-linux-gnu/security/pam_permit.so')),
    'sudoers is broken already': (h) => h.answers.set('visudo', { code: 1, output: 'syntax error' }),
    'there is no visudo': (h) => h.answers.set('visudo', { code: 127, output: '' }),
    'sudoers does not read sudoers.d': (h) =>
      h.write('/etc/sudoers', 'root ALL=(ALL) ALL\n#includedir /etc/sudoers.d.off\n'),
    'sshd is broken already': (h) => h.answers.set('sshd -t', { code: 1, output: 'bad' }),
  };
  for (const [name, fault] of Object.entries(FAULTS)) {
    it(`nothing is changed when ${name}`, async () => {
      await using h = await host();
      await fault(h);
      const before = await h.everything();
      assert.equal(await setUp(ALL, { dryRun: false }, h.deps), false);
      assert.deepEqual(await h.everything(), before);
      assert.match(h.printed.join('\n'), /Nothing is changed/);
    });
  }

  const LATE: Record<string, (h: Awaited<ReturnType<typeof host>>) => void> = {
    'writing fails half way': (h) => {
      let writes = 0;
      h.deps.put = async (path, snapshot) => {
        writes += 1;
        if (writes === 4) throw new Error('disk full');
        await putSnapshot(path, snapshot);
      };
    },
    'a file is not what was written': (h) => {
      h.deps.put = (path, snapshot) =>
        putSnapshot(path, snapshot && 'text' in snapshot ? { ...snapshot, text: `${snapshot.text} ` } : snapshot);
    },
    'sshd does not take the setting': (h) =>
      h.answers.set('sshd -T', { code: 0, output: 'kbdinteractiveauthentication no\nusepam yes' }),
    'another file has sudo ask PAM as another service': (h) =>
      h.answers.set('sudo -V', { code: 0, output: 'PAM service name to use: other' }),
    'another file keeps the ticket of sudo': (h) =>
      h.answers.set('sudo -V', { code: 0, output: 'Authentication timestamp timeout: 15.0 minutes' }),
  };
  for (const [name, fault] of Object.entries(LATE)) {
    it(`[W-25] everything is put back when ${name}`, async () => {
      await using h = await host();
      fault(h);
      const before = await h.everything();
      assert.equal(await setUp(ALL, { dryRun: false }, h.deps), false);
      assert.deepEqual(await h.everything(), before);
      assert.match(h.printed.join('\n'), /put back/);
    });
  }

  it('a file that changes between plan and switch stops everything', async () => {
    await using h = await host();
    h.deps.enrolment = async () => {
      await h.write('/etc/pam.d/sshd', '# edited meanwhile\n');
      return null;
    };
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), false);
    assert.equal(await h.read('/etc/pam.d/sshd'), '# edited meanwhile\n');
    assert.equal(await h.read('/etc/pam.d/sudo'), DEBIAN_SUDO);
  });

  it('who has sshd asked is told that keys pass by, and nobody else is', async () => {
    await using h = await host();
    const told = /Logins with a key alone are not asked about, unless .* publickey,keyboard-interactive:pam/;
    assert.equal(await setUp(['sudo'], { dryRun: true }, h.deps), true);
    assert.doesNotMatch(h.printed.join('\n'), told);
    assert.equal(await setUp(ALL, { dryRun: true }, h.deps), true);
    assert.match(h.printed.join('\n'), told);
  });

  it('[E-S3] a service without a file is left out; none at all is refused', async () => {
    await using h = await host();
    await rm(join(h.root, '/etc/pam.d/sudo-i'));
    assert.equal(await setUp(['sudo', 'sudo-i'], { dryRun: false }, h.deps), true);
    assert.match(h.printed.join('\n'), /no \/etc\/pam\.d\/sudo-i/);
    await rm(join(h.root, '/etc/pam.d/sshd'));
    assert.equal(await setUp(['sshd'], { dryRun: false }, h.deps), false);
  });

  it('a PAM file that is a link is not replaced', async () => {
    await using h = await host();
    await rm(join(h.root, '/etc/pam.d/sudo'));
    await symlink('sshd', join(h.root, '/etc/pam.d/sudo'));
    await assert.rejects(setUp(['sudo'], { dryRun: false }, h.deps), /symbolic link/);
  });
});

describe('setup --undo', () => {
  it('restores bytes, mode and owner, and a second time does nothing', async () => {
    await using h = await host();
    const before = await h.everything();
    await setUp(ALL, { dryRun: false }, h.deps);
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
  });

  it('restores what was before the first of several setups', async () => {
    await using h = await host();
    const before = await h.everything();
    for (const services of [['sudo'], ['sudo', 'sshd'], ['sudo-i']] as const)
      await setUp(services, { dryRun: false }, h.deps);
    await undo({ dryRun: false }, h.deps);
    assert.deepEqual(await h.everything(), before);
  });

  it('keeps what was edited outside the block since, and says so', async () => {
    await using h = await host();
    await setUp(['sudo'], { dryRun: false }, h.deps);
    await h.write('/etc/pam.d/sudo', `${await h.read('/etc/pam.d/sudo')}session optional pam_mail.so\n`);
    await undo({ dryRun: false }, h.deps);
    assert.equal(await h.read('/etc/pam.d/sudo'), `${DEBIAN_SUDO}session optional pam_mail.so\n`);
    assert.match(h.printed.join('\n'), /edited since/);
  });

  it('a host of an earlier version is switched over, and undo still restores the bytes from before it', async () => {
    await using h = await host();
    const before = await h.everything();
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), true);
    for (const [service, lines] of Object.entries(EARLIER)) {
      const text = before[`/etc/pam.d/${service}`]!.replace(/^\S+ \S+ /, '');
      await h.write(`/etc/pam.d/${service}`, withBlock(text, lines));
    }
    assert.match(
      (await readGateState(h.root, [])).drift.join('\n'),
      /sudo still has pam_exec[\s\S]*sshd still has pam_exec/,
    );
    assert.equal(await setUp(ALL, { dryRun: false }, h.deps), true);
    assert.match(
      h.printed.join('\n'),
      /- auth requisite pam_exec\.so[\s\S]*\+ auth \[success=done[^\n]*pam_identree\.so ssh/,
    );
    assert.deepEqual(await readGateState(h.root, []), { gate: 'pam', drift: [] });
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
  });

  it('works without server, agent and stage, and whatever sudoers looks like', async () => {
    await using h = await host();
    const before = await h.everything();
    await setUp(ALL, { dryRun: false }, h.deps);
    h.deps.enrolment = async () => 'gone';
    h.deps.agent = async () => 'The agent does not answer.';
    await rm(join(h.root, STAGE));
    h.answers.set('visudo', { code: 1, output: 'broken elsewhere' });
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.deepEqual(await h.everything(), before);
  });

  it('takes the gate away before its settings', async () => {
    await using h = await host();
    await setUp(ALL, { dryRun: false }, h.deps);
    const order: string[] = [];
    h.deps.put = async (path, snapshot) => {
      order.push(path.slice(h.root.length));
      await putSnapshot(path, snapshot);
    };
    await undo({ dryRun: false }, h.deps);
    const last = order.findLastIndex((path) => path.startsWith('/etc/pam.d/'));
    assert.ok(
      order.slice(0, last).every((path) => path.startsWith('/etc/pam.d/')),
      order.join(' '),
    );
  });

  it('does not bring a removed service back', async () => {
    await using h = await host();
    await setUp(['sudo', 'sudo-i'], { dryRun: false }, h.deps);
    await rm(join(h.root, '/etc/pam.d/sudo-i'));
    await undo({ dryRun: false }, h.deps);
    await assert.rejects(h.read('/etc/pam.d/sudo-i'));
  });

  it('a dry run writes nothing', async () => {
    await using h = await host();
    await setUp(['sudo'], { dryRun: false }, h.deps);
    const before = await h.everything();
    await undo({ dryRun: true }, h.deps);
    assert.deepEqual(await h.everything(), before);
  });
});

const SUDO_1_9 = { code: 0, output: 'Sudo version 1.9.13p3\n' };
const LOADED = {
  code: 0,
  output: 'Sudo version 1.9.13p3\nidentree plugin, build abc\nidentree plugin, build abc\n',
};

/** A host whose sudo loads the plugin once sudo.conf names it. */
async function pluginHost(loaded = LOADED) {
  const h = await host();
  const { run } = h.deps;
  h.deps.run = async (program, args) => {
    if (program === 'sudo' && args[0] === '-V')
      return (await h.read('/etc/sudo.conf').catch(() => '')).includes('identree_') ? loaded : SUDO_1_9;
    return run(program, args);
  };
  return h;
}

describe('setup: who asks for sudo', () => {
  const VERSIONS: [string, 'plugin' | 'pam', RegExp][] = [
    ['Sudo version 1.9.0', 'plugin', /1\.9\.0 says itself/],
    ['Sudo version 1.9.16p2', 'plugin', /1\.9\.16p2/],
    ['Sudo version 2.0', 'plugin', /2\.0/],
    ['Sudo version 1.8.31', 'pam', /1\.8\.31 has no approval plugins/],
    ['sudo-rs 0.2.5', 'pam', /sudo-rs 0\.2\.5 has no plugins/],
    ['', 'pam', /no plugins/],
  ];
  for (const [version, gate, why] of VERSIONS)
    it(`${version || 'a sudo that does not tell'}: ${gate}, and why`, async () => {
      const choice = await chooseGate(async () => ({ code: 0, output: `${version}\nmore\n` }));
      assert.equal(choice.gate, gate);
      assert.equal(choice.noninteractive, gate === 'plugin' && version !== 'Sudo version 1.9.0');
      assert.equal(choice.wordsRefusal, version.startsWith('Sudo'));
      assert.match(choice.why, why);
    });

  it('the plugin where it can be: a block in sudo.conf, checked with sudo itself before PAM is switched', async () => {
    await using h = await pluginHost();
    await h.write('/etc/sudo.conf', 'Plugin sudoers_policy sudoers.so\nSet probe_interfaces false');
    const seen: string[] = [];
    h.deps.put = async (path, snapshot) => {
      if (path.includes('/pam.d/') && seen.length === 0) seen.push(...h.ran);
      await putSnapshot(path, snapshot);
    };
    assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), true, h.printed.join('\n'));
    assert.ok(seen.includes('sudo -n true'), 'a command has come through both plugins');
    assert.equal(
      await h.read('/etc/sudo.conf'),
      `# identree begin (managed; do not edit inside)\n${SUDO_CONF_LINES.join('\n')}\n# identree end\n` +
        'Plugin sudoers_policy sudoers.so\nSet probe_interfaces false',
    );
    assert.match(await h.read('/etc/sudoers.d/identree'), /^Defaults noninteractive_auth$/m);
    assert.match(h.printed.join('\n'), /The plugin in sudo asks: sudo 1\.9\.13p3 says itself what it will run/);
  });

  for (const original of [null, '', 'Set probe_interfaces false'])
    it(`undo restores the bytes of sudo.conf: ${JSON.stringify(original)}`, async () => {
      await using h = await pluginHost();
      if (original !== null) await h.write('/etc/sudo.conf', original);
      const before = await h.everything();
      assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), true);
      assert.equal(await undo({ dryRun: false }, h.deps), true);
      assert.deepEqual(await h.everything(), before);
    });

  it('what was added to sudo.conf since is kept by undo', async () => {
    await using h = await pluginHost();
    assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), true);
    await h.write('/etc/sudo.conf', `${await h.read('/etc/sudo.conf')}Set developer_mode true\n`);
    assert.equal(await undo({ dryRun: false }, h.deps), true);
    assert.equal(await h.read('/etc/sudo.conf'), 'Set developer_mode true\n');
  });

  for (const [name, loaded, rehearsal] of [
    ['sudo does not load it', { code: 1, output: 'sudo: error in /etc/sudo.conf, line 2' }, 0],
    ['sudo loads one half of it', { code: 0, output: 'Sudo version 1.9.13\nidentree plugin, build abc\n' }, 0],
    ['sudo runs nothing with it', LOADED, 1],
  ] as const)
    it(`${name}: everything is put back, and PAM was never touched`, async () => {
      await using h = await pluginHost(loaded);
      if (rehearsal !== 0) h.answers.set('sudo -n true', { code: rehearsal, output: 'identree: refused' });
      const put: string[] = [];
      h.deps.put = async (path, snapshot) => {
        put.push(path);
        await putSnapshot(path, snapshot);
      };
      const before = await h.everything();
      assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), false);
      assert.deepEqual(await h.everything(), before);
      assert.equal(
        put.some((path) => path.includes('/pam.d/')),
        false,
      );
    });

  it('--sudo pam leaves sudo.conf alone, or takes the lines out again', async () => {
    await using h = await pluginHost();
    assert.equal(await setUp(['sudo'], { dryRun: false, sudo: 'pam' }, h.deps), true);
    await assert.rejects(h.read('/etc/sudo.conf'));
    assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), true);
    assert.match(await h.read('/etc/sudo.conf'), /identree_approval/);
    assert.equal(await setUp(['sudo'], { dryRun: false, sudo: 'pam' }, h.deps), true);
    assert.doesNotMatch(await h.read('/etc/sudo.conf'), /identree_approval/);
  });

  for (const [gate, words] of [
    ['plugin', /asked by identree all the same[\s\S]*! alice: [^\n]*\/etc\/sudoers:3/],
    ['pam', /with no request to identree[\s\S]*! alice: [^\n]*\/etc\/sudoers:3/],
  ] as const)
    it(`what the host grants without a password is part of the plan, ${gate}`, async () => {
      await using h = await pluginHost();
      await h.write('/etc/sudoers', `${await h.read('/etc/sudoers')}alice ALL=(ALL) NOPASSWD: ALL\n`);
      assert.equal(await setUp(['sudo'], { dryRun: true, sudo: gate }, h.deps), true);
      assert.match(h.printed.join('\n'), words);
    });

  it('a sudo that asks PAM is told what to say of a no, where it can be told', async () => {
    await using h = await pluginHost();
    assert.equal(await setUp(['sudo'], { dryRun: false, sudo: 'pam' }, h.deps), true);
    assert.match(await h.read('/etc/sudoers.d/identree'), /^Defaults authfail_message="not approved/m);
    await using old = await host();
    old.answers.set('sudo', { code: 0, output: 'sudo-rs 0.2.5' });
    assert.equal(await setUp(['sudo'], { dryRun: false }, old.deps), true);
    assert.doesNotMatch(await old.read('/etc/sudoers.d/identree'), /authfail_message/);
  });

  it('--sudo plugin where there is none changes nothing', async () => {
    await using h = await host();
    const before = await h.everything();
    assert.equal(await setUp(['sudo'], { dryRun: false, sudo: 'plugin' }, h.deps), false);
    assert.deepEqual(await h.everything(), before);
    assert.match(h.printed.join('\n'), /--sudo plugin does not work here/);
  });
});

describe('sudoers in spite of ours, as sudo itself says', () => {
  const GOOD =
    'Sudo version 1.9.13p3\nAuthentication timestamp timeout: 0.0 minutes\nPAM service name to use: sudo\n' +
    'PAM service name to use for login shells: sudo-i\n';
  const cases: [string, string, RegExp | null][] = [
    ['as setup leaves it', GOOD, null],
    ['sudo-rs, which does not tell', 'sudo-rs 0.2.5\n', null],
    ['a ticket', GOOD.replace('0.0 minutes', '15.0 minutes'), /timestamp_timeout/],
    ['another service', GOOD.replace('use: sudo\n', 'use: other\n'), /as "other"[^\n]*sets pam_service\./],
    ['another for login shells', GOOD.replace('sudo-i', 'login'), /as "login"[^\n]*sets pam_login_service\./],
    [
      'another with a helper',
      `${GOOD}PAM service name to use when sudo is run with the -A option: x\n`,
      /as "x"[^\n]*sets pam_askpass_service\./,
    ],
  ];
  for (const [name, output, said] of cases)
    it(name, async () => {
      const problems = await sudoersProblems(async () => ({ code: 0, output }));
      if (said === null) assert.deepEqual(problems, []);
      else assert.match(problems.join('\n'), said);
    });
});

describe('the gate of sudo, as the files say', () => {
  const FILE = 'ELF abc';
  const OWN = { build: 'abc', sha256: createHash('sha256').update(FILE).digest('hex') };
  async function gated() {
    const h = await pluginHost();
    assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps), true);
    await h.write(PLUGIN, FILE);
    return h;
  }

  it('as setup leaves it', async () => {
    await using h = await gated();
    assert.deepEqual(await readGateState(h.root, [OWN]), { gate: 'plugin', drift: [] });
    await setUp(['sudo'], { dryRun: false, sudo: 'pam' }, h.deps);
    assert.deepEqual(await readGateState(h.root, [OWN]), { gate: 'pam', drift: [] });
    await undo({ dryRun: false }, h.deps);
    assert.deepEqual(await readGateState(h.root, [OWN]), { gate: null, drift: [] });
  });

  const DRIFTS: Record<string, [(h: Awaited<ReturnType<typeof gated>>) => Promise<unknown>, RegExp]> = {
    'a line is gone': [
      async (h) =>
        h.write('/etc/sudo.conf', (await h.read('/etc/sudo.conf')).replace(/^Plugin identree_approval.*\n/m, '')),
      /lacks: Plugin identree_approval/,
    ],
    'a line is a comment': [
      async (h) =>
        h.write('/etc/sudo.conf', (await h.read('/etc/sudo.conf')).replace(/^Plugin identree_audit/m, '#$&')),
      /lacks: Plugin identree_audit/,
    ],
    'a line names another file': [
      async (h) => h.write('/etc/sudo.conf', (await h.read('/etc/sudo.conf')).replaceAll(PLUGIN, '/tmp/x.so')),
      /lacks/,
    ],
    'another plugin comes first': [
      async (h) => h.write('/etc/sudo.conf', `Plugin other_approval other.so\n${await h.read('/etc/sudo.conf')}`),
      /before identree's.*: Plugin other_approval/,
    ],
    'sudo.conf can be changed by others, so that sudo passes it over': [
      (h) => chmod(join(h.root, '/etc/sudo.conf'), 0o666),
      /sudo\.conf is not read by sudo: .*others than root/,
    ],
    'the plugin is gone': [(h) => rm(join(h.root, PLUGIN)), /is not there/],
    'the plugin is of another build': [(h) => h.write(PLUGIN, 'ELF xyz'), /does not belong|not the one/],
    'the plugin was altered': [(h) => h.write(PLUGIN, 'ELF abc and more'), /was changed after it was built/],
    'PAM does not ask any more': [(h) => h.write('/etc/pam.d/sudo', DEBIAN_SUDO), /does not name pam_identree\.so/],
    'the module is gone': [(h) => rm(join(h.root, MODULE)), /pam_identree\.so is not there: PAM refuses/],
    'pam_exec starts the stage, as an earlier version had it': [
      (h) => h.write('/etc/pam.d/sudo', withBlock(DEBIAN_SUDO, EARLIER.sudo)),
      /pam\.d\/sudo still has pam_exec start the stage/,
    ],
    'the same for logins': [
      (h) => h.write('/etc/pam.d/sshd', withBlock(DEBIAN_SSHD, EARLIER.sshd)),
      /pam\.d\/sshd still has pam_exec start the stage/,
    ],
    'there is another sudo': [
      async (h) => {
        for (const folder of ['/usr/bin', '/usr/local/bin']) {
          await mkdir(join(h.root, folder), { recursive: true });
          await writeFile(join(h.root, folder, 'sudo'), folder);
          await chmod(join(h.root, folder, 'sudo'), 0o4755);
        }
      },
      /usr\/bin\/sudo is another sudo/,
    ],
  };
  for (const [name, [change, said]] of Object.entries(DRIFTS))
    it(name, async () => {
      await using h = await gated();
      await change(h);
      const { drift } = await readGateState(h.root, [OWN]);
      assert.equal(drift.length > 0, true);
      assert.match(drift.join('\n'), said);
    });
});
