import { recommended } from '../../e2e/directory/sssd-conf.ts';
import { spkiHash } from '../../e2e/harness/chromium.ts';
import {
  copyAgentCertificate,
  type DirectoryWorld,
  group,
  OPERATOR,
  openDirectoryWorld,
  startSssd,
  user,
} from '../../e2e/harness/directory.ts';
import { type Lab, SERVER_NAME } from '../../e2e/harness/lab.ts';

export const HOST = 'web1';
/** Their passkeys are in this process; everybody else makes one in a browser. */
export const WITH_PASSKEY = ['ada'];

const CONTENT = {
  users: ['ada', 'linus', 'grace'].map((name) => user(name)),
  groups: [
    group('operators', ['ada'], { sudoCommands: 'ALL' }),
    group('developers', ['ada', 'linus'], { sudoCommands: '/usr/bin/id, /usr/bin/systemctl restart cron' }),
    group('support', ['grace']),
  ],
};

/** Boots a host that takes its people and rules from a production server, and its approvals too. */
export async function openSite(onLab: (lab: Lab) => void): Promise<DirectoryWorld> {
  const world = await openDirectoryWorld({
    hosts: [HOST],
    people: WITH_PASSKEY,
    content: CONTENT,
    onLab,
    env: { IDENTREE_LDAP_ACCESS_DEFAULT: 'allow', IDENTREE_LDAP_TLS_CLIENT_CERTIFICATES: 'required' },
  });
  try {
    const host = world.host(HOST);
    await copyAgentCertificate(host);
    await host.write(
      '/root/.ldaprc',
      [
        `URI ldaps://${SERVER_NAME}`,
        'BASE dc=example,dc=com',
        'SASL_MECH EXTERNAL',
        'TLS_CACERT /etc/identree/ca.crt',
        'TLS_CERT /etc/identree/client.crt',
        'TLS_KEY /etc/identree/client.key',
        '',
      ].join('\n'),
    );
    await startSssd(host, recommended());
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}

/** What a newcomer to the shell needs to know. */
export function describeSite(world: DirectoryWorld, user: string): string {
  const { lab, server } = world;
  const port = new URL(server.url).port;
  return `
The host ${HOST} (${world.host(HOST).address}) takes people and sudo rules from ${server.url} with its own certificate,
and asks there before sudo runs.

  ada     may run everything; approves it with her passkey
  linus   may run two commands; makes his passkey in a browser
  grace   may run nothing
  ${OPERATOR}    administrator; approves for everybody

Try in the shell below:
  id ada; getent group developers; sudo -l -U linus
  ldapsearch -Q -LLL uid=ada
  ${user === 'root' ? 'su - ada, and then: sudo id' : 'sudo id'}

When sudo waits, approve it in another terminal:
  npm run lab -- approve
or in a browser. Passkeys need a security key, or the WebAuthn tab of the developer tools:
  chromium --user-data-dir=${lab.dir}/browser --host-resolver-rules='MAP ${SERVER_NAME} ${lab.serverAddress}' \\
    --ignore-certificate-errors-spki-list=${spkiHash(lab.certs.cert)} ${server.url}
  curl --cacert ${lab.certs.caFile} --resolve ${SERVER_NAME}:${port}:${lab.serverAddress} ${server.url}/healthz

Log of the server: ${server.logFile}
The end of the shell (Ctrl-D) is the end of all of it.

`;
}
