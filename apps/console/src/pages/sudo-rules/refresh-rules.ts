import { api, refresh } from '../../server/api.ts';

/** Asks anew for rules, and for the directory that serves them. */
export function refreshRules(): void {
  void refresh(api.sudoRules.pathKey());
  void refresh(api.directory.pathKey());
}
