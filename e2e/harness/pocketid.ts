import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { createTestAuthenticator } from '#shared/testing/authenticator.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import { findPocketId } from './pocketid-program.ts';
import { must, until } from './run.ts';

/** Why tests against a real PocketID cannot run here; null when there is one. */
export function whyNoPocketId(): string | null {
  if (findPocketId() !== null) return null;
  return 'a real PocketID is needed: Go and a module proxy that has it, or POCKETID_BINARY=/path/to/pocket-id';
}

/** Reason to skip, for the `skip` option of node:test. */
export const skip: string | false = whyNoPocketId() ?? false;

export interface Claim {
  key: string;
  value: string;
}

/** What an administrator types in for a person. PocketID makes the id. */
export interface NewUser {
  username: string;
  firstName?: string;
  lastName?: string;
  displayName?: string;
  email?: string | null;
  disabled?: boolean;
  isAdmin?: boolean;
}

export interface Reply<T> {
  status: number;
  body: T;
}

/** A browser in which somebody is signed in at PocketID. */
export interface PocketIdSession {
  /** Agrees to what an authorization request asks for, and gives the address that the browser is sent back to. */
  authorize(request: URL): Promise<URL>;
  /** Gives the person a passkey, with which they can be asked to sign in once more. */
  registerPasskey(): Promise<void>;
  /** A key of this person's own. @param expiresAt milliseconds since the epoch; PocketID keeps whole seconds */
  createApiKey(expiresAt: number): Promise<string>;
}

/** What PocketID from 2.10 on still wants of a person before it lets a client have them. */
interface Interaction {
  currentStep: string;
}
type Interacted = { interaction: Interaction } | { redirectUrl: string };

export interface PocketId {
  /** Also its OpenID Connect issuer. */
  readonly url: string;
  /** Accepted for everything, without end. */
  readonly apiKey: string;
  readonly version: string;
  readonly logFile: string;
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<Reply<T>>;
  createUser(user: NewUser): Promise<string>;
  updateUser(id: string, user: NewUser): Promise<void>;
  deleteUser(id: string): Promise<void>;
  createGroup(name: string, friendlyName?: string): Promise<string>;
  renameGroup(id: string, name: string, friendlyName?: string): Promise<void>;
  deleteGroup(id: string): Promise<void>;
  setMembers(groupId: string, userIds: readonly string[]): Promise<void>;
  setClaims(kind: 'user' | 'user-group', id: string, claims: readonly Claim[]): Promise<void>;
  /** An OpenID Connect client with a secret. */
  createClient(id: string, callbackUrl: string): Promise<{ clientId: string; clientSecret: string }>;
  /** Tells PocketID to push what a client may see to a SCIM server. */
  createScimProvider(clientId: string, endpoint: string, token: string): Promise<string>;
  /** Pushes now. The status is 200 when everything arrived. */
  syncScim(providerId: string): Promise<Reply<unknown>>;
  /** Signs somebody in with a login code, as an administrator hands them out. */
  signIn(userId: string): Promise<PocketIdSession>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a PocketID with an empty database on loopback. It calls nobody. @param env further settings of its own */
export async function startPocketId(env: Record<string, string> = {}): Promise<PocketId> {
  const program = findPocketId() ?? assert.fail(whyNoPocketId() ?? '');
  const version = /\d+\.\d+\.\d+/.exec(await must(program, ['version'], { cwd: tmpdir(), env: {} }))?.[0] ?? 'unknown';
  const folder = await mkdtemp(join(tmpdir(), 'identree-pocketid-'));
  const logFile = join(folder, 'pocketid.log');
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const apiKey = randomBytes(24).toString('hex');
  const settings = {
    HOST: '127.0.0.1',
    PORT: String(port),
    ACTORS_HOST: '127.0.0.1',
    ACTORS_PORT: String(await freePort()),
    APP_URL: url,
    ENCRYPTION_KEY: randomBytes(24).toString('hex'),
    STATIC_API_KEY: apiKey,
    ANALYTICS_DISABLED: 'true',
    VERSION_CHECK_DISABLED: 'true',
    DISABLE_RATE_LIMITING: 'true',
    UI_CONFIG_DISABLED: 'true',
    // People without an address are a case that a directory has to bear.
    REQUIRE_USER_EMAIL: 'false',
    ...env,
  };
  let child: ChildProcess | null = null;
  let ended: Promise<void> = Promise.resolve();
  const killed = (): void => void child?.kill('SIGKILL');
  process.on('exit', killed);

  async function start(): Promise<void> {
    const log = openSync(logFile, 'a');
    const started = spawn(program, [], { cwd: folder, env: settings, stdio: ['ignore', log, log] });
    closeSync(log);
    child = started;
    ended = new Promise((resolve) => {
      started.on('close', () => {
        if (child === started) child = null;
        resolve();
      });
    });
    await until(
      'PocketID',
      async () => {
        if (child !== started) throw new Error(`PocketID ended:\n${await readFile(logFile, 'utf8')}`);
        return (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null))?.ok;
      },
      90_000,
    );
  }

  async function stop(): Promise<void> {
    child?.kill('SIGKILL');
    await ended;
  }

  async function close(): Promise<void> {
    process.off('exit', killed);
    await stop();
    await rm(folder, { recursive: true, force: true });
  }

  async function send<T>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Reply<T> & { cookies: string[] }> {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
    });
    const text = await answer.text();
    const cookies = answer.headers.getSetCookie().map((line) => line.split(';')[0]!);
    const json = answer.headers.get('content-type')?.startsWith('application/json');
    return { status: answer.status, body: (json ? JSON.parse(text) : text) as T, cookies };
  }

  const call = <T>(method: string, path: string, body?: unknown): Promise<Reply<T>> =>
    send<T>(method, path, body, { 'x-api-key': apiKey });

  function granted<T>({ status, body }: Reply<T>, what: string): T {
    if (status >= 200 && status < 300) return body;
    throw new Error(`PocketID, ${what}: ${status} ${JSON.stringify(body)}`);
  }

  const must2xx = async <T>(method: string, path: string, body?: unknown): Promise<T> =>
    granted(await call<T>(method, path, body), `${method} ${path}`);

  async function signIn(userId: string): Promise<PocketIdSession> {
    const path = `/users/${userId}/one-time-access-token`;
    const { token } = await must2xx<{ token: string }>('POST', path, { userId, ttl: '10m' });
    const jar = new Map<string, string>();
    const cookie = (): string => [...jar].map((pair) => pair.join('=')).join('; ');

    async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
      const { cookies, ...answer } = await send<T>(method, path, body, { cookie: cookie() });
      for (const line of cookies) jar.set(line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1));
      return granted(answer, `${method} ${path}`);
    }
    await ask('POST', `/one-time-access-token/${token}`);
    const passkey = createTestAuthenticator({ origin: url });

    /** Up to PocketID 2.9 the endpoint is a page, and this is what it sends when the person agrees. */
    async function agree(request: URL): Promise<URL> {
      const asked = Object.fromEntries(request.searchParams);
      const { code, callbackURL, issuer } = await ask<{ code: string; callbackURL: string; issuer: string }>(
        'POST',
        '/oidc/authorize',
        {
          clientID: asked.client_id,
          scope: asked.scope,
          callbackURL: asked.redirect_uri,
          nonce: asked.nonce,
          codeChallenge: asked.code_challenge,
          codeChallengeMethod: asked.code_challenge_method,
          ...(asked.prompt ? { prompt: asked.prompt } : {}),
          ...(asked.prompt === 'login' ? await reauthenticate() : {}),
        },
      );
      const back = new URL(callbackURL);
      back.search = new URLSearchParams({ code, state: asked.state ?? '', iss: issuer }).toString();
      return back;
    }

    /** Does what is asked of the person, one step after the other, and gives where to go on. */
    async function interact(id: string): Promise<string> {
      let asked = await ask<Interaction>('GET', `/oidc/interactions/${id}`);
      for (;;) {
        if (asked.currentStep === 'reauthenticate') await reauthenticate();
        const step = { step: asked.currentStep };
        const done = await ask<Interacted>('POST', `/oidc/interactions/${id}/complete`, step);
        if ('redirectUrl' in done) return done.redirectUrl;
        asked = done.interaction;
      }
    }

    /** Says with the passkey who is there: a cookie, and up to PocketID 2.9 a token to hand in. */
    async function reauthenticate(): Promise<object> {
      const options = await ask<PublicKeyCredentialRequestOptionsJSON>('GET', '/webauthn/login/start');
      return ask<object>('POST', '/webauthn/reauthenticate', passkey.assert(options));
    }

    return {
      async authorize(asked) {
        let to = asked;
        for (;;) {
          const answer = await fetch(to, { headers: { cookie: cookie() }, redirect: 'manual' });
          const location = answer.headers.get('location');
          if (location === null) {
            assert.ok([200, 404].includes(answer.status), `PocketID, ${to.pathname}: ${answer.status}`);
            return agree(asked);
          }
          to = new URL(location, url);
          if (to.origin !== url) return to;
          const interaction = to.searchParams.get('interaction');
          assert.ok(interaction, `PocketID leads to ${to}`);
          to = new URL(await interact(interaction), url);
        }
      },
      async registerPasskey() {
        const options = await ask<PublicKeyCredentialCreationOptionsJSON>('GET', '/webauthn/register/start');
        await ask('POST', '/webauthn/register/finish', passkey.register(options));
      },
      async createApiKey(expiresAt) {
        const body = { name: randomBytes(6).toString('hex'), expiresAt: new Date(expiresAt).toISOString() };
        return (await ask<{ token: string }>('POST', '/api-keys', body)).token;
      },
    };
  }

  const userBody = (user: NewUser) => ({
    firstName: '',
    lastName: '',
    displayName: '',
    email: null,
    disabled: false,
    isAdmin: false,
    ...user,
  });
  const idOf = ({ id }: { id: string }): string => id;

  try {
    await start();
    // The key's pseudo user is made with its first use; of two first uses at once one is refused.
    await must2xx('GET', '/version/current');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    apiKey,
    version,
    logFile,
    call,
    createUser: async (user) => idOf(await must2xx('POST', '/users', userBody(user))),
    updateUser: (id, user) => must2xx('PUT', `/users/${id}`, userBody(user)),
    deleteUser: (id) => must2xx('DELETE', `/users/${id}`),
    createGroup: async (name, friendlyName = name) =>
      idOf(await must2xx('POST', '/user-groups', { name, friendlyName })),
    renameGroup: (id, name, friendlyName = name) => must2xx('PUT', `/user-groups/${id}`, { name, friendlyName }),
    deleteGroup: (id) => must2xx('DELETE', `/user-groups/${id}`),
    setMembers: (groupId, userIds) => must2xx('PUT', `/user-groups/${groupId}/users`, { userIds }),
    setClaims: (kind, id, claims) => must2xx('PUT', `/custom-claims/${kind}/${id}`, claims),
    async createClient(id, callbackUrl) {
      await must2xx('POST', '/oidc/clients', { id, name: id, callbackURLs: [callbackUrl], pkceEnabled: true });
      // Newer ones keep several.
      const made = await call<{ secret: string }>('POST', `/oidc/clients/${id}/secrets`);
      const path = `/oidc/clients/${id}/secret`;
      const { secret } = made.status === 404 ? await must2xx<{ secret: string }>('POST', path) : granted(made, path);
      return { clientId: id, clientSecret: secret };
    },
    createScimProvider: async (oidcClientId, endpoint, token) =>
      idOf(await must2xx('POST', '/scim/service-provider', { endpoint, token, oidcClientId })),
    syncScim: (providerId) => call('POST', `/scim/service-provider/${providerId}/sync`),
    signIn,
    stop,
    start,
    close,
  };
}
