import type { NotableKind } from '#shared/decision.ts';

/** Variables that make a program run, or load, something else. The manual that says so stands beside each group. */
const NAMES: Record<NotableKind, readonly string[]> = {
  // ld.so(8)
  loader: ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'LD_PROFILE', 'LD_ORIGIN_PATH', 'GCONV_PATH', 'GLIBC_TUNABLES'],
  // bash(1), dash(1), python(1), perlrun(1), ruby(1), node(1), java(1), php(1), lua(1), guile(1)
  interpreter: [
    'BASH_ENV',
    'ENV',
    'PYTHONPATH',
    'PYTHONHOME',
    'PYTHONSTARTUP',
    'PYTHONINSPECT',
    'PERL5LIB',
    'PERLLIB',
    'PERL5OPT',
    'PERL5DB',
    'RUBYLIB',
    'RUBYOPT',
    'NODE_OPTIONS',
    'NODE_PATH',
    'JAVA_TOOL_OPTIONS',
    '_JAVA_OPTIONS',
    'CLASSPATH',
    'PHPRC',
    'PHP_INI_SCAN_DIR',
    'LUA_INIT',
    'LUA_PATH',
    'LUA_CPATH',
    'GUILE_LOAD_PATH',
    'AWKPATH',
    'TCLLIBPATH',
    'R_PROFILE',
  ],
  // sudo(8), git(1), systemctl(1), crontab(1)
  editor: ['SUDO_EDITOR', 'VISUAL', 'EDITOR', 'SYSTEMD_EDITOR', 'GIT_EDITOR', 'GIT_SEQUENCE_EDITOR', 'FCEDIT'],
  // less(1), man(1), git(1), systemctl(1)
  pager: ['PAGER', 'MANPAGER', 'SYSTEMD_PAGER', 'GIT_PAGER', 'LESSOPEN', 'LESSCLOSE', 'LESS', 'BROWSER'],
  // environ(7), git(1), rsync(1), make(1), terminfo(5)
  path: ['GIT_EXEC_PATH', 'GIT_SSH', 'GIT_SSH_COMMAND', 'GIT_CONFIG', 'RSYNC_RSH', 'MAKEFLAGS', 'TERMINFO', 'IFS'],
  // sh(1), screen(1), tmux(1)
  shell: ['SHELLOPTS', 'BASHOPTS', 'PS4', 'PROMPT_COMMAND'],
};

const KINDS = new Map(
  Object.entries(NAMES).flatMap(([kind, names]) => names.map((name) => [name, kind as NotableKind])),
);

/** Folders that only root may add to on an ordinary Linux system: a PATH of these alone is nothing to mention. */
const SYSTEM_FOLDERS = /^\/(usr\/local\/|usr\/|snap\/)?s?bin$/;

/** What a variable can make a command do; null when nothing is known of it. Names and values as latin1. */
export function notableKindOf(name: string, value: string): NotableKind | null {
  if (name === 'PATH') return value.split(':').every((folder) => SYSTEM_FOLDERS.test(folder)) ? null : 'path';
  if (name.startsWith('BASH_FUNC_')) return 'shell';
  if (name.startsWith('LD_') || name.startsWith('DYLD_')) return 'loader';
  return KINDS.get(name) ?? null;
}
