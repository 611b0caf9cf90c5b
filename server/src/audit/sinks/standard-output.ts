import { type AuditSink, TurnLost } from '../sink.ts';

/** What is written to it of a stream. The callback comes once the operating system has taken the bytes. */
export interface Output {
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Lines of JSON on the standard output of the server, for the container runtime or the service manager to keep. A reader
 * that does not read holds this sink up and nothing else: a pipe is not waited for, its callback is.
 */
export function createStandardOutput(deps: { output: Output }): AuditSink {
  const { output } = deps;
  // Each write says itself what went wrong; without a listener a closed pipe would end the server.
  output.on('error', () => {});
  return {
    name: 'jsonlog',
    batch: 200,
    deliver: (records, turn) =>
      new Promise((resolve, reject) => {
        const giveUp = () => reject(new TurnLost());
        turn.signal.addEventListener('abort', giveUp, { once: true });
        output.write(records.map(({ text }) => `${text}\n`).join(''), (error) => {
          turn.signal.removeEventListener('abort', giveUp);
          if (error) reject(error);
          else resolve(null);
        });
      }),
    async close() {},
  };
}
