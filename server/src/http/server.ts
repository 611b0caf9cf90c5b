import { readFile } from 'node:fs/promises';
import fastifyStatic from '@fastify/static';
import type { AnyTRPCRouter } from '@trpc/server';
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type preHandlerAsyncHookHandler,
} from 'fastify';
import type { Logger } from 'pino';
import { Refusal } from '#shared/errors.ts';
import type { DatabaseTrouble } from '../db/trouble.ts';
import { sendPage } from '../pages/send-page.ts';
import { renderNotFound, renderProblem } from '../pages/small-pages.ts';
import { LISTENER_TLS } from '../platform/listener-tls.ts';
import type { HealthCheck } from '../platform/module.ts';
import { consolePages } from './console-pages.ts';
import { createDownloads } from './download.ts';
import { goneEndpoints } from './gone.ts';
import { healthRoutes } from './health-routes.ts';
import { refusalOf } from './refusal-of.ts';
import { restRoutes } from './rest-routes.ts';
import { securityHeaders } from './security-headers.ts';
import { type Context, inContext } from './trpc.ts';
import type { UnderWay } from './under-way.ts';
import type { Credentials, Viewer, ViewerOf } from './viewer.ts';

/** Who is asking, and whether they may ask in this way. */
export interface Access {
  readonly viewerOf: ViewerOf;
  /** Looks the callers of streams up again, in their order, without counting it as use. */
  readonly recheckViewers: (credentials: readonly Credentials[]) => Promise<(Viewer | null)[]>;
  /** Refuses a state-changing browser request that does not prove its origin. */
  readonly csrfGuard: preHandlerAsyncHookHandler;
  /** Bounds what one person can ask per minute. @throws Refusal */
  readonly limitQuery: (viewer: Viewer) => void;
  /** Bounds what one caller can change per minute. */
  readonly limitMutation: (request: FastifyRequest) => Promise<void>;
}

export interface HttpDeps {
  externalUrl: string;
  /** The true client, through trusted proxies only. */
  clientAddress: (peer: string | undefined, forwardedFor: string | readonly string[] | undefined) => string;
  tls: { certFile: string; keyFile: string } | null;
  /** Folder of built browser assets: `console/` and `assets/`. */
  distDir: string;
  log: Logger;
  access: Access;
  router: AnyTRPCRouter;
  health: readonly HealthCheck[];
  /** The server clock, milliseconds. */
  now: () => number;
  /** Whether it is about to stop: no client is to stay, or to come. */
  isLeaving: () => boolean;
  /** Whether somebody may read the metrics. */
  mayMeasure: (request: FastifyRequest) => boolean;
  /** Sees every answer. */
  measure: (app: FastifyInstance) => void;
  /** Follows requests for when it stops. */
  underWay: Pick<UnderWay, 'follow'>;
  /** What the modules serve, each in a scope of its own. */
  plugins: readonly FastifyPluginAsync[];
}

/** Did a person open this address in a browser? Programs get JSON. */
function wantsPage(request: FastifyRequest): boolean {
  const isPath = !/^\/(api|trpc|assets|static)\//.test(request.url);
  return request.method === 'GET' && isPath && String(request.headers.accept ?? '').includes('text/html');
}

/**
 * More connections than this are closed as they come: each costs memory, and strangers can open them. Ten thousand hosts
 * that wait at once have one each.
 */
const MAX_CONNECTIONS = 16_000;

/** RFC 9112, 3.2: a proxy may have read the other one. */
const namesHostTwice = (headers: readonly string[]): boolean =>
  headers.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length > 1;

/** One error table for everything that is not tRPC or a page. */
function errorHandler(log: Logger) {
  return (error: FastifyError | Refusal | DatabaseTrouble, request: FastifyRequest, reply: FastifyReply) => {
    const refusal = refusalOf(error);
    if (refusal.code === 'internal') log.error({ err: error, url: request.routeOptions.url }, 'request failed');
    else if (refusal.detail) log.info({ code: refusal.code, detail: refusal.detail }, 'request refused');
    if (wantsPage(request)) {
      const message = refusal.message;
      return sendPage(reply, refusal.status, (options) => renderProblem({ message, retry: request.url }, options));
    }
    return reply.code(refusal.status).send(refusal.toJSON());
  };
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The true client's address; use this, never the socket's. */
    clientAddress: string;
  }
}

/** Assembles the HTTP server. Nothing listens yet. */
export async function createHttpServer(deps: HttpDeps): Promise<FastifyInstance> {
  const https = deps.externalUrl.startsWith('https:');
  const tls = deps.tls && {
    cert: await readFile(deps.tls.certFile),
    key: await readFile(deps.tls.keyFile),
    ...LISTENER_TLS,
  };
  const app = Fastify({
    loggerInstance: deps.log as never,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 5000 },
    ...(tls ? { https: tls } : {}),
  }) as unknown as FastifyInstance;

  app.decorateRequest('clientAddress', '');
  app.server.maxConnections = MAX_CONNECTIONS;
  deps.underWay.follow(app);
  app.addHook('onRequest', async (request) => {
    if (namesHostTwice(request.raw.rawHeaders)) throw new Refusal('bad_request', 'more than one Host');
    request.clientAddress = deps.clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']);
  });
  app.addHook('onSend', async (_request, reply) => {
    // A connection that is kept could be used at the very moment at which it is closed.
    if (deps.isLeaving()) reply.header('connection', 'close');
  });
  deps.measure(app);
  securityHeaders(app, { https });
  app.setErrorHandler(errorHandler(deps.log) as never);
  app.setNotFoundHandler((request, reply) =>
    wantsPage(request) ? sendPage(reply, 404, renderNotFound) : reply.code(404).send(new Refusal('not_found').toJSON()),
  );

  healthRoutes(app, deps);
  await app.register(procedures(deps));
  await app.register(goneEndpoints);
  for (const plugin of deps.plugins) await app.register(plugin);
  await app.register(fastifyStatic, {
    root: `${deps.distDir}/assets`,
    prefix: '/assets/',
    index: false,
    dotfiles: 'deny',
    cacheControl: false,
    preCompressed: true,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
  });
  await app.register(consolePages(deps.distDir));
  return app;
}

/** The procedures of all modules, by tRPC and, where they have a place there, by REST. */
function procedures({ access, router, log }: HttpDeps): FastifyPluginAsync {
  return async (scope) => {
    scope.addHook('preHandler', access.csrfGuard);
    scope.addHook('preHandler', async (request) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') await access.limitMutation(request);
    });
    const contextOf = (request: FastifyRequest): Promise<Context> =>
      inContext(async () => {
        const viewer = await access.viewerOf(request);
        if (viewer && request.method === 'GET') access.limitQuery(viewer);
        return {
          viewer,
          remoteAddr: request.clientAddress,
          userAgent: String(request.headers['user-agent'] ?? '').slice(0, 256),
        };
      });
    await scope.register(
      restRoutes({ router, contextOf, downloads: createDownloads({ recheckViewers: access.recheckViewers }) }),
    );
    await scope.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: {
        router,
        createContext: ({ req }: { req: FastifyRequest }) => contextOf(req),
        onError: ({ error, path }: { error: Error & { code: string }; path: string | undefined }) => {
          if (error.code === 'INTERNAL_SERVER_ERROR')
            log.error({ err: error.cause ?? error, path }, 'procedure failed');
        },
      } as never,
    });
  };
}
