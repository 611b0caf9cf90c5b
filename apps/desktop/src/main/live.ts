import type { createForwarder } from './forward.ts';
import { createOnScreen } from './on-screen.ts';
import { createPace } from './pace.ts';
import { type PendingRequest, readInbox } from './pending.ts';
import { type Failure, offlineKind, type Reach } from './reach.ts';

/** A stream on which nothing was heard for this long is dead; the server says something every 15 seconds. */
const SILENCE_MS = 40_000;
const AGAIN_MIN_MS = 500;
const AGAIN_MAX_MS = 15_000;
/** A computer that woke up has its network and its names some seconds later: for so long it is tried this often. */
const AWAKE_MS = 60_000;
const AGAIN_AWAKE_MS = 2000;
/**
 * How often the requests are asked for anew. One that comes right after another was decided is no burst: who waits for it is
 * told at once. Even in a burst that goes on an event waits for less than the half second in which people are told of it.
 */
const ANEW = { everyMs: 350, apartMs: 50, burst: 4 };
/** Events about these topics change what waits. */
const TOPICS = ['requests', 'policy'];

export interface Live {
  /** Whether `pending` is up to date. */
  reach(): Reach;
  /** Requests that wait, newest first, without those whose time is over. */
  pending(): readonly PendingRequest[];
  /** Connects anew at once: the computer woke up, or the network is another. */
  kick(): void;
  /** Asks for the requests now. */
  refresh(): Promise<void>;
  stop(): void;
}

/** Follows one server with the session of the person: what waits there, and whether that is still known. */
export function followServer(deps: {
  /** Made with the handler for failures that it is to call. */
  forwarder: (onFailure: (failure: Failure) => void) => Pick<ReturnType<typeof createForwarder>, 'forward'>;
  now: () => number;
  onChange: () => void;
}): Live {
  let reach: Reach = 'connecting';
  let requests: PendingRequest[] = [];
  let failure: Failure | null = null;
  const stopped = new AbortController();
  let attempt = new AbortController();
  let wake: () => void = () => {};
  /** The try that runs was given up for a new one. */
  let isKicked = false;
  /** By the clock that nobody sets. */
  let awakeUntil = 0;
  let expiry: NodeJS.Timeout | undefined;
  const forwarder = deps.forwarder((seen) => {
    failure = seen;
  });

  function become(next: Reach): void {
    if (stopped.signal.aborted || reach === next) return;
    reach = next;
    deps.onChange();
  }

  const ask = (target: string, stream: boolean, signal: AbortSignal, names: readonly string[]) =>
    forwarder.forward({ method: 'GET', target, stream, headers: new Headers(), body: null, signal, names });

  const onScreen = createOnScreen((target, names) => ask(target, false, stopped.signal, names));
  let asked = 0;
  let taken = 0;

  async function refresh(): Promise<void> {
    asked += 1;
    const number = asked;
    const response = await ask('/trpc/challenges.inbox', false, stopped.signal, ['challenges.inbox']);
    if (response.status !== 200) throw new Error(`the requests were not given: ${response.status}`);
    const waiting = readInbox(await response.json(), deps.now());
    const isTold = await onScreen(waiting.map(({ id }) => id));
    // What was asked for later may have been answered earlier.
    if (stopped.signal.aborted || number < taken) return;
    taken = number;
    const next = waiting.map((request) => ({ ...request, isTold: isTold(request.id) }));
    const changed = JSON.stringify(next.map(({ id }) => id)) !== JSON.stringify(requests.map(({ id }) => id));
    requests = next;
    if (changed) deps.onChange();
    watchExpiry();
  }

  function watchExpiry(): void {
    clearTimeout(expiry);
    const now = deps.now();
    const next = Math.min(...requests.map(({ expiresAt }) => expiresAt).filter((at) => at > now));
    if (!Number.isFinite(next)) return;
    expiry = setTimeout(
      () => {
        deps.onChange();
        watchExpiry();
      },
      Math.min(next - now + 10, 0x7fff_ffff),
    );
  }

  /** One connection, from the first try to its end. @returns true when it was live. */
  async function follow(signal: AbortSignal): Promise<boolean> {
    failure = null;
    const response = await ask('/api/events', true, signal, []);
    const reader = response.status === 200 ? response.body?.getReader() : undefined;
    if (!reader || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
      if (response.status === 401) become('signed_out');
      else if (!signal.aborted) become(offlineKind(failure ?? { kind: 'status', status: response.status }));
      return false;
    }
    try {
      await refresh();
    } catch {
      void reader.cancel().catch(() => {});
      become(offlineKind(failure ?? { kind: 'not_the_server' }));
      return false;
    }
    const isOld = topicReader();
    const mine = attempt;
    // What is not known to be up to date must not be shown as if it were, and nothing may come that has it asked again.
    const anew = createPace(ANEW, () => void refresh().catch(() => mine.abort()));
    let silence: NodeJS.Timeout | undefined;
    try {
      become('live');
      for (;;) {
        silence = setTimeout(() => mine.abort(), SILENCE_MS);
        const { done, value } = await reader.read();
        clearTimeout(silence);
        if (done) return true;
        if (isOld(value)) anew.ask();
      }
    } catch {
      return true;
    } finally {
      clearTimeout(silence);
      anew.stop();
      void reader.cancel().catch(() => {});
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.signal.aborted; ) {
      attempt = new AbortController();
      isKicked = false;
      const wasLive = await follow(AbortSignal.any([attempt.signal, stopped.signal])).catch(() => false);
      if (stopped.signal.aborted || reach === 'signed_out') return;
      failures = wasLive ? 0 : failures + 1;
      if (wasLive) become('connecting');
      if (isKicked) {
        failures = 0;
        continue;
      }
      // Apart from each other, or all desktops would come back to a server in the same moment.
      const most = performance.now() < awakeUntil ? AGAIN_AWAKE_MS : AGAIN_MAX_MS;
      const pause = Math.min(most, AGAIN_MIN_MS * 2 ** Math.max(0, failures - 1)) * (0.75 + Math.random() / 4);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        wake = () => {
          clearTimeout(timer);
          failures = 0;
          resolve();
        };
        stopped.signal.addEventListener('abort', wake, { once: true });
      });
      stopped.signal.removeEventListener('abort', wake);
    }
  }
  void run();

  return {
    reach: () => reach,
    pending: () => requests.filter(({ expiresAt }) => expiresAt > deps.now()),
    refresh,
    kick() {
      isKicked = true;
      awakeUntil = performance.now() + AWAKE_MS;
      attempt.abort();
      wake();
    },
    stop() {
      stopped.abort();
      clearTimeout(expiry);
    },
  };
}

/** Reads server-sent events in pieces and tells whether one of them makes the requests old. */
function topicReader(): (bytes: Uint8Array) => boolean {
  const decoder = new TextDecoder();
  let rest = '';
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop()!;
    // A line without an end would grow for ever; what it says is made up for by asking.
    if (rest.length > 256 * 1024) {
      rest = '';
      return true;
    }
    return lines.some((line) => line.startsWith('data:') && isAboutRequests(line.slice(5)));
  };
}

function isAboutRequests(text: string): boolean {
  try {
    return TOPICS.includes((JSON.parse(text) as { topic: string }).topic);
  } catch {
    return true;
  }
}
