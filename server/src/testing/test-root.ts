import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createApp } from '../app/app.ts';
import { type CommandResult, runOn } from './run-command.ts';
import { createTestApp } from './test-app.ts';
import { createTestBrowser } from './test-browser.ts';
import { createTestProvider } from './test-provider.ts';

/** An installation whose trust root is in a file, and the server that runs on it. */
export async function openRoot(t: Pick<TestContext, 'after'>, options: { detached: boolean }) {
  const provider = createTestProvider();
  const { app: first, clock, config, close } = await createTestApp({ app: { provider } });
  t.after(close);
  const folder = join(dirname(config.keysDir), 'carried');
  await mkdir(folder);
  const path = (name: string) => join(folder, name);
  const run = (...argv: string[]): Promise<CommandResult> => runOn(argv, config);
  const must = async (...argv: string[]): Promise<string> => {
    const { code, out, err } = await run(...argv);
    assert.equal(code, 0, err);
    return out;
  };
  const root = path('root.pem');
  const browser = createTestBrowser({ app: first, provider, clock });
  await browser.signInFresh('alice');
  const passkey = await browser.firstPasskey();
  if (!options.detached) return { app: first, config, path, run, must, root };
  await must('trust', 'export', root);
  await must('trust', 'detach', root);
  await first.close();
  const app = await createApp(config, { provider, clock });
  t.after(() => app.close());
  const again = createTestBrowser({ app, provider, clock });
  for (const [name, value] of browser.jar) again.jar.set(name, value);
  return { app, config, path, run, must, root, addPasskey: () => again.addPasskey(passkey) };
}
