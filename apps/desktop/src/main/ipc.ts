import type { z } from 'zod';
import type { IpcPort, IpcSender, WindowKind } from './ports.ts';

/** Refusal of a message; says nothing about why, because only a page that is not ours ever sees it. */
export class MessageRefused extends Error {
  constructor() {
    super('refused');
  }
}

/** One message that a page may send. */
export interface Message {
  channel: string;
  /** The one page that may send it. */
  page: WindowKind;
  /** @throws MessageRefused unless the arguments have the exact shape. */
  answer(args: readonly unknown[]): Promise<unknown>;
}

/** A message with at most one argument of the given shape. */
export function message<T>(definition: {
  channel: string;
  page: WindowKind;
  schema: z.ZodType<T>;
  act(input: T): Promise<unknown> | unknown;
}): Message {
  const { channel, page, schema, act } = definition;
  return {
    channel,
    page,
    async answer(args) {
      const input = schema.safeParse(args[0]);
      if (args.length > 1 || !input.success) throw new MessageRefused();
      return act(input.data);
    },
  };
}

/**
 * Answers messages of the windows. Each is taken only from the main frame of the window that is open now, showing the
 * page that the message belongs to.
 */
export function answerMessages(
  ipc: IpcPort,
  currentWindow: () => { id: number; kind: WindowKind } | null,
  messages: readonly Message[],
): void {
  for (const { channel, page, answer } of messages) {
    ipc.handle(channel, async (sender, args) => {
      if (!isFrom(sender, page, currentWindow())) throw new MessageRefused();
      return answer(args);
    });
  }
}

function isFrom(sender: IpcSender, page: WindowKind, window: { id: number; kind: WindowKind } | null): boolean {
  if (!window || window.kind !== page || window.id !== sender.windowId || !sender.frame?.isMain) return false;
  try {
    const url = new URL(sender.frame.url);
    // The origin of a custom scheme is "null" here; scheme and host are what the protocol handler serves by.
    return url.protocol === 'app:' && url.host === page;
  } catch {
    return false;
  }
}
