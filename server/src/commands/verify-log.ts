import { createCore } from '../app/core.ts';
import { checkChain, readHead } from '../events/store.ts';
import { type Command, EXIT } from './command.ts';

/** `identree-server verify-log`: is the event chain whole, from its first event to its head? */
export async function verifyLog(command: Command): Promise<number> {
  const core = await createCore(command.config);
  try {
    const problem = await checkChain(core.db.query);
    const head = await readHead(core.db.query);
    if (command.flags.json) command.out(`${JSON.stringify({ ok: problem === null, head, problem })}\n`);
    else if (problem) command.out(`The chain is broken at event ${problem.seq}: ${problem.problem}.\n`);
    else command.out(`The chain is whole: ${head.seq} events, head ${head.hash}.\n`);
    return problem ? EXIT.failed : EXIT.ok;
  } finally {
    await core.close();
  }
}
