import { readFile } from 'node:fs/promises';
import fastifyStatic from '@fastify/static';
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
import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import { ERRORS, Refusal } from '#shared/errors.ts';
import type { AppRouter } from '../app/router.ts';
import { sendPage } from '../approval-page/routes.ts';
import type { ViewerOf } from '../auth/resolve-viewer.ts';
import { eventStream } from '../events/event-stream.ts';
import type { EventFeed } from '../events/feed.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { renderNotFound, renderProblem } from '../pages/small-pages.ts';
import { checkHealth, type HealthCheck } from './health.ts';
import { refusalOf } from './refusal-of.ts';
import { restRoutes } from './rest-routes.ts';
import { securityHeaders } from './security-headers.ts';
import type { Context } from './trpc.ts';
import type { Viewer } from './viewer.ts';

export interface HttpDeps {
  externalUrl: string;
  /** The true client, through trusted proxies only. */
  clientAddress: (peer: string | undefined, forwardedFor: string | readonly string[] | undefined) => string;
  tls: { certFile: string; keyFile: string } | null;
  metricsToken: string | null;
  /** Folder of built browser assets: `console/` and `assets/`. */
  distDir: string;
  log: Logger;
  viewerOf: ViewerOf;
  /** Looks the caller of a stream up again, without counting it as use. */
  recheckViewer: (request: FastifyRequest) => Promise<Viewer | null>;
  router: AppRouter;
  /** Refuses a state-changing browser request that does not prove its origin. */
  csrfGuard: preHandlerAsyncHookHandler;
  /** Bounds what one caller can change per minute. */
  limitMutation: (request: FastifyRequest) => Promise<void>;
  feed: EventFeed;
  health: readonly HealthCheck[];
  metrics: Metrics;
  /** Host API, sign-in, approval page and, in evaluation mode, the built-in identity provider. */
  plugins: readonly FastifyPluginAsync[];
}

/** Did a person open this address in a browser? Programs get JSON. */
function wantsPage(request: FastifyRequest): boolean {
  const isPath = !/^\/(api|trpc|assets|static)\//.test(request.url);
  return request.method === 'GET' && isPath && String(request.headers.accept ?? '').includes('text/html');
}

/** One error table for everything that is not tRPC or a page. */
function errorHandler(log: Logger) {
  return (error: FastifyError | Refusal, request: FastifyRequest, reply: FastifyReply) => {
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
    minVersion: 'TLSv1.2' as const,
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
  app.addHook('onRequest', async (request) => {
    request.clientAddress = deps.clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']);
  });
  securityHeaders(app, { https });
  app.setErrorHandler(errorHandler(deps.log) as never);
  app.setNotFoundHandler((request, reply) =>
    wantsPage(request) ? sendPage(reply, 404, renderNotFound) : reply.code(404).send(new Refusal('not_found').toJSON()),
  );

  app.route({
    method: ['GET', 'HEAD'],
    url: '/healthz',
    handler: async (_request, reply) => {
      const report = await checkHealth(deps.health);
      return reply.code(report.status === 'unhealthy' ? 503 : 200).send(report);
    },
  });
  app.get('/metrics', async (request, reply) => {
    if (deps.metricsToken !== null) {
      const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      if (!constantTimeEqual(sha256(given), sha256(deps.metricsToken))) {
        return reply
          .code(401)
          .header('www-authenticate', 'Bearer')
          .send({ error: { code: 'forbidden', message: ERRORS.forbidden[1] } });
      }
    }
    const { contentType, body } = await deps.metrics.render();
    return reply.type(contentType).send(body);
  });

  app.get('/api/events', eventStream({ viewerOf: deps.recheckViewer, feed: deps.feed }));
  // A connection that follows events never ends by itself, and closing waits for connections.
  app.addHook('preClose', async () => deps.feed.close());

  await app.register(async (scope) => {
    scope.addHook('preHandler', deps.csrfGuard);
    scope.addHook('preHandler', async (request) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') await deps.limitMutation(request);
    });
    const contextOf = async (request: FastifyRequest): Promise<Context> => ({
      viewer: await deps.viewerOf(request),
      remoteAddr: request.clientAddress,
      userAgent: String(request.headers['user-agent'] ?? '').slice(0, 256),
      refreshViewer: () => deps.recheckViewer(request),
    });
    await scope.register(restRoutes({ router: deps.router, contextOf }));
    await scope.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: {
        router: deps.router,
        createContext: ({ req }: { req: FastifyRequest }) => contextOf(req),
        onError: ({ error, path }: { error: Error & { code: string }; path: string | undefined }) => {
          if (error.code === 'INTERNAL_SERVER_ERROR')
            deps.log.error({ err: error.cause ?? error, path }, 'procedure failed');
        },
      } as never,
    });
  });

  for (const gone of [
    '/api/challenge',
    '/api/challenge/*',
    '/api/grace-status',
    '/api/agent/heartbeat',
    '/api/breakglass/*',
    '/api/client/*',
  ]) {
    app.all(gone, (_request, reply) =>
      reply.code(410).send({
        error: {
          code: 'gone',
          message: 'This endpoint belonged to the earlier agent. Install the current agent and enrol the host again.',
        },
      }),
    );
  }

  for (const plugin of deps.plugins) await app.register(plugin);

  await app.register(fastifyStatic, {
    root: `${deps.distDir}/assets`,
    prefix: '/assets/',
    index: false,
    dotfiles: 'deny',
    cacheControl: false,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
  });
  await app.register(consolePages(deps.distDir));
  return app;
}

const CONSOLE_PATHS = ['/', '/history', '/hosts', '/people', '/directory', '/sudo-rules', '/passkeys', '/sessions'];

/** The console: hashed files as they are, every other page path is index.html with this answer's nonce. */
function consolePages(distDir: string): FastifyPluginAsync {
  return async (app) => {
    const root = `${distDir}/console`;
    const index = await readFile(`${root}/index.html`, 'utf8').catch(() => null);
    await app.register(fastifyStatic, {
      root: `${root}/static`,
      prefix: '/static/',
      index: false,
      decorateReply: false,
      dotfiles: 'deny',
      immutable: true,
      maxAge: '1y',
    });
    for (const path of CONSOLE_PATHS) {
      app.get(path, (_request, reply) =>
        index === null
          ? reply.code(503).send(new Refusal('unavailable', 'the console is not built').toJSON())
          : reply.type('text/html; charset=utf-8').send(index.replaceAll('__CSP_NONCE__', reply.cspNonce)),
      );
    }
    // Where earlier installations had it, and their documents still point.
    app.get('/admin/sudo-rules', (_request, reply) => reply.redirect('/sudo-rules'));
  };
}
