import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostRecord, requestHash } from '#shared/decision.ts';
import { buildRecord, loginEvidence, readReason, sshOrigin, sudoEvidence } from './evidence.ts';
import type { Hello } from './hello.ts';
import type { ProcessFacts } from './proc.ts';
import type { SudoPolicy } from './sudo-policy.ts';

const facts = (words: (string | Buffer)[]): ProcessFacts => ({
  cmdline: Buffer.concat(words.flatMap((word) => [Buffer.from(word), Buffer.from([0])])),
  program: 'sudo',
  cwd: null,
  environ: { sudoReason: null, locale: '', term: '', risky: [] },
});
const POLICY: SudoPolicy = { kind: 'sudo', securePath: ['/usr/bin', '/bin'], runAsDefault: 'root', keeps: [] };
const evidenceOf = (
  words: (string | Buffer)[],
  change: Partial<ProcessFacts> = {},
  policy: SudoPolicy | null = POLICY,
) => sudoEvidence({ ...facts(words), ...change }, { user: 'alice', root: '', policy });
const WHO = { user: 'alice', uid: 1000, gate: 'pam' as const, service: 'sudo', tty: null, origin: null };
const STAMP = { hostId: '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e', nonce: 'A'.repeat(43), createdAt: 1_800_000_000_000 };

describe('what sudo is about to do', () => {
  for (const [words, mode, unrestricted] of [
    [['sudo', '-i'], 'login-shell', ['shell']],
    [['sudo', '-s'], 'shell', ['shell']],
    [['sudo', '-e', '/etc/fstab'], 'edit', ['editor']],
    [['sudo', '-l'], 'list', []],
    [['sudo', '-v'], 'validate', []],
    [['sudo', '--nonsense'], 'unparsed', ['unparsed']],
    [['sudo', '-R', '/jail', 'true'], 'unparsed', ['unparsed']],
    [['sudo', '-D', '/tmp', '/bin/true'], 'unparsed', ['unparsed']],
    [['sudo', './true'], 'unparsed', ['unparsed']],
    [['sudo', '../bin/true'], 'unparsed', ['unparsed']],
    [['sudo', 'bin/true'], 'unparsed', ['unparsed']],
    [['sudo', '-l', './true'], 'list', []],
  ] as const) {
    it(`${words.join(' ')}: ${mode}, ${unrestricted.join(' ') || 'restricted'}`, async () => {
      const evidence = await evidenceOf([...words]);
      assert.equal(evidence.mode, mode);
      assert.deepEqual(evidence.unrestricted, unrestricted);
      assert.equal(evidence.target, null);
    });
  }

  it('a word is looked up where sudo says, and nowhere else', async () => {
    assert.equal((await evidenceOf(['sudo', 'true'])).target?.path.endsWith('/true'), true);
    const elsewhere = await evidenceOf(['sudo', 'true'], {}, { ...POLICY, securePath: ['/usr/share'] });
    assert.deepEqual([elsewhere.target, elsewhere.unrestricted], [null, ['unparsed']]);
  });

  it('where sudo does not say, a word may be any program and a path gets the PATH of whoever asks', async () => {
    const policy = { ...POLICY, securePath: null };
    const word = await evidenceOf(['sudo', '-u', 'bob', 'true'], {}, policy);
    assert.deepEqual([word.mode, word.runAs.user, word.target], ['unparsed', 'root', null]);
    assert.deepEqual(word.unrestricted, ['unparsed']);
    const path = await evidenceOf(['sudo', '/bin/true'], {}, policy);
    assert.equal(path.mode, 'command');
    assert.deepEqual(path.unrestricted, ['environment']);
  });

  it('without the rules of sudo no line is believed', async () => {
    for (const words of [
      ['sudo', '/bin/true'],
      ['sudo', '-l'],
      ['sudo', '-s'],
    ]) {
      const evidence = await evidenceOf(words, {}, null);
      assert.deepEqual([evidence.mode, evidence.target, evidence.unrestricted], ['unparsed', null, ['unparsed']]);
    }
  });

  it('who runs a command when nobody is named is what the rules say', async () => {
    const policy = { ...POLICY, runAsDefault: 'operator' };
    assert.equal((await evidenceOf(['sudo', 'true'], {}, policy)).runAs.user, 'operator');
    assert.equal((await evidenceOf(['sudo', '-u', 'bob', 'true'], {}, policy)).runAs.user, 'bob');
  });

  for (const [words, risky, keeps, marked] of [
    [['sudo', 'LD_PRELOAD=/tmp/x.so', 'true'], [], [], true],
    [['sudo', 'PYTHONPATH=/tmp', 'true'], [], [], true],
    [['sudo', 'PATH=/tmp', 'true'], [], [], true],
    [['sudo', 'LC_ALL=C', 'true'], [], [], false],
    [['sudo', '-E', 'true'], [], [], true],
    [['sudo', '--preserve-env', 'true'], [], [], true],
    [['sudo', '-nE', '-u', 'bob', 'true'], [], [], true],
    [['sudo', 'true'], ['LD_PRELOAD'], [], false],
    [['sudo', 'true'], ['LD_PRELOAD'], ['LD_*'], true],
    [['sudo', 'true'], ['PERL5LIB'], ['PERL5LIB'], true],
    [['sudo', 'true'], ['PERL5LIB'], ['PERL5OPT'], false],
    [['sudo', 'true'], ['BASH_ENV'], 'everything', true],
    [['sudo', 'true'], null, [], true],
    [['sudo', '-l'], null, 'everything', false],
  ] as const) {
    const kept = keeps === 'everything' ? keeps : keeps.join(' ') || 'nothing';
    const set = risky?.join(' ') ?? 'an unreadable environment';
    it(`${words.join(' ')} with ${set || 'nothing'} set and ${kept} kept: ${marked ? 'unrestricted' : 'as it looks'}`, async () => {
      const environ = { ...facts([]).environ, risky };
      const evidence = await evidenceOf([...words], { environ }, { ...POLICY, keeps });
      assert.equal(evidence.unrestricted.includes('environment'), marked);
    });
  }

  it('-g alone runs as the caller', async () => {
    assert.deepEqual((await evidenceOf(['sudo', '-g', 'wheel', 'true'])).runAs, { user: 'alice', group: 'wheel' });
  });

  it('a hostile run-as name is shown escaped', async () => {
    assert.equal((await evidenceOf(['sudo', '-u', 'ro\u202eot', 'true'])).runAs.user, 'ro\\u{202e}ot');
    assert.equal((await evidenceOf(['sudo', '-u', Buffer.from([0xff]), 'true'])).runAs.user, '\\xff');
  });

  it('only sudo, under the names that every version reads the same, is read', async () => {
    assert.equal((await evidenceOf(['/usr/bin/sudo', 'true'])).mode, 'command');
    assert.equal((await evidenceOf(['-sh', 'true'])).mode, 'unparsed');
    assert.equal((await evidenceOf(['xedit', '/etc/fstab'])).mode, 'unparsed');
    assert.equal((await evidenceOf(['sudo', 'true'], { program: 'bash' })).mode, 'unparsed');
    assert.equal((await evidenceOf(['sudo', 'true'], { program: null })).mode, 'unparsed');
  });
});

describe('the record', () => {
  it('always fits the schema, however hostile the command line', async () => {
    for (const words of [
      ['sudo', '-u', 'x'.repeat(100_000), 'true'],
      ['sudo', 'true', Buffer.alloc(100_000, 0xff)],
      Array.from({ length: 3000 }, () => 'sudo'),
      [Buffer.from([0x1b])],
      [],
    ]) {
      const record = buildRecord(await evidenceOf(words), { ...WHO, tty: '/dev/pts/\u001b[2J', origin: null }, STAMP);
      assert.doesNotThrow(() => hostRecord.parse(record));
      assert.ok(Buffer.byteLength(JSON.stringify({ record })) < 31 * 1024, 'fits the body limit');
    }
  });

  it('two requests differ although everything in them is equal', async () => {
    const evidence = await evidenceOf(['sudo', '-l']);
    const first = buildRecord(evidence, WHO, STAMP);
    const second = buildRecord(evidence, WHO, { ...STAMP, nonce: 'B'.repeat(43) });
    assert.notEqual(requestHash(first), requestHash(second));
  });

  it('what is cut off still counts in the hash', async () => {
    const long = (last: string) => ['sudo', '-l', 'x'.repeat(5000), last];
    const [a, b] = await Promise.all([evidenceOf(long('a')), evidenceOf(long('b'))]);
    const [first, second] = [buildRecord(a!, WHO, STAMP), buildRecord(b!, WHO, STAMP)];
    assert.deepEqual(first.argv, second.argv);
    assert.equal(first.argvTruncated, true);
    assert.notEqual(first.argvSha256, second.argvSha256);
  });

  it('a login has no command', () => {
    const hello = { user: 'bob', uid: 7 } as Hello;
    const record = buildRecord(loginEvidence(hello), { ...WHO, user: 'bob', gate: 'ssh', service: 'sshd' }, STAMP);
    assert.deepEqual([record.mode, record.argv, record.runAs.user, record.target], ['login', [], 'bob', null]);
    assert.equal(record.argvSha256, '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU', 'SHA-256 of nothing');
    assert.deepEqual(loginEvidence({ ...hello, uid: 0 }).unrestricted, ['shell'], 'a login as root is root');
  });
});

describe('reason and origin', () => {
  it('[W-27] a reason is one visible text of at most 500 characters', () => {
    assert.equal(readReason(null), null);
    assert.equal(readReason(Buffer.from('  ')), null);
    assert.equal(readReason(Buffer.from(' a\nb\u202e ')), 'a\\x0ab\\u{202e}');
    assert.equal([...readReason(Buffer.from('ä'.repeat(900)))!].length, 500);
    const worst = readReason(Buffer.from('\u202e'.repeat(900)))!;
    assert.ok(worst.length <= 2000 && worst.isWellFormed());
  });

  it('an SSH origin names the address and the key that was used', () => {
    const blob = Buffer.from('key').toString('base64');
    const base = {
      rhost: 'host.example',
      sshConnection: '192.0.2.7 55 192.0.2.1 22',
      sshAuthInfo: `publickey ssh-ed25519 ${blob}\n`,
    };
    assert.equal(sshOrigin(base), '192.0.2.7, key SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM');
    assert.equal(sshOrigin({ ...base, sshAuthInfo: null }), '192.0.2.7');
    assert.equal(sshOrigin({ rhost: '192.0.2.9', sshConnection: null, sshAuthInfo: 'password' }), '192.0.2.9');
    assert.equal(sshOrigin({ rhost: null, sshConnection: null, sshAuthInfo: null }), null);
    assert.equal(sshOrigin({ rhost: 'a\u001b[1m', sshConnection: null, sshAuthInfo: null }), 'a\\x1b[1m');
  });
});
