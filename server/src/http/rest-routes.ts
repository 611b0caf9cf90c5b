import { type AnyTRPCRouter, TRPCError } from '@trpc/server';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { ZodError } from 'zod';
import { ERRORS, Refusal } from '#shared/errors.ts';
import { VERSION } from '../version.ts';
import type { Download, Downloads } from './download.ts';
import { listOperations, openApiOf, REST_PREFIX } from './operations.ts';
import type { Context } from './trpc.ts';

/** Text of a query has no types; numbers, as they are written, are the only other thing that operations take there. */
const typed = (query: unknown): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(query as Record<string, unknown>).map(([name, value]) => [
      name,
      typeof value === 'string' && /^(0|-?[1-9][0-9]{0,14})$/.test(value) ? Number(value) : value,
    ]),
  );

/** The procedures that have a place in REST, under the same guards and with the same refusals as by tRPC. */
export function restRoutes(deps: {
  router: AnyTRPCRouter;
  contextOf: (request: FastifyRequest) => Promise<Context>;
  downloads: Downloads;
}): FastifyPluginAsync {
  return async (app) => {
    const document = openApiOf(deps.router, VERSION);
    app.get(`${REST_PREFIX}/openapi.json`, () => document);
    for (const { name, rest, input } of listOperations(deps.router)) {
      const inQuery = rest.method === 'GET' || rest.method === 'DELETE';
      app.route({
        method: rest.method,
        // To the question what it would be the answer would be read whole, and thrown away.
        exposeHeadRoute: rest.download === undefined,
        url: `${REST_PREFIX}${rest.path.replace(/\{(\w+)\}/g, ':$1')}`,
        handler: async (request, reply) => {
          const named = inQuery ? typed(request.query) : ((request.body ?? {}) as object);
          const given = { ...named, ...(request.params as object) };
          try {
            const context = await deps.contextOf(request);
            const answer = () => call(deps.router, context, name, input ? given : undefined);
            if (rest.download)
              return await deps.downloads.send(request, reply, context.viewer, answer as () => Promise<Download>);
            const output = await answer();
            reply.header('cache-control', 'no-store').code(rest.status?.(output) ?? 200);
            return output === undefined
              ? reply.code(204).send()
              : reply.type('application/json').send(JSON.stringify(output));
          } catch (error) {
            const cause = error instanceof TRPCError ? error.cause : undefined;
            if (cause instanceof ZodError) {
              const problems = cause.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
              return reply.code(400).send({ error: { code: 'bad_request', message: ERRORS.bad_request[1], problems } });
            }
            throw cause instanceof Refusal ? cause : error;
          }
        },
      });
    }
  };
}

function call(router: AnyTRPCRouter, context: Context, name: string, input: unknown): Promise<unknown> {
  const caller = router.createCaller(context) as unknown;
  // A caller is a proxy all the way down; its functions have no properties to look for.
  const procedure = name.split('.').reduce((at: unknown, part) => (at as Record<string, unknown>)[part], caller) as (
    input: unknown,
  ) => Promise<unknown>;
  return procedure(input);
}
