import { defineConfig } from '@playwright/test';
import { CHROMIUM } from '../harness/chromium-program.ts';
import { launchOptions } from './launch-options.ts';

/** The real server, the real identity provider, Debian's Chromium. Passkeys come from a virtual authenticator. */
export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: '*.spec.ts',
  outputDir: '../../test-results/browser',
  // A server for each worker: its tests share it as people do, each as somebody else.
  workers: 2,
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  // Generous, because they are only met by what fails: a busy machine may be ten times slower.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: 'list',
  use: {
    browserName: 'chromium',
    headless: true,
    locale: 'en-GB',
    timezoneId: 'UTC',
    launchOptions: launchOptions(CHROMIUM),
  },
});
