import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const sealImage = command({
  name: 'seal-image',
  help: 'take away what makes this host itself, so that its disk can be copied',
  options: { ...PATH_OPTIONS, 'dry-run': { help: 'show what would be removed' } },
  async run({ print, log }, { options }) {
    needRootFor(options);
    const { sealImage: run } = await import('../setup/seal-image.ts');
    return run(options, { dryRun: options['dry-run'] }, { print, log });
  },
});
