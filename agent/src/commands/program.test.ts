import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { describeProgram } from '#shared/testing/program.ts';
import { EXIT } from '../exit-codes.ts';
import { PROGRAM } from './program.ts';

describeProgram(PROGRAM);

it('every command that there is a file for is in the list', () => {
  const others = ['context.ts', 'program.ts'];
  const files = readdirSync(import.meta.dirname).filter((name) => /^[a-z-]+\.ts$/.test(name) && !others.includes(name));
  assert.deepEqual(PROGRAM.commands.map(({ name }) => `${name}.ts`).sort(), files.sort());
});

it('every exit code has its meaning', () => {
  assert.deepEqual(
    Object.keys(PROGRAM.exits),
    Object.values(EXIT).map((code) => String(code)),
  );
});

it('knowing the commands loads nothing that they work with: sudo waits for the gate', () => {
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { console.log(url); return next(url, context); } });`;
  const loading = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
  const ended = spawnSync(process.execPath, [...loading, join(import.meta.dirname, 'program.ts')], {
    encoding: 'utf8',
  });
  const loaded = ended.stdout.split('\n').filter((url) => url.startsWith('file:'));
  assert.ok(
    loaded.some((url) => url.endsWith('/commands/gate.ts')),
    ended.stderr,
  );
  const heavy = loaded.filter(
    (url) =>
      !/\/(commands|command-line)\/|\/(exit-codes|paths|version|nearest|pam-stacks)\.ts$|\/package\.json$/.test(url),
  );
  assert.deepEqual(heavy, []);
});
