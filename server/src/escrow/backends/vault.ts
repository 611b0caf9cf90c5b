import { z } from 'zod';
import { type EscrowBackend, type EscrowEntry, EscrowFailure, fieldOf } from '../backend.ts';
import { createJsonApi, type Http, needed, pathParts } from '../http.ts';

const login = z.object({ auth: z.object({ client_token: z.string().min(1) }) });
const written = z.object({ data: z.object({ version: z.int().min(1) }) });
const read = z.object({ data: z.object({ data: z.object({ password: z.string(), id: z.string().optional() }) }) });

const GONE = new Set([404]);

/**
 * Keeps passwords in a Vault or OpenBao, in version 2 of its key-value store: one secret for each host, whose versions are
 * its passwords.
 *
 * @param options.roleId of an AppRole; null: `secret` is a token.
 * @param options.path mount and prefix, `secret/identree/breakglass`.
 */
export function createVaultEscrow(options: {
  url: string;
  roleId: string | null;
  secret: string;
  path: string;
  http: Http;
}): EscrowBackend {
  const service = 'the vault';
  const call = createJsonApi({ http: options.http, service });
  const [mount = '', first, ...rest] = pathParts(options.path);
  // The address of the API has this between mount and prefix, and people copy it from there.
  const prefix = first === 'data' ? rest : [...(first === undefined ? [] : [first]), ...rest];

  const address = (what: 'data' | 'destroy', { hostname }: EscrowEntry) =>
    [options.url, 'v1', mount, what, ...prefix, encodeURIComponent(hostname)].join('/');

  /** A new one for each operation: it would run out while nobody needs it. */
  async function headers(): Promise<Record<string, string>> {
    if (options.roleId === null) return { 'x-vault-token': options.secret };
    const url = `${options.url}/v1/auth/approle/login`;
    const json = { role_id: options.roleId, secret_id: options.secret };
    const { auth } = needed(await call({ method: 'POST', url, headers: {}, json }, login), service, 'the AppRole');
    return { 'x-vault-token': auth.client_token };
  }

  return {
    name: 'vault',

    async store(entry, password) {
      const json = { data: { password, id: entry.id } };
      const request = { method: 'POST', url: address('data', entry), headers: await headers(), json } as const;
      const { data } = needed(await call(request, written), service, 'a new password');
      return { path: options.path, version: String(data.version) };
    },

    async retrieve(entry, location) {
      const url = `${address('data', entry)}?version=${encodeURIComponent(fieldOf(location, 'version'))}`;
      const answer = await call({ method: 'GET', url, headers: await headers() }, read);
      const { data } = needed(answer, service, 'the question for a password').data;
      // The secret was deleted and made again: versions begin at one then.
      if (data.id !== undefined && data.id !== entry.id)
        throw new EscrowFailure('the vault has another password there');
      return data.password;
    },

    async remove(entry, location) {
      const json = { versions: [Number(fieldOf(location, 'version'))] };
      const request = { method: 'PUT', url: address('destroy', entry), headers: await headers(), json } as const;
      const answer = await call(request, z.unknown());
      if (!answer.ok && !GONE.has(answer.status)) needed(answer, service, 'the removal of a password');
    },
  };
}
