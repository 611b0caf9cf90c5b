import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Random } from '../../platform/random.ts';
import { type EscrowBackend, EscrowFailure, fieldOf } from '../backend.ts';
import { createJsonApi, type Http, needed } from '../http.ts';

const login = z.object({ access_token: z.string().min(1), encrypted_payload: z.string().min(1) });
const payload = z.object({ encryptionKey: z.string() });
const created = z.object({ id: z.string().min(1) });
const read = z.object({ value: z.string() });

/** Bitwarden encrypts before it sends: 32 bytes for AES-256-CBC, 32 for HMAC-SHA256. */
interface Keys {
  encryption: Buffer;
  mac: Buffer;
}

const split = (bytes: Buffer): Keys => ({ encryption: bytes.subarray(0, 32), mac: bytes.subarray(32, 64) });

/** `2.iv|ciphertext|mac`, each in base64: type 2 of Bitwarden's encrypted strings. */
function encrypt(text: string, keys: Keys, random: Random): string {
  const iv = Buffer.from(random.bytes(16));
  const cipher = createCipheriv('aes-256-cbc', keys.encryption, iv);
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  const mac = createHmac('sha256', keys.mac).update(iv).update(data).digest();
  return `2.${[iv, data, mac].map((part) => part.toString('base64')).join('|')}`;
}

function decrypt(encrypted: string, keys: Keys): string {
  const [, iv = '', data = '', told = ''] = /^2\.([^|]+)\|([^|]+)\|([^|]+)$/.exec(encrypted) ?? [];
  const [ivBytes, dataBytes, toldBytes] = [iv, data, told].map((part) => Buffer.from(part, 'base64')) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const mac = createHmac('sha256', keys.mac).update(ivBytes).update(dataBytes).digest();
  if (toldBytes.length !== mac.length || !timingSafeEqual(toldBytes, mac)) {
    throw new EscrowFailure('what Bitwarden has was not encrypted for this access token');
  }
  const decipher = createDecipheriv('aes-256-cbc', keys.encryption, ivBytes);
  return Buffer.concat([decipher.update(dataBytes), decipher.final()]).toString('utf8');
}

/** `0.<client id>.<client secret>:<16 bytes in base64>`, and the keys that are derived from these bytes. */
function readAccessToken(token: string): { clientId: string; clientSecret: string; keys: Keys } {
  const [, clientId = '', clientSecret = '', seed = ''] = /^0\.([^.]+)\.([^:]+):(.+)$/.exec(token) ?? [];
  const bytes = Buffer.from(seed, 'base64');
  if (bytes.length !== 16) throw new EscrowFailure('IDENTREE_ESCROW_AUTH_SECRET is no access token of Bitwarden');
  const stretched = hkdfSync('sha256', bytes, 'bitwarden-accesstoken', 'sm-access-token', 64);
  return { clientId, clientSecret, keys: split(Buffer.from(stretched)) };
}

/** Where tokens are given: beside the API. */
const identityOf = (url: string): string =>
  url.includes('://api.') ? url.replace('://api.', '://identity.') : `${url.replace(/\/api$/, '')}/identity`;

/**
 * Keeps passwords in Bitwarden Secrets Manager: one secret for each, encrypted here as its own clients do.
 *
 * @param options.path organization, or organization/project.
 */
export function createBitwardenEscrow(options: {
  url: string;
  accessToken: string;
  path: string;
  http: Http;
  random: Random;
}): EscrowBackend {
  const service = 'Bitwarden';
  const call = createJsonApi({ http: options.http, service });
  const { clientId, clientSecret, keys } = readAccessToken(options.accessToken);
  const [organizationId = '', project] = options.path.split('/');

  async function session(): Promise<{ headers: Record<string, string>; keys: Keys }> {
    const form = {
      grant_type: 'client_credentials',
      scope: 'api.secrets',
      client_id: clientId,
      client_secret: clientSecret,
    };
    const url = `${identityOf(options.url)}/connect/token`;
    const told = needed(await call({ method: 'POST', url, headers: {}, form }, login), service, 'the access token');
    const { encryptionKey } = payload.parse(JSON.parse(decrypt(told.encrypted_payload, keys)));
    return {
      headers: { authorization: `Bearer ${told.access_token}` },
      keys: split(Buffer.from(encryptionKey, 'base64')),
    };
  }

  return {
    name: 'bitwarden',

    async store(entry, password) {
      const { headers, keys: own } = await session();
      const sealed = (text: string) => encrypt(text, own, options.random);
      const json = {
        key: sealed(`breakglass-${entry.hostname}`),
        value: sealed(password),
        note: sealed(entry.id),
        ...(project === undefined ? {} : { projectIds: [project] }),
      };
      const url = `${options.url}/organizations/${encodeURIComponent(organizationId)}/secrets`;
      const { id } = needed(await call({ method: 'POST', url, headers, json }, created), service, 'a new secret');
      return { secret: id };
    },

    async retrieve(_entry, location) {
      const { headers, keys: own } = await session();
      const url = `${options.url}/secrets/${encodeURIComponent(fieldOf(location, 'secret'))}`;
      const answer = await call({ method: 'GET', url, headers }, read);
      return decrypt(needed(answer, service, 'the question for a secret').value, own);
    },

    async remove(_entry, location) {
      const { headers } = await session();
      const request = { method: 'POST', url: `${options.url}/secrets/delete`, headers } as const;
      const answer = await call({ ...request, json: [fieldOf(location, 'secret')] }, z.unknown());
      if (!answer.ok && answer.status !== 404) needed(answer, service, 'the removal of a secret');
    },
  };
}
