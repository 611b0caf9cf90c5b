import type { HostRecord } from '#shared/decision.ts';
import type { BreakGlass } from '../break-glass/enter.ts';
import type { Clock } from '../platform/clock.ts';
import type { Ask, Outcome } from './ask.ts';
import { loginEvidence, sshOrigin } from './evidence.ts';
import type { Hello } from './hello.ts';
import type { ProcessReader } from './proc.ts';
import type { Prompt } from './prompts.ts';
import { createRefusedConnections } from './refused-connections.ts';
import { createVoice, type Say } from './terminal-text.ts';

/** A login of sshd from its beginning to its verdict, in one conversation with the PAM module. */
export type Login = (
  hello: Hello & { uid: number },
  conversation: { say: Say; prompt: Prompt; signal: AbortSignal },
) => Promise<Outcome>;

const REFUSED: Outcome = { kind: 'refused' };

export function question(hello: Hello & { uid: number }) {
  return {
    mayWait: true,
    evidence: loginEvidence(hello),
    who: {
      user: hello.user,
      uid: hello.uid,
      gate: 'ssh' as const,
      service: hello.service,
      tty: null,
      origin: sshOrigin(hello),
    },
  };
}

export const screenOf = (hello: Hello) => ({ cols: hello.cols, rows: hello.rows, term: '', locale: '' });

/**
 * sshd shows text only with the next prompt, so the link comes with one that waits for Enter. What is typed there is
 * ignored. Until Enter comes the person cannot be told anything, nor let in: a yes waits for it.
 */
export function createLogin(deps: {
  ask: Ask;
  breakGlass: Pick<BreakGlass, 'enter'>;
  processes: Pick<ProcessReader, 'startTime'>;
  clock: Clock;
}): Login {
  const refused = createRefusedConnections(deps.clock);

  async function decide(...[hello, { say, prompt, signal }]: Parameters<Login>): Promise<Outcome> {
    const voice = createVoice(say, screenOf(hello));
    const asked = await deps.ask.open(question(hello), voice, signal);
    if (asked === null) return REFUSED;
    const unchanged = async () => (await deps.processes.startTime(hello.ppid)) === hello.pstart;
    const enter = (record: HostRecord) => deps.breakGlass.enter({ record, voice, prompt, last: { unchanged }, signal });
    if ('kind' in asked) return enter(asked.record);
    if (asked.answer.status !== 'pending') {
      const outcome = await deps.ask.wait(asked, voice, { unchanged }, signal);
      return outcome.kind === 'unreachable' ? enter(outcome.record) : outcome;
    }
    const entered = prompt(voice.prompt('gate.loginPrompt'), { echo: false }).then((line) => {
      // People type passwords out of habit.
      line?.fill(0);
      return line !== undefined;
    });
    const outcome = await deps.ask.wait(asked, voice, { ready: () => entered, unchanged }, signal);
    // The prompt that is open cannot be taken back: the next one comes after Enter.
    if (outcome.kind === 'unreachable') return (await entered) ? enter(outcome.record) : { kind: 'cancelled' };
    if (outcome.kind !== 'granted' && !signal.aborted) refused.add(hello);
    return outcome;
  }

  // Without a word: the last ones that the person reads are those of the answer.
  return async (hello, conversation) => (refused.has(hello) ? REFUSED : decide(hello, conversation));
}
