import type { ReaderTurn } from '../../platform/module.ts';
import { type AuditSink, mustBeSure, TurnLost } from '../sink.ts';

/** What is written to it of a stream. The callback comes once the operating system has taken the bytes. */
export interface Output {
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** @throws TurnLost when the turn ends sooner: nobody waits for a reader that does not read. */
function under<T>({ signal }: ReaderTurn, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new TurnLost());
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/**
 * Lines of JSON on the standard output of the server, for the container runtime or the service manager to keep. A reader
 * that does not read holds this sink up and nothing else: a pipe is not waited for, its callback is.
 */
export function createStandardOutput(deps: { output: Output }): AuditSink {
  const { output } = deps;
  // Each write says itself what went wrong; without a listener a closed pipe would end the server.
  output.on('error', () => {});
  /** Resolves once what was given to it last is written, or has failed. What was given up stays in memory until then. */
  let idle: Promise<unknown> = Promise.resolve();
  /** Of what failed there may be a part, like a half line on a full disk. */
  let isTorn = false;

  const write = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      output.write(text, (error) => {
        isTorn = Boolean(error);
        if (error) reject(error);
        else resolve();
      });
    });

  return {
    name: 'jsonlog',
    batch: 200,
    async deliver(records, turn) {
      await under(turn, idle);
      mustBeSure(turn);
      const lines = records.map(({ text }) => `${text}\n`).join('');
      const written = write(isTorn ? `\n${lines}` : lines);
      idle = written.catch(() => {});
      await under(turn, written);
      return null;
    },
    async close() {},
  };
}
