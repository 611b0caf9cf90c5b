import type { HostReport } from '#shared/host-api.ts';
import type { LocalPower } from './power.ts';

/** sssd is asked after the host's own files, so a directory account of a local name is the local one there. */
const ACCOUNTS = '/etc/passwd';

/** Everything by which a name or number of the directory would have power on a host that it was not given here. */
export function localPowerOf(report: HostReport): Omit<LocalPower, 'host'>[] {
  return [
    ...report.grants,
    ...report.accounts.flatMap(([name, uid]) => [
      { type: 'user' as const, name, gives: 'the local account of this name', file: ACCOUNTS, line: null },
      {
        type: 'uid' as const,
        name: String(uid),
        gives: `the files of the local account ${name}`,
        file: ACCOUNTS,
        line: null,
      },
    ]),
  ];
}
