import { test } from 'node:test';
import { runInside } from './namespace.ts';
import { retold } from './retold.ts';

/**
 * The desktop shell in a real Electron, with the real server and a real identity provider. All of it runs in network
 * and mount namespaces of its own as an unprivileged user (see namespace.ts); here each of its tests is told again.
 */
const outcome = await runInside('e2e/desktop/inside/*.inside.ts');

if (!outcome.ok) {
  test('the desktop shell in a real Electron', { skip: outcome.skip }, () => {});
} else {
  for (const told of retold(outcome.results)) test(...told);
}
