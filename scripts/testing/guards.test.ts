import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { collectGuards, whyStale } from './guards.ts';

const root = join(import.meta.dirname, '../..');
const guards = collectGuards(root);

describe('the guards of the project', () => {
  test('each stands once where its list says, and its tests are there', () => {
    const stale = guards.flatMap((guard) => {
      const why = whyStale(root, guard);
      return why === null ? [] : [`${guard.name}: ${why}`];
    });
    assert.deepEqual(stale, []);
  });

  test('no two have the same name', () => {
    const names = guards.map(({ name }) => name);
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });
});

test('a list is found beside its module, and its paths are relative to it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-guards-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const module = join(folder, 'server/src/doors');
  mkdirSync(module, { recursive: true });
  mkdirSync(join(folder, 'e2e'));
  writeFileSync(join(module, 'door.ts'), "if (!key) return 'locked';\n");
  writeFileSync(join(module, 'door.test.ts'), '');
  writeFileSync(join(folder, 'e2e/door.test.ts'), '');
  const guard = { name: 'a door', file: 'door.ts', find: "return 'locked'", replace: '', tests: ['door.test.ts'] };
  writeFileSync(
    join(module, 'guards.json'),
    JSON.stringify([guard, { ...guard, name: 'from afar', tests: ['/e2e/door.test.ts'] }]),
  );
  const [beside, afar] = collectGuards(folder);
  assert.equal(beside?.file, 'server/src/doors/door.ts');
  assert.deepEqual(beside?.tests, ['server/src/doors/door.test.ts']);
  assert.deepEqual(afar?.tests, ['e2e/door.test.ts']);
  assert.equal(whyStale(folder, beside!), null);
  assert.equal(whyStale(folder, { ...beside!, find: 'open' }), 'the guard stands 0 times in server/src/doors/door.ts');
  assert.equal(whyStale(folder, { ...beside!, tests: ['gone.test.ts'] }), 'not there: gone.test.ts');
  const broken = whyStale(folder, { ...beside!, find: "'locked';", replace: '(' });
  assert.match(broken ?? '', /^without the guard server\/src\/doors\/door\.ts is no TypeScript: /);
});
