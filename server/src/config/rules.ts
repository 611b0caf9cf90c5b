import { listSettings, type settings } from './config.ts';
import type { Report } from './problems.ts';
import type { Readable } from './readable.ts';
import { checkAccounts } from './sections/accounts.ts';
import { checkAudit } from './sections/audit.ts';
import { checkDatabase } from './sections/database.ts';
import { checkEscrow } from './sections/escrow.ts';
import { checkHosts } from './sections/hosts.ts';
import { checkInstaller } from './sections/installer.ts';
import { checkLdap } from './sections/ldap.ts';
import type { readChannelSecrets } from './sections/notify.ts';
import { checkServer } from './sections/server.ts';
import { checkSources } from './sections/sources.ts';
import { checkSudoRules } from './sections/sudo-rules.ts';

type Values = Readable<(typeof settings)['shape']>;
type ChannelSecrets = ReturnType<typeof readChannelSecrets>;

/** Rules over several settings. Each one runs as soon as what it needs could be read, so that all errors come at once. */
export function checkTogether(values: Values, ofChannels: ChannelSecrets, report: Report): void {
  checkServer(values, report);
  checkDatabase(values, report);
  checkSecrets(values, ofChannels, report);
  checkHosts(values, report);
  checkEscrow(values, report);
  checkAudit(values, report);
  checkInstaller(values.installer ?? {}, report);
  checkSources(values, report);
  checkLdap(values, report);
  checkAccounts(values, report);
  checkSudoRules(values, report);
}

/**
 * One leak must not open two doors: no two secrets are the same, whatever they are for. Channels may share one among
 * themselves, as two rooms of one service do.
 */
function checkSecrets(values: Values, ofChannels: ChannelSecrets, { errors }: Report): void {
  const seen = new Map<string, string>();
  for (const { path, meta } of listSettings()) {
    if (!meta.secret || meta.mayRepeat !== undefined) continue;
    const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);
    if (typeof value !== 'string') continue;
    const other = seen.get(value);
    if (other !== undefined)
      errors.push({ setting: meta.env, problem: `is the same as ${other}`, fix: 'Make one secret for each purpose.' });
    else seen.set(value, meta.env);
  }
  for (const { setting, value } of ofChannels.values()) {
    const same = seen.get(value);
    // It is sent to whoever the channel leads to.
    if (same !== undefined)
      errors.push({ setting, problem: `is the same as ${same}`, fix: 'Make one secret for each purpose.' });
  }
}
