import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listStages, type Picked, pickStages } from './stages.ts';

const root = join(import.meta.dirname, '../..');
const stages = listStages(root, { long: false });
const pick = (words: string[], folder = root): Picked => pickStages(stages, words, { root, folder });

/** The chosen stages with the test files that they would run; a stage that is run as a whole has no list. */
function shown(picked: Picked): Record<string, string[] | 'whole'> | string {
  if (!picked.ok) return picked.unknown;
  return Object.fromEntries(
    picked.stages.map((stage) => {
      const isWhole = stages.includes(stage);
      return [stage.name, isWhole ? 'whole' : stage.steps.flatMap(({ files }) => files)];
    }),
  );
}

test('without a word all stages run, in their order', () => {
  assert.deepEqual(pick([]), { ok: true, stages });
});

test('the long form has time for all of it', () => {
  const long = listStages(root, { long: true });
  const times = (name: string) =>
    long.find((stage) => stage.name === name)!.limitSeconds / stages.find((stage) => stage.name === name)!.limitSeconds;
  assert.equal(times('unit'), 10);
  // 200,000 command lines over three sudos under the PAM stage, over two of them under the plugin; 20 a second at worst.
  const hosts = long.find(({ name }) => name === 'hosts')!;
  assert.ok(hosts.limitSeconds > (200_000 + (200_000 / 3) * 2) / 20);
  const timeouts = hosts.steps.flatMap(({ args }) => args.filter((arg) => arg.startsWith('--timeout=')));
  // Most lines of one file: two sudos.
  for (const timeout of timeouts)
    assert.ok(Number(timeout.slice('--timeout='.length)) > ((200_000 / 3) * 2 * 1000) / 20);
  assert.ok(timeouts.length > 0);
});

test('a stage runs alone, with the build where it is needed', () => {
  assert.deepEqual(shown(pick(['unit'])), { unit: 'whole' });
  assert.deepEqual(shown(pick(['browser'])), { build: 'whole', browser: 'whole' });
  assert.deepEqual(shown(pick(['hosts', 'unit'])), { unit: 'whole', build: 'whole', hosts: 'whole' });
});

test('a test file is named from the root, from the folder that one is in, or by its name alone', () => {
  const wanted = { unit: ['server/src/auth/csrf.test.ts'] };
  for (const [word, folder] of [
    ['server/src/auth/csrf.test.ts', root],
    ['server/src/auth/csrf.test.ts', join(root, 'e2e')],
    ['csrf.test.ts', join(root, 'server/src/auth')],
    ['../auth/csrf.test.ts', join(root, 'server/src/http')],
    ['csrf.test.ts', root],
    [join(root, 'server/src/auth/csrf.test.ts'), '/'],
  ] as const) {
    assert.deepEqual(shown(pick([word], folder)), wanted, `${word} in ${folder}`);
  }
});

test('a folder and a pattern mean the test files in them', () => {
  const picked = shown(pick(['.'], join(root, 'scripts/testing')));
  assert.deepEqual(picked, shown(pick(['scripts/testing/*.test.ts'])));
  assert.ok((picked as { unit: string[] }).unit.includes('scripts/testing/stages.test.ts'));
});

test('a file brings what its stage builds before, and nothing else of it', () => {
  const picked = pick(['e2e/hosts/approve.test.ts']);
  assert.deepEqual(shown(picked), { build: 'whole', hosts: ['e2e/hosts/approve.test.ts'] });
  const [, hosts] = picked.ok ? picked.stages : [];
  const whole = stages.find(({ name }) => name === 'hosts')!;
  assert.deepEqual(
    hosts?.steps.map(({ check }) => check),
    whole.steps.map(({ check }) => check),
  );
  assert.deepEqual(hosts?.needs, whole.needs);
});

test('a file of the browser goes to its own runner', () => {
  const picked = pick(['e2e/browser/console.spec.ts']);
  assert.deepEqual(shown(picked), { build: 'whole', browser: ['e2e/browser/console.spec.ts'] });
  const [, browser] = picked.ok ? picked.stages : [];
  assert.match(browser?.steps[0]?.command ?? '', /playwright$/);
});

test('a word that means nothing is given back, also beside one that does', () => {
  for (const words of [['unitt'], ['unit', 'server/src/auth/crsf.test.ts'], ['server/src/auth/csrf.ts']]) {
    assert.equal(shown(pick(words)), words.at(-1));
  }
});

test('every file that opens a browser on loopback is in a network of its own', () => {
  const opens = /chromium\.launch\(/;
  for (const stage of stages)
    for (const { files, ownNetwork } of stage.steps)
      for (const file of files)
        if (opens.test(readFileSync(join(root, file), 'utf8'))) assert.equal(ownNetwork, true, file);
});
