import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { it } from 'node:test';
import { describeProgram } from '#shared/testing/program.ts';
import { EXIT } from './command.ts';
import { PROGRAM } from './program.ts';

describeProgram(PROGRAM);

it('every command that there is a file for is in the list', () => {
  const others = ['command.ts', 'program.ts', 'run.ts'];
  const files = readdirSync(import.meta.dirname).filter((name) => /^[a-z-]+\.ts$/.test(name) && !others.includes(name));
  assert.deepEqual(PROGRAM.commands.map(({ name }) => `${name}.ts`).sort(), files.sort());
});

it('every exit code has its meaning', () => {
  assert.deepEqual(
    Object.keys(PROGRAM.exits),
    Object.values(EXIT).map((code) => String(code)),
  );
});
