/** What the rules of a host's sudo say about one account, as far as a command line is read differently for it. */
export interface SudoPolicy {
  /** Todd Miller's sudo, or the one written in Rust: they read the same line differently. */
  kind: 'sudo' | 'sudo-rs';
  /** Where sudo looks for a word without a slash. Null: in the PATH of the person who asks, or it cannot be told. */
  securePath: readonly string[] | null;
  /** Who runs a command when nobody is named. */
  runAsDefault: string;
  /** Names of variables that pass from the asking person to the command, `*` at the end for any ending. */
  keeps: 'everything' | readonly string[];
}

/** Names under which either sudo is installed. Nothing else is asked for its rules, or read as a line of sudo. */
export const SUDO_PROGRAMS: ReadonlySet<string> = new Set(['sudo', 'sudo-rs', 'sudo.ws']);

interface Entry {
  name: string;
  op: '=' | '+=' | '-=' | '!' | '';
  /** Null when what is printed could be read in two ways. */
  value: string | null;
}

/** Settings that move a command to another folder or root, or someone else. They may not hide behind a condition. */
const MOVES = /\b(secure_path|exempt_group|runchroot|runcwd|runas_default|env_reset|env_keep|env_check|env_file)\b/;

/** `CWD=*` lets the person choose with an option; any other value is the rule's own choice. */
const MOVED_BY_RULE = /(?:^|\s)(?:CWD|CHROOT)=(?!\*(?:\s|$))/m;

function readEntry(text: string): Entry {
  const match = /^(!?)([a-z0-9_]+)(?:(\+=|-=|=)([\s\S]*))?$/.exec(text.trim());
  if (match === null) return { name: text, op: '', value: null };
  const [, not, name, op, raw] = match;
  if (op === undefined) return { name: name!, op: not === '!' ? '!' : '', value: '' };
  const quoted = /^"([\s\S]*)"$/.exec(raw!);
  // Between quotes only the quotes are escaped, so a backslash there could be one or the beginning of an escape.
  const value = quoted ? (/[\\"]/.test(quoted[1]!) ? null : quoted[1]!) : raw!.replace(/\\(.)/g, '$1');
  return { name: name!, op: op as Entry['op'], value };
}

/** The list that `sudo -l` prints: entries between `, `, with quoted values and backslashes. */
function splitEntries(text: string): Entry[] {
  const out: Entry[] = [];
  let entry = '';
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i]!;
    if (char === '\\' && i + 1 < text.length) {
      entry += char + text[i + 1]!;
      i += 1;
    } else if (char === ',' && !quoted && text[i + 1] === ' ') {
      out.push(readEntry(entry));
      entry = '';
      i += 1;
    } else {
      if (char === '"') quoted = !quoted;
      entry += char;
    }
  }
  return entry.trim() === '' ? out : [...out, readEntry(entry)];
}

/** A list of folders, if every one of them is the same wherever sudo stands. */
export function readPath(value: string | null): string[] | null {
  const folders = value?.split(':') ?? [];
  return folders.length > 0 && folders.every((folder) => /^\/[^\0\n]*$/.test(folder)) ? folders : null;
}

/**
 * Reads what `sudo -l -U USER` prints in the C locale on one long line each: the Defaults that match the account, from
 * every source that sudo has (files, sssd, LDAP), in the order in which it applies them.
 *
 * @returns null when sudo does not say, or something may happen that cannot be told from here.
 */
export function parseSudoPolicy(listing: string): SudoPolicy | null {
  const paragraphs = listing.trim().split(/\n\s*\n/);
  const rules = paragraphs.at(-1) ?? '';
  if (!/^User .+ may run the following commands on /.test(rules)) return null;
  if (MOVED_BY_RULE.test(rules)) return null;
  let settings: Entry[] = [];
  for (const paragraph of paragraphs.slice(0, -1)) {
    const [head, ...lines] = paragraph.split('\n');
    const body = lines.map((line) => line.trim()).join(' ');
    if (/^Matching Defaults entries for /.test(head!)) settings = [...settings, ...splitEntries(body)];
    // These depend on the command or on who runs it; which of them counts is sudo's to know.
    else if (/^Runas and Command-specific defaults for /.test(head!)) {
      if (MOVES.test(body)) return null;
    } else return null;
  }

  let path: string | null = null;
  let searched = true;
  let runAsDefault = 'root';
  let reset = true;
  const keeps: string[] = [];
  for (const { name, op, value } of settings) {
    switch (name) {
      case 'secure_path':
        path = op === '=' ? value : null;
        break;
      case 'exempt_group':
        // Its members search their own PATH; who is a member is not asked here.
        searched = op === '!';
        break;
      case 'runas_default':
        if (value === null || op !== '=') return null;
        runAsDefault = value;
        break;
      case 'runchroot':
      case 'runcwd':
        // `*` alone lets the person name one.
        if (op !== '!' && value !== '*') return null;
        break;
      case 'env_reset':
        reset = op !== '!';
        break;
      case 'env_keep':
      case 'env_check':
        if (value === null) reset = false;
        else if (op !== '!' && op !== '-=') keeps.push(...value.split(/\s+/).filter((word) => word !== ''));
        break;
      default:
        if (value === null) return null;
    }
  }
  return {
    kind: 'sudo',
    securePath: searched ? readPath(path) : null,
    runAsDefault,
    keeps: reset ? keeps : 'everything',
  };
}

/**
 * The same for sudo-rs, whose listing does not tell settings.
 *
 * @param facts.listing what `sudo-rs -l -U USER` prints.
 * @param facts.path PATH of a command that it runs for root; null when that is the caller's own.
 * @param facts.sudoers the text of every file that it reads: a setting under a condition may be another one for the
 *   account than for root.
 */
export function parseSudoRsPolicy(facts: { listing: string; path: string | null; sudoers: string }): SudoPolicy | null {
  if (!/^User .+ may run the following commands on /m.test(facts.listing)) return null;
  if (MOVED_BY_RULE.test(facts.listing)) return null;
  const lines = facts.sudoers.replaceAll('\\\n', ' ').split('\n');
  const settings = lines.filter((line) => /^\s*Defaults/.test(line));
  if (settings.some((line) => /^\s*Defaults\s*[@:>!]/.test(line) && MOVES.test(line))) return null;
  const kept = settings
    .flatMap((line) => [...line.matchAll(/env_(?:keep|check)\s*\+?=\s*("[^"]*"|[^\s,]+)/g)])
    .flatMap(([, value]) => value!.replaceAll('"', '').split(/\s+/));
  return { kind: 'sudo-rs', securePath: readPath(facts.path), runAsDefault: 'root', keeps: kept };
}

/** True when a variable of this name passes from the asking person to the command. */
export function passes(policy: SudoPolicy, name: string): boolean {
  if (policy.keeps === 'everything') return true;
  return policy.keeps.some((pattern) => {
    const [wanted] = pattern.split('=');
    return wanted!.includes('*') ? name.startsWith(wanted!.slice(0, wanted!.indexOf('*'))) : wanted === name;
  });
}
