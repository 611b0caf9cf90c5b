import { Refusal } from '#shared/errors.ts';
import { directoryQuery } from '#shared/host-api.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { HostSettings } from './host-settings.ts';

/**
 * What a host needs to reach the directory as itself.
 *
 * @param signedSettings null: this server serves no directory, and says so to hosts that it knows
 */
export function directoryRoutes(signedSettings: HostSettings | null): HostOperation[] {
  return [
    hostOperation({
      method: 'GET',
      path: '/directory',
      query: directoryQuery,
      run: ({ act, query }) =>
        act(async (_work, host) => {
          if (signedSettings === null) throw new Refusal('directory_off');
          return { settings: await signedSettings(host, query.nonce) };
        }),
    }),
  ];
}
