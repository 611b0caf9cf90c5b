import { coreCommand, EXIT } from './command.ts';

export const verifyLog = coreCommand({
  name: 'verify-log',
  help: 'walk the event chain, from its first event to its head',
  options: { json: { help: 'for programs' } },
  async run({ core, out }, { options }) {
    const { checkChain, readHead } = await import('../events/store.ts');
    const problem = await checkChain(core.db.query);
    const head = await readHead(core.db.query);
    if (options.json) out(`${JSON.stringify({ ok: problem === null, head, problem })}\n`);
    else if (problem) out(`The chain is broken at event ${problem.seq}: ${problem.problem}.\n`);
    else out(`The chain is whole: ${head.seq} events, head ${head.hash}.\n`);
    return problem ? EXIT.failed : EXIT.ok;
  },
});
