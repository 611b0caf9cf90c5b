import type { Command } from '#shared/command-line/command.ts';
import { type CommandIo, EXIT } from './command.ts';

const options = {
  key: { value: 'FILE', help: 'file with the whsec_ keys of the channel, with blanks between' },
  id: { value: 'ID', help: 'the header webhook-id' },
  timestamp: { value: 'SECONDS', help: 'the header webhook-timestamp' },
  signature: { value: 'TEXT', help: 'the header webhook-signature' },
  tolerance: { value: 'SECONDS', help: 'how far the clocks may be apart', default: '300' },
  seen: { value: 'FOLDER', help: 'remembers ids there, and refuses one that came before' },
} as const;

export const verifyWebhook: Command<CommandIo, typeof options> = {
  name: 'verify-webhook',
  help: 'tell whether the webhook on standard input is from the server that has a key, and of now',
  options,
  async run({ readFile, out, err }, { options }) {
    const { buffer } = await import('node:stream/consumers');
    const { signingKey, webhookProblem } = await import('../notify/channels/standard-webhook.ts');
    const { key, id, timestamp, signature, tolerance, seen } = options;
    if (key === null || id === null || timestamp === null || signature === null || !/^[0-9]{1,9}$/.test(tolerance)) {
      err('Give --key, --id, --timestamp and --signature, and a number of seconds.\n');
      return EXIT.usage;
    }
    const keys = readFile(key)
      .split(/\s+/)
      .flatMap((word) => signingKey(word) ?? []);
    if (keys.length === 0) {
      err(`${key} holds no whsec_ key.\n`);
      return EXIT.failed;
    }
    const received = { id, timestamp, signature, body: await buffer(process.stdin) };
    const problem = webhookProblem(keys, received, { now: Date.now(), toleranceMs: Number(tolerance) * 1000 });
    if (problem !== null) err(`refused: ${problem}\n`);
    else if (seen !== null && !(await isNew(seen, id))) err('refused: it came before\n');
    else {
      out('It is genuine.\n');
      return EXIT.ok;
    }
    return EXIT.failed;
  },
};

/** Remembers an id. Of two processes that are asked at once, one is told that it is new. */
async function isNew(folder: string, id: string): Promise<boolean> {
  const { createHash } = await import('node:crypto');
  const { writeFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  try {
    await writeFile(join(folder, createHash('sha256').update(id).digest('hex')), '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
