import { createInterface } from 'node:readline';
import { CommandError, EXIT } from '../exit-codes.ts';
import { combineShares, readShare, type Share, WrongShares } from './shares.ts';

/** `identree combine-breakglass`. Needs no host, no server and no network. */
export async function combineHere(input: NodeJS.ReadableStream, print: (line: string) => void): Promise<number> {
  const shares: Share[] = [];
  try {
    for await (const line of createInterface({ input })) {
      if (line.trim() === '') continue;
      const share = readShare(line);
      shares.push(share);
      // Who types them is not made to say that these were all.
      if (shares.length >= share.threshold) break;
    }
    const password = await combineShares(shares);
    print(password.toString('latin1'));
    password.fill(0);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof WrongShares) throw new CommandError(EXIT.failed, error.message);
    throw error;
  } finally {
    for (const { share } of shares) share.fill(0);
  }
}
