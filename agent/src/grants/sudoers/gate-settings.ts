import { SERVICES } from '../../setup/pam-stacks.ts';
import type { Setting } from './parse.ts';
import type { Placed } from './read-sudoers.ts';

/** What a setting does at the gate, in words; null where it leaves the gate as setup made it. */
const EFFECTS: Record<string, (value: string) => string | null> = {
  timestamp_timeout: (value) =>
    Number(value) === 0 ? null : 'sudo keeps a ticket, and asks PAM for nothing meanwhile',
  pam_service: servicePast,
  pam_login_service: servicePast,
  pam_askpass_service: servicePast,
};

function servicePast(value: string): string | null {
  return (SERVICES as readonly string[]).includes(value)
    ? null
    : `sudo asks PAM as "${value}", for which identree does not decide`;
}

/** Without a value (`!timestamp_timeout`) each of these is turned off. */
const effectOf = ({ name, value }: Setting): string | null =>
  value === null ? null : (EFFECTS[name]?.(value) ?? null);

/** Lines of sudoers that change how the gate is asked, in words, with file and line. */
export interface GateSettings {
  /** For everybody: of several lines that set the same, the last one counts. sudo tells of these itself (`sudo -V`). */
  everywhere: string[];
  /** For some people, hosts or commands: each of them counts before what is set for everybody. */
  forSome: string[];
}

export function settingsPastGate(placed: readonly Placed[]): GateSettings {
  const everywhere = new Map<string, string | null>();
  const forSome: string[] = [];
  for (const { file, entry } of placed) {
    if (entry.kind !== 'defaults') continue;
    for (const setting of entry.settings) {
      if (!Object.hasOwn(EFFECTS, setting.name)) continue;
      const effect = effectOf(setting);
      const said = effect && `${file}:${entry.line} sets ${setting.name}: ${effect}`;
      if (entry.scope === 'all') everywhere.set(setting.name, said);
      else if (said !== null) forSome.push(said);
    }
  }
  return { everywhere: [...everywhere.values()].filter((said) => said !== null), forSome };
}
