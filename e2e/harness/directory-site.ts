import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBare } from './bare-host.ts';
import { PEOPLE } from './idp.ts';
import { type Host, type Lab, openLab } from './lab.ts';
import { type RunResult, until } from './run.ts';
import { type Server, type ServerOptions, startServer } from './server.ts';
import { enrol } from './world.ts';

const BASE = 'dc=example,dc=com';
export const TLS_PORT = 1636;
export const PLAIN_PORT = 1389;

/** As Debian ships it without any package of sssd, with traps. */
export const NSSWITCH = `# /etc/nsswitch.conf
passwd:         files   # local accounts
group:          files [NOTFOUND=return] nis
shadow:         files
hosts:          files dns
netgroup:       nis`;

/** Every file that decides who gets in or that setup writes, with mode, owner and content. */
export const snapshot = (host: Host): Promise<string> =>
  host.sh(
    `for path in /etc/pam.d /etc/sudoers /etc/sudoers.d /etc/sssd /etc/nsswitch.conf /etc/identree/client.crt /etc/identree/client.key /etc/identree/ca.crt /etc/sudo-ldap.conf; do
       find $path \\( -type f -o -type l \\) 2>/dev/null; done | sort | while read -r file; do
       stat -c "%n %F %a %U:%G" "$file"; if [ -L "$file" ]; then readlink "$file"; else sha256sum < "$file"; fi; done`,
  );

/** A server with a directory, and one host that is enrolled and knows nothing of it yet. */
export interface DirectorySite {
  lab: Lab;
  server: Server;
  host: Host;
  /** Puts people into the directory, and waits until it serves them: sssd remembers for a while whom it did not find. */
  people(...names: string[]): Promise<void>;
  setup(...args: string[]): Promise<RunResult>;
  /** Starts the server anew with other settings of the directory; null: as at first. */
  restart(env: Record<string, string | null>): Promise<void>;
  close(): Promise<void>;
}

/** @param options `bare`: nothing of identree is on the host, which is not enrolled either */
export async function openDirectorySite(
  options: Pick<ServerOptions, 'policy'> & {
    env?: Record<string, string> | ((lab: Lab) => Promise<Record<string, string>>);
    bare?: boolean;
  } = {},
): Promise<DirectorySite> {
  const lab = await openLab();
  try {
    const file = join(lab.dir, 'directory.json');
    const write = (names: readonly string[]) =>
      writeFile(
        file,
        JSON.stringify({
          users: names.map((username) => ({ id: `sub-${username}`, username })),
          groups: [
            {
              id: 'g-ops',
              name: 'ops',
              customClaims: [{ key: 'sudoCommands', value: 'ALL' }],
              userIds: ['sub-alice2'],
            },
          ],
        }),
        { mode: 0o600 },
      );
    await write(['alice2', 'bob2']);
    const env: Record<string, string> = {
      IDENTREE_LDAP_ENABLED: 'true',
      IDENTREE_LDAP_BASE_DN: BASE,
      IDENTREE_LDAP_LISTEN_ADDR: `${lab.serverAddress}:${PLAIN_PORT}`,
      IDENTREE_LDAP_TLS_LISTEN_ADDR: `${lab.serverAddress}:${TLS_PORT}`,
      IDENTREE_LDAP_UID_MAP_FILE: join(lab.dir, 'uidmap.json'),
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: file,
      IDENTREE_DIRECTORY_GUARD_POWER: 'publish',
      ...(typeof options.env === 'function' ? await options.env(lab) : options.env),
    };
    const users = [...PEOPLE, { username: 'alice2', name: 'Alice Two', groups: [] }];
    const server = await startServer(lab, { ...options, users, env });
    const host = await lab.up('web1');
    await host.write('/etc/nsswitch.conf', NSSWITCH);
    await (options.bare ? makeBare(host) : enrol(host, server));
    let changed: string[] = [];
    return {
      lab,
      server,
      host,
      async people(...names) {
        await write(names);
        const tls = '/etc/identree/tls/current';
        const search = `LDAPTLS_CACERT=${tls}/ca.crt LDAPTLS_CERT=${tls}/client.crt LDAPTLS_KEY=${tls}/client.key \\
          ldapsearch -LLL -x -H ldaps://identree.example.com:${TLS_PORT} -b ou=people,${BASE} uid=${names.at(-1)} uid`;
        await until('the directory to serve them', async () =>
          (await host.exec(['sh', '-c', search])).stdout.includes(`uid: ${names.at(-1)}`),
        );
      },
      setup: (...args) => {
        const keep = args.includes('--undo') ? [] : ['--no-confirm'];
        return host.exec(['identree', 'setup', ...args, ...keep], { timeoutMs: 180_000 });
      },
      async restart(change) {
        await server.stop();
        const back = Object.fromEntries(changed.map((name) => [name, env[name] ?? null]));
        changed = Object.keys(change);
        await server.start({ ...back, ...change });
      },
      async close() {
        await server.close();
        await lab.close();
      },
    };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

export const said = ({ stdout, stderr }: RunResult): string => stdout + stderr;
const CERTIFICATE = '/etc/identree/client.crt';
/** Serial number of the certificate in use, as openssl prints it. */
export const serialOf = async (host: Host): Promise<string> =>
  (await host.sh(`openssl x509 -in ${CERTIFICATE} -noout -serial`)).trim();

/** Certificate and key, read through the paths that sssd.conf names, belong together and verify. */
export async function pairIsWhole(host: Host): Promise<void> {
  const [certificate, key] = await Promise.all([
    host.sh(`openssl x509 -in ${CERTIFICATE} -noout -pubkey`),
    host.sh('openssl pkey -in /etc/identree/client.key -pubout'),
  ]);
  assert.equal(certificate, key);
  assert.match(await host.sh(`openssl verify -CAfile /etc/identree/ca.crt ${CERTIFICATE}`), /OK/);
}

/** What sssd, and nobody else, says about a name. */
export const askSssd = (host: Host, name: string): Promise<RunResult> =>
  host.exec(['getent', '-s', 'sss', 'passwd', name]);
export const known = (host: Host, name: string): Promise<true> =>
  until(`sssd to know ${name}`, async () => (await askSssd(host, name)).code === 0, 90_000);
