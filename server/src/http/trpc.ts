import { initTRPC, TRPCError } from '@trpc/server';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { knownRefusalOf } from './refusal-of.ts';
import type { Viewer } from './viewer.ts';

/** What every procedure knows about its caller. */
export interface Context {
  viewer: Viewer | null;
  remoteAddr: string;
  userAgent: string;
}

const STATUS_CODES: Record<number, TRPCError['code']> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_SUPPORTED',
  409: 'CONFLICT',
  410: 'PRECONDITION_FAILED',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'TOO_MANY_REQUESTS',
  503: 'SERVICE_UNAVAILABLE',
};

/** Where an operation is found under `/api/v1`. */
export interface RestMeta {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `{name}` stands for a member of the input. The rest of it is in the query of a GET or DELETE, else in the body. */
  path: `/${string}`;
  /** For the reference: what it does, as a sentence without a full stop. */
  summary: string;
  /** Answered with a file, of one of these types: the output is a `Download`. */
  download?: readonly string[];
  /** Status of an answer; 200 unless it says otherwise. */
  status?: (output: unknown) => number;
}

const t = initTRPC
  .context<Context>()
  .meta<{ rest: RestMeta }>()
  .create({
    errorFormatter({ shape, error }) {
      const refusal = error.cause instanceof Refusal ? error.cause : null;
      const code: ErrorCode = refusal?.code ?? (error.code === 'INTERNAL_SERVER_ERROR' ? 'internal' : 'bad_request');
      return {
        code: shape.code,
        message:
          refusal?.message ??
          (code === 'internal' ? 'Something went wrong on the server. It has been logged.' : shape.message),
        data: { code: shape.data.code, httpStatus: refusal?.status ?? shape.data.httpStatus, reason: code },
      };
    },
  });

/** A refusal as a tRPC error with the status of the error table; null for what is none. */
function asTrpcError(error: unknown): TRPCError | null {
  const cause = knownRefusalOf(error);
  return (
    cause &&
    new TRPCError({ code: STATUS_CODES[cause.status] ?? 'INTERNAL_SERVER_ERROR', message: cause.message, cause })
  );
}

/** Turns a refusal thrown by a module into a tRPC error. */
const refusals = t.middleware(async ({ next }) => {
  const result = await next();
  const refused = result.ok ? null : asTrpcError(result.error.cause);
  if (refused) throw refused;
  return result;
});

/** Finds out for a procedure who asks. What is refused then is told like any other refusal. */
export async function inContext<T>(find: () => Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    throw asTrpcError(error) ?? error;
  }
}

export const { router, mergeRouters } = t;

/** Anybody, signed in or not. */
export const publicProcedure = t.procedure.use(refusals);

/** A person with a live session of any kind. */
export const signedInProcedure = publicProcedure.use(({ ctx, next }) => {
  if (!ctx.viewer) throw new Refusal('not_signed_in');
  return next({ ctx: { ...ctx, viewer: ctx.viewer } });
});

/** A person in a browser: everything that a desktop session may not do starts here. */
export const browserProcedure = signedInProcedure.use(({ ctx, next }) => {
  if (ctx.viewer.session.kind !== 'browser') throw new Refusal('session_kind');
  return next({ ctx });
});

/** An administrator, to look. */
export const adminViewProcedure = signedInProcedure.use(({ ctx, next }) => {
  if (ctx.viewer.role !== 'admin') throw new Refusal('forbidden');
  return next({ ctx });
});

/** An administrator in a browser, to change something. */
export const adminProcedure = browserProcedure.use(({ ctx, next }) => {
  if (ctx.viewer.role !== 'admin') throw new Refusal('forbidden');
  return next({ ctx });
});
