import type { FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import { constantTimeEqual } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Config } from '../config/config.ts';
import type { Viewer, ViewerOf } from '../http/viewer.ts';

/** Name of the field in HTML forms; scripts send the header `x-csrf-token`. */
export const CSRF_FIELD = 'csrf_token';

/** Methods that change nothing, on this server without exception. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface CsrfInput {
  method: string;
  /** Header `Origin`. */
  origin: string | undefined;
  /** Header `Sec-Fetch-Site`. */
  fetchSite: string | undefined;
  /** Header `x-csrf-token` or the form field. */
  token: string | undefined;
  viewer: Pick<Viewer, 'session'> | null;
}

/**
 * Did the request come from a page of this server? Pure. Two independent signs are needed: where the browser says that
 * the request comes from, and the token that only our pages know.
 *
 * @param ownOrigin scheme, host and port of this server.
 */
export function isForged(input: CsrfInput, ownOrigin: string): boolean {
  if (SAFE_METHODS.has(input.method)) return false;
  // A desktop credential travels in a header that no page can make a browser add.
  if (input.viewer?.session.kind === 'desktop') return false;
  if (input.origin === undefined && input.fetchSite === undefined) return true;
  if (input.origin !== undefined && input.origin !== ownOrigin) return true;
  if (input.fetchSite !== undefined && input.fetchSite !== 'same-origin') return true;
  // Without a session there is nothing to ride on; the procedure itself refuses.
  if (input.viewer === null) return false;
  return input.token === undefined || !constantTimeEqual(input.token, input.viewer.session.csrfToken);
}

function formToken(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !(CSRF_FIELD in body)) return undefined;
  const value = body[CSRF_FIELD];
  return typeof value === 'string' ? value : undefined;
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header;
}

/**
 * Guards every state-changing request of browsers, tRPC and forms alike. Mount it as `preHandler`, after the body is
 * parsed. Throws `csrf`.
 */
export function createCsrfGuard(deps: {
  config: Pick<Config, 'externalUrl'>;
  viewerOf: ViewerOf;
}): preHandlerAsyncHookHandler {
  const ownOrigin = new URL(deps.config.externalUrl).origin;
  return async (request: FastifyRequest) => {
    if (SAFE_METHODS.has(request.method)) return;
    const input: CsrfInput = {
      method: request.method,
      origin: request.headers.origin,
      fetchSite: one(request.headers['sec-fetch-site']),
      token: one(request.headers['x-csrf-token']) ?? formToken(request.body),
      viewer: await deps.viewerOf(request),
    };
    if (isForged(input, ownOrigin)) throw new Refusal('csrf');
  };
}
