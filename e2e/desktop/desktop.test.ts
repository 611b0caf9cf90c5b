import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInside } from './namespace.ts';

/**
 * The desktop shell in a real Electron, with the real server and a real identity provider. All of it runs in network
 * and mount namespaces of its own as an unprivileged user (see namespace.ts); here each of its tests is told again.
 */
const outcome = await runInside();

if (!outcome.ok) {
  test('the desktop shell in a real Electron', { skip: outcome.skip }, () => {});
} else {
  test('there were desktop tests', () => assert.ok(outcome.results.length > 0));
  for (const { name, status, detail } of outcome.results) {
    test(name.join(' > '), { skip: status === 'skipped' ? (detail ?? 'skipped') : false }, () => {
      if (status === 'failed') assert.fail(detail ?? 'failed');
    });
  }
}
