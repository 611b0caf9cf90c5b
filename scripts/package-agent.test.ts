import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { packageAgent } from './package-agent.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const PLUGIN = 'dist/native/identree_sudo.so';
const BUILD = '0123456789abcdef0123456789abcdef';
const lacking = ['dpkg-deb', 'rpmbuild', 'cc', 'readelf'].filter(
  (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error,
);
const skip = lacking.length > 0 && `this machine has no ${lacking.join(', ')}`;

/** Packages of a tree whose programs are a few lines of C: how it is packed does not depend on how large it is. */
describe('packages of the agent', () => {
  let work: string;
  let from: string;
  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'identree-packages-'));
    from = join(work, 'from');
    await mkdir(join(from, 'dist/agent'), { recursive: true });
    await mkdir(join(from, 'dist/native'));
    await mkdir(join(from, 'docs/man'), { recursive: true });
    await cp(join(root, 'agent/packaging'), join(from, 'agent/packaging'), { recursive: true });
    await cp(join(root, 'docs/man/identree.8'), join(from, 'docs/man/identree.8'));
    if (skip) return;
    for (const file of ['identree-pam', 'pam_identree.so'])
      compile('int main(void) { return 0; }', `dist/native/${file}`);
    compile('int main(void) { return 0; }', PLUGIN);
    const digest = createHash('sha256')
      .update(await readFile(join(from, PLUGIN)))
      .digest('hex');
    compile(`const char *digest = "${digest}";\nint main(void) { return 0; }`, 'dist/agent/identree');
  });
  after(() => rm(work, { recursive: true, force: true }));

  const compile = (source: string, file: string, build = BUILD): void =>
    void execFileSync('cc', ['-x', 'c', '-o', join(from, file), '-'], {
      input: `const char *build = "identree plugin, build ${build}\\n";\n${source}\n`,
    });

  const make = (name: string) => packageAgent({ from, out: join(work, name), version: '1.2.3', compression: 'quick' });

  test('two builds give the same bytes, whatever the umask and the day', { skip }, async () => {
    const one = await make('one');
    const mask = process.umask(0o077);
    await run('touch', [
      '--date=2030-01-01',
      ...['identree-pam', 'pam_identree.so'].map((f) => join(from, 'dist/native', f)),
    ]);
    const two = await make('two').finally(() => process.umask(mask));
    for (const format of ['deb', 'rpm'] as const)
      assert.ok((await readFile(one[format])).equals(await readFile(two[format])), format);
  });

  test('it says the rights in all that is built in', { skip }, async () => {
    const { deb } = await make('rights');
    const tar = await run('dpkg-deb', ['--fsys-tarfile', deb], { encoding: 'buffer', maxBuffer: 1 << 26 });
    const copyright = execFileSync('tar', ['-xO', './usr/share/doc/identree-agent/copyright'], { input: tar.stdout });
    for (const what of ['The identree authors', 'This package holds Node.js', 'This package holds zod '])
      assert.ok(copyright.includes(what), what);
  });

  test("the .rpm holds what the .deb holds, root's, and keeps the state of the host to root", { skip }, async () => {
    const { deb, rpm } = await make('both');
    const { stdout: listed } = await run('rpm', [
      '-qp',
      '--queryformat',
      '[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}\n]',
      rpm,
    ]);
    const inRpm = listed.trim().split('\n');
    assert.ok(inRpm.includes('/var/lib/identree 40700 root'), listed);
    assert.ok(inRpm.includes('/usr/lib/identree/identree_sudo.so 100644 root'), listed);
    const { stdout } = await run('dpkg-deb', ['--contents', deb]);
    const files = stdout
      .split('\n')
      .filter((line) => /^-/.test(line))
      .map((line) => line.replace(/^.* \.\//, '/'));
    assert.deepEqual(
      files.filter((file) => !inRpm.some((line) => line.startsWith(`${file} `))),
      [],
    );
    assert.ok(files.includes('/etc/identree/client.conf.example'));
    assert.match((await run('dpkg-deb', ['--field', deb, 'Depends'])).stdout, /^libc6 \(>= 2\.\d+\)/);
    assert.match((await run('rpm', ['-qp', '--configfiles', rpm])).stdout, /client\.conf\.example/);
  });

  test('their scripts are shell, and do not go before setup is undone', { skip }, async () => {
    const { deb, rpm } = await make('scripts');
    const control = join(work, 'control');
    await run('dpkg-deb', ['--control', deb, control]);
    for (const name of ['postinst', 'prerm', 'postrm']) await run('sh', ['-n', join(control, name)]);
    const { stdout } = await run('rpm', ['-qp', '--scripts', rpm]);
    const [, ending = ''] = /^preuninstall .*\n([\s\S]*)^postuninstall/m.exec(stdout) ?? [];
    await writeFile(join(work, 'preun'), ending);
    await run('sh', ['-n', join(work, 'preun')]);
    assert.match(ending, /setup --undo/);
    assert.match(await readFile(join(control, 'prerm'), 'utf8'), /setup --undo/);
  });

  test('the installer beside them knows which init there is, and refuses what it would not heed', {
    skip,
  }, async () => {
    await make('installer');
    const installer = join(work, 'installer/install.sh');
    assert.doesNotMatch(await readFile(installer, 'utf8'), /@INIT@/);
    for (const [words, refused] of [
      ['--no-setup --pam sudo', /^identree: --pam: not with --no-setup$/m],
      ['--pam sudo --sssd --no-setup', /^identree: --pam --sssd: not with --no-setup$/m],
      ['--pam ', /^identree: --pam needs a value$/m],
    ] as const) {
      const { status, stderr } = spawnSync(installer, [...words.split(' '), 'https://identree.example.com'], {
        encoding: 'utf8',
      });
      assert.equal(status, 1);
      assert.match(stderr, refused);
    }
  });

  test('a plugin that is not the one that the program was built with is not packed', { skip }, async () => {
    const good = await readFile(join(from, PLUGIN));
    const compiled = (source: string, build?: string) => () => compile(source, PLUGIN, build);
    for (const [name, change] of Object.entries({
      'of other sources': compiled('int main(void) { return 0; }', BUILD.replaceAll('0', 'f')),
      'of the same sources, compiled otherwise': compiled('int main(void) { return 1; }'),
      'with something behind it': () => writeFile(join(from, PLUGIN), Buffer.concat([good, Buffer.from('x')])),
      'none at all': () => writeFile(join(from, PLUGIN), ''),
    })) {
      await change();
      await assert.rejects(make('mixed'), /identree_sudo\.so does not belong to .*: npm run build:agent/s, name);
    }
    await writeFile(join(from, PLUGIN), good);
    await make('again');
  });

  test('the package says which plugin is in it, in a file that comes before the plugin', { skip }, async () => {
    const { deb, rpm } = await make('record');
    const digest = createHash('sha256')
      .update(await readFile(join(from, PLUGIN)))
      .digest('hex');
    const tar = await run('dpkg-deb', ['--fsys-tarfile', deb], { encoding: 'buffer', maxBuffer: 1 << 26 });
    const record = execFileSync('tar', ['-xO', './usr/lib/identree/identree_sudo.id'], { input: tar.stdout });
    assert.equal(record.toString(), `${BUILD} ${digest}\n`);
    for (const listed of [
      (await run('dpkg-deb', ['--contents', deb])).stdout,
      (await run('rpm', ['-qpl', rpm])).stdout,
    ]) {
      const order = ['/usr/bin/identree\n', '/identree_sudo.id\n', '/identree_sudo.so\n'].map((end) =>
        listed.indexOf(end),
      );
      assert.ok(
        order.every((at, i) => at > (order[i - 1] ?? -1)),
        listed,
      );
    }
  });

  test('a library that no package is known for is named', { skip }, async () => {
    execFileSync('cc', ['-x', 'c', '-shared', '-o', join(work, 'libodd.so.9'), '-Wl,-soname,libodd.so.9', '-'], {
      input: 'int odd;',
    });
    execFileSync(
      'cc',
      ['-x', 'c', '-o', join(from, 'dist/native/identree-pam'), '-', '-x', 'none', join(work, 'libodd.so.9')],
      {
        input: 'extern int odd; int main(void) { return odd; }',
      },
    );
    await assert.rejects(make('odd'), /identree-pam loads libodd\.so\.9/);
  });
});
