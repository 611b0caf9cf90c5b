import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import {
  certificateRequest,
  createChallengeRequest,
  directoryQuery,
  enrolRequest,
  HOST_API,
  HOST_BODY_LIMIT,
  heartbeatRequest,
  outcomeRequest,
  pollQuery,
} from '#shared/host-api.ts';
import { challengeId } from '#shared/names.ts';
import type { Asking } from '../challenges/asking.ts';
import type { Waiters } from '../challenges/waiters.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { refusalOf } from '../http/refusal-of.ts';
import { addressBucket } from '../platform/client-address.ts';
import type { RateLimiter } from '../platform/rate-limiter.ts';
import type { SignedRequest } from './request-signature.ts';
import type { Authenticated, HostService } from './service.ts';
import type { Host } from './store.ts';

export interface HostRouteDeps {
  db: Pick<Database, 'transaction'>;
  externalUrl: string;
  hosts: Pick<HostService, 'authenticate' | 'admit' | 'noteRefusal' | 'heartbeat' | 'enrol' | 'renewCertificate'>;
  challenges: Pick<Asking, 'create' | 'poll' | 'peek' | 'cancel' | 'outcome'>;
  waiters: Waiters;
  /** Signed settings of the directory for a host; null when none is served. */
  directorySettings: ((host: Host, nonce: string) => Promise<string>) | null;
  checkpoint: () => Promise<{ seq: number; hash: string }>;
  keysSince: (query: Database['query'], held: number) => Promise<{ version: number; token: string | null }>;
  now: () => number;
  /** Bounds the security events that strangers can cause, per address. */
  refusalEvents: RateLimiter;
  /** Bounds failed authentication, per address. */
  failures: RateLimiter;
  onRefusal: (refusal: Refusal) => void;
}

const one = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value;

/** Host API v1: plain routes with zod, signed requests, one error table. */
export function hostRoutes(deps: HostRouteDeps): FastifyPluginAsync {
  function signed(request: FastifyRequest): SignedRequest {
    return {
      method: request.method,
      targetUri: `${deps.externalUrl}${request.raw.url ?? ''}`,
      body: (request.body as Buffer | undefined) ?? Buffer.alloc(0),
      headers: {
        signature: one(request.headers.signature),
        signatureInput: one(request.headers['signature-input']),
        contentDigest: one(request.headers['content-digest']),
      },
    };
  }

  function parse<T>(schema: z.ZodType<T>, body: unknown): T {
    let json: unknown;
    try {
      json = JSON.parse((body as Buffer | undefined)?.toString('utf8') ?? '');
    } catch {
      throw new Refusal('bad_json');
    }
    const parsed = schema.safeParse(json);
    if (!parsed.success) throw new Refusal('bad_request', parsed.error.message);
    return parsed.data;
  }

  /**
   * Every refusal leaves its security event, as far as strangers cannot fill the log with them.
   *
   * @returns the refusal to answer with: past the limit of an address, strangers learn no more than that
   */
  async function remember(request: FastifyRequest, who: Authenticated | null, refusal: Refusal): Promise<Refusal> {
    const address = addressBucket(request.clientAddress);
    if (who === null && !deps.failures.take(address)) {
      const limited = new Refusal('rate_limited');
      deps.onRefusal(limited);
      return limited;
    }
    deps.onRefusal(refusal);
    // A known host is bounded by its key; strangers by their address.
    const key = who === null ? address : who.host.id;
    if (refusal.detail?.startsWith('clone:') || deps.refusalEvents.take(key)) {
      await deps.hosts.noteRefusal(who, refusal, request.clientAddress);
    }
    return refusal;
  }

  /**
   * Runs a handler; whatever it refuses has changed nothing, and leaves its security event. Who proves to be a host is
   * never held up by the failures of others at its address: a whole site may stand behind one.
   */
  async function guarded<T>(
    request: FastifyRequest,
    run: (seen: (who: Authenticated) => void) => Promise<T>,
  ): Promise<T> {
    let who: Authenticated | null = null;
    try {
      return await run((authenticated) => {
        who = authenticated;
      });
    } catch (error) {
      throw error instanceof Refusal ? await remember(request, who, error) : error;
    }
  }

  const idOf = (request: FastifyRequest): string => {
    const parsed = challengeId.safeParse((request.params as { id?: string }).id);
    if (!parsed.success) throw new Refusal('challenge_not_found');
    return parsed.data;
  };

  /** Authenticates, then admits and acts in one transaction. */
  async function act<T>(
    request: FastifyRequest,
    seen: (who: Authenticated) => void,
    proof: Parameters<HostService['admit']>[2] | ((who: Authenticated) => Parameters<HostService['admit']>[2]),
    run: (work: UnitOfWork, host: Host) => Promise<T>,
  ): Promise<T> {
    const who = await deps.hosts.authenticate(signed(request), request.clientAddress);
    seen(who);
    const shown = typeof proof === 'function' ? proof(who) : proof;
    return deps.db.transaction(async (work) => run(work, await deps.hosts.admit(work, who, shown)));
  }

  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      /^application\/json\b/,
      { parseAs: 'buffer', bodyLimit: HOST_BODY_LIMIT },
      (_request, body, done) => done(null, body),
    );
    // A body that is too large or of another type is refused before any handler runs.
    app.addHook('onError', async (request, _reply, error) => {
      if (!(error instanceof Refusal) && error.code?.startsWith('FST_ERR_CTP_')) {
        await remember(request, null, refusalOf(error));
      }
    });

    app.post(`${HOST_API}/enroll`, (request) =>
      guarded(request, async () => {
        // Secrets can be guessed here, so a good one does not count any more either.
        if (!deps.failures.peek(addressBucket(request.clientAddress))) throw new Refusal('rate_limited');
        const body = parse(enrolRequest, request.body);
        return { grant: await deps.hosts.enrol(signed(request), body, request.clientAddress) };
      }),
    );

    app.post(`${HOST_API}/challenges`, async (request, reply) => {
      const answer = await guarded(request, async (seen) => {
        let body: ReturnType<typeof createChallengeRequest.parse> | undefined;
        return act(
          request,
          seen,
          () => {
            // Only a signed body is read.
            body = parse(createChallengeRequest, request.body);
            return body;
          },
          (work, host) => deps.challenges.create(work, host, body!, request.clientAddress),
        );
      });
      return reply.code(201).send(answer);
    });

    app.get(`${HOST_API}/challenges/:id`, (request, reply) =>
      guarded(request, async (seen) => {
        const id = idOf(request);
        const query = pollQuery.safeParse(request.query);
        if (!query.success) throw new Refusal('bad_request');
        const waitMs = query.data.wait * 1000;
        const gone = new AbortController();
        const onClose = () => gone.abort();
        reply.raw.once('close', onClose);
        // Registered before the state is read: a decision in between must not be slept through.
        const changed = deps.waiters.wait(id, waitMs, gone.signal);
        try {
          let owner: Host | undefined;
          const answer = await act(request, seen, null, (work, host) => {
            owner = host;
            return deps.challenges.poll(work, host, id, waitMs, query.data.keys);
          });
          if (answer.status !== 'pending' || waitMs === 0) return answer;
          await changed;
          return await deps.challenges.peek(owner!, id, query.data.keys);
        } finally {
          gone.abort();
          reply.raw.removeListener('close', onClose);
        }
      }),
    );

    app.delete(`${HOST_API}/challenges/:id`, (request) =>
      guarded(request, (seen) => {
        const id = idOf(request);
        return act(request, seen, null, (work, host) => deps.challenges.cancel(work, host, id, request.clientAddress));
      }),
    );

    app.post(`${HOST_API}/challenges/:id/outcome`, async (request, reply) => {
      await guarded(request, (seen) => {
        const id = idOf(request);
        return act(request, seen, null, (work, host) =>
          deps.challenges.outcome(work, host, id, parse(outcomeRequest, request.body), request.clientAddress),
        );
      });
      return reply.code(204).send();
    });

    app.post(`${HOST_API}/heartbeat`, (request) =>
      guarded(request, async (seen) => {
        let body: ReturnType<typeof heartbeatRequest.parse> | undefined;
        return act(
          request,
          seen,
          () => {
            body = parse(heartbeatRequest, request.body);
            return body;
          },
          async (work, host) => {
            await deps.hosts.heartbeat(work, host, body!);
            return {
              now: deps.now(),
              state: host.state,
              approverKeys: (await deps.keysSince(work.query, body!.approverKeysVersion)).token,
              checkpoint: await deps.checkpoint(),
            };
          },
        );
      }),
    );

    app.post(`${HOST_API}/certificate`, (request) =>
      guarded(request, (seen) => {
        let body: ReturnType<typeof certificateRequest.parse> | undefined;
        return act(
          request,
          seen,
          () => {
            body = parse(certificateRequest, request.body);
            return body;
          },
          async (work, host) => ({
            grant: await deps.hosts.renewCertificate(work, host, body!, request.clientAddress),
          }),
        );
      }),
    );

    app.get(`${HOST_API}/directory`, (request) =>
      guarded(request, async (seen) => {
        const query = directoryQuery.safeParse(request.query);
        if (!query.success) throw new Refusal('bad_request');
        return act(request, seen, null, async (_work, host) => {
          if (deps.directorySettings === null) throw new Refusal('directory_off');
          return { settings: await deps.directorySettings(host, query.data.nonce) };
        });
      }),
    );
  };
}
