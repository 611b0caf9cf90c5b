import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../../..');

const PROGRAMS = ['server/src/main.ts', 'agent/src/main.ts'];
const start = (program: string, stdout: 'pipe' | number) =>
  spawn(process.execPath, [program, '--help'], {
    cwd: ROOT,
    stdio: ['ignore', stdout, 'pipe'],
    env: { PATH: process.env.PATH, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });

for (const program of PROGRAMS) {
  test(`${program}: a reader that has read enough and goes is no failure`, async (t) => {
    const child = start(program, 'pipe');
    t.after(() => child.kill('SIGKILL'));
    // Before it has said a word.
    child.stdout!.destroy();
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code, signal] = await once(child, 'close');
    assert.deepEqual([code, signal, said], [0, null, '']);
  });

  test(`${program}: what cannot be written where it should be is one`, async (t) => {
    const child = start(program, openSync('/dev/full', 'w'));
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    assert.notEqual(code, 0);
    assert.match(said, /^identree(?:-server)?: cannot write the output: no space left on the disk\n$/);
  });
}
