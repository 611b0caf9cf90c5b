import type { guardPower, PowerGuardInput } from './guard-power.ts';
import { type Allowed, holdDigest, MAX_LISTED } from './held-change.ts';
import { type LocalPower, type PowerIndex, partOf, withoutHosts } from './power.ts';

/**
 * Whoever has root on a host says what its files give: to every name and number there is, if they like. What they say gives
 * nobody anything and takes nothing from anybody who is served, but newcomers wait for an answer. So one host raises a few
 * questions at most. More are one question, about the host: either its report is ignored, and whom it names has by its
 * files what they have on this one host, or it counts, and each of them is asked about.
 */

/** Questions that the report of one host raises one by one. */
const MOST_QUESTIONS = 5;

type Held = ReturnType<typeof guardPower>;

/** The answer is about the host and not about what it says today: else whoever has root there would have it asked anew. */
const proofOf = (hostId: string) => ({ host: hostId });

/**
 * The guard of power, with no more than one question about what any one host says.
 *
 * @param input.run the guard itself
 */
export function guardReports(input: {
  power: PowerIndex;
  /** Host name → id. */
  reporters: ReadonlyMap<string, string>;
  decided: ReadonlyMap<string, 'open' | 'confirmed' | 'rejected'>;
  allowed: Allowed;
  run: (
    power: PowerIndex,
    allowed: Allowed,
    over?: Pick<PowerGuardInput, 'candidate' | 'claimsGivePower' | 'withheld'>,
  ) => Held;
}): Held {
  const { reporters, decided, allowed, run } = input;
  const stateOf = (id: string) => decided.get(holdDigest('host_report', proofOf(id)));
  const inState = (state: string): Set<string> =>
    new Set([...reporters].flatMap(([hostname, id]) => (stateOf(id) === state ? [hostname] : [])));
  const [ignored, heeded] = [inState('confirmed'), inState('rejected')];
  const power = withoutHosts(input.power, ignored);

  const questions: Parameters<Allowed>[] = [];
  const raised = new Map<string, Map<string, readonly LocalPower[]>>();
  const all = run(power, (...question) => {
    const [{ kind }, subject, proof, local = []] = question;
    questions.push(question);
    const state = decided.get(holdDigest(kind, proof));
    if (state === undefined || state === 'open') {
      for (const [host, lines] of Map.groupBy(local, ({ host }) => host)) {
        raised.set(host, (raised.get(host) ?? new Map()).set(subject, lines));
      }
    }
    return state === 'confirmed';
  });
  const crowded = new Set(
    [...raised].flatMap(([host, subjects]) =>
      subjects.size > MOST_QUESTIONS && reporters.has(host) && !heeded.has(host) ? [host] : [],
    ),
  );
  // Answers stay for as long as the host reports, although nobody may wait for one now.
  for (const host of [...ignored, ...heeded, ...crowded]) {
    const subjects = raised.get(host) ?? new Map<string, readonly LocalPower[]>();
    const detail = {
      host,
      waiting: [...subjects.keys()].slice(0, MAX_LISTED),
      count: subjects.size,
      local: [...subjects.values()].flat().slice(0, MAX_LISTED),
    };
    allowed({ kind: 'host_report', detail }, `host ${host}`, proofOf(reporters.get(host)!));
  }
  if (crowded.size === 0) {
    for (const question of questions) allowed(...question);
    return all;
  }
  // What is not about these hosts is asked as ever, and an answer to it holds when they have been answered.
  const rest = run(withoutHosts(power, crowded), allowed);
  return run(partOf(power, crowded), () => false, {
    candidate: rest.publish,
    claimsGivePower: false,
    withheld: rest.withheld,
  });
}
