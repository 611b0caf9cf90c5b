import { once } from 'node:events';
import type { FastifyPluginAsync } from 'fastify';
import { Refusal } from '#shared/errors.ts';
import { credentialsOf } from '../http/viewer.ts';
import type { EventFeed, FeedEvent } from './feed.ts';

/** How often a stream on which nothing happens is kept open; who has read nothing since the last time is let go of. */
const KEEP_ALIVE_MS = 15_000;

const texts = new WeakMap<FeedEvent, string>();

/** One event as server-sent text, made once for all who get it. */
function textOf(event: FeedEvent): string {
  let text = texts.get(event);
  if (text === undefined) {
    text = `id: ${event.seq}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`;
    texts.set(event, text);
  }
  return text;
}

/** `GET /api/events`: server-sent events, resumable by `Last-Event-ID`. */
export function streamRoutes(deps: { feed: EventFeed; keepAliveMs?: number }): FastifyPluginAsync {
  return async (app) => {
    app.get('/api/events', async (request, reply) => {
      const credentials = credentialsOf(request);
      if (!(await deps.feed.isSomebody(credentials))) throw new Refusal('not_signed_in');
      const last = request.headers['last-event-id'];
      // Where it begins is settled before the client learns that it is connected: nothing falls in between.
      const after = typeof last === 'string' && /^[0-9]{1,15}$/.test(last) ? Number(last) : await deps.feed.head();
      const gone = new AbortController();
      request.raw.once('close', () => gone.abort());

      reply.hijack();
      const { raw } = reply;
      raw.once('close', () => gone.abort());
      raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
        connection: 'keep-alive',
      });
      raw.write(': connected\n\n');
      let unread = false;
      const keepAlive = setInterval(() => {
        // A client that does not read would have one more of these kept for it each time. It goes on from its last id.
        if (!raw.writableNeedDrain) raw.write(': keep-alive\n\n');
        else if (unread) raw.destroy();
        unread = raw.writableNeedDrain;
      }, deps.keepAliveMs ?? KEEP_ALIVE_MS);
      try {
        for await (const event of deps.feed.open(credentials, after, gone.signal)) {
          const flushed = raw.write(textOf(event));
          if (!flushed) await once(raw, 'drain', { signal: gone.signal }).catch(() => {});
        }
      } finally {
        clearInterval(keepAlive);
        raw.end();
      }
    });
  };
}
