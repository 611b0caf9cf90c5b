import type { NotableKind } from '#shared/decision.ts';

/** What a variable of the environment can make a program do that a command line does not show. */
export type RiskyKind = NotableKind;

interface Rule {
  kind: RiskyKind;
  /** The manual that says so. */
  from: string;
  /** Names; a `*` at the end stands for any ending. */
  names: string;
}

/**
 * Variables with which a program runs other code than its own, by what reads them. Whole families where the manual keeps
 * adding to them: a name too many costs a warning, a name too few an unseen root.
 */
export const RISKY_VARIABLES: readonly Rule[] = [
  { kind: 'loader', from: 'ld.so(8)', names: 'LD_* GLIBC_TUNABLES' },
  { kind: 'loader', from: 'gconv in iconv_open(3)', names: 'GCONV_PATH GETCONF_DIR' },
  { kind: 'loader', from: 'malloc hooks in mtrace(3)', names: 'MALLOC_* MEMUSAGE_*' },
  { kind: 'loader', from: 'NSS and resolver, resolver(5)', names: 'LOCALDOMAIN RES_OPTIONS HOSTALIASES NIS_PATH' },
  { kind: 'loader', from: 'openssl-env(7)', names: 'OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES' },
  { kind: 'loader', from: 'krb5.conf(5), sasl', names: 'KRB5_CONFIG* KRB5_KTNAME KRB5_TRACE SASL_* GSS_MECH_CONFIG' },
  { kind: 'loader', from: 'GIO, GTK, Qt, GStreamer, ALSA', names: 'GIO_* GTK_* GDK_PIXBUF_* QT_* GST_* ALSA_CONFIG_*' },
  { kind: 'loader', from: 'catopen(3), setlocale(3)', names: 'NLSPATH LOCPATH PATH_LOCALE' },
  // An address may be `unixexec:`, which starts a program: busctl(1) does, as every client of the bus.
  { kind: 'loader', from: 'D-Bus specification, sd_bus_default(3)', names: 'DBUS_*' },
  {
    kind: 'loader',
    from: 'modprobe(8), iptables(8), tc(8), lvm.conf(5), mount(8)',
    names: 'MODPROBE_OPTIONS XTABLES_LIBDIR IPTABLES_LIB_DIR IP6TABLES_LIB_DIR TC_LIB_DIR LVM_* LIBMOUNT_*',
  },
  {
    kind: 'loader',
    from: 'ssh(1), ssh-keygen(1), gpg(1), qemu(1)',
    names: 'SSH_SK_* SSH_PKCS11_* GNUPGHOME QEMU_MODULE_DIR',
  },
  { kind: 'interpreter', from: 'python(1)', names: 'PYTHON*' },
  { kind: 'interpreter', from: 'perlrun(1)', names: 'PERL5* PERLLIB PERLIO_DEBUG PERL_*' },
  { kind: 'interpreter', from: 'ruby(1)', names: 'RUBY* GEM_* BUNDLE_*' },
  { kind: 'interpreter', from: 'node(1)', names: 'NODE_* npm_config_* NPM_CONFIG_*' },
  { kind: 'interpreter', from: 'java(1)', names: '_JAVA_OPTIONS JAVA_* JDK_JAVA_OPTIONS CLASSPATH MAVEN_OPTS' },
  { kind: 'interpreter', from: 'lua(1)', names: 'LUA_*' },
  { kind: 'interpreter', from: 'php(1)', names: 'PHPRC PHP_INI_SCAN_DIR' },
  { kind: 'interpreter', from: 'gawk(1)', names: 'AWKPATH AWKLIBPATH' },
  { kind: 'interpreter', from: 'tclsh(1), guile(1), erl(1)', names: 'TCL* GUILE_* ERL_* ELIXIR_*' },
  {
    kind: 'interpreter',
    from: 'make(1), gcc(1)',
    names: 'MAKEFLAGS GNUMAKEFLAGS MAKEFILES GCC_EXEC_PREFIX COMPILER_PATH',
  },
  {
    kind: 'interpreter',
    from: 'make(1), cargo(1), go(1), cmake(1)',
    names: 'CC CXX CPP AS LD AR CARGO_* RUSTC* GOFLAGS CMAKE_*',
  },
  { kind: 'interpreter', from: 'dotnet(1), mono(1)', names: 'DOTNET_* CORECLR_* COMPlus_* MONO_*' },
  {
    kind: 'interpreter',
    from: 'ant(1), gradle(1), catalina.sh, apachectl(8)',
    names: 'ANT_* GRADLE_* CATALINA_* APACHE_*',
  },
  { kind: 'interpreter', from: 'R(1), julia(1), nmap(1)', names: 'R_* JULIA_* NMAPDIR' },
  { kind: 'interpreter', from: 'git(1), hg(1)', names: 'GIT_* HG*' },
  { kind: 'interpreter', from: 'apt.conf(5), postconf(1)', names: 'APT_CONFIG MAIL_CONFIG' },
  {
    kind: 'interpreter',
    from: 'kubectl(1), docker(1), aws(1), helm(1)',
    names: 'KUBECONFIG KUBERC DOCKER_* AWS_* HELM_*',
  },
  {
    kind: 'interpreter',
    from: 'borg(1), restic(1), rclone(1), wget(1), curl(1)',
    names: 'BORG_* RESTIC_* RCLONE_* WGETRC CURL_HOME',
  },
  {
    kind: 'interpreter',
    from: 'rsync(1), ssh(1), ansible-config(1)',
    names: 'RSYNC_* SSH_ASKPASS* SVN_SSH CVS_RSH ANSIBLE_*',
  },
  {
    kind: 'interpreter',
    from: 'gdb(1), bpftrace(8), systemd(1)',
    names: 'GDBHISTFILE SYSTEMD_*',
  },
  { kind: 'interpreter', from: 'tar(1), zip(1)', names: 'TAR_OPTIONS TAPE ZIPOPT UNZIP' },
  {
    kind: 'editor',
    from: 'sudoedit(8), environ(7)',
    names: 'SUDO_EDITOR VISUAL EDITOR FCEDIT SYSTEMD_EDITOR PSQL_EDITOR SVN_EDITOR CVSEDITOR VIM* EXINIT NVIM*',
  },
  { kind: 'editor', from: 'environ(7)', names: 'BROWSER SUDO_ASKPASS' },
  {
    kind: 'pager',
    from: 'less(1), man(1), systemctl(1)',
    names: 'PAGER MANPAGER MANROFFOPT GROFF_* SYSTEMD_PAGER* SYSTEMD_LESS PSQL_PAGER LESS*',
  },
  { kind: 'path', from: 'environ(7), bash(1)', names: 'PATH CDPATH EXECIGNORE MANPATH' },
  {
    kind: 'path',
    from: 'environ(7), XDG base directories',
    names: 'HOME XDG_CONFIG_* XDG_DATA_* TMPDIR TERMINFO TERMINFO_DIRS TERMCAP TERMPATH',
  },
  {
    kind: 'shell',
    from: 'bash(1), sh(1), zsh(1)',
    names: 'BASH_* ENV BASHOPTS SHELLOPTS IFS PS4 PROMPT_COMMAND',
  },
  {
    kind: 'shell',
    from: 'zshall(1), ksh(1)',
    names: 'ZDOTDIR FPATH NULLCMD READNULLCMD TMPPREFIX GLOBIGNORE HISTFILE SHELL',
  },
];

const EXACT = new Map<string, RiskyKind>();
/** By their first letter: each sudo asks for every variable that it sets. */
const BEGINNINGS = new Map<string, (readonly [string, RiskyKind])[]>();
for (const { kind, names } of RISKY_VARIABLES) {
  for (const name of names.split(' ')) {
    if (name.endsWith('*')) {
      const others = BEGINNINGS.get(name[0]!) ?? [];
      BEGINNINGS.set(name[0]!, [...others, [name.slice(0, -1), kind]]);
    } else EXACT.set(name, kind);
  }
}

/** What a variable of this name can do; null for one that programs read as data. */
export function riskyKind(name: string): RiskyKind | null {
  const known = EXACT.get(name);
  if (known !== undefined) return known;
  return BEGINNINGS.get(name.charAt(0))?.find(([beginning]) => name.startsWith(beginning))?.[1] ?? null;
}
