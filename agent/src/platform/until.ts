/** A signal that aborts when another one does, or when it is ended. */
export interface Until {
  readonly signal: AbortSignal;
  /** Aborts it, and lets go of the other one. */
  end(): void;
}

const ENDED = 'ended';

/**
 * As AbortSignal.any() with one of one's own, for what is made for every sudo: that one is kept in sets until the collector
 * finds it, and an abort() without a reason makes an error with all that led to it.
 */
export function createUntil(other: AbortSignal): Until {
  const own = new AbortController();
  const follow = () => own.abort(other.reason);
  if (other.aborted) follow();
  else other.addEventListener('abort', follow, { once: true });
  return {
    signal: own.signal,
    end() {
      other.removeEventListener('abort', follow);
      own.abort(ENDED);
    },
  };
}
