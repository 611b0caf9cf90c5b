import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LEAVING_CHECK } from '../http/health-routes.ts';
import { everyCheck } from './every-check.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('the page about health has every check that a server can make, and every word that it can say', async () => {
  const checks = [LEAVING_CHECK, ...(await everyCheck())];
  const sources = globSync('server/src/**/*.ts', { cwd: ROOT, exclude: ['**/*.test.ts', '**/testing/**'] });
  const made = sources.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\bhealthCheck\(\{\s*name: (?:'(\w+)'|(\w+))/g)].map(
      ([, name, constant]) => name ?? constant!,
    ),
  );
  // One is named by a constant.
  const names = made.map((name) => (name === 'ODD_SETTINGS' ? 'settings' : name));
  assert.deepEqual(checks.map(({ name }) => name).sort(), names.sort());

  const page = readFileSync(join(ROOT, 'docs/health.md'), 'utf8');
  for (const { name, values, details } of checks) {
    const section = page.split(`## \`${name}\`\n`)[1]?.split('\n## ')[0] ?? '';
    for (const value of Object.keys(values)) assert.ok(section.includes(`| \`${value}\` |`), `${name}: ${value}`);
    if (details !== undefined) assert.ok(section.includes(`\`details.${name}\``), name);
  }
});
