import { command, needRoot } from './context.ts';

export const uninstall = command({
  name: 'uninstall',
  help: 'undo setup and remove identree from this host, with its identity and its break-glass password',
  options: { 'dry-run': { help: 'show what would be removed' } },
  async run({ print, log }, { options }) {
    needRoot();
    const { uninstall: run } = await import('../setup/uninstall.ts');
    return run({ dryRun: options['dry-run'] }, { print, log });
  },
});
