/** By what somebody who sleeps is woken by others. */
export interface Waker {
  wake(): void;
  /** Aborts when it is woken. Asked for before what is looked at: what changes meanwhile is not slept through. */
  woken(): AbortSignal;
}

export function createWaker(): Waker {
  let next = new AbortController();
  return {
    wake: () => next.abort(),
    woken() {
      if (next.signal.aborted) next = new AbortController();
      return next.signal;
    },
  };
}
