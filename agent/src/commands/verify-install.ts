import { CommandError, EXIT } from '../exit-codes.ts';
import { command } from './context.ts';

export const verifyInstall = command({
  name: 'verify-install',
  help: 'check that an installer is as it was signed, before it is run',
  options: {
    key: { value: 'FILE', help: 'the public key, which did not come from where the script came from' },
    script: { value: 'FILE', help: 'what is to be run' },
    sig: { value: 'FILE', help: 'its signature' },
  },
  exits: { 0: 'it is', 1: 'it is not, or something cannot be read: do not run it' },
  failure: 1,
  async run({ print, log }, { options }) {
    const { key, script, sig } = options;
    if (key === null || script === null || sig === null)
      throw new CommandError(EXIT.failed, 'Give --key, --script and --sig.');
    const { verifyInstall: verify } = await import('../install/sign.ts');
    if (await verify(key, script, sig)) {
      print(`${script} is as it was signed.`);
      return EXIT.ok;
    }
    log.error(`${script} is not what was signed with this key. Do not run it.`);
    return EXIT.failed;
  },
});
