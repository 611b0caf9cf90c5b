import { healthCheck } from '../platform/health-check.ts';
import type { Module } from '../platform/module.ts';

/** The name of its health check. */
export const ODD_SETTINGS = 'settings';

/**
 * Says to everybody that some settings are odd, hosts among them, and how many. Which ones is for the log: a name can tell
 * a stranger where to try, and /healthz asks nobody who they are.
 */
export function settingsModule(odd: number): Module {
  const detail =
    `${odd === 1 ? 'one setting is' : `${odd} settings are`} odd or without effect; ` +
    'the log of the server says which at its start';
  const health = healthCheck({
    name: ODD_SETTINGS,
    about: 'Settings with a warning. It is there only when there are any, and then always `ok`.',
    severity: 'degraded',
    values: {},
    details: 'how many there are; the log of the server names them at its start',
    run: async () => ({ value: null, detail }),
  });
  return { name: 'settings', health: odd === 0 ? [] : [health] };
}
