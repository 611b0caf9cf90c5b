/** A call as it crosses a port between threads. Other messages may pass beside it. */
export interface Call {
  kind: 'call';
  id: number;
  method: string;
  args: unknown[];
}

/** What comes back under the number of the call. */
export type Answer =
  | { kind: 'answer'; id: number; ok: true; value: unknown }
  | { kind: 'answer'; id: number; ok: false; message: string };

/** Functions that one side offers the other. Arguments and results are cloned on their way. */
type Callable<T> = { [K in keyof T]: (...args: never[]) => unknown };

/** The calling side of a port. */
export interface PortCaller<Theirs extends Callable<Theirs>> {
  /**
   * Calls a function of the other side. Rejects with what that side says about a failure, when no answer comes in time,
   * and when the port is closed.
   */
  call<K extends keyof Theirs & string>(
    method: K,
    ...args: Parameters<Theirs[K]>
  ): Promise<Awaited<ReturnType<Theirs[K]>>>;
  /** Takes an answer that has arrived. */
  receive(answer: Answer): void;
  /** How many calls wait for their answer. */
  readonly open: number;
  /** No answer will come any more: rejects every call that waits and every later one. */
  close(reason: Error): void;
}

/**
 * Calls the other side of a port. Each thread that is started needs a caller of its own: an answer from an earlier one
 * would otherwise be taken for the answer to a later call.
 *
 * @param deps.withinMs how long an answer may take, milliseconds; without it, as long as the port is open.
 */
export function createPortCaller<Theirs extends Callable<Theirs>>(deps: {
  send: (call: Call) => void;
  withinMs?: number;
}): PortCaller<Theirs> {
  const { send, withinMs } = deps;
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let ids = 0;
  let closed: Error | null = null;

  return {
    call(method, ...args) {
      if (closed !== null) return Promise.reject(closed);
      const id = ++ids;
      return new Promise((resolve, reject) => {
        send({ kind: 'call', id, method, args });
        const late = (): void => waiting.get(id)?.reject(new Error(`no answer to ${method} within ${withinMs} ms`));
        const timer = withinMs === undefined ? undefined : setTimeout(late, withinMs);
        const settled = (): void => {
          clearTimeout(timer);
          waiting.delete(id);
        };
        waiting.set(id, {
          resolve(value) {
            settled();
            resolve(value as never);
          },
          reject(error) {
            settled();
            reject(error);
          },
        });
      });
    },
    receive(answer) {
      const caller = waiting.get(answer.id);
      if (answer.ok) caller?.resolve(answer.value);
      else caller?.reject(new Error(answer.message));
    },
    get open() {
      return waiting.size;
    },
    close(reason) {
      closed = reason;
      for (const caller of [...waiting.values()]) caller.reject(reason);
    },
  };
}

/**
 * Answers the calls of the other side, each when it is done, whatever their order. A failure, and a result that cannot
 * be cloned, is an answer as well: a caller is never left waiting for one.
 *
 * @param deps.messageOf what the other side is told about an error; its message by default.
 */
export function createPortAnswers<Ours extends Callable<Ours>>(deps: {
  send: (answer: Answer) => void;
  ours: Ours;
  messageOf?: (error: unknown) => string;
}): (call: Call) => void {
  const { send, messageOf = (error) => (error instanceof Error ? error.message : String(error)) } = deps;
  const ours = deps.ours as unknown as Record<string, (...args: unknown[]) => unknown>;

  async function answer({ id, method, args }: Call): Promise<void> {
    try {
      send({ kind: 'answer', id, ok: true, value: await ours[method]!(...args) });
    } catch (error) {
      send({ kind: 'answer', id, ok: false, message: messageOf(error) });
    }
  }

  return (call) => void answer(call);
}
