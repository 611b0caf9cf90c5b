import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFiles } from './page-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'identree-files-'));
after(() => rmSync(folder, { recursive: true }));
const root = join(folder, 'console');
mkdirSync(join(root, 'assets'), { recursive: true });
writeFileSync(join(root, 'index.html'), '<p>page');
writeFileSync(join(root, 'assets/index-a1.js'), 'x');
writeFileSync(join(root, 'assets/index-a1.css'), 'y');
writeFileSync(join(root, 'assets/index-a1.js.map'), 'sources');
writeFileSync(join(root, '.env'), 'SECRET=1');
writeFileSync(join(folder, 'outside.js'), 'secret');
mkdirSync(join(folder, 'console-2'));
writeFileSync(join(folder, 'console-2/sibling.js'), 'secret');
symlinkSync(join(folder, 'outside.js'), join(root, 'link.js'));
symlinkSync(folder, join(root, 'up'));
symlinkSync(join(folder, 'console-2/sibling.js'), join(root, 'sibling.js'));

test('the files of the page, with their types', () => {
  const files = readFiles(root);
  assert.equal(files('/index.html')?.type, 'text/html; charset=utf-8');
  assert.equal(files('/assets/index-a1.js')?.type, 'text/javascript; charset=utf-8');
  assert.equal(files('/assets/index-a1.css')?.type, 'text/css; charset=utf-8');
  assert.equal(files('/assets/index-a1.js')?.bytes.toString(), 'x');
});

test('nothing outside the folder, however it is spelt or linked', () => {
  const files = readFiles(root);
  for (const path of [
    '/../outside.js',
    '/assets/../../outside.js',
    '/assets/../index.html',
    '//index.html',
    '/./index.html',
    'index.html',
    '/assets',
    '/assets/',
    '/link.js',
    '/up/outside.js',
    '/up/console/index.html',
    '/sibling.js',
    '/..%2foutside.js',
    '/INDEX.HTML',
    '/constructor',
    '',
  ]) {
    assert.equal(files(path), null, path);
  }
});

test('only kinds of file that a page needs', () => {
  const files = readFiles(root);
  assert.equal(files('/.env'), null);
  assert.equal(files('/assets/index-a1.js.map'), null);
});

test('what is on the disk later changes nothing: a running window never gets two builds', () => {
  writeFileSync(join(root, 'late.js'), 'first');
  const files = readFiles(root);
  writeFileSync(join(root, 'late.js'), 'second');
  assert.equal(files('/late.js')?.bytes.toString(), 'first');
  rmSync(join(root, 'late.js'));
  symlinkSync(join(folder, 'outside.js'), join(root, 'late.js'));
  assert.equal(files('/late.js')?.bytes.toString(), 'first');
  assert.equal(readFiles(root)('/late.js'), null);
});
