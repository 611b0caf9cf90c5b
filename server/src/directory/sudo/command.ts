import type { SudoSettings } from '../settings.ts';

export interface SudoCommand {
  readonly text: string;
  readonly negated: boolean;
  /** `ALL`, or the path or pattern without digest and arguments. */
  readonly path: string;
  /** Null: any arguments. Empty: none. */
  readonly args: string | null;
}

export type CommandWarning = 'sudo_equals_all' | 'sudo_argument_wildcard' | 'sudo_argument_quoted';

export type CheckedCommand =
  | { ok: true; command: SudoCommand; warnings: readonly CommandWarning[] }
  | { ok: false; problem: string };

const DIGEST_BYTES: Record<string, number> = { sha224: 28, sha256: 32, sha384: 48, sha512: 64 };

// With any of these, one can run anything: an approval for "less" is an approval for a shell.
const UNRESTRICTED =
  /^(ba|da|z|k|mk|c|tc|fi|a|rba)?sh$|^(rzsh|busybox|env|sudo|su|doas|run0|pkexec|vi|vim|view|vimdiff|nano|pico|emacs|ed|ex|joe|mcedit|less|more|most|man|awk|gawk|mawk|perl|python|python[0-9.]+|ruby|irb|lua[0-9.]*|node|nodejs|php[0-9.]*|tclsh[0-9.]*|expect|find|xargs|tar|zip|rsync|scp|sftp|ssh|git|gdb|strace|ltrace|screen|tmux|script|nsenter|unshare|chroot|systemd-run|systemctl|docker|podman|ctr|crictl|kubectl|lxc|virsh|apt|apt-get|aptitude|dpkg|dnf|yum|rpm|zypper|pacman|apk|snap|flatpak|pip[0-9.]*|npm|gem|make|cp|mv|install|dd|tee|chmod|chown|mount|ln|visudo|crontab|at|insmod|modprobe|cpan|socat|nc|ncat|sed|watch|timeout|nice|nohup|stdbuf|setarch|taskset|ionice|flock|passwd|usermod|useradd|adduser|vipw|vigr)$/;
const WIDE_FOLDERS = /^\/((usr\/)?(local\/)?s?bin\/?)?$|^\/(usr|opt)\/$/;

// sudo compares with the arguments as the program gets them, and a shell has taken the quotes off by then.
const QUOTED = /(?:^|[\s=])(["'])(?:(?!\1).)*\1(?=\s|$)/;

function digestIsValid(algorithm: string, digest: string): boolean {
  const bytes = DIGEST_BYTES[algorithm]!;
  if (/^[0-9a-fA-F]+$/.test(digest) && digest.length === bytes * 2) return true;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(digest) && Buffer.from(digest, 'base64').length === bytes;
}

/** Checks one command of a sudo rule and spells it with single blanks between its parts. */
export function checkCommand(text: string, settings: SudoSettings): CheckedCommand {
  const refuse = (problem: string): CheckedCommand => ({ ok: false, problem });
  if (/[^\x20-\x7e]/.test(text)) return refuse('control or non-ASCII characters');
  if (text.length > 1024) return refuse('longer than 1024 characters');
  let rest = text.trim();
  const negated = rest.startsWith('!');
  if (negated) {
    if (!settings.allowNegated) return refuse('a negated command protects nothing: a copy of it has another path');
    rest = rest.slice(1).trim();
    if (rest.startsWith('!')) return refuse('more than one "!"');
  }
  let digest = '';
  const withDigest = /^(sha224|sha256|sha384|sha512):\s*(\S+)\s+(.*)$/s.exec(rest);
  if (withDigest) {
    const [, algorithm, value, command] = withDigest as unknown as [string, string, string, string];
    if (!digestIsValid(algorithm, value)) return refuse('the digest is not valid');
    digest = `${algorithm}:${value} `;
    rest = command;
  } else if (/^sha[0-9]+:/i.test(rest)) return refuse('the digest is not valid');

  const done = (path: string, args: string | null): CheckedCommand => {
    const shown = args === null ? path : args === '' ? `${path} ""` : `${path} ${args}`;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const everything =
      path === 'ALL' ||
      WIDE_FOLDERS.test(path.replace(/\*+$/, '')) ||
      (args === null && UNRESTRICTED.test(name)) ||
      /^\W*\*/.test(name);
    const warnings: CommandWarning[] = [];
    if (everything || (args !== null && /^(ba|da|z|k)?sh$/.test(name))) warnings.push('sudo_equals_all');
    else if (args !== null && /(?<!\\)[*?[]/.test(args)) warnings.push('sudo_argument_wildcard');
    if (args !== null && QUOTED.test(args)) warnings.push('sudo_argument_quoted');
    return {
      ok: true,
      command: { text: `${negated ? '!' : ''}${digest}${shown}`, negated, path, args },
      warnings: negated ? [] : warnings,
    };
  };

  if (rest === 'ALL') return digest === '' ? done('ALL', null) : refuse('ALL cannot have a digest');
  if (/^all$/i.test(rest)) return refuse('ALL is written in capitals');
  if (/(^|[\s/])\.\.([\s/]|$)/.test(rest)) return refuse('a path with ".."');
  const blank = rest.search(/\s/);
  const path = blank < 0 ? rest : rest.slice(0, blank);
  const args = blank < 0 ? null : rest.slice(blank).trim();
  // In sudoers the next line would be read as more of this one.
  if (args !== null && /(?<!\\)(?:\\\\)*\\$/.test(args)) return refuse('arguments that end in a backslash');
  if (/^sudoedit$/i.test(path)) {
    if (!settings.allowSudoedit) return refuse('sudoedit is switched off here');
    if (path !== 'sudoedit' || args === null || !/^\/\S+$/.test(args) || digest !== '')
      return refuse('sudoedit needs one absolute path');
    return done(path, args);
  }
  if (rest.startsWith('^')) {
    if (!settings.allowRegex) return refuse('regular expressions are switched off here');
    if (!/^\^\/\S*\$$/.test(path)) return refuse('a regular expression for a path starts with ^/ and ends with $');
    return done(path, args);
  }
  if (!path.startsWith('/') || path === '/') return refuse('not an absolute path');
  if (/["'\\,=:]/.test(path)) return refuse('a path with characters that sudoers gives a meaning');
  return done(path, args === '""' ? '' : args);
}
