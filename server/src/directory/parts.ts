import type { Config, LdapConfig } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { directorySettingsOf } from './configured.ts';
import { createNumbers } from './numbers/numbers.ts';
import { createSudoRules } from './rules/service.ts';

/**
 * What the server shows and changes and its thread builds from: settings, numbers, sudo rules. Wired once, so that both
 * see the same.
 *
 * @param deps.hostNames of the hosts that are enrolled and not revoked.
 */
export function createParts(deps: {
  config: Config;
  ldap: LdapConfig;
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  hostNames: () => Promise<readonly string[]>;
}) {
  const { config, ldap, db, events, clock, random, hostNames } = deps;
  const settings = directorySettingsOf(config, ldap);
  return {
    settings,
    numbers: createNumbers({
      db,
      events,
      clock,
      settings,
      mapFile: ldap.uidMapFile,
      acceptLoss: ldap.uidMapInit === 'force',
    }),
    rules: createSudoRules({
      db,
      events,
      clock,
      random,
      settings: settings.sudo,
      syntax: { groups: config.sudoRules.groupSyntax, reserved: settings.names.reserved },
      hostNames,
    }),
  };
}
