import { ProtocolViolation, promptFrame } from './frames.ts';

/**
 * Asks the person at a hook to type a line. Resolves with the bytes, which the caller wipes after use, or with
 * undefined when there will be none: the hook has nobody to ask, the person cancelled or is gone. The conversation is
 * over then. There is no time limit here, since a hook cannot take a prompt back: one prompt at a time, and no yes while
 * it is open.
 *
 * @param text at most 512 bytes, shown without a newline after it
 * @param options.echo whether the person sees what they type
 */
export type Prompt = (text: string, options: { echo: boolean }) => Promise<Uint8Array | undefined>;

/** The prompts of one conversation with a hook. */
export interface Prompts {
  prompt: Prompt;
  /** What the hook sent of a person. @throws ProtocolViolation when no person was asked */
  typed(line: Buffer): void;
}

/** @param gone aborted when the hook has cancelled or is gone */
export function createPrompts(send: (bytes: Buffer) => void, gone: AbortSignal): Prompts {
  let open: PromiseWithResolvers<Uint8Array | undefined> | null = null;

  function close(line: Uint8Array | undefined): void {
    open?.resolve(line);
    open = null;
  }

  return {
    prompt(text, { echo }) {
      if (open !== null) throw new Error('a hook can show one prompt at a time');
      if (gone.aborted) return Promise.resolve(undefined);
      gone.addEventListener('abort', () => close(undefined), { once: true });
      open = Promise.withResolvers();
      send(promptFrame(text, echo));
      return open.promise;
    },
    typed(line) {
      if (open === null) throw new ProtocolViolation('an answer to no prompt');
      close(line);
    },
  };
}
