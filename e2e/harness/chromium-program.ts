import { existsSync } from 'node:fs';

const SHELL = '/usr/bin/chromium-headless-shell';

/** Chromium as people have it, for what the shell of it cannot do: notifications, and the way back to a program. */
export const WHOLE_CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/**
 * The browser of the tests: the same engine without the frame around it, as Debian packages it, which needs half of the
 * processor. The long form, and a machine that has none, take the whole one.
 */
export const CHROMIUM =
  process.env.CHROMIUM ?? (process.env.IDENTREE_LONG !== '1' && existsSync(SHELL) ? SHELL : WHOLE_CHROMIUM);
