import type { FastifyReply, FastifyRequest } from 'fastify';
import { knownRefusalOf } from '../../http/refusal-of.ts';
import { SCHEMA } from './resource.ts';
import { ScimError } from './scim-error.ts';

export const CONTENT_TYPE = 'application/scim+json; charset=utf-8';

/** What the HTTP server itself refuses, in plain words. */
const REFUSED: Record<number, string> = {
  413: 'the body is larger than 8 MiB',
};

/** Every refusal in SCIM's own shape (RFC 7644 3.12), whoever refused. */
export function scimErrors(log: { error(detail: object, message: string): void }) {
  return (error: Error & { statusCode?: number }, _request: FastifyRequest, reply: FastifyReply) => {
    // A database that cannot be used is no fault of the request, which a client may send again (503).
    const known = error instanceof ScimError ? error : knownRefusalOf(error);
    const status = known?.status ?? (error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500);
    if (status === 500) log.error({ err: error }, 'SCIM request failed');
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    const detail =
      known?.message ??
      REFUSED[status] ??
      (status === 500 ? 'something went wrong; it has been logged' : 'the request is not valid');
    return reply
      .code(status)
      .header('content-type', CONTENT_TYPE)
      .send(
        JSON.stringify({
          schemas: [SCHEMA.error],
          status: String(status),
          ...(known instanceof ScimError && known.scimType ? { scimType: known.scimType } : {}),
          detail,
        }),
      );
  };
}

/**
 * Tells an address that there is none from a method that it does not have.
 *
 * @param served the routes that there are: pattern as Fastify has it, and method
 */
export function createNotFound(served: () => readonly { url: string; method: string }[]) {
  return (request: FastifyRequest, reply: FastifyReply): never => {
    const path = request.url.replace(/[?#].*$/s, '');
    const fits = (pattern: string) =>
      new RegExp(`^${pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}/?$`).test(path);
    const methods = served().flatMap(({ url, method }) => (fits(url) ? [method] : []));
    if (methods.length === 0) throw new ScimError(404, 'there is nothing at this address');
    reply.header('allow', [...new Set(methods)].join(', '));
    throw new ScimError(405, `${request.method} is not possible here`);
  };
}
