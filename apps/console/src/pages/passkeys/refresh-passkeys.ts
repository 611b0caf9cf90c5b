import { api, refresh } from '../../server/api.ts';

/** Asks anew for the person's passkeys, and for who they are: `me` counts them. */
export function refreshPasskeys(): void {
  void refresh(api.passkeys.pathKey());
  void refresh(api.me.pathKey());
}
