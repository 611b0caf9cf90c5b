import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { RateLimiter } from '../../platform/rate-limiter.ts';
import type { ScimClient } from './clients.ts';
import { parseFilter } from './filter.ts';
import { patchBody } from './patch.ts';
import { type Kind, SCHEMA } from './resource.ts';
import { ScimError } from './scim-error.ts';
import type { ResourceRow } from './scim-store.ts';
import type { Scim } from './service.ts';
import { showResource } from './shown.ts';
import { etagOf } from './stored.ts';

const MAX_PAGE = 1000;
const BODY_LIMIT = 8 * 1024 * 1024;
const CONTENT_TYPE = 'application/scim+json; charset=utf-8';

const listQuery = z.object({
  startIndex: z.coerce.number().int().catch(1),
  count: z.coerce.number().int().catch(100),
  filter: z.string().optional(),
});

/** `/scim/v2` (RFC 7644): bearer tokens only, no cookies, so a browser can be made to do nothing here. */
export function scimRoutes(deps: {
  scim: Scim;
  externalUrl: string;
  /** Bounds failed authentication, per address. */
  failures: RateLimiter;
  log: { error(detail: object, message: string): void };
}): FastifyPluginAsync {
  const { scim } = deps;
  const location = `${deps.externalUrl}/scim/v2`;

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

  const sendResource = (reply: FastifyReply, status: number, row: ResourceRow) => {
    const shown = showResource(row, location);
    reply.header('etag', etagOf(row));
    if (status === 201) reply.header('location', shown.meta.location);
    return send(reply, status, shown);
  };

  const config = {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: MAX_PAGE },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token that an administrator of identree made.',
      },
    ],
  };
  const types = (['User', 'Group'] as const).map((kind) => ({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
    id: kind,
    name: kind,
    endpoint: `/${kind}s`,
    schema: kind === 'User' ? SCHEMA.user : SCHEMA.group,
    schemaExtensions: [{ schema: kind === 'User' ? SCHEMA.posixUser : SCHEMA.posixGroup, required: false }],
  }));
  const listOf = (resources: unknown[], total = resources.length, startIndex = 1) => ({
    schemas: [SCHEMA.list],
    totalResults: total,
    startIndex,
    // The true length: clients go on from here.
    itemsPerPage: resources.length,
    Resources: resources,
  });

  return async (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) => {
      const known = error instanceof ScimError ? error : null;
      const status =
        known?.status ?? (error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500);
      if (status === 500) deps.log.error({ err: error }, 'SCIM request failed');
      if (status === 401) reply.header('www-authenticate', 'Bearer');
      return send(reply, status, {
        schemas: [SCHEMA.error],
        status: String(status),
        ...(known?.scimType ? { scimType: known.scimType } : {}),
        detail:
          known?.message ?? (status === 500 ? 'something went wrong; it has been logged' : 'the request is not valid'),
      });
    });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      /^application\/(scim\+)?json\b/,
      { parseAs: 'string', bodyLimit: BODY_LIMIT },
      (_request, body, done) => {
        try {
          done(null, JSON.parse(String(body)));
        } catch {
          done(new ScimError(400, 'the body is not valid JSON', 'invalidSyntax'));
        }
      },
    );

    app.get('/scim/v2/ServiceProviderConfig', (_request, reply) => send(reply, 200, config));
    app.get('/scim/v2/ResourceTypes', async (request, reply) => {
      await authenticate(request);
      return send(reply, 200, listOf(types));
    });

    for (const kind of ['User', 'Group'] satisfies Kind[]) {
      const path = `/scim/v2/${kind}s`;
      const idOf = (request: FastifyRequest) => (request.params as { id: string }).id;
      const tagOf = (request: FastifyRequest) => request.headers['if-match'];

      app.get(path, async (request, reply) => {
        const client = await authenticate(request);
        const query = listQuery.parse(request.query);
        const filter = query.filter === undefined ? null : parseFilter(query.filter);
        if (query.filter !== undefined && !filter)
          throw new ScimError(400, 'the filter cannot be read', 'invalidFilter');
        const page = { startIndex: Math.max(1, query.startIndex), count: Math.min(MAX_PAGE, Math.max(0, query.count)) };
        const { rows, total } = await scim.list(client, kind, page, filter);
        return send(
          reply,
          200,
          listOf(
            rows.map((row) => showResource(row, location)),
            total,
            page.startIndex,
          ),
        );
      });
      app.get(`${path}/:id`, async (request, reply) => {
        const client = await authenticate(request);
        const row = await scim.get(client, kind, idOf(request));
        if (request.headers['if-none-match'] === etagOf(row)) return reply.code(304).header('etag', etagOf(row)).send();
        return sendResource(reply, 200, row);
      });
      app.post(path, async (request, reply) => {
        const client = await authenticate(request);
        return sendResource(reply, 201, await scim.create(client, kind, request.body, request.clientAddress));
      });
      app.put(`${path}/:id`, async (request, reply) => {
        const client = await authenticate(request);
        const row = await scim.replace(
          client,
          kind,
          idOf(request),
          request.body,
          tagOf(request),
          request.clientAddress,
        );
        return sendResource(reply, 200, row);
      });
      app.patch(`${path}/:id`, async (request, reply) => {
        const client = await authenticate(request);
        const body = patchBody.safeParse(request.body);
        if (!body.success) throw new ScimError(400, 'not a list of operations', 'invalidSyntax');
        const row = await scim.patch(
          client,
          kind,
          idOf(request),
          body.data.Operations,
          tagOf(request),
          request.clientAddress,
        );
        return sendResource(reply, 200, row);
      });
      app.delete(`${path}/:id`, async (request, reply) => {
        const client = await authenticate(request);
        await scim.remove(client, kind, idOf(request), tagOf(request), request.clientAddress);
        return reply.code(204).send();
      });
    }
  };
}
