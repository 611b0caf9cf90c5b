import type { HeadFound } from '../events/signed-heads.ts';
import { coreCommand, EXIT } from './command.ts';

const date = (at: number): string => new Date(at).toISOString();

/** What became of a head that was kept outside. */
function headText({ head, contained, givenUp }: HeadFound): string {
  if (contained) return `It contains the head signed at event ${head.seq} on ${date(head.at)}.\n`;
  const missing = `It does not contain the head signed at event ${head.seq} on ${date(head.at)}`;
  if (givenUp === null) return `${missing}: what was recorded up to there was changed or is lost.\n`;
  const { operator, reason, seq, at } = givenUp;
  return `${missing}: ${operator} let it go on from event ${seq} on ${date(at)} (${reason}).\n`;
}

export const verifyLog = coreCommand({
  name: 'verify-log',
  help: 'walk the event chain, from its first event to its head, and look for heads that were kept elsewhere',
  options: {
    head: { value: 'FILE', help: "signed heads: a host's identree doctor --json, or one head a line" },
    json: { help: 'for programs' },
  },
  async run({ core, out, readFile }, { options }) {
    const { readHead } = await import('../events/store.ts');
    const { checkLog, readKeptHeads } = await import('../events/signed-heads.ts');
    const { trust, keys } = core;
    const kept =
      options.head === null ? [] : await readKeptHeads(options.head, readFile(options.head), trust, keys.log.public);
    const { problem, erased, heads } = await checkLog(core.db.query, kept, trust);
    const head = await readHead(core.db.query);
    const ok = problem === null && heads.every(({ contained }) => contained);
    if (options.json) {
      const found = heads.map(({ head: { seq, at }, contained, givenUp }) => ({ seq, at, contained, givenUp }));
      out(`${JSON.stringify({ ok, head, problem, erased, heads: found })}\n`);
    } else {
      if (problem) out(`The chain is broken at event ${problem.seq}: ${problem.problem}.\n`);
      else out(`The chain is whole: ${head.seq} events, head ${head.hash}.\n`);
      if (problem === null && erased > 0)
        out(`Erased, as the log says: the payload of ${erased} events. Their hashes are whole.\n`);
      for (const one of heads) out(headText(one));
    }
    return ok ? EXIT.ok : EXIT.failed;
  },
});
