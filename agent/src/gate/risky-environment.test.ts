import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { riskyKind } from './risky-environment.ts';

describe('variables that change what a program runs', () => {
  for (const [name, kind] of [
    ['LD_PRELOAD', 'loader'],
    ['LD_AUDIT', 'loader'],
    ['GCONV_PATH', 'loader'],
    ['PYTHONPATH', 'interpreter'],
    ['PERL5LIB', 'interpreter'],
    ['PERL5OPT', 'interpreter'],
    ['NODE_OPTIONS', 'interpreter'],
    ['RUBYOPT', 'interpreter'],
    ['JAVA_TOOL_OPTIONS', 'interpreter'],
    ['GIT_SSH_COMMAND', 'interpreter'],
    ['EDITOR', 'editor'],
    ['VISUAL', 'editor'],
    ['SUDO_EDITOR', 'editor'],
    ['PAGER', 'pager'],
    ['LESSOPEN', 'pager'],
    ['PATH', 'path'],
    ['HOME', 'path'],
    ['BASH_ENV', 'shell'],
    ['BASH_FUNC_ls%%', 'shell'],
  ] as const) {
    it(`${name}: ${kind}`, () => assert.equal(riskyKind(name), kind));
  }

  it('everything that sudo takes away by itself where it keeps the rest (initial_badenv_table)', () => {
    const names = `IFS CDPATH LOCALDOMAIN RES_OPTIONS HOSTALIASES NLSPATH PATH_LOCALE LD_X KRB5_CONFIG KRB5_KTNAME TERMINFO
      TERMINFO_DIRS TERMPATH TERMCAP ENV BASH_ENV PS4 GLOBIGNORE BASHOPTS SHELLOPTS JAVA_TOOL_OPTIONS PERLIO_DEBUG PERLLIB
      PERL5LIB PERL5OPT PERL5DB FPATH NULLCMD READNULLCMD ZDOTDIR TMPPREFIX PYTHONHOME PYTHONPATH PYTHONINSPECT
      PYTHONUSERBASE RUBYLIB RUBYOPT`;
    for (const name of names.split(/\s+/)) assert.notEqual(riskyKind(name), null, name);
  });

  it('what makes the tools of an administrator start a program or load a library', () => {
    const names = `DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS MODPROBE_OPTIONS XTABLES_LIBDIR LVM_SYSTEM_DIR APT_CONFIG
      DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH KUBECONFIG AWS_CONFIG_FILE WGETRC HGRCPATH RSYNC_CONNECT_PROG
      SSH_SK_PROVIDER SSH_PKCS11_HELPER RESTIC_PASSWORD_COMMAND BORG_RSH APACHE_ENVVARS MAIL_CONFIG BASH_LOADABLES_PATH`;
    for (const name of names.split(/\s+/)) assert.notEqual(riskyKind(name), null, name);
  });

  it('what sudo keeps by itself is not, but for PATH', () => {
    const names = `COLORS DISPLAY HOSTNAME KRB5CCNAME LS_COLORS PS1 PS2 XAUTHORITY XAUTHORIZATION XDG_CURRENT_DESKTOP COLORTERM
      LANG LANGUAGE LC_ALL LINGUAS TERM TZ LOGNAME USER MAIL SUDO_USER SUDO_UID SUDO_GID SUDO_COMMAND SUDO_HOME SUDO_TTY`;
    for (const name of names.split(/\s+/)) assert.equal(riskyKind(name), null, name);
  });

  it('what programs read as data is not', () => {
    for (const name of ['LANG', 'LC_ALL', 'TZ', 'TERM', 'DEBIAN_FRONTEND', 'NO_COLOR', 'PATHS', 'XLD_PRELOAD', ''])
      assert.equal(riskyKind(name), null, name);
  });
});
