import { CommandFailure, type RunCommand } from '../../platform/run-command.ts';
import { type EscrowBackend, type EscrowEntry, EscrowFailure, type EscrowLocation } from '../backend.ts';

const ITEM_ID = /^item_id=([\x21-\x7e]{1,512})\s*$/m;

/**
 * Keeps passwords with a program of the operator's own. `BREAKGLASS_ACTION` in its environment says what to do:
 * `store` (the password is on standard input; a line `item_id=…` on standard output is remembered), `retrieve` (prints
 * the password) or `remove`.
 */
export function createCommandEscrow(options: {
  words: readonly string[];
  /** What it is given of the server's own environment. */
  env: Readonly<Record<string, string>>;
  run: RunCommand;
}): EscrowBackend {
  const { words, env, run } = options;

  const call = (
    action: 'store' | 'retrieve' | 'remove',
    { id, hostId, hostname }: EscrowEntry,
    more: { itemId?: string | undefined; input?: string } = {},
  ) =>
    run({
      words,
      env: {
        ...env,
        BREAKGLASS_ACTION: action,
        BREAKGLASS_HOSTNAME: hostname,
        BREAKGLASS_HOST_ID: hostId,
        BREAKGLASS_ID: id,
        ...(more.itemId === undefined ? {} : { BREAKGLASS_ITEM_ID: more.itemId }),
      },
      input: more.input ?? '',
    }).catch((error: unknown) => {
      throw error instanceof CommandFailure ? new EscrowFailure(`the escrow command: ${error.message}`) : error;
    });

  const itemOf = ({ item }: EscrowLocation) => ({ itemId: item });

  return {
    name: 'command',

    async store(entry, password): Promise<EscrowLocation> {
      const printed = await call('store', entry, { input: password });
      const item = ITEM_ID.exec(printed)?.[1];
      return item === undefined ? {} : { item };
    },

    async retrieve(entry, location) {
      const password = (await call('retrieve', entry, itemOf(location))).replace(/\r?\n$/, '');
      if (password === '') throw new EscrowFailure('the escrow command printed no password');
      return password;
    },

    async remove(entry, location) {
      await call('remove', entry, itemOf(location));
    },
  };
}
