import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TestResult } from './results.ts';
import { runReporting } from './run-stage.ts';

const folder = mkdtempSync(join(tmpdir(), 'identree-runner-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const runner = join(import.meta.dirname, 'run-node-tests.ts');

async function run(files: Record<string, string>, limitMs = 30_000) {
  const results: TestResult[] = [];
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const outcome = await runReporting({
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      runner,
      '--concurrency=3',
      '--timeout=60000',
      '--linger=500',
      ...Object.keys(files)
        .filter((name) => !name.startsWith('helper'))
        .map((name) => join(folder, name)),
    ],
    cwd: folder,
    env,
    logFile: join(folder, 'log'),
    limitMs,
    onResult: (result) => results.push(result),
  });
  return { ...outcome, results, lines: results.map(({ name, status }) => `${status}: ${name.join(' > ')}`).sort() };
}

test('leaves are counted, parents are not, and every kind of ending has its place', async () => {
  const { lines, code, results } = await run({
    'kinds.mjs': `
      import { describe, test, before } from 'node:test';
      test('plain', () => { console.log('noise'); });
      test('strange \\u2028 name \\r \\u001e', () => {});
      test('broken', () => { throw new Error('the reason'); });
      test.skip('left out');
      test('left out in words', (t) => t.skip('no moon'));
      test.todo('later');
      test('later and failing', { todo: 'soon' }, () => { throw new Error('x'); });
      describe('suite', () => {
        test('inner', () => {});
        describe('deeper', () => { test('innermost', () => { throw new Error('deep'); }); });
      });
      test('parent', async (t) => { await t.test('child', () => {}); await t.test('other child', () => {}); });
      test('parent that fails itself', async (t) => { await t.test('fine', () => {}); throw new Error('own fault'); });
      describe('hook', () => { before(() => { throw new Error('hook'); }); test('never ran', () => {}); });
      test('cancelled', { timeout: 200 }, async (t) => { await t.test('unfinished', () => new Promise((r) => setTimeout(r, 20_000).unref())); });
    `,
  });
  assert.deepEqual(lines, [
    'failed: broken',
    'failed: cancelled',
    'failed: cancelled > unfinished',
    'failed: hook',
    'failed: hook > never ran',
    'failed: parent that fails itself',
    'failed: suite > deeper > innermost',
    'passed: parent > child',
    'passed: parent > other child',
    'passed: parent that fails itself > fine',
    'passed: plain',
    'passed: strange \u2028 name \r \u001e',
    'passed: suite > inner',
    'skipped: later',
    'skipped: later and failing',
    'skipped: left out',
    'skipped: left out in words',
  ]);
  assert.equal(code, 1);
  assert.match(results.find(({ name }) => name[0] === 'broken')?.detail ?? '', /the reason/);
  assert.equal(results.find(({ name }) => name[0] === 'left out in words')?.detail, 'no moon');
});

test('suites that a helper declares keep their tests, with several files at once', async () => {
  const helper = './helper.mjs';
  const file = (name: string) => `
    import { forEach } from ${JSON.stringify(helper)};
    import { test } from 'node:test';
    forEach('${name}', () => { test('good', () => {}); test('bad', () => { throw new Error('x'); }); });
  `;
  const { lines } = await run({
    'helper.mjs': `
      import { describe } from 'node:test';
      export const forEach = (name, suite) => { for (const on of ['one', 'two']) describe(name + ' on ' + on, suite); };
    `,
    'a.mjs': file('a'),
    'b.mjs': file('b'),
    'c.mjs': file('c'),
  });
  const expected = ['a', 'b', 'c'].flatMap((name) =>
    ['one', 'two'].flatMap((on) => [`failed: ${name} on ${on} > bad`, `passed: ${name} on ${on} > good`]),
  );
  assert.deepEqual(lines, expected.sort());
});

test('files run in the order in which they are named', async () => {
  const file = (name: string) => `import { test } from 'node:test'; test('${name}', () => {});`;
  const { results, code } = await run({ 'z.mjs': file('z'), 'm.mjs': file('m'), 'y.mjs': file('y') });
  assert.deepEqual(
    results.map(({ name }) => name[0]),
    ['z', 'm', 'y'],
  );
  assert.equal(code, 0);
});

test('a file that cannot be loaded and one that crashes are failures', async () => {
  const { results } = await run({
    'syntax.mjs': 'import test from "node:test"; test("never", () => {}); }',
    'crash.mjs': 'import test from "node:test"; test("crash", () => process.kill(process.pid, "SIGKILL"));',
    'fine.mjs': 'import test from "node:test"; test("fine", () => {});',
  });
  assert.equal(results.filter(({ status }) => status === 'failed').length, 2);
  assert.equal(results.filter(({ status }) => status === 'passed').length, 1);
});

test('a file that goes on after its last test is ended, and says what it left open; another has its time to end', async () => {
  const { lines, code, problem } = await run({
    'open.mjs': `
      import { test } from 'node:test';
      import net from 'node:net';
      test('leaves a server', () => { net.createServer().listen(0); });`,
    'slow.mjs': 'import { test } from "node:test"; test("ends soon", () => { setTimeout(() => {}, 100); });',
    'builds.mjs': `
      import { describe, test } from 'node:test';
      import { setTimeout as sleep } from 'node:timers/promises';
      test('before it builds', () => {});
      await sleep(800);
      describe('what it has built', () => { test('takes long', () => sleep(800)); test('is there', () => {}); });`,
  });
  assert.equal(problem, null);
  assert.deepEqual(lines, [
    'passed: before it builds',
    'passed: ends soon',
    'passed: leaves a server',
    'passed: what it has built > is there',
    'passed: what it has built > takes long',
  ]);
  assert.equal(code, 0);
  const log = readFileSync(join(folder, 'log'), 'utf8');
  assert.match(log, /open\.mjs: ended 0\.5 s after its last test; what it left open: .*TCPServerWrap/);
});

test('a program that never ends is ended, with everything that it started', async () => {
  const started = Date.now();
  const outcome = await runReporting({
    command: 'sh',
    args: ['-c', 'sleep 300 & echo begun; sleep 300'],
    cwd: folder,
    env: process.env,
    logFile: join(folder, 'log'),
    limitMs: 500,
    onResult: () => assert.fail('nothing was reported'),
  });
  assert.match(outcome.problem ?? '', /took longer than/);
  assert.equal(outcome.tail, 'begun');
  assert.ok(Date.now() - started < 60_000);
});

test('a program that is not there is told, not thrown', async () => {
  const outcome = await runReporting({
    command: '/nonexistent',
    args: [],
    cwd: folder,
    env: {},
    logFile: join(folder, 'log'),
    limitMs: 5000,
    onResult: () => {},
  });
  assert.match(outcome.problem ?? '', /could not be started/);
});

test('what runs ends with who started it, also when that ends by a fault of its own', async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'identree-run-'));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  const sleeps = ['-c', 'echo $$ > new; mv new pid; exec sleep 600'];
  const run = { command: '/bin/sh', args: sleeps, cwd, logFile: join(cwd, 'log'), limitMs: 600_000 };
  const text = `
    import { existsSync } from 'node:fs';
    import { runReporting } from ${JSON.stringify(join(import.meta.dirname, 'run-stage.ts'))};
    void runReporting({ ...${JSON.stringify(run)}, env: process.env, onResult() {} });
    while (!existsSync('pid')) await new Promise((go) => setTimeout(go, 10));
    throw new Error('a fault');`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', text], { cwd });
  assert.notEqual(ended.status, 0);
  const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'));
  const isThere = (): boolean => {
    try {
      // One that has ended and that nobody has asked about yet is there by its number.
      return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  for (const end = Date.now() + 30_000; isThere() && Date.now() < end; ) await new Promise((go) => setTimeout(go, 10));
  assert.equal(isThere(), false);
});
