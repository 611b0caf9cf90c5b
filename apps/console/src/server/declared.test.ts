import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { consoleProcedures } from '#shared/console.ts';
import type { api, client } from './api.ts';

/** Only types: none of this is ever called. */
export function typesOnly(ours: typeof api, asked: typeof client): void {
  void ours.directory.accounts.queryOptions;
  void asked.directory.accounts.query;
  // @ts-expect-error: a query that no page declares would be refused by the desktop app.
  void ours.sudoRules.export;
  // @ts-expect-error: the same without TanStack Query.
  void asked.sudoRules.export;
  // @ts-expect-error: this one is declared nowhere and on no server.
  void ours.directory.secrets;
  void ours.hosts.revoke.mutationOptions;
}

test('every query in the sources of the console is let through by the desktop app', () => {
  const allowed = consoleProcedures();
  const asks = /\b(?<!browser)(?:api|client)\.(\w+)\.(\w+)\.(?:query|queryOptions|subscribe|subscriptionOptions)\b/g;
  let seen = 0;
  for (const file of globSync('**/*.{ts,tsx}', { cwd: join(import.meta.dirname, '..'), exclude: ['*.test.ts'] })) {
    const source = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
    for (const [, part, name] of source.matchAll(asks)) {
      seen += 1;
      assert.ok(allowed[`${part}.${name}`], `${file}: ${part}.${name}`);
    }
  }
  assert.ok(seen > 15, `${seen} queries seen`);
});
