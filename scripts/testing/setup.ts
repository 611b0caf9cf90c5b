import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LAB_STAGES } from './stages.ts';

/** A tool that tests need and Debian packages. */
interface Tool {
  /** A program on the path, or a file. */
  needs: string;
  package: string;
  /** Stages, and what else begins by setting itself up. */
  stages: readonly string[];
  /** A daemon that the package would start, now and at every boot. Tests start what they need themselves. */
  service?: string;
}

/**
 * What is no stage: `lab` boots real hosts, `bench` measures side by side with slapd, `pictures` shows what a desktop makes
 * of the notifications of the console.
 */
export type Purpose = 'lab' | 'bench' | 'pictures';

const LAB = [...LAB_STAGES, 'lab'];

/** Where Debian has the part of rsyslog that speaks TLS. */
const RSYSLOG_TLS = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/rsyslog/lmnsd_gtls.so`;

/** Not on the path: only a desktop starts it. */
export const NOTIFICATION_DAEMON = '/usr/lib/notification-daemon/notification-daemon';

const TOOLS: readonly Tool[] = [
  { needs: 'chromium', package: 'chromium', stages: ['browser', 'evaluation', 'desktop', 'hosts', 'interop'] },
  {
    needs: 'chromium-headless-shell',
    package: 'chromium-headless-shell',
    stages: ['browser', 'evaluation', 'interop'],
  },
  { needs: 'Xvfb', package: 'xvfb', stages: ['desktop'] },
  { needs: 'dbus-run-session', package: 'dbus', stages: ['desktop'] },
  { needs: '/usr/bin/gnome-keyring-daemon', package: 'gnome-keyring', stages: ['desktop'] },
  {
    needs: '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf',
    package: 'fonts-dejavu-core',
    stages: ['browser', 'evaluation', 'desktop'],
  },
  { needs: 'desktop-file-validate', package: 'desktop-file-utils', stages: ['desktop'] },
  { needs: 'appstreamcli', package: 'appstream', stages: ['desktop'] },
  { needs: 'xdg-open', package: 'xdg-utils', stages: ['desktop'] },
  { needs: 'certutil', package: 'libnss3-tools', stages: ['desktop'] },
  { needs: NOTIFICATION_DAEMON, package: 'notification-daemon', stages: ['pictures'] },
  { needs: 'gcc', package: 'gcc', stages: ['native', ...LAB, 'bench'] },
  { needs: '/usr/include/stdio.h', package: 'libc6-dev', stages: ['native', ...LAB, 'bench'] },
  { needs: '/usr/include/security/pam_modules.h', package: 'libpam0g-dev', stages: ['native'] },
  { needs: '/usr/include/openssl/ssl.h', package: 'libssl-dev', stages: ['bench'] },
  { needs: 'make', package: 'make', stages: ['native', ...LAB] },
  { needs: 'age', package: 'age', stages: ['unit', ...LAB] },
  { needs: 'rpmbuild', package: 'rpm', stages: ['unit'] },
  { needs: 'pgbouncer', package: 'pgbouncer', stages: ['unit'], service: 'pgbouncer' },
  { needs: '/usr/sbin/exim4', package: 'exim4-daemon-light', stages: ['unit'], service: 'exim4' },
  { needs: 'rsyslogd', package: 'rsyslog', stages: ['unit'], service: 'rsyslog' },
  { needs: RSYSLOG_TLS, package: 'rsyslog-gnutls', stages: ['unit'], service: 'rsyslog' },
  { needs: 'promtool', package: 'prometheus', stages: ['unit'], service: 'prometheus' },
  {
    needs: 'prometheus-alertmanager',
    package: 'prometheus-alertmanager',
    stages: ['unit'],
    service: 'prometheus-alertmanager',
  },
  { needs: 'logrotate', package: 'logrotate', stages: ['unit'] },
  { needs: 'visudo', package: 'sudo', stages: ['unit'] },
  { needs: 'ldapsearch', package: 'ldap-utils', stages: ['unit', 'evaluation', 'ldap', 'directory', 'bench'] },
  { needs: 'slapd', package: 'slapd', stages: ['ldap', 'bench'], service: 'slapd' },
  { needs: 'python3', package: 'python3', stages: LAB },
  { needs: 'mmdebstrap', package: 'mmdebstrap', stages: LAB },
  {
    needs: '/usr/share/keyrings/debian-archive-keyring.gpg',
    package: 'debian-archive-keyring',
    stages: LAB,
  },
  { needs: 'systemd-nspawn', package: 'systemd-container', stages: LAB },
  { needs: 'ip', package: 'iproute2', stages: [...LAB, 'desktop'] },
  { needs: 'ps', package: 'procps', stages: LAB },
  { needs: 'setpriv', package: 'util-linux', stages: [...LAB, 'desktop'] },
  { needs: 'openssl', package: 'openssl', stages: [...LAB, 'desktop'] },
  { needs: 'ssh', package: 'openssh-client', stages: LAB },
];

const LONG_TOOLS: readonly Tool[] = [{ needs: 'clang', package: 'clang', stages: ['fuzz'] }];

/** True for a file that exists or a program that the path, or root's path, leads to. */
export function isThere(needs: string, path = process.env.PATH ?? ''): boolean {
  if (needs.startsWith('/')) return existsSync(needs);
  return [...path.split(delimiter), '/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, needs)));
}

export interface SetupDeps {
  isThere: (needs: string) => boolean;
  isRoot: boolean;
  hasUser: (name: string) => boolean;
  print: (line: string) => void;
  /** Runs a command and tells whether it succeeded. */
  run: (command: string, args: readonly string[]) => boolean;
  /** Does work during which no package may start a daemon. */
  withoutServices: (work: () => void) => void;
}

/** What invoke-rc.d and deb-systemd-invoke ask before they start anything; 101 forbids it. */
const POLICY = '/usr/sbin/policy-rc.d';

export const systemSetup: SetupDeps = {
  isThere,
  isRoot: process.getuid?.() === 0,
  hasUser: (name) =>
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${name}:`)),
  print: (line) => process.stdout.write(`${line}\n`),
  run: (command, args) =>
    spawnSync(command, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: 5 * 60_000,
    }).status === 0,
  withoutServices(work) {
    // Containers have one already.
    if (existsSync(POLICY)) {
      work();
      return;
    }
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
    try {
      work();
    } finally {
      rmSync(POLICY);
    }
  },
};

/**
 * Installs what the stages need and this machine lacks, as root on Debian and Ubuntu; elsewhere says what to install.
 * What stays missing is no error here: the stages that need it are skipped and say why.
 */
export function setUp(stages: readonly string[], long: boolean, deps: SetupDeps = systemSetup): void {
  const wanted = [...TOOLS, ...(long ? LONG_TOOLS : [])].filter((tool) =>
    tool.stages.some((stage) => stages.includes(stage)),
  );
  if (stages.includes('unit') && deps.isRoot && !deps.hasUser('postgres')) {
    deps.print('set-up: adding the system user "postgres" for the test databases (useradd)');
    const added = deps.run('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
    if (!added) deps.print('set-up: useradd failed; tests on Postgres are skipped');
  }
  const lacking = wanted.filter((tool) => !deps.isThere(tool.needs));
  const missing = lacking.map((tool) => tool.package);
  if (missing.length === 0) return;
  // clang only recommends the runtime that fuzzing needs.
  const install = ['install', '-y', '-q', ...(long ? [] : ['--no-install-recommends']), ...missing];
  if (!deps.isRoot || !deps.isThere('apt-get')) {
    deps.print(`set-up: some tests need more than this machine has. Run: sudo apt-get install -y ${missing.join(' ')}`);
    return;
  }
  deps.print(`set-up: installing ${missing.join(', ')} (apt-get)`);
  const options = ['-o', 'DPkg::Lock::Timeout=120'];
  deps.withoutServices(() => {
    if (!deps.run('apt-get', [...options, 'update', '-q']) || !deps.run('apt-get', [...options, ...install])) {
      deps.print('set-up: apt-get failed; what needs these packages is skipped');
      return;
    }
    for (const { service } of lacking) if (service) deps.run('update-rc.d', [service, 'disable']);
  });
}
