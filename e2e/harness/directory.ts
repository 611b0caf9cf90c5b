import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type FileContent,
  type FileGroup,
  type FileUser,
  fileGroup,
  fileIdOf,
  fileUser,
} from '../../server/src/testing/directory-file.ts';
import { ADMIN_GROUP, type IdpUser } from './idp.ts';
import type { Host, Lab } from './lab.ts';
import { type LdapTap, openLdapTap } from './ldap-tap.ts';
import type { ApiResult } from './person.ts';
import { granted } from './person.ts';
import { relay } from './relay.ts';
import { until } from './run.ts';
import { SERVER_PORT } from './server.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

/** Somebody as the file source has them: PocketID's own shape. */
/** A person who signs in at the lab's identity provider under the same subject. */
export const user = (username: string, claims: Record<string, string> = {}): FileUser => ({
  ...fileUser(username, claims),
  firstName: `${username[0]!.toUpperCase()}${username.slice(1)}`,
  lastName: 'Sample',
  email: `${username}@example.com`,
});

export const group = (name: string, members: readonly string[], claims: Record<string, string> = {}): FileGroup => ({
  ...fileGroup(name, members.map(fileIdOf), claims),
  friendlyName: name,
});

export const BASE_DN = 'dc=example,dc=com';
export const SERVICE = { dn: `cn=readonly,${BASE_DN}`, password: randomBytes(12).toString('hex') };
/** Bind passwords of hosts derive from it. */
export const LDAP_SECRET = randomBytes(24).toString('hex');
const WEBHOOK_SECRET = randomBytes(24).toString('hex');
/** The one who confirms what waits. */
export const OPERATOR = 'olga';

/** What waits for an operator. */
export interface Held {
  id: string;
  digest: string;
  kind: string;
  subject: string;
  state: string;
  detail: Record<string, unknown>;
}

/** A world whose server serves a directory from a file. */
export interface DirectoryWorld extends World {
  /** Listens where hosts expect the server's plain LDAP. */
  readonly tap: LdapTap;
  /** Plain LDAP and LDAPS without anything in between. */
  readonly ldap: { host: string; port: number; tlsPort: number };
  /** What the file says now. Change it with {@link DirectoryWorld.change}. */
  readonly content: Readonly<FileContent>;
  /** Changes the file and calls the webhook. Resolves when that was accepted. */
  change(edit: (content: FileContent) => void): Promise<void>;
  /** Writes the file without telling anybody. */
  write(): Promise<void>;
  removeFile(): Promise<void>;
  webhook(): Promise<void>;
  /** Waits for what the operator has to decide and confirms it. */
  confirm(kind: string, about: RegExp): Promise<void>;
  holds(): Promise<Held[]>;
  status(): Promise<{ state: string; problem: string | null; counts: Record<string, number> | null }>;
}

export interface DirectoryWorldOptions extends Omit<WorldOptions, 'env' | 'users'> {
  content: FileContent;
  /** User names of people who sign in at the provider and whom the directory does not know. */
  strangers?: readonly string[];
  env?: Record<string, string> | ((lab: Lab) => Record<string, string>);
}

const PLAIN_PORT = 1389;
const TLS_PORT = 1636;

/**
 * Opens a world with a directory. Hosts find the server under one address with the ports of the documentation: 8443, 636,
 * and 389 with a tap.
 */
export async function openDirectoryWorld(options: DirectoryWorldOptions): Promise<DirectoryWorld> {
  const content = structuredClone(options.content);
  const signIns: IdpUser[] = content.users.map(({ username, firstName, lastName }) => ({
    username,
    name: `${firstName} ${lastName}`,
    groups: [],
  }));
  let file = '';
  let tap: LdapTap | null = null;
  const relays: ReturnType<typeof relay>[] = [];

  async function write(): Promise<void> {
    const next = `${file}.next`;
    await writeFile(next, JSON.stringify(content), { mode: 0o600 });
    await rename(next, file);
  }

  async function env(lab: Lab): Promise<Record<string, string>> {
    const folder = join(lab.dir, 'directory');
    await mkdir(folder, { mode: 0o700 });
    file = join(folder, 'directory.json');
    await write();
    const host = lab.serverAddress;
    tap = await openLdapTap({ listen: () => lab.listenInFront(389), upstream: { host, port: PLAIN_PORT } });
    for (const [front, port] of [
      [636, TLS_PORT],
      [SERVER_PORT, SERVER_PORT],
    ] as const) {
      relays.push(relay(await lab.listenInFront(front), { host, port }));
    }
    return {
      IDENTREE_LDAP_ENABLED: 'true',
      IDENTREE_LDAP_BASE_DN: BASE_DN,
      IDENTREE_LDAP_LISTEN_ADDR: `${host}:${PLAIN_PORT}`,
      IDENTREE_LDAP_TLS_LISTEN_ADDR: `${host}:${TLS_PORT}`,
      IDENTREE_LDAP_UID_MAP_FILE: join(folder, 'uidmap.json'),
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: file,
      IDENTREE_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ...(typeof options.env === 'function' ? options.env(lab) : options.env),
    };
  }

  async function closeFront(): Promise<void> {
    for (const { close } of relays) close();
    await tap?.close();
  }

  const world = await openWorld({
    ...options,
    people: [...(options.people ?? []), OPERATOR],
    users: [
      ...signIns,
      ...(options.strangers ?? []).map((username) => ({ username, name: `Stranger ${username}`, groups: [] })),
      { username: OPERATOR, name: 'Olga Operator', groups: [ADMIN_GROUP] },
    ],
    env,
    serverAddress: (lab) => lab.frontAddress,
  }).catch(async (error: unknown) => {
    await closeFront();
    throw error;
  });
  const web = world.server.web();

  async function webhook(): Promise<void> {
    const body = '{}';
    const answer = await web.send(`${world.server.url}/api/webhook/pocketid`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-webhook-signature': `sha256=${createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex')}`,
      },
      body,
    });
    if (answer.status !== 204) throw new Error(`the webhook answered ${answer.status}: ${answer.text}`);
  }

  const holds = async (): Promise<Held[]> => granted(await world.person(OPERATOR).query<Held[]>('directory.holds'));

  return {
    ...world,
    tap: tap!,
    ldap: { host: world.lab.serverAddress, port: PLAIN_PORT, tlsPort: TLS_PORT },
    content,
    async change(edit) {
      edit(content);
      await write();
      await webhook();
    },
    write,
    removeFile: () => rm(file),
    webhook,
    async confirm(kind, about) {
      const held = await until(`something of kind ${kind} to confirm`, async () =>
        (await holds()).find((hold) => hold.kind === kind && hold.state === 'open' && about.test(hold.subject)),
      );
      const { id, digest } = held;
      granted((await world.person(OPERATOR).mutate('directory.confirm', { id, digest })) as ApiResult);
    },
    holds,
    status: async () => granted(await world.person(OPERATOR).query('directory.status')),
    async close() {
      web.close();
      await world.close();
      await closeFront();
    },
  };
}

/** What sssd and its unit say. Before its first words there is no file. */
export const sssdSays = (host: Host): Promise<string> =>
  host.sh('journalctl --no-pager -u sssd; cat /var/log/sssd/*.log 2>/dev/null || true');

/**
 * Starts sssd with a configuration, without anything it remembers.
 *
 * @throws with what it says when it does not run
 */
export async function startSssd(host: Host, configuration: string): Promise<void> {
  if (!(await trySssd(host, configuration))) throw new Error(`sssd does not start:\n${await sssdSays(host)}`);
}

/**
 * EXIT_CGROUP of systemd.exec(5): a service that starts right after it stopped may find its control group being removed, in
 * a container whose kernel takes long for that. sssd itself has not run then.
 */
const NO_CONTROL_GROUP = '219';

/** Whether sssd runs with a configuration, started without anything it remembers. */
export async function trySssd(host: Host, configuration: string): Promise<boolean> {
  await host.exec(['systemctl', 'stop', 'sssd']);
  await host.write('/etc/sssd/sssd.conf', configuration, 0o600);
  await host.sh('rm -rf /var/lib/sss/db/* /var/lib/sss/mc/* /var/log/sssd/*');
  for (let attempt = 1; ; attempt += 1) {
    await host.sh('systemctl reset-failed sssd');
    if ((await host.exec(['systemctl', 'start', 'sssd'])).code === 0) return true;
    const status = (await host.sh('systemctl show -p ExecMainStatus --value sssd')).trim();
    if (status !== NO_CONTROL_GROUP || attempt === 5) return false;
  }
}

/** What a command prints, whether it succeeds or not. */
export const printed = async (host: Host, command: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await host.exec(command);
  return `${stdout}${stderr}`.trim();
};

/** Makes sssd ask again for a user or group. A name that it does not know yet is no error. */
export async function forgetName(host: Host, kind: '-u' | '-g', name: string): Promise<void> {
  await host.exec(['sss_cache', kind, name]);
}

/** Puts the files that the agent got at enrolment where the documented sssd.conf looks for them. */
export async function copyAgentCertificate(host: Host): Promise<void> {
  await host.sh(
    [
      'install -m 644 /etc/identree/tls/current/client.crt /etc/identree/client.crt',
      'install -m 600 /etc/identree/tls/current/client.key /etc/identree/client.key',
      'install -m 644 /etc/identree/tls/current/ca.crt /etc/identree/ca.crt',
    ].join('; '),
  );
}
