import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Proof } from '../break-glass/prove.ts';
import type { Run } from '../platform/run.ts';
import { MODULE, SERVICES, type Service, STAGE } from './pam-stacks.ts';

export interface SelfTestDeps {
  /** Prefix of the file tree; '' on a host. */
  root: string;
  run: Run;
  /** Enrolled and readable; otherwise the reason. */
  enrolment(): Promise<string | null>;
  /** The agent answers, and will be started again whenever it ends; otherwise the reason. */
  agent(): Promise<string | null>;
  /** The server knows this host and has accepted it lately; otherwise the reason. */
  serverAccepts(): Promise<string | null>;
  /** Whether somebody gets in when no server answers. */
  breakGlass(): Promise<Proof>;
  /** Who must own the stage; 0 on a host. */
  ownerUid: number;
}

const MODULE_FOLDERS = ['/lib/security', '/lib64/security', '/usr/lib/security', '/usr/lib64/security'];

async function moduleFolders(root: string): Promise<string[]> {
  const multiarch = await readdir(join(root, '/usr/lib')).catch(() => []);
  return [
    ...MODULE_FOLDERS,
    ...multiarch.filter((name) => name.includes('-linux-')).map((name) => `/usr/lib/${name}/security`),
  ];
}

async function hasModule(root: string, name: string): Promise<boolean> {
  for (const folder of await moduleFolders(root)) {
    if (
      await stat(join(root, folder, name)).then(
        (info) => info.isFile(),
        () => false,
      )
    )
      return true;
  }
  return false;
}

async function ownFileProblem(root: string, file: string, ownerUid: number): Promise<string | null> {
  let path = '';
  // Whoever can write a folder above it can put another one there.
  for (const part of file.split('/').slice(1)) {
    path += `/${part}`;
    const info = await stat(join(root, path)).catch(() => null);
    if (info === null) return `${path} does not exist. Install the identree package.`;
    if (info.uid !== ownerUid || (info.mode & 0o022) !== 0) return `${path} can be changed by others than root.`;
    if (path !== file) continue;
    if (!info.isFile()) return `${path} is not a file.`;
    if (file === STAGE && (info.mode & 0o111) === 0) return `${path} is not executable.`;
  }
  return null;
}

/** Everything that has to work before a login may depend on it. Returns what does not; empty: switch. */
export async function selfTest(services: readonly Service[], deps: SelfTestDeps): Promise<string[]> {
  const problems: (string | null)[] = [];
  problems.push(await deps.enrolment());
  problems.push(await deps.agent());
  problems.push(await deps.serverAccepts());
  if (services.length === 0) return problems.filter((problem) => problem !== null);
  for (const file of [MODULE, STAGE]) problems.push(await ownFileProblem(deps.root, file, deps.ownerUid));
  for (const name of ['pam_deny.so', 'pam_permit.so']) {
    if (!(await hasModule(deps.root, name))) problems.push(`The PAM module ${name} is not installed.`);
  }
  if (services.some((service) => service !== 'sshd'))
    problems.push(await includeProblem(deps.root), await checkSudoers(deps.run));
  if (services.includes('sshd')) problems.push(await checkSshd(deps.run));
  return problems.filter((problem) => problem !== null);
}

/** The whole of sudoers, with what it includes. */
export async function checkSudoers(run: Run, file?: string): Promise<string | null> {
  const { code, output } = await run('visudo', file === undefined ? ['-c'] : ['-c', '-f', file]);
  if (code === 0) return null;
  return code === 127
    ? 'visudo is not installed, so sudoers cannot be checked.'
    : `visudo finds fault with sudoers: ${output}`;
}

/** The settings of sudoers(5) that name a PAM service, and how `sudo -V` says them. */
const PAM_SERVICES = {
  pam_service: /^PAM service name to use: (.*)$/m,
  pam_login_service: /^PAM service name to use for login shells: (.*)$/m,
  pam_askpass_service: /^PAM service name to use when sudo is run with the -A option: (.*)$/m,
};

/**
 * What sudo itself says that it does in spite of our part of sudoers, since a file that is read later wins: it keeps a
 * ticket, or asks PAM under a name that identree does not decide for. sudo-rs does not tell; then the check of the include
 * line has to do. What a rule says for one account alone is not seen here.
 */
export async function sudoersProblems(run: Run): Promise<string[]> {
  const { code, output } = await run('sudo', ['-V']);
  if (code !== 0) return [];
  const problems: string[] = [];
  const timeout = /^Authentication timestamp timeout: (.*)$/m.exec(output)?.[1];
  if (timeout !== undefined && !timeout.startsWith('0.0')) {
    problems.push(
      'sudo keeps its ticket in spite of /etc/sudoers.d/identree: another line sets timestamp_timeout. Remove it.',
    );
  }
  for (const [setting, said] of Object.entries(PAM_SERVICES)) {
    const service = said.exec(output)?.[1];
    if (service !== undefined && !(SERVICES as readonly string[]).includes(service))
      problems.push(
        `sudo asks PAM as "${service}", for which identree does not decide: a line of sudoers sets ${setting}. Remove it.`,
      );
  }
  return problems;
}

/** /etc/sudoers must read the folder that our file goes to. */
async function includeProblem(root: string): Promise<string | null> {
  const text = await readFile(join(root, '/etc/sudoers'), 'latin1').catch(() => '');
  if (/^[#@]includedir\s+\/etc\/sudoers\.d\s*$/m.test(text)) return null;
  return '/etc/sudoers does not include /etc/sudoers.d. Add this line with visudo: @includedir /etc/sudoers.d';
}

export async function checkSshd(run: Run): Promise<string | null> {
  const { code, output } = await run('sshd', ['-t']);
  if (code === 0) return null;
  return code === 127 ? 'sshd is not installed.' : `sshd finds fault with its configuration: ${output}`;
}

/** After the change: sshd really offers what the two stages need. An earlier line elsewhere would win over ours. */
export async function sshdProblem(run: Run): Promise<string | null> {
  const { code, output } = await run('sshd', ['-T']);
  if (code !== 0) return `sshd -T failed: ${output}`;
  for (const wanted of ['kbdinteractiveauthentication yes', 'usepam yes']) {
    if (!output.split('\n').some((line) => line.trim().toLowerCase() === wanted)) {
      return `sshd does not take "${wanted}" from /etc/ssh/sshd_config.d. Another line in sshd_config comes first; remove it.`;
    }
  }
  return null;
}
