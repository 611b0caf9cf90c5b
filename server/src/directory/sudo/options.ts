import { nearest } from '#shared/nearest.ts';
import type { SudoSettings } from '../settings.ts';

export type CheckedOption =
  | { ok: true; options: readonly string[]; unauthenticated: boolean; note?: string }
  /** `confines`: it was to make a rule narrower, and is not to be left out alone. */
  | { ok: false; problem: string; confines: boolean };

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ''));

/** These make sudo stricter or say more; their negation is refused. */
const ONLY_ON = words(`
  use_pty requiretty noexec log_input log_output log_stdin log_stdout log_stderr log_ttyin log_ttyout log_subcmds
  log_exit_status log_allowed log_denied mail_always mail_badpass mail_no_perms mail_all_cmnds fqdn ignore_dot set_logname
  always_set_home env_reset pam_session pam_acct_mgmt umask_override intercept selinux
`);
/**
 * `noninteractive_auth` lets `sudo -n` come as far as PAM, where somebody is asked, instead of failing before: it spares
 * nobody the approval.
 */
const EITHER = words('insults pwfeedback lecture path_info noninteractive_auth');
const MAC = words('role type apparmor_profile');
/** These confine what runs, so that a rule without one of them allows more than was written. */
const CONFINING = words(
  'noexec intercept selinux command_timeout umask umask_override role type apparmor_profile runchroot',
);

/** Tags of sudoers that have an option of the same meaning. */
const TAGS: Record<string, string> = {
  NOEXEC: 'noexec',
  LOG_INPUT: 'log_input',
  LOG_OUTPUT: 'log_output',
  MAIL: 'mail_all_cmnds',
};

const DAY_SECONDS = 86_400;
const UNIT: Record<string, number> = { d: DAY_SECONDS, h: 3600, m: 60, s: 1 };

function seconds(text: string): number | null {
  if (/^[0-9]{1,6}$/.test(text)) return Number(text);
  if (!/^([0-9]{1,6}[dhms])+$/i.test(text)) return null;
  return [...text.matchAll(/([0-9]+)([dhms])/gi)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * UNIT[unit!.toLowerCase()]!,
    0,
  );
}

/** Value rules: the canonical value, or null when it is refused. */
function canonicalValue(name: string, value: string, settings: SudoSettings): string | null {
  const number = /^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(value) ? Number(value) : Number.NaN;
  const between = (low: number, high: number) => (number >= low && number <= high ? String(number) : null);
  switch (name) {
    case 'timestamp_timeout':
      return between(0, settings.maxTimestampTimeout);
    case 'passwd_tries':
      return Number.isInteger(number) ? between(1, 10) : null;
    case 'passwd_timeout':
      return between(0, 10);
    case 'command_timeout': {
      const total = seconds(value);
      return total !== null && total >= 1 && total <= DAY_SECONDS ? String(total) : null;
    }
    case 'umask':
      return /^0?[0-7]{3}$/.test(value) ? value.padStart(4, '0') : null;
    case 'timestamp_type':
      return ['tty', 'ppid'].includes(value) ? value : null;
    case 'lecture':
      return ['never', 'once', 'always'].includes(value) ? value : null;
    case 'runcwd':
      return /^\/[A-Za-z0-9._/+@-]{0,254}$/.test(value) && !value.split('/').includes('..') ? value : null;
    default:
      return MAC.has(name) && settings.allowMac && /^[A-Za-z0-9_.:/-]{1,128}$/.test(value) ? value : null;
  }
}

function environmentOptions(name: string, value: string, settings: SudoSettings): string[] | null {
  const wanted = value.split(/\s+/).filter((word) => word !== '');
  const allowed = (variable: string) =>
    settings.environment.some(
      (item) => item === variable || (item.endsWith('*') && item.length > 1 && variable.startsWith(item.slice(0, -1))),
    );
  if (wanted.length === 0 || !wanted.every((one) => /^[A-Z_][A-Z0-9_]*\*?$/.test(one) && allowed(one))) return null;
  return wanted.map((variable) => `${name}+=${variable}`);
}

/**
 * Checks one sudo option against the list of those that may be served, and spells it anew. What was written is never
 * passed on: sudo's own parser folds `!!!authenticate` to `!authenticate`, and whatever it reads differently from this
 * one would be a way around the approval.
 */
export function checkOption(text: string, settings: SudoSettings): CheckedOption {
  const refuse = (problem: string, confines = false): CheckedOption => ({ ok: false, problem, confines });
  if (/[^\x20-\x7e]/.test(text)) return refuse('control or non-ASCII characters');
  const trimmed = text.trim();
  if (trimmed.length > 1024) return refuse('longer than 1024 characters');

  if (trimmed === 'NOPASSWD') {
    if (settings.noAuthenticate === 'claims') return { ok: true, options: ['!authenticate'], unauthenticated: true };
    return refuse('NOPASSWD is a sudoers tag, not an option, and commands without approval are switched off here');
  }
  const tag = TAGS[trimmed];
  if (tag) return { ok: true, options: [tag], unauthenticated: false };

  const bare = trimmed.replace(/^[!\s]+/, '');
  const negations = trimmed.slice(0, trimmed.length - bare.length).replaceAll(/\s/g, '').length;
  const negated = negations % 2 === 1;
  const equals = bare.indexOf('=');
  const left = (equals < 0 ? bare : bare.slice(0, equals)).replace(/[\s"']/g, '');
  const operator = equals < 0 ? '' : /[+-]$/.test(left) ? `${left.at(-1)}=` : '=';
  const name = (operator.length === 2 ? left.slice(0, -1) : left).toLowerCase();
  const value =
    equals < 0
      ? ''
      : bare
          .slice(equals + 1)
          .trim()
          .replace(/^"([^"]*)"$/, '$1')
          .trim();

  if (name === 'authenticate') {
    if (operator !== '' || !negated) return refuse('authenticate can only be switched off');
    if (settings.noAuthenticate !== 'claims') return refuse('commands without approval are switched off here');
    return { ok: true, options: ['!authenticate'], unauthenticated: true };
  }
  if (operator === '') {
    if (ONLY_ON.has(name)) {
      if (negated) return refuse(`${name} must not be switched off`);
      return { ok: true, options: [name], unauthenticated: false };
    }
    if (EITHER.has(name)) return { ok: true, options: [`${negated ? '!' : ''}${name}`], unauthenticated: false };
    if (negated) return refuse('not an option that is served');
    const meant = CONFINING.has(name) ? null : nearest(name, [...CONFINING]);
    return meant === null
      ? refuse('not an option that is served', CONFINING.has(name))
      : refuse(`not an option that is served: is ${meant} meant?`, true);
  }
  if (negated) return refuse('an option with a value cannot be negated');
  if (operator === '+=' && (name === 'env_keep' || name === 'env_check')) {
    const options = environmentOptions(name, value, settings);
    return options ? { ok: true, options, unauthenticated: false } : refuse('a variable that may not pass');
  }
  if (operator !== '=') return refuse('not an option that is served');
  const canonical = canonicalValue(name, value, settings);
  return canonical === null
    ? refuse('not an option that is served, or a value that is not allowed', CONFINING.has(name))
    : { ok: true, options: [`${name}=${canonical}`], unauthenticated: false };
}
