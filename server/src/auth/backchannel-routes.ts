import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { acceptForms } from '../http/form-body.ts';
import { BACKCHANNEL_PATH } from './addresses.ts';
import type { IdentityProvider } from './identity-provider.ts';
import type { createProviderLogout } from './provider-logout.ts';
import type { RateLimits } from './rate-limit.ts';

/**
 * `POST /api/backchannel-logout` (OpenID Connect Back-Channel Logout 1.0, 2.5). The caller is a program without cookies:
 * what proves it is the signature of the token, so the rules against forged forms of browsers say nothing here.
 */
export function backchannelRoutes(deps: {
  provider: Pick<IdentityProvider, 'verifyLogout'>;
  providerLogout: ReturnType<typeof createProviderLogout>;
  limits: Pick<RateLimits, 'backchannelLogout'>;
  log: { info(detail: object, message: string): void };
}): FastifyPluginAsync {
  return async (app: FastifyInstance) => {
    acceptForms(app);

    app.post(BACKCHANNEL_PATH, async (request, reply) => {
      deps.limits.backchannelLogout(request.clientAddress);
      reply.header('cache-control', 'no-store');
      const refuse = (status: number, detail: string) => {
        deps.log.info({ detail, remoteAddr: request.clientAddress }, 'logout token refused');
        return reply
          .code(status)
          .send({ error: 'invalid_request', error_description: 'the logout token is not accepted' });
      };
      const token = (request.body as Record<string, unknown> | null)?.logout_token;
      if (typeof token !== 'string') return refuse(400, 'there is none');
      const verified = await deps.provider.verifyLogout(token);
      if (!verified.ok) return refuse(verified.problem === 'invalid_token' ? 400 : 503, verified.detail);
      if (!(await deps.providerLogout.end(verified.logout, request.clientAddress))) return refuse(400, 'used before');
      return reply.code(200).send();
    });
  };
}
