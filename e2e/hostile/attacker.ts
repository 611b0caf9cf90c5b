import { setPriority } from 'node:os';
import { ATTACKS } from './attacks.ts';
import type { FromAttacker, ToAttacker } from './messages.ts';

/** Does what it is told to the server. */

// Attackers have machines of their own: here they must not take the processor away from the server and its clients.
setPriority(10);
const send = (message: FromAttacker): void => void process.send!(message);
process.on('message', async ({ attack }: ToAttacker) => {
  const counts: Record<string, number> = {};
  try {
    await ATTACKS[attack.name]!(attack, counts);
    send({ kind: 'done', counts });
  } catch (error) {
    send({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
process.on('disconnect', () => process.exit(0));
