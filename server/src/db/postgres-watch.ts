import type { Socket } from 'node:net';
import type pg from 'pg';
import { afterListening, withinListening } from '../platform/listening-time.ts';

/** How often it is asked, milliseconds. */
const ASK_EVERY_MS = 1000;
/** How long an answer, and a connection, may take, milliseconds in which this process could hear it. */
const ANSWER_MS = 1500;
/**
 * How long a connection that broke may take to be made anew before nobody waits for it any more, milliseconds: a database
 * that is about to end takes connections and says nothing on them.
 */
const DOUBT_MS = 750;
/** How long after a failure it is tried again, milliseconds. */
const RETRY_MS = 500;

export interface PostgresWatch {
  /** Something failed as if the database were away: it is asked now. */
  suspect(): void;
  close(): Promise<void>;
}

/**
 * One connection that hears what other servers say and asks each second whether the database is still there. Packets that
 * vanish tell nobody anything: without it, each request would find out on its own, after as long as it has patience.
 *
 * Resolves when it is known for the first time how the database is.
 *
 * @param deps.connect a client that is not connected yet
 * @param deps.channel what is listened to; null: a pooler gives the connection to others between two questions
 * @param deps.onHere it answers, for the first time or again
 * @param deps.onDoubt its connection broke, and whether it answers is not known yet: `onHere` or `onAway` follows
 * @param deps.onAway it did not answer, and could not be connected to anew either
 */
export async function watchPostgres(deps: {
  connect: () => { client: pg.Client; socket: Socket };
  channel: string | null;
  onNotification: (said: string) => void;
  onHere: () => void;
  onDoubt: (cause: unknown) => void;
  onAway: (cause: unknown) => void;
}): Promise<PostgresWatch> {
  let closed = false;
  let here = false;
  let endDoubt = () => {};
  let wake = () => {};
  let known = () => {};
  const first = new Promise<void>((resolve) => {
    known = resolve;
  });

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms).unref();
      wake = done;
      if (closed) done();
    });

  /** Connects and asks until that fails. */
  async function follow(): Promise<void> {
    const { client, socket } = deps.connect();
    // A connection that ends is noticed at once; the question then says why.
    client.on('error', () => wake());
    client.on('end', () => wake());
    client.on('notification', ({ payload = '' }) => deps.onNotification(payload));
    try {
      await withinListening(client.connect(), ANSWER_MS);
      await withinListening(client.query(deps.channel === null ? 'select 1' : `listen ${deps.channel}`), ANSWER_MS);
      here = true;
      endDoubt();
      deps.onHere();
      known();
      while (!closed) {
        await pause(ASK_EVERY_MS);
        if (!closed) await withinListening(client.query('select 1'), ANSWER_MS);
      }
      await client.end();
    } finally {
      socket.destroy();
    }
  }

  async function run(): Promise<void> {
    while (!closed) {
      try {
        await follow();
      } catch (error) {
        if (closed) break;
        // One connection may break while the database is well, so it is away when the next one fails as well.
        if (here) {
          here = false;
          endDoubt = afterListening(DOUBT_MS, () => deps.onDoubt(error));
          continue;
        }
        endDoubt();
        deps.onAway(error);
        known();
        await pause(RETRY_MS);
      }
    }
  }

  const running = run();
  await first;
  return {
    suspect: () => wake(),
    async close() {
      closed = true;
      endDoubt();
      wake();
      await running;
    },
  };
}
