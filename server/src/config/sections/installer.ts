import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { optional } from '../setting.ts';
import { path } from '../values.ts';

/** What hosts are installed from. */
export const installerSettings = {
  folder: optional(path, {
    env: 'IDENTREE_INSTALL_DIR',
    toml: 'install.dir',
    section: 'Installer',
    description:
      'Folder that `identree sign-script --folder` has signed: the installer and the packages that hosts fetch from here. Unset: hosts are installed another way.',
    example: '/var/lib/identree-server/install',
  }),
  verifyKeyFile: optional(path, {
    env: 'IDENTREE_INSTALL_VERIFY_KEY',
    toml: 'install.verify_key',
    section: 'Installer',
    description:
      'Public key (Ed25519, PEM) with which that folder must be signed. The private one does not belong on this server. Unset: the key that lies in the folder.',
    example: '/etc/identree-server/install-verify.pub',
  }),
};

/** Rules over several of these settings. */
export function checkInstaller(values: Readable<typeof installerSettings>, { warnings }: Report): void {
  if (values.verifyKeyFile !== null && values.folder === null) {
    warnings.push({
      setting: 'IDENTREE_INSTALL_VERIFY_KEY',
      problem: 'has no effect without IDENTREE_INSTALL_DIR',
      fix: 'Set IDENTREE_INSTALL_DIR to the folder that is signed with it.',
    });
  }
}
