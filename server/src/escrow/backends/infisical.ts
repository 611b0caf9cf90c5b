import { z } from 'zod';
import { type EscrowBackend, type EscrowEntry, fieldOf } from '../backend.ts';
import { createJsonApi, type Http, needed } from '../http.ts';

const login = z.object({ accessToken: z.string().min(1) });
const read = z.object({ secret: z.object({ secretValue: z.string() }) });

/** The id keeps `a-b` and `a.b` apart, and each password from the one before. */
const nameOf = ({ hostname, id }: EscrowEntry) =>
  `BREAKGLASS_${hostname.toUpperCase().replace(/[-.]/g, '_')}_${id.slice(0, 8).toUpperCase()}`;

/**
 * Keeps passwords in Infisical: one secret for each.
 *
 * @param options.path workspace, or workspace/environment (`prod` unless it says otherwise).
 */
export function createInfisicalEscrow(options: {
  url: string;
  clientId: string;
  clientSecret: string;
  path: string;
  http: Http;
}): EscrowBackend {
  const service = 'Infisical';
  const call = createJsonApi({ http: options.http, service });
  const [workspaceId = '', environment = 'prod'] = options.path.split('/');
  const place = { workspaceId, environment, secretPath: '/' };
  const address = (name: string) => `${options.url}/api/v3/secrets/raw/${encodeURIComponent(name)}`;

  async function headers(): Promise<Record<string, string>> {
    const url = `${options.url}/api/v1/auth/universal-auth/login`;
    const json = { clientId: options.clientId, clientSecret: options.clientSecret };
    const answer = await call({ method: 'POST', url, headers: {}, json }, login);
    return { authorization: `Bearer ${needed(answer, service, 'the machine identity').accessToken}` };
  }

  return {
    name: 'infisical',

    async store(entry, password) {
      const name = nameOf(entry);
      const request = { url: address(name), headers: await headers(), json: { ...place, secretValue: password } };
      // Changes what an answer that got lost had made already.
      const changed = await call({ ...request, method: 'PATCH' }, z.unknown());
      if (!changed.ok && changed.status === 404) {
        needed(await call({ ...request, method: 'POST' }, z.unknown()), service, 'a new secret');
      } else needed(changed, service, 'a changed secret');
      return { name, ...place };
    },

    async retrieve(_entry, location) {
      const where = ['workspaceId', 'environment', 'secretPath'].map((key) => [key, fieldOf(location, key)] as const);
      const url = `${address(fieldOf(location, 'name'))}?${new URLSearchParams(Object.fromEntries(where))}`;
      const answer = await call({ method: 'GET', url, headers: await headers() }, read);
      return needed(answer, service, 'the question for a secret').secret.secretValue;
    },

    async remove(_entry, location) {
      const { name: _, ...json } = location;
      const url = address(fieldOf(location, 'name'));
      const answer = await call({ method: 'DELETE', url, headers: await headers(), json }, z.unknown());
      if (!answer.ok && answer.status !== 404) needed(answer, service, 'the removal of a secret');
    },
  };
}
