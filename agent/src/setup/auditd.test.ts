import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { AUDIT_FILE, type Audited, auditRules, createAuditAddition } from './auditd.ts';
import { createDeadMan } from './dead-man.ts';
import { revert } from './revert.ts';
import { type SetupDeps, setUp, undo } from './setup.ts';

const AUDITED: Audited = {
  config: '/etc/identree/client.conf',
  breakGlassFile: '/etc/identree-breakglass',
  attempts: '/var/lib/identree/break-glass-attempts.json',
  journal: '/var/lib/identree/break-glass.journal',
  identity: ['/var/lib/identree/identity.json', '/var/lib/identree/trust.json'],
  apiKey: '/var/lib/identree/api-key.pem',
  certificates: '/etc/identree/tls',
  sshd: true,
  sssd: true,
};
const FOLDERS = new Set(['/etc/identree', '/etc/identree/tls', '/etc/pam.d', '/etc/sudoers.d']);
const MADE = '/etc/audit/audit.rules';

const rule = (text: string, path: string, perm: string): string | undefined =>
  text.split('\n').find((line) => new RegExp(`=${path} -F perm=${perm}( |$)`).test(line));

describe('the rules of auditd', () => {
  it('[W-26] are those of what is configured, under the keys of the operations guide', () => {
    const text = auditRules({ ...AUDITED, breakGlassFile: '/etc/other/hash' }, FOLDERS);
    assert.equal(
      rule(text, '/etc/other/hash', 'r'),
      '-a always,exit -F path=/etc/other/hash -F perm=r -F exe!=/usr/bin/identree -F key=identree-breakglass',
    );
    assert.equal(text.includes('identree-breakglass '), false, 'nothing is watched that is not there');
    for (const [path, key] of [
      ['/var/lib/identree/break-glass.journal', 'identree-breakglass-report'],
      ['/etc/identree', 'identree-config'],
      ['/etc/pam.d', 'identree-pam-config'],
      ['/etc/sudoers.d', 'identree-sudo-config'],
      ['/etc/ssh/sshd_config', 'identree-ssh-config'],
      ['/etc/sssd', 'identree-sssd-config'],
      ['/usr/bin/identree', 'identree-program'],
    ] as const)
      assert.match(rule(text, path, 'wa') ?? path, new RegExp(` -F key=${key}$`));
    assert.match(
      rule(text, '/etc/identree/tls', 'r') ?? '',
      /^-a always,exit -F dir=.* -F auid!=unset -F key=identree-mtls-key$/,
    );
  });

  it('leave out what is not there, and its readers', () => {
    const text = auditRules({ ...AUDITED, sshd: false, sssd: false }, FOLDERS);
    assert.doesNotMatch(text, /ssh_?d?_config|\/etc\/sssd/);
    assert.match(rule(text, '/etc/identree/tls', 'r') ?? '', /exe!=\/usr\/bin\/identree/);
  });

  it('take no path that would be read as another rule', () => {
    for (const path of ['/etc/a b', '/etc/a\n-D', '/etc/a#', 'etc/a', '/etc/"a"'])
      assert.throws(() => auditRules({ ...AUDITED, breakGlassFile: path }, FOLDERS), /no way to name/, path);
  });
});

/** A host with auditd, whose kernel takes whatever stands in the folder of rules. */
async function host() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-audit-'));
  const root = join(dir, 'root');
  const at = (path: string) => join(root, path);
  for (const path of [AUDIT_FILE, MADE, '/etc/pam.d/sudo', '/etc/identree/client.conf'])
    await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(MADE), '## made\n');
  const printed: string[] = [];
  const ran: string[] = [];
  const state = { installed: true, locked: false, loads: true, takes: true };
  let kernel = '';
  const answer = async (line: string) => {
    if (!state.installed) return { code: 127, output: '' };
    if (line === 'auditctl -s') return { code: 0, output: `enabled ${state.locked ? 2 : 1}\nfailure 1` };
    if (line === 'auditctl -l') return { code: 0, output: state.takes ? kernel : 'No rules' };
    if (line !== 'augenrules --load') return { code: 0, output: '' };
    const loaded = await readFile(at(AUDIT_FILE), 'utf8').catch(() => '');
    const made = `## made\n${loaded}`;
    if (made !== (await readFile(at(MADE), 'utf8'))) {
      await writeFile(at(`${MADE}.prev`), await readFile(at(MADE)));
      await writeFile(at(MADE), made);
    }
    // It fails after it has made its files.
    if (!state.loads) return { code: 1, output: 'Error sending add rule data request' };
    kernel = loaded;
    return { code: 0, output: '' };
  };
  const shared = {
    root,
    backup: join(dir, 'backup'),
    ownerUid: process.geteuid!(),
    run: async (program: string, args: readonly string[]) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      return program.startsWith('au') ? answer(line) : { code: 0, output: '' };
    },
    timer: { arm: async () => null, disarm: async () => undefined },
    now: () => 1,
    print: (line: string) => void printed.push(line),
  };
  await mkdir(shared.backup, { mode: 0o700 });
  const session = async () => ({ boot: 'b', audit: '1', processes: [] });
  const moment = async () => ({ audit: 1, start: 1 });
  const deps: SetupDeps = {
    ...shared,
    enrolment: async () => null,
    agent: async () => null,
    serverAccepts: async () => null,
    breakGlass: async () => ({ problem: null, note: null }),
    deadMan: createDeadMan({ ...shared, session, moment, directory: async () => null, minutes: 10 }),
  };
  const addition = () => createAuditAddition(AUDITED, shared);
  return {
    deps,
    state,
    printed,
    ran,
    waits: () => existsSync(join(shared.backup, 'unconfirmed.json')),
    setUp: (dryRun = false) => setUp([], { dryRun }, deps, addition()),
    undo: () => undo({ dryRun: false }, deps),
    revert: () => revert({ ...shared, putDirectory: async () => undefined }),
    kernel: () => kernel,
    at,
    read: (path: string) => readFile(at(path), 'utf8'),
    made: async () => [await readFile(at(MADE), 'utf8'), existsSync(at(`${MADE}.prev`))],
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

describe('setup --auditd', () => {
  it('[E-S10] writes the rules and has them loaded; again changes nothing; undo takes them out of the kernel', async () => {
    await using h = await host();
    const before = await h.made();
    assert.equal(await h.setUp(), true, h.printed.join('\n'));
    assert.match(h.kernel(), /-F dir=\/etc\/pam\.d -F perm=wa/);
    assert.equal((await stat(h.at(AUDIT_FILE))).mode & 0o777, 0o640);
    assert.equal(h.waits(), false, 'nobody is locked out by it');
    const ran = h.ran.length;
    assert.equal(await h.setUp(), true);
    assert.equal(h.ran.slice(ran).includes('augenrules --load'), false);
    assert.equal(await h.undo(), true);
    assert.equal(h.kernel(), '');
    assert.deepEqual(await h.made(), before, 'what augenrules made is as it was, too');
  });

  it('a dry run writes and loads nothing', async () => {
    await using h = await host();
    assert.equal(await h.setUp(true), true);
    assert.match(h.printed.join('\n'), /\+ -a always,exit/);
    assert.equal(existsSync(h.at(AUDIT_FILE)), false);
    assert.equal(h.ran.includes('augenrules --load'), false);
  });

  it('[E-S10] without auditd says so and does nothing', async () => {
    await using h = await host();
    h.state.installed = false;
    assert.equal(await h.setUp(), true);
    assert.match(h.printed.join('\n'), /auditd is not installed/);
    assert.equal(existsSync(h.at(AUDIT_FILE)), false);
  });

  for (const [words, fault, said] of [
    ['cannot be loaded', { loads: false }, /augenrules does not load the rules: Error sending/],
    ['are not taken', { takes: false }, /did not take the rules: identree-breakglass, /],
  ] as const) {
    it(`[E-S10] rules that ${words} are put back`, async () => {
      await using h = await host();
      const before = await h.made();
      Object.assign(h.state, fault);
      assert.equal(await h.setUp(), false);
      assert.deepEqual(await h.made(), before);
      assert.match(h.printed.join('\n'), said);
      assert.equal(existsSync(h.at(AUDIT_FILE)), false);
    });
  }

  it('rules that are locked count from the next start on', async () => {
    await using h = await host();
    h.state.locked = true;
    assert.equal(await h.setUp(), true);
    assert.match(h.printed.join('\n'), /locked until the machine starts anew/);
    assert.match(await h.read(AUDIT_FILE), /identree-breakglass/);
    assert.equal(h.ran.includes('augenrules --load'), false);
  });

  it('a configured path that auditd cannot name changes nothing', async () => {
    await using h = await host();
    const odd = createAuditAddition({ ...AUDITED, breakGlassFile: '/etc/a b' }, h.deps);
    assert.equal(await setUp([], { dryRun: false }, h.deps, odd), false);
    assert.match(h.printed.join('\n'), /no way to name "\/etc\/a b"/);
  });

  it('goes back with a gate that nobody confirmed', async () => {
    await using h = await host();
    const before = await h.made();
    const pam = '/etc/pam.d/sudo';
    for (const [path, text, mode] of [
      [pam, '@include common-auth\n', 0o644],
      ['/etc/sudoers', '@includedir /etc/sudoers.d\n', 0o440],
      ['/usr/lib/identree/identree-pam', '', 0o755],
      ['/usr/lib/identree/pam_identree.so', '', 0o644],
      ['/lib/security/pam_deny.so', '', 0o644],
      ['/lib/security/pam_permit.so', '', 0o644],
    ] as const) {
      await mkdir(dirname(h.at(path)), { recursive: true });
      await writeFile(h.at(path), text);
      await chmod(h.at(path), mode);
    }
    const addition = createAuditAddition(AUDITED, h.deps);
    assert.equal(await setUp(['sudo'], { dryRun: false }, h.deps, addition), true, h.printed.join('\n'));
    assert.equal(h.waits(), true);
    assert.equal(await h.revert(), true, h.printed.join('\n'));
    assert.equal(await h.read(pam), '@include common-auth\n');
    assert.equal(h.kernel(), '');
    assert.deepEqual(await h.made(), before);
  });
});
