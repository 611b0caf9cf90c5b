import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { whyNoLab } from '../../e2e/harness/lab.ts';
import { parseResult } from './results.ts';

/**
 * A newcomer who clones as root has the project below a folder that nobody else may enter. Every test that becomes
 * somebody else has to work from there.
 */

const root = join(import.meta.dirname, '../..');

/** File → names of its tests that become somebody else. The desktop's enter the project as `runAsNobody` does. */
const BECOMING: Record<string, RegExp> = {
  'agent/native/test/clean-start.test.ts': /the released program does not run for anybody|a listener that does not run/,
  'e2e/directory/lab.test.ts': /not as root/,
  // The server of every test database runs as `postgres`.
  'server/src/db/test-databases.test.ts': /on Postgres/,
};

const skip = process.getuid?.() === 0 ? (whyNoLab() ?? false) : 'needs root: only root may become somebody else';

test('what becomes somebody else in a test is known here', () => {
  const sources = globSync('{agent,apps,e2e,scripts,server,shared}/**/*.test.ts', {
    cwd: root,
    exclude: ['**/node_modules'],
  });
  const becoming = sources.filter((file) =>
    /'--reuid=|'--ruid=|process\.setuid\(|runAsNobody\(/.test(readFileSync(join(root, file), 'utf8')),
  );
  const known = [...Object.keys(BECOMING), 'scripts/testing/closed-folder.test.ts'];
  assert.deepEqual(
    becoming.filter((file) => !known.includes(file)),
    [],
  );
});

test('they pass in a checkout below a folder that is closed to others', { skip, timeout: 300_000 }, (t) => {
  const closed = mkdtempSync(join(tmpdir(), 'identree-closed-'));
  t.after(() => rmSync(closed, { recursive: true, force: true }));
  assert.equal(statSync(closed).mode & 0o077, 0);
  const checkout = join(closed, 'identree');
  cpSync(root, checkout, {
    recursive: true,
    filter: (source) => !['node_modules', 'dist', '.git', '.cache', 'test-results'].includes(basename(source)),
  });
  mkdirSync(join(checkout, 'node_modules'));
  for (const [file, names] of Object.entries(BECOMING)) {
    // Seen there in this process alone, so that nothing is left mounted.
    const mount = 'mount --bind "$1" node_modules && shift && exec node_modules/.bin/node "$@"';
    const reporter = './scripts/testing/node-reporter.ts';
    const args = ['--test', `--test-reporter=${reporter}`, `--test-name-pattern=${names}`, file];
    const modules = realpathSync(join(root, 'node_modules'));
    const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', mount, 'sh', modules, ...args], {
      cwd: checkout,
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_NO_WARNINGS: '1' },
      timeout: 200_000,
    });
    const results = stdout.split('\n').flatMap((line) => parseResult(line) ?? []);
    const chosen = results.filter(({ name, status }) => names.test(name.join(' ')) && status !== 'skipped');
    assert.ok(chosen.length > 0, `${file}: no test ran\n${stdout}${stderr}`);
    assert.deepEqual(
      chosen.filter(({ status }) => status === 'failed').map(({ name, detail }) => `${name.join(' > ')}\n${detail}`),
      [],
    );
  }
});
