import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { RateLimiter } from '../../platform/rate-limiter.ts';
import { cleanText, parseClean } from './clean-text.ts';
import type { ScimClient } from './clients.ts';
import { resourceTypes, schemas, serviceConfig } from './discovery.ts';
import { CONTENT_TYPE, createNotFound, scimErrors } from './error-routes.ts';
import { patchBody } from './patch.ts';
import { project } from './projection.ts';
import { readListQuery, readProjection } from './query.ts';
import { type Kind, SCHEMA } from './resource.ts';
import { ScimError } from './scim-error.ts';
import type { ResourceRow } from './scim-store.ts';
import type { Scim } from './service.ts';
import { showResource } from './shown.ts';
import { etagOf } from './stored.ts';
import type { ScimTarget } from './writing.ts';

const PREFIX = '/scim/v2';
const BODY_LIMIT = 8 * 1024 * 1024;

interface RouteDeps {
  scim: Scim;
  externalUrl: string;
  /** Bounds failed authentication, per address. */
  failures: RateLimiter;
  log: { error(detail: object, message: string): void };
}

/** `/scim/v2` (RFC 7644): bearer tokens only, no cookies, so a browser can be made to do nothing here. */
export function scimRoutes(deps: RouteDeps): FastifyPluginAsync {
  return async (app) => {
    // With a prefix, so that what is not found below it is refused in SCIM's words too.
    await app.register(async (scope) => serveScim(scope, deps), { prefix: PREFIX });
  };
}

function serveScim(app: FastifyInstance, deps: RouteDeps): void {
  const { scim } = deps;
  const location = `${deps.externalUrl}${PREFIX}`;

  const served: { url: string; method: string }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    for (const one of [method].flat()) served.push({ url, method: one });
  });
  app.setErrorHandler(scimErrors(deps.log));
  app.setNotFoundHandler(createNotFound(() => served));
  readBodies(app);

  async function authenticate(request: FastifyRequest): Promise<ScimClient> {
    if (!deps.failures.peek(request.clientAddress)) throw new ScimError(429, 'too many attempts. Wait a minute');
    const token = /^Bearer (scim_[A-Za-z0-9_-]{43})$/i.exec(request.headers.authorization ?? '')?.[1];
    const client = token === undefined ? null : await scim.authenticate(token);
    if (client) return client;
    deps.failures.take(request.clientAddress);
    throw new ScimError(401, 'the token is not valid');
  }

  const send = (reply: FastifyReply, status: number, body: unknown) =>
    reply.code(status).header('content-type', CONTENT_TYPE).send(JSON.stringify(body));

  const sendResource = (request: FastifyRequest, reply: FastifyReply, status: number, row: ResourceRow) => {
    const shown = showResource(row, location);
    reply.header('etag', etagOf(row));
    if (status === 201) reply.header('location', shown.meta.location);
    return send(reply, status, project(row.kind, shown, readProjection(request.query)));
  };

  const listOf = (resources: unknown[], total = resources.length, startIndex = 1) => ({
    schemas: [SCHEMA.list],
    totalResults: total,
    startIndex,
    // The true length: clients go on from here.
    itemsPerPage: resources.length,
    Resources: resources,
  });

  app.get('/ServiceProviderConfig', (_request, reply) => send(reply, 200, serviceConfig(location)));
  for (const [path, described] of [
    ['/ResourceTypes', resourceTypes(location)],
    ['/Schemas', schemas(location)],
  ] as const) {
    app.get(path, async (request, reply) => {
      await authenticate(request);
      return send(reply, 200, listOf([...described]));
    });
    app.get(`${path}/:id`, async (request, reply) => {
      await authenticate(request);
      const one = described.find(({ id }) => id.toLowerCase() === idOf(request).toLowerCase());
      if (!one) throw new ScimError(404, 'there is no such resource');
      return send(reply, 200, one);
    });
  }
  for (const path of ['/Me', '/Bulk', '/.search']) {
    app.all(path, async (request) => {
      await authenticate(request);
      throw new ScimError(501, 'this is not done here');
    });
  }

  for (const kind of ['User', 'Group'] satisfies Kind[]) {
    const path = `/${kind}s`;
    const targetOf = (request: FastifyRequest, client: ScimClient): ScimTarget => ({
      client,
      kind,
      id: idOf(request),
      ifMatch: request.headers['if-match'],
      remoteAddr: request.clientAddress,
    });

    app.get(path, async (request, reply) => {
      const client = await authenticate(request);
      const { page, filter } = readListQuery(request.query);
      const projection = readProjection(request.query);
      const { rows, total } = await scim.list(client, kind, page, filter);
      return send(
        reply,
        200,
        listOf(
          rows.map((row) => project(kind, showResource(row, location), projection)),
          total,
          page.startIndex,
        ),
      );
    });
    app.get(`${path}/:id`, async (request, reply) => {
      const client = await authenticate(request);
      const row = await scim.get(client, kind, idOf(request));
      if (request.headers['if-none-match'] === etagOf(row)) return reply.code(304).header('etag', etagOf(row)).send();
      return sendResource(request, reply, 200, row);
    });
    app.post(path, async (request, reply) => {
      const client = await authenticate(request);
      return sendResource(request, reply, 201, await scim.create(client, kind, request.body, request.clientAddress));
    });
    app.put(`${path}/:id`, async (request, reply) => {
      const client = await authenticate(request);
      const row = await scim.replace(targetOf(request, client), request.body);
      return sendResource(request, reply, 200, row);
    });
    app.patch(`${path}/:id`, async (request, reply) => {
      const client = await authenticate(request);
      const body = patchBody.safeParse(request.body);
      if (!body.success) throw new ScimError(400, 'not a list of operations', 'invalidSyntax');
      const row = await scim.patch(targetOf(request, client), body.data.Operations);
      return sendResource(request, reply, 200, row);
    });
    app.delete(`${path}/:id`, async (request, reply) => {
      const client = await authenticate(request);
      await scim.remove(targetOf(request, client));
      return reply.code(204).send();
    });
  }
}

/** @throws ScimError for what can be no id, so that no database is asked for it */
function idOf(request: FastifyRequest): string {
  const { id } = request.params as { id: string };
  if (id !== cleanText(id)) throw new ScimError(404, 'there is no such resource');
  return id;
}

/** Bodies are JSON; where there is none, whatever type a client gives it, there is nothing to read. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const options = { parseAs: 'string', bodyLimit: BODY_LIMIT } as const;
  app.addContentTypeParser(/^application\/(scim\+)?json\b/, options, (_request, body, done) => {
    try {
      const text = String(body);
      done(null, text === '' ? undefined : parseClean(text));
    } catch {
      done(new ScimError(400, 'the body is not valid JSON', 'invalidSyntax'));
    }
  });
  app.addContentTypeParser('*', options, (_request, body, done) => {
    if (String(body) === '') done(null, undefined);
    else done(new ScimError(415, 'the body has to be application/scim+json or application/json'));
  });
}
