import type { ErrorCode } from '#shared/errors.ts';
import type { Clock } from '../platform/clock.ts';
import { createUntil } from '../platform/until.ts';
import { ANYTHING, readReply } from './reply.ts';
import { type Answer, TransportError, type TransportRequest } from './transport.ts';

/** How long one of several servers may take before the next one gets the same request, milliseconds. */
export const FAILOVER_MS = 3000;

/** A request on its way. */
export interface Sent {
  answer: Promise<Answer>;
  /**
   * Resolves once one has taken it, or nobody here waits for it any more. What somebody on the way holds up may arrive later:
   * a server takes it for superseded, and for no sign of a clone.
   */
  settled: Promise<'taken' | 'over'>;
}

/** What a server says to what it has taken before. */
export const TAKEN = 'nonce_replayed' satisfies ErrorCode;

/** What the words of an answer say of the request. `known`: one that arrived before is answered like this. */
function readAnswer(answer: Answer): 'ok' | 'known' | 'refused' | 'failed' {
  const reply = readReply(answer, ANYTHING);
  if (reply.kind === 'refused') return reply.code === TAKEN ? 'known' : 'refused';
  return reply.kind === 'ok' ? 'ok' : 'failed';
}

/**
 * Sends a request that counts once, to one server after the other, while those before may still answer. A server takes
 * nonce and number together; what comes late is answered as known and is no sign of a clone. A refusal notes neither, so
 * the request is on its way for as long as somebody else may have it.
 *
 * @param deps.order which ones are asked, `deps.ask` asks one, and `deps.hangs` is told which one did not answer in time.
 */
export function sendOnce(deps: {
  order: readonly number[];
  ask(index: number, request: TransportRequest): Promise<Answer>;
  hangs(index: number): void;
  clock: Clock;
  request: TransportRequest;
}): Sent {
  const { clock, request } = deps;
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  const { promise: settled, resolve: settle } = Promise.withResolvers<'taken' | 'over'>();
  const over = new AbortController();
  const left = [...deps.order];
  const until = clock.monotonic() + request.timeoutMs;
  let going = 0;
  /** More than one may have it, or one of whom nothing will be heard. */
  let isSent = false;
  /** What it comes to when nobody answers better. One that is there counts more than one that is not: that is no outage. */
  let worst: TransportError | null = null;

  function next(): void {
    const index = left.shift();
    if (index === undefined) return;
    going += 1;
    const done = createUntil(over.signal);
    if (left.length > 0)
      void clock.sleep(FAILOVER_MS, done.signal).then(() => {
        if (done.signal.aborted || left.length === 0) return;
        isSent = true;
        deps.hangs(index);
        next();
      });
    const timeoutMs = Math.max(1, until - clock.monotonic());
    deps
      .ask(index, { ...request, timeoutMs, signal: over.signal })
      .then(took, failed)
      .catch(reject)
      .finally(() => {
        done.end();
        going -= 1;
        // Answered, or not known yet.
        if (over.signal.aborted || going > 0) return;
        reject(worst ?? new TransportError('broken', 'the server did not answer in time'));
        settle('over');
      });
  }

  function took(came: Answer): void {
    const says = readAnswer(came);
    if (says === 'ok') {
      resolve(came);
      settle('taken');
      over.abort('answered');
    } else if (says === 'known' && isSent) {
      // Another one has taken it, and perhaps tells what came of it.
      settle('taken');
      worst ??= new TransportError('broken', 'the server took the request and did not answer');
    } else if (says === 'failed' && isSent) {
      worst ??= new TransportError('broken', 'the server did not answer in time');
      next();
    } else resolve(came);
  }

  function failed(error: unknown): void {
    if (!(error instanceof TransportError)) throw error;
    if (over.signal.aborted) return;
    if (error.kind !== 'unreachable') isSent = true;
    if (worst === null || worst.kind === 'unreachable') worst = error;
    next();
  }

  next();
  return { answer, settled };
}
