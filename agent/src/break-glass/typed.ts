import type { ReadStream } from 'node:tty';

/** Longer than any password: nobody pastes a file into our memory. */
const MOST_BYTES = 1024;

const ENTER = new Set([0x0a, 0x0d]);
const BACKSPACE = new Set([0x08, 0x7f]);
const GIVES_UP = new Set([0x03, 0x04]);

/**
 * One line of bytes from a terminal, which shows nothing of it, or from a pipe: all of it without the newline at its end.
 * Null: there was none, or who types gave up. The caller wipes it.
 */
export async function readTyped(
  input: NodeJS.ReadableStream & { fd?: number },
  prompt: string,
  tell: (text: string) => void,
): Promise<Buffer | null> {
  const terminal = (input as Partial<ReadStream>).isTTY === true ? (input as ReadStream) : null;
  const line = Buffer.alloc(MOST_BYTES);
  let length = 0;
  if (terminal !== null) {
    tell(prompt);
    terminal.setRawMode(true);
  }
  try {
    for await (const read of input) {
      const chunk = read as Buffer;
      try {
        for (const byte of chunk) {
          if (ENTER.has(byte)) return Buffer.from(line.subarray(0, length));
          if (terminal !== null && GIVES_UP.has(byte)) return null;
          if (terminal !== null && BACKSPACE.has(byte)) length = Math.max(0, length - 1);
          else if (length < MOST_BYTES) line[length++] = byte;
        }
      } finally {
        chunk.fill(0);
      }
    }
    return length === 0 ? null : Buffer.from(line.subarray(0, length));
  } finally {
    line.fill(0);
    if (terminal !== null) {
      terminal.setRawMode(false);
      tell('\n');
    }
  }
}
