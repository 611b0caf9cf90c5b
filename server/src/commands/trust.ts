import { writeFile } from 'node:fs/promises';
import { coreCommand, EXIT } from './command.ts';

export const trust = coreCommand({
  name: 'trust',
  help: 'write the keys that hosts and auditors pin',
  operands: { file: { optional: true } },
  async run({ core, out }, { operands: { file } }) {
    const text = `${JSON.stringify(core.trust, null, 2)}\n`;
    if (file === null) out(text);
    else await writeFile(file, text, { flag: 'wx' });
    return EXIT.ok;
  },
});
