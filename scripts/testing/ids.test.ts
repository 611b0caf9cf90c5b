import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { idsIn, type PromisedId, resultsOf } from './ids.ts';
import type { TestResult } from './results.ts';

const root = join(import.meta.dirname, '../..');

const result = (name: string[], status: TestResult['status'], detail: string | null = null): TestResult => ({
  name,
  file: null,
  status,
  durationMs: 0,
  detail,
});
const promised = ['B-01', 'B-02', 'B-03', 'B-04'].map((id) => ({ id, text: `what ${id} is` }));

test('ids stand in the name of a test or of its suite', () => {
  assert.deepEqual(idsIn('[B-01] [B-2a] one [x] and B-03'), ['B-01', 'B-2a']);
});

test('an id fails with one of its tests, is skipped with all of them, and without one is missing', () => {
  const { ids, unknown } = resultsOf(promised, [
    result(['[B-01] a suite', 'one'], 'passed'),
    result(['[B-01] a suite', 'two'], 'skipped', 'no Postgres'),
    result(['[B-02] fails'], 'failed', 'Error'),
    result(['[B-02] passes'], 'passed'),
    result(['[B-03] needs a program'], 'skipped', 'no rsyslog'),
    result(['[B-99] a typing error'], 'passed'),
    result(['of no id'], 'failed'),
  ]);
  assert.deepEqual(
    ids.map(({ id, status, detail }) => [id, status, detail]),
    [
      ['B-01', 'passed', '1, skipped 1: no Postgres'],
      ['B-02', 'failed', '[B-02] fails'],
      ['B-03', 'skipped', 'no rsyslog'],
      ['B-04', 'no test', ''],
    ],
  );
  assert.deepEqual(unknown, ['B-99']);
});

test('an id that no test is to have says why, and counts as one as soon as a test has it', () => {
  const none = [{ id: 'E-B7', text: 'what it was', none: 'it is gone' }];
  const of = (results: TestResult[]) => resultsOf(none, results).ids.map(({ status, detail }) => [status, detail]);
  assert.deepEqual(of([]), [['none', 'it is gone']]);
  assert.deepEqual(of([result(['[E-B7] fails'], 'failed')]), [['failed', '[E-B7] fails']]);
});

describe('the list of what is promised', () => {
  const promises = JSON.parse(readFileSync(join(root, 'scripts/test-ids.json'), 'utf8')) as PromisedId[];
  const tests = globSync(['{agent,server,shared,apps,e2e,scripts,chaos,bench}/**/*.{test,spec}.ts'], {
    cwd: root,
    exclude: (name) => /node_modules|dist/.test(String(name)),
  });
  // A comment is no test.
  const codeOf = (file: string): string => readFileSync(join(root, file), 'utf8').replace(/^\s*(\/?\*|\/\/).*$/gm, '');
  const own = tests.filter((file) => !file.endsWith('testing/ids.test.ts'));
  const named = new Set(own.flatMap((file) => idsIn(codeOf(file))));

  test('has a test for each, or says why none', () => {
    assert.deepEqual(
      promises.filter(({ id, none }) => named.has(id) === (none !== undefined)).map(({ id }) => id),
      [],
    );
  });

  test('has every id that a test names', () => {
    const known = new Set(promises.map(({ id }) => id));
    assert.deepEqual(
      [...named].filter((id) => !known.has(id)),
      [],
    );
  });

  test('leaves no number out of a family whose numbers were given once', () => {
    for (const family of ['E-B', 'E-F', 'E-P', 'E-S', 'E-T']) {
      const own = promises.flatMap(({ id }) => (new RegExp(`^${family}\\d`).test(id) ? [id] : []));
      assert.deepEqual(
        own,
        own.map((_, index) => `${family}${index + 1}`),
      );
    }
    const weaknesses = promises.flatMap(({ id }) => (id.startsWith('W-') && id !== 'W-1b' ? [id] : []));
    assert.deepEqual(
      weaknesses,
      Array.from({ length: 32 }, (_, index) => `W-${index + 1}`),
    );
  });
});
