import type { Ground, Module } from '../platform/module.ts';
import { installerRoutes } from './routes.ts';
import { createSignedFolder } from './signed-folder.ts';

/** Hands out what hosts are installed from. It was signed elsewhere: this server holds no key of it. */
export function installerModule({ config, log }: Pick<Ground, 'config' | 'log'>): Module {
  const { folder, verifyKeyFile } = config.installer;
  if (folder === null) return { name: 'installer' };
  return {
    name: 'installer',
    routes: [
      installerRoutes({ folder: createSignedFolder(folder, verifyKeyFile), serverUrl: config.externalUrl, log }),
    ],
  };
}
