import type { FastifyPluginAsync } from 'fastify';
import { Refusal } from '#shared/errors.ts';
import type { FeedEvent } from '#shared/events.ts';
import { credentialsOf } from '../http/viewer.ts';
import type { EventFeed } from './feed.ts';
import { createFollowers, FOLLOWER_LIMITS, type FollowerLimits } from './followers.ts';

/** How often a stream on which nothing happens is kept open; who has read nothing since the last time is let go of. */
const KEEP_ALIVE_MS = 15_000;

const texts = new WeakMap<FeedEvent, Buffer>();

/** One event as server-sent text, made and encoded once for all who get it. */
function textOf(event: FeedEvent): Buffer {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = Buffer.from(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
  texts.set(event, text);
  return text;
}

/** The number in `Last-Event-ID`; null when there is none that this server could have given. */
function lastIdOf(header: string | string[] | undefined): number | null {
  return typeof header === 'string' && /^[0-9]{1,15}$/.test(header) ? Number(header) : null;
}

/**
 * `GET /api/events`: server-sent events for browsers, desktop apps and programs, resumable by `Last-Event-ID`. It begins
 * with the id after which it goes on. When that is less than what was asked for, the log is another one, of a database
 * that was restored, and what the client knows is to be asked for anew.
 */
export function streamRoutes(deps: {
  feed: EventFeed;
  keepAliveMs?: number;
  limits?: FollowerLimits;
}): FastifyPluginAsync {
  const followers = createFollowers(deps.limits ?? FOLLOWER_LIMITS);
  return async (app) => {
    app.get('/api/events', async (request, reply) => {
      const credentials = credentialsOf(request);
      /** What is to be done when the client goes. From the beginning: it may go while it is looked up, and nothing would tell so later. */
      const atLeaving: (() => void)[] = [];
      const { raw } = reply;
      raw.once('close', () => {
        for (const leave of atLeaving) leave();
      });
      const personId = await deps.feed.personOf(credentials);
      if (personId === null) throw new Refusal('not_signed_in');
      const leave = followers.admit(personId);
      // A connection that a client only holds open would be counted until its next event otherwise.
      if (raw.destroyed) leave();
      else atLeaving.push(leave);
      // Where it begins is settled before the client learns that it is connected: nothing falls in between.
      const head = await deps.feed.head();
      const after = Math.min(lastIdOf(request.headers['last-event-id']) ?? head, head);
      reply.hijack();
      if (raw.destroyed) return;
      // It ends with the connection: in chunks each event would be framed anew for each client.
      raw.removeHeader('transfer-encoding');
      raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
        connection: 'close',
      });
      raw.write(`: connected\nid: ${after}\n\n`);
      let unread = false;
      const keepAlive = setInterval(() => {
        // What it was to read before the end it has not read by now: the connection would be held as long as it likes.
        if (raw.writableEnded) raw.destroy();
        // A client that does not read would have one more of these kept for it each time. It goes on from its last id.
        else if (!raw.writableNeedDrain) raw.write(': keep-alive\n\n');
        else if (unread) raw.destroy();
        unread = raw.writableNeedDrain;
      }, deps.keepAliveMs ?? KEEP_ALIVE_MS);
      const stream = deps.feed.open(credentials, after, {
        tell: (event) => !raw.destroyed && raw.write(textOf(event)),
        end: () => void raw.end(),
      });
      raw.on('drain', stream.resume);
      atLeaving.push(() => {
        clearInterval(keepAlive);
        stream.leave();
      });
    });
  };
}
