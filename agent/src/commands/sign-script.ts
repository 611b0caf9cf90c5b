import { CommandError, EXIT } from '../exit-codes.ts';
import { command } from './context.ts';

export const signScript = command({
  name: 'sign-script',
  help: 'sign an installer, or all that a server hands out; where the key is, and not on the server',
  options: {
    key: { value: 'FILE', help: 'the private key: Ed25519, as OpenSSL writes it' },
    script: { value: 'FILE', help: 'sign this script alone' },
    sig: { value: 'FILE', help: 'where its signature goes, instead of beside it as .sig' },
    folder: { value: 'DIR', help: 'sign install.sh and every package of the agent in here' },
    'generate-key': { help: 'make the key, and its public half; nothing is overwritten' },
    pub: { value: 'FILE', help: 'where the public half goes, instead of beside the key as .pub' },
  },
  async run({ print }, { options }) {
    const { key, script, folder } = options;
    const work = [script, folder, options['generate-key'] || null].filter((one) => one !== null);
    if (key === null || work.length !== 1)
      throw new CommandError(EXIT.usage, 'Give --key, and one of --script, --folder and --generate-key.');
    if (options['generate-key']) {
      const { makeKeyPair } = await import('../install/keys.ts');
      await makeKeyPair(key, options.pub ?? `${key.replace(/\.(pem|key)$/, '')}.pub`, print);
      return EXIT.ok;
    }
    const sign = await import('../install/sign.ts');
    if (script !== null) {
      const sig = options.sig ?? `${script}.sig`;
      await sign.signScript(key, script, sig);
      print(`Signed: ${sig}`);
    } else if (folder !== null) {
      const files = await sign.signFolder(key, folder);
      for (const { name, sha256 } of files) print(`${sha256}  ${name}`);
      print(`Signed: ${folder}`);
    }
    return EXIT.ok;
  },
});
