import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemRandom } from '../platform/random.ts';
import { findRunning, kindOfFolder, loadSecrets, noteRunning, prepareStateFolder, stateFiles } from './state-folder.ts';

const scratch = mkdtempSync(join(tmpdir(), 'identree-evaluation-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
let next = 0;
const folder = (): string => join(scratch, `state-${next++}`);

test('a new folder is for its owner only, and is recognised', () => {
  const path = folder();
  assert.equal(kindOfFolder(path), 'nothing');
  prepareStateFolder(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(kindOfFolder(path), 'evaluation');
  prepareStateFolder(path);
});

test('what is not an evaluation is not touched', () => {
  const path = folder();
  mkdirSync(path);
  writeFileSync(join(path, 'thesis.txt'), 'x');
  assert.equal(kindOfFolder(path), 'foreign');
  assert.throws(() => prepareStateFolder(path), /not an evaluation/);
  const real = folder();
  prepareStateFolder(real);
  const link = folder();
  symlinkSync(real, link);
  assert.equal(kindOfFolder(link), 'foreign');
});

test('the sign-in code stays the same from start to start and is readable by the owner only', () => {
  const path = folder();
  prepareStateFolder(path);
  const first = loadSecrets(path, systemRandom);
  assert.deepEqual(loadSecrets(path, systemRandom), first);
  assert.equal(statSync(stateFiles(path).secrets).mode & 0o777, 0o600);
});

test('a running evaluation is found; a note of a dead one, or of a recycled process id, is not believed', () => {
  const path = folder();
  prepareStateFolder(path);
  assert.equal(findRunning(path), null);
  const takeBack = noteRunning(path, 'http://localhost:1');
  assert.equal(findRunning(path)?.url, 'http://localhost:1');
  takeBack();
  assert.equal(findRunning(path), null);
  writeFileSync(stateFiles(path).run, JSON.stringify({ pid: process.pid, started: '1', url: 'http://localhost:1' }));
  assert.equal(findRunning(path), null);
  writeFileSync(stateFiles(path).run, JSON.stringify({ pid: 2 ** 22 + 1, started: '1', url: 'http://localhost:1' }));
  assert.equal(findRunning(path), null);
  writeFileSync(stateFiles(path).run, 'half a');
  assert.equal(findRunning(path), null);
});
