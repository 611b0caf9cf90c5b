import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const verifyBreakglass = command({
  name: 'verify-breakglass',
  help: 'whether a password on standard input opens this host when its server cannot be reached',
  options: PATH_OPTIONS,
  async run({ print }, { options }) {
    needRootFor(options);
    const { verifyHere } = await import('../break-glass/here.ts');
    return verifyHere(options, print);
  },
});
