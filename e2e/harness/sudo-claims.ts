import type { HostRecord } from '#shared/decision.ts';
import { unescapeBytes } from '#shared/visible-text.ts';
import { riskyKind } from '../../agent/src/gate/risky-environment.ts';

/** How a program was run, as labreport.c says. Strings hold bytes as latin1. */
export interface Report {
  /** device:inode */
  exe: string;
  uid: number;
  gid: number;
  cwd: string;
  root: string;
  argv: string[];
  env: string[];
}

/** Takes the reports out of what a run printed; one that is cut short is none. */
export function readReports(output: Buffer): Report[] {
  const reports: Report[] = [];
  let report: Report | null = null;
  for (const field of output.toString('latin1').split('\0')) {
    const equals = field.indexOf('=');
    const [key, value] = [field.slice(0, equals), field.slice(equals + 1)];
    // A shell, or a command before it, may have printed something in front.
    if (/(^|\n)exe$/.test(key)) report = { exe: value, uid: -1, gid: -1, cwd: '', root: '', argv: [], env: [] };
    else if (report === null) continue;
    else if (key === 'uid' || key === 'gid') report[key] = Number(value);
    else if (key === 'cwd' || key === 'root') report[key] = value;
    else if (key === 'argv' || key === 'env') report[key].push(value);
    else if (key === 'end') {
      reports.push(report);
      report = null;
    }
  }
  return reports;
}

/** What sudo told beside, where it told it (`gate: plugin`). */
type Resolved = { chroot: string | null; environment: { names: string[]; notable: { name: string }[] } };

export interface Surroundings {
  /** The gate that made the record; the plugin is told what runs, so it never says that it cannot tell. */
  gate: 'pam' | 'plugin';
  /** The person's uid. */
  uid: number;
  /** The host's own root, device:inode. */
  root: string;
  user(name: string): { uid: number; gid: number } | null;
  group(name: string): number | null;
  /** SHA-256 of the programs that report and of scripts that they interpret, by device:inode. */
  hashes: ReadonlyMap<string, string>;
  /** Which of them are scripts. */
  scripts: ReadonlySet<string>;
  /** Which of them the person can change. */
  owned: ReadonlySet<string>;
}

const bytes = (text: string): string => Buffer.from(unescapeBytes(text)).toString('latin1');

/** Who `name` is, when it is a number too. */
const numbered = <T>(name: string, found: T | null, of: (id: number) => T): T | null =>
  /^#\d+$/.test(name) ? of(Number(name.slice(1))) : found;

/**
 * What a signed record claims and did not happen; null when there is nothing. A record may say less than is true: that
 * the host could not tell, or that anything at all may run. It may never say something else.
 */
export function contradiction(record: HostRecord | null, reports: readonly Report[], by: Surroundings): string | null {
  if (reports.length === 0) return null;
  const report = reports[0]!;
  if (record === null) {
    // sudo asks nobody for a command that runs as the one who typed it.
    return report.uid === by.uid && report.gid === by.uid ? null : 'a program ran that nobody was asked for';
  }
  const marked = new Set(record.unrestricted);
  if (record.mode === 'unparsed') {
    if (by.gate === 'plugin') return 'the plugin could not tell';
    return marked.has('unparsed') ? null : 'an unparsed line is not marked as unrestricted';
  }
  if (record.mode === 'list' || record.mode === 'validate') return `it says ${record.mode}, and a program ran`;
  if (record.mode === 'edit') {
    if (!marked.has('editor')) return 'an editor is not marked as unrestricted';
    return report.uid === by.uid ? null : `it says edit, and a program ran as ${report.uid}`;
  }

  const name = record.runAs.user;
  const user = numbered(name, by.user(name), (uid) => ({ uid, gid: report.gid }));
  if (user === null) return `it says ${name}, who does not exist`;
  if (report.uid !== user.uid) return `it says ${name}, and it ran as ${report.uid}`;
  const group = record.runAs.group;
  const gid = group === null ? user.gid : numbered(group, by.group(group), (id) => id);
  if (report.gid !== gid) return `it says group ${group ?? `of ${name}`}, and it ran with ${report.gid}`;

  const resolved = (record as { resolved?: Resolved }).resolved;
  if ((resolved?.chroot ?? null) === null && report.root !== by.root) return 'it ran in another root';
  if (record.mode === 'shell' || record.mode === 'login-shell') {
    return marked.has('shell') ? null : 'a shell is not marked as unrestricted';
  }

  if (reports.length > 1) return 'more than one program ran';
  if (record.cwd !== null && bytes(record.cwd) !== report.cwd)
    return `it says in ${record.cwd}, and it ran in ${report.cwd}`;
  const shown = record.argv.map(bytes);
  const target = record.target && `${record.target.device}:${record.target.inode}`;
  // The kernel puts the interpreter before a script, under the path by which it was executed.
  const script = target !== null && by.scripts.has(target);
  // A file that the host could not find may be one.
  const unknown = by.gate === 'plugin' && target === null && marked.has('unparsed');
  const ran = unknown
    ? report.argv.slice(report.argv.length - shown.length + 1)
    : script
      ? report.argv.slice(2)
      : report.argv;
  const typed = by.gate === 'plugin' ? shown.slice(script || unknown ? 1 : 0) : shown.slice(shown.length - ran.length);
  if (!record.argvTruncated && JSON.stringify(typed) !== JSON.stringify(ran)) {
    return `it says ${JSON.stringify(typed)}, and ${JSON.stringify(ran)} ran`;
  }
  if (record.target === null) {
    if (!marked.has('unparsed')) return 'no program is named, and that is not marked';
  } else {
    const { sha256, path } = record.target;
    if (target !== report.exe && !script) return `it says ${path}, and another program ran`;
    if (sha256 !== null && by.hashes.get(target!) !== sha256)
      return `it says a hash of ${path} that is not that of what ran`;
    if (
      by.owned.has(report.exe) &&
      (sha256 !== null || !['user-writable-target', 'unparsed'].some((why) => marked.has(why as never)))
    ) {
      return `the person can change what ran for ${path}, and that is not marked`;
    }
  }

  // Values of the person's choice; what sudo and the host set themselves is no news.
  const chosen = report.env.filter((entry) => entry.includes('/evil')).map((entry) => entry.split('=')[0]!);
  const risky = chosen.find((variable) => riskyKind(variable) !== null);
  if (risky !== undefined) {
    const told = resolved
      ? resolved.environment.notable.some((variable) => variable.name === risky)
      : marked.has('environment');
    if (!told) return `${risky} of the person's choice reached the program, and that is not marked`;
  }
  return null;
}
