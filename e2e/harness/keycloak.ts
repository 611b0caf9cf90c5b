import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../server/src/testing/free-port.ts';
import { findKeycloak } from './keycloak-program.ts';
import { until } from './run.ts';

const home = findKeycloak();
/** Reason to skip, for the `skip` option of node:test. */
export const skip: string | false =
  home === null && 'a real Keycloak is needed, and Java 17: scripts/keycloak.ts fetches it with Maven';

/** One realm of a Keycloak, as an administrator sees it. */
export interface Realm {
  readonly issuer: string;
  /** Makes a confidential client with code flow and nothing else set, but for what is given here. */
  createClient(clientId: string, more: Record<string, unknown>): Promise<{ id: string; clientSecret: string }>;
  /** Puts a mapper on a client, so that its tokens hold the groups of a person. */
  addGroupMapper(client: { id: string }, config: { fullPath: boolean }): Promise<{ remove(): Promise<void> }>;
  createGroup(name: string): Promise<string>;
  createUser(username: string, password: string, groups: readonly string[]): Promise<string>;
  /** Signs somebody out of everything. */
  signOut(userId: string): Promise<void>;
}

export interface Keycloak {
  /** A realm as it comes: no scope and no claim for groups. */
  createRealm(name: string): Promise<Realm>;
  close(): Promise<void>;
}

/** Starts a Keycloak on loopback that forgets everything when it ends. */
export async function startKeycloak(): Promise<Keycloak> {
  assert.ok(home, skip || '');
  const folder = await mkdtemp(join(tmpdir(), 'identree-keycloak-'));
  const logFile = join(folder, 'keycloak.log');
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const password = randomBytes(24).toString('hex');
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(
    join(home, 'bin/kc.sh'),
    ['start-dev', '--db=dev-mem', '--http-host=127.0.0.1', `--http-port=${port}`, `--hostname=${url}`],
    {
      cwd: folder,
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
        KC_BOOTSTRAP_ADMIN_PASSWORD: password,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
      },
      stdio: ['ignore', log, log],
    },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const kill = () => void child.kill('SIGKILL');
  process.on('exit', kill);
  await until(
    'Keycloak',
    async () => {
      if (child.exitCode !== null) throw new Error(`Keycloak ended:\n${await readFile(logFile, 'utf8')}`);
      return (await fetch(`${url}/realms/master`).catch(() => null))?.ok;
    },
    180_000,
  );

  /** A token of an administrator lives a minute, so each call has its own. */
  async function adminToken(): Promise<string> {
    const body = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username: 'admin', password });
    const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, { method: 'POST', body });
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  /** @returns the id of what was made, from its address */
  async function call(method: string, path: string, body?: unknown): Promise<string> {
    const answer = await fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${await adminToken()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`Keycloak, ${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.headers.get('location')?.split('/').at(-1) ?? '';
  }

  return {
    async createRealm(name) {
      await call('POST', '', { realm: name, enabled: true });
      return {
        issuer: `${url}/realms/${name}`,
        async createClient(clientId, more) {
          const clientSecret = randomBytes(24).toString('hex');
          const id = await call('POST', `/${name}/clients`, { clientId, secret: clientSecret, ...more });
          return { id, clientSecret };
        },
        async addGroupMapper({ id }, { fullPath }) {
          const path = `/${name}/clients/${id}/protocol-mappers/models`;
          const mapper = await call('POST', path, {
            name: 'groups',
            protocol: 'openid-connect',
            protocolMapper: 'oidc-group-membership-mapper',
            config: { 'claim.name': 'groups', 'full.path': String(fullPath), 'id.token.claim': 'true' },
          });
          return { remove: async () => void (await call('DELETE', `${path}/${mapper}`)) };
        },
        createGroup: (group) => call('POST', `/${name}/groups`, { name: group }),
        createUser: (username, secret, groups) =>
          call('POST', `/${name}/users`, {
            username,
            enabled: true,
            email: `${username}@example.com`,
            emailVerified: true,
            firstName: username,
            lastName: 'Example',
            credentials: [{ type: 'password', value: secret, temporary: false }],
            groups: groups.map((group) => `/${group}`),
          }),
        signOut: async (userId) => void (await call('POST', `/${name}/users/${userId}/logout`)),
      };
    },
    async close() {
      process.off('exit', kill);
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
