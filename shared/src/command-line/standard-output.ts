import { systemErrorText } from '../system-error.ts';

const listened = new WeakSet<NodeJS.WriteStream>();

/** Opened when something is said, and not before: some commands have nobody there. */
function listenedTo(stream: NodeJS.WriteStream, onError: (error: NodeJS.ErrnoException) => void): NodeJS.WriteStream {
  if (!listened.has(stream)) {
    listened.add(stream);
    stream.on('error', onError);
  }
  return stream;
}

/**
 * Standard output for what a command has to say. A reader that has read enough and goes, as `head` does, ends no command:
 * what it does is done to its end, and what it says goes nowhere.
 *
 * @param onLost called with a sentence when what was said could not be written though somebody waits for it
 */
export const standardOutput = (onLost: (text: string) => void): NodeJS.WriteStream =>
  listenedTo(process.stdout, (error) => {
    if (error.code === 'EPIPE') return;
    error.path ??= 'the output';
    onLost(systemErrorText(error) ?? error.message);
  });

/** Standard error likewise: a complaint that has no reader must not end what is being done. */
export const standardError = (): NodeJS.WriteStream => listenedTo(process.stderr, () => {});
