import { readFile, rm, rmdir } from 'node:fs/promises';
import { CommandError, EXIT } from '../exit-codes.ts';
import { DEFAULT_PATHS } from '../paths.ts';
import type { Log } from '../platform/log.ts';
import { type Run, systemRun } from '../platform/run.ts';
import { SERVICE } from './agent-service.ts';
import { runSetup } from './run-setup.ts';

const FILES = '/usr/lib/identree/files';
const PACKAGE = 'identree-agent';

export interface UninstallDeps {
  print: (line: string) => void;
  log: Log;
  /** Tests hand in their own. */
  run?: Run;
  undo?: typeof runSetup;
}

/** Whose package the program is, by the command that takes it away; null: it was put here by install.sh. */
async function removal(run: Run): Promise<readonly [string, readonly string[]] | null> {
  if ((await run('dpkg-query', ['--show', PACKAGE])).code === 0) return ['dpkg', ['--purge', PACKAGE]];
  return (await run('rpm', ['--query', PACKAGE])).code === 0 ? ['rpm', ['--erase', PACKAGE]] : null;
}

/** Files of sudo and PAM that name ours: with these gone, each of them would refuse everybody. */
export async function stillNamed(run: Run): Promise<string> {
  return (await run('grep', ['-rls', '/usr/lib/identree/', '/etc/sudo.conf', '/etc/pam.d'])).output;
}

/**
 * `identree uninstall`: setup is undone, then everything of identree is taken away, its identity and the break-glass
 * password too.
 *
 * @throws CommandError
 */
export async function uninstall(
  { dryRun }: { dryRun: boolean },
  { print, log, run = systemRun, undo = runSetup }: UninstallDeps,
): Promise<number> {
  const byPackage = await removal(run);
  const files = byPackage
    ? []
    : (await readFile(FILES, 'utf8').catch(() => '')).split('\n').filter((path) => path !== '');
  if (!byPackage && files.length === 0)
    throw new CommandError(EXIT.failed, `${FILES} is missing, which says what was put here. Nothing is removed.`);
  const all = {
    pam: null,
    sudo: null,
    sssd: false,
    sudoLdap: false,
    hostAccess: false,
    startTls: false,
    auditd: false,
    hostname: null,
  };
  const waiting = { confirm: false, confirmWithin: null, noConfirm: false, revert: false };
  const state = ['/etc/identree', '/var/lib/identree', '/etc/identree-breakglass'];
  const told = [...(byPackage ? [`package ${PACKAGE}`] : []), ...files, ...state].map((what) => `${what} (removed)`);
  // Setup says at its end that nothing was changed.
  if (dryRun) for (const line of told) print(line);
  const undone = await undo(
    DEFAULT_PATHS,
    { ...all, ...waiting, allowPlainLdap: false, force: false, undo: true, dryRun },
    { print, log },
  );
  if (undone !== EXIT.ok) return undone;
  if (dryRun) return EXIT.ok;
  const named = await stillNamed(run);
  if (named !== '')
    throw new CommandError(
      EXIT.failed,
      `Nothing is removed: identree is still named in ${named.split('\n').join(', ')}.`,
    );
  if (byPackage) {
    const { code, output } = await run(...byPackage);
    if (code !== 0) throw new CommandError(EXIT.failed, `${byPackage[0]} did not remove ${PACKAGE}: ${output}`);
  } else {
    // By what is about to be removed itself: where it does not work, nothing is.
    const { code, output } = await run(SERVICE, ['disable']);
    if (code !== 0) throw new CommandError(EXIT.failed, `Nothing is removed: ${SERVICE} disable: ${output || code}`);
  }
  for (const path of files) await rm(path, { force: true });
  await rmdir('/usr/lib/identree').catch(() => undefined);
  for (const path of state) await rm(path, { recursive: true, force: true });
  await run('systemctl', ['daemon-reload']);
  for (const line of told) print(line);
  print('identree is gone from this host. The server still knows it: revoke it in the console.');
  return EXIT.ok;
}
