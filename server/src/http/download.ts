import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '#shared/errors.ts';
import { type Credentials, credentialsOf, type Viewer } from './viewer.ts';

/** An answer that is written while it is read: it may be longer than what fits into memory. */
export interface Download {
  readonly contentType: string;
  /** Letters, digits, `.`, `-` and `_` alone. */
  readonly fileName: string;
  /** Pieces of it, each made when the one before has been taken. An empty one: it is still looked for more. */
  read(): AsyncIterable<string>;
}

export interface DownloadLimits {
  /** How many run at a time: each reads as fast as it is taken. */
  readonly perPerson: number;
  readonly inAll: number;
  /** Who takes nothing for so long is let go of, milliseconds. */
  readonly stallMs: number;
}

export const DOWNLOAD_LIMITS: DownloadLimits = { perPerson: 2, inAll: 8, stallMs: 60_000 };

/** Pages of others can make a browser fetch a file with the person's cookie, as a link that is followed. */
const isForeign = (request: FastifyRequest): boolean =>
  !['same-origin', 'none', undefined].includes(request.headers['sec-fetch-site'] as string | undefined);

const isStill = (viewer: Viewer, now: Viewer | null | undefined): boolean =>
  now?.person.id === viewer.person.id &&
  now.role === viewer.role &&
  viewer.accounts.every((account) => now.accounts.includes(account));

export type Downloads = ReturnType<typeof createDownloads>;

/** Sends downloads as fast as they are taken, and to nobody who may not have them any more. */
export function createDownloads(deps: {
  recheckViewers: (credentials: readonly Credentials[]) => Promise<readonly (Viewer | null)[]>;
  limits?: DownloadLimits;
}) {
  const limits = deps.limits ?? DOWNLOAD_LIMITS;
  const running = new Map<string, number>();

  /** @returns what gives the place back, once. */
  function admit(personId: string): () => void {
    const own = running.get(personId) ?? 0;
    const all = [...running.values()].reduce((sum, n) => sum + n, 0);
    if (own >= limits.perPerson || all >= limits.inAll) throw new Refusal('too_many_downloads');
    running.set(personId, own + 1);
    return () => {
      const left = running.get(personId)! - 1;
      if (left === 0) running.delete(personId);
      else running.set(personId, left);
    };
  }

  /** A session that ends, or a role that is taken away, ends what is sent by it: a long file takes minutes. */
  async function* whileAllowed(download: Download, viewer: Viewer, credentials: Credentials) {
    for await (const piece of download.read()) {
      const [now] = await deps.recheckViewers([credentials]);
      if (!isStill(viewer, now)) throw new Error('who downloads may not have it any more');
      yield piece;
    }
  }

  return {
    /**
     * Answers with a download.
     *
     * @param make what is asked for, or its refusal
     * @throws Refusal
     */
    async send(
      request: FastifyRequest,
      reply: FastifyReply,
      viewer: Viewer | null,
      make: () => Promise<Download>,
    ): Promise<FastifyReply> {
      if (isForeign(request)) throw new Refusal('csrf');
      if (viewer === null) throw new Refusal('not_signed_in');
      const leave = admit(viewer.person.id);
      let stream: Readable;
      try {
        const download = await make();
        // One piece ahead: what is made and not taken is in memory.
        stream = Readable.from(whileAllowed(download, viewer, credentialsOf(request)), { highWaterMark: 1 });
        reply
          .header('content-disposition', `attachment; filename="${download.fileName}"`)
          .header('cache-control', 'no-store')
          .type(download.contentType);
      } catch (error) {
        leave();
        throw error;
      }
      stream.once('close', leave);
      reply.raw.setTimeout(limits.stallMs, () => reply.raw.destroy());
      return reply.send(stream);
    },
  };
}
