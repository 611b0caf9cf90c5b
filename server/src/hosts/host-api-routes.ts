import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { HOST_API, HOST_BODY_LIMIT } from '#shared/host-api.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { createTogether, type Outcome, proceed } from '../db/together.ts';
import type { HostApi, HostOperation, Proof, SignedRequest, Together } from '../http/host-operation.ts';
import { refusalOf } from '../http/refusal-of.ts';
import { addressBucket } from '../platform/client-address.ts';
import type { RateLimiter } from '../platform/rate-limiter.ts';
import type { Admission, Authenticated } from './admission.ts';

const one = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value;

function parse<T>(schema: z.ZodType<T> | undefined, body: unknown): T {
  if (!schema) return undefined as T;
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

/** Why nobody waits for an answer any more: made once, because each request ends with it. */
const OVER = new Error('the request is over');

/** A call whose signature is good, of an operation that is done for several at once. */
interface Entering {
  readonly who: Authenticated;
  readonly body: Proof;
}

/** Host API v1. */
export function createHostApi(deps: {
  db: Pick<Database, 'driver' | 'transaction'>;
  externalUrl: string;
  admission: Pick<Admission, 'authenticate' | 'admit' | 'examine' | 'note' | 'noteRefusal'>;
  /** Bounds the security events that strangers can cause, per address. */
  refusalEvents: RateLimiter;
  /** Bounds failed authentication, per address. */
  failures: RateLimiter;
  onRefusal: (refusal: Refusal) => void;
}): HostApi {
  const { admission } = deps;

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

  /**
   * Every refusal but an ordinary one leaves its security event, as far as strangers cannot fill the log with them. Who proves to be a host is
   * never held up by the failures of others at its address: a whole site may stand behind one.
   *
   * @returns the refusal to answer with: past the limit of an address, strangers learn no more than that
   */
  async function remember(
    request: FastifyRequest,
    who: Authenticated | null,
    refusal: Refusal,
    ordinary: readonly ErrorCode[] = [],
  ): Promise<Refusal> {
    const address = addressBucket(request.clientAddress);
    if (who === null && !deps.failures.take(address)) {
      const limited = new Refusal('rate_limited');
      deps.onRefusal(limited);
      return limited;
    }
    deps.onRefusal(refusal);
    if (who !== null && ordinary.includes(refusal.code)) return refusal;
    // A known host is bounded by its key; strangers by their address.
    const key = who === null ? address : who.host.id;
    if (refusal.detail?.startsWith('clone:') || deps.refusalEvents.take(key)) {
      await admission.noteRefusal(who, refusal, request.clientAddress);
    }
    return refusal;
  }

  /** Admits several calls and answers them, in one transaction: whatever is refused has changed nothing. */
  async function enter(
    work: UnitOfWork,
    together: Together<Proof, unknown>,
    calls: readonly Entering[],
  ): Promise<Outcome<unknown>[]> {
    const examined = await admission.examine(work, calls);
    const admitted = examined.map((outcome, index) =>
      'value' in outcome ? { value: { call: calls[index]!, host: outcome.value } } : outcome,
    );
    const checked = await proceed(admitted, async (some) => {
      const shared = some.map(({ call, host }) => ({ host, body: call.body, remoteAddr: call.who.remoteAddr }));
      const outcomes = await together.check(work, shared);
      return outcomes.map((outcome, index) =>
        'value' in outcome ? { value: { ...some[index]!, checked: outcome.value } } : outcome,
      );
    });
    const noted = await proceed(checked, (some) => admission.note(work, some));
    return proceed(noted, async (some) => {
      const answers = await together.write(
        work,
        some.map(({ checked }) => checked),
      );
      return answers.map((value) => ({ value }));
    });
  }

  /** How a call of an operation is answered beside others; null: each is answered by itself. */
  function laneOf(operation: HostOperation): ((call: Promise<Entering>) => Promise<unknown>) | null {
    if (!('together' in operation)) return null;
    const { together } = operation;
    return createTogether<Entering, unknown>({
      db: deps.db,
      keyOf: ({ who }) => who.host.id,
      run: (work, calls) => enter(work, together, calls),
    });
  }

  async function answer(
    operation: HostOperation,
    lane: ReturnType<typeof laneOf>,
    request: FastifyRequest,
    gone: AbortSignal,
  ): Promise<unknown> {
    let who: Authenticated | null = null;
    try {
      if (operation.guessable && !deps.failures.peek(addressBucket(request.clientAddress)))
        throw new Refusal('rate_limited');
      const body = () => parse(operation.body, request.body);
      if (lane !== null || !('run' in operation)) {
        const entering = async (): Promise<Entering> => {
          who = await admission.authenticate(signed(request), request.clientAddress);
          return { who, body: body()! };
        };
        return await lane!(entering());
      }
      const query = operation.query?.safeParse(request.query);
      if (query?.success === false) throw new Refusal('bad_request');
      return await operation.run({
        request: signed(request),
        remoteAddr: request.clientAddress,
        params: request.params as Record<string, string>,
        query: query?.data,
        gone,
        body,
        async act(run) {
          const authenticated = await admission.authenticate(signed(request), request.clientAddress);
          who = authenticated;
          const read = body();
          return deps.db.transaction(async (work) =>
            run(work, await admission.admit(work, authenticated, operation.proves ? read : null), read),
          );
        },
      });
    } catch (error) {
      throw error instanceof Refusal ? await remember(request, who, error, operation.ordinary) : error;
    }
  }

  return (operations) => async (app) => {
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
    for (const operation of operations) {
      const lane = laneOf(operation);
      app.route({
        method: operation.method,
        url: `${operation.base ?? HOST_API}${operation.path}`,
        async handler(request, reply) {
          const gone = new AbortController();
          const onClose = () => gone.abort(OVER);
          reply.raw.once('close', onClose);
          try {
            const answered = await answer(operation, lane, request, gone.signal);
            return reply.code(operation.status ?? 200).send(answered);
          } finally {
            gone.abort(OVER);
            reply.raw.removeListener('close', onClose);
          }
        },
      });
    }
  };
}
