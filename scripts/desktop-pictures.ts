import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runInside } from '../e2e/desktop/namespace.ts';
import { installFor } from './testing/prepare.ts';
import { isThere, NOTIFICATION_DAEMON } from './testing/setup.ts';

/**
 * `npm run desktop:pictures`: a picture of every window, dialog, menu and notification of the desktop console, in both
 * languages, light and dark, for people to look at.
 */

const folder = join(import.meta.dirname, '../test-results/desktop');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
installFor('pictures');
if (!isThere(NOTIFICATION_DAEMON))
  console.error('identree: no picture of a notification: there is nothing that shows one');
const outcome = await runInside('e2e/desktop/inside/*.pictures.ts', { results: folder });
if (!outcome.ok) {
  console.error(`identree: ${outcome.skip}`);
  process.exit(2);
}
const failed = outcome.results.filter(({ status }) => status === 'failed');
for (const { name, detail } of failed) console.error(`${name.join(' > ')}\n${detail}`);
console.log(`${readdirSync(folder).length} pictures in test-results/desktop`);
process.exitCode = failed.length > 0 ? 1 : 0;
