import { writeFile } from 'node:fs/promises';
import { createCore } from '../app/core.ts';
import { type Command, EXIT } from './command.ts';

/** `identree-server trust [FILE]`: the public keys that an auditor pins. */
export async function exportTrust(command: Command, [file]: string[]): Promise<number> {
  const core = await createCore(command.config);
  try {
    const text = `${JSON.stringify(core.trust, null, 2)}\n`;
    if (file === undefined) command.out(text);
    else await writeFile(file, text, { flag: 'wx' });
    return EXIT.ok;
  } finally {
    await core.close();
  }
}
