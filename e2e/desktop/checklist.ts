/**
 * The security checklist of Electron's documentation, item by item, and the name of the test that holds each. All but
 * one are in `inside/checklist.inside.ts`, against the shell in a real Electron; fuses are read from the packaged program
 * in `package.test.ts`.
 */
export const CHECKLIST = {
  1: 'only load secure content',
  2: 'do not enable Node.js integration',
  3: 'enable context isolation',
  4: 'enable process sandboxing',
  5: 'handle session permission requests',
  6: 'do not disable webSecurity',
  7: 'define a Content Security Policy',
  8: 'do not set allowRunningInsecureContent',
  9: 'do not enable experimental features',
  10: 'do not use enableBlinkFeatures',
  11: 'do not use allowpopups for WebViews',
  12: 'verify WebView options and parameters',
  13: 'disable or limit navigation',
  14: 'disable or limit creation of new windows',
  15: 'do not use shell.openExternal with untrusted content',
  16: 'use a current version of Electron',
  17: 'validate the sender of all IPC messages',
  18: 'avoid usage of the file:// protocol',
  19: 'check which fuses you can change',
  20: 'do not expose Electron APIs to untrusted web content',
} as const;

export type ChecklistItem = keyof typeof CHECKLIST;

/** Name of the test of one item. */
export const checklistTest = (item: ChecklistItem): string => `Electron's checklist ${item}: ${CHECKLIST[item]}`;
