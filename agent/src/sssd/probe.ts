import { terminalLine } from '#shared/visible-text.ts';
import {
  connectLdap,
  Disconnected,
  type Endpoint,
  HandshakeBroken,
  type LdapConnection,
  lookAtCertificate,
  StartTlsRefused,
} from './ldap-connection.ts';
import { type LdapResult, WireError } from './ldap-wire.ts';

/** What sssd will be told about the directory, and nothing else. */
export interface DirectoryAccess {
  endpoint: Endpoint;
  baseDn: string;
  mode: 'full' | 'bridge';
  bind: { dn: string; password: string } | null;
}

export type ProbeResult =
  /** `person`: the name of an account that the directory has; null when it has none. */
  { ok: true; person: string | null } | { ok: false; problem: string };

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

const clean = (text: string): string => terminalLine(text).slice(0, 300);

const bracketed = ({ host, port }: Endpoint): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The directory hung up without a word: what a server does whose rules about certificates were not met. */
function hungUp(endpoint: Endpoint, message: string): string {
  const where = bracketed(endpoint);
  if (message !== '') return `The directory at ${where} ended the connection: ${clean(message)}.`;
  if (endpoint.security === 'plain') return `The directory at ${where} ended the connection.`;
  return endpoint.client === null
    ? `The directory at ${where} ended the connection after the TLS handshake: it requires a client certificate, and none is used.`
    : `The directory at ${where} does not accept the certificate of this host. Perhaps the host was revoked, or its certificate is of another server.`;
}

/** What went wrong between here and the first answer, in words that name the cause. */
async function whyNoConnection(error: unknown, endpoint: Endpoint): Promise<string> {
  const where = bracketed(endpoint);
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code = '', message = String(first) } = first as NodeJS.ErrnoException;
  if (error instanceof Disconnected) return hungUp(endpoint, error.message);
  if (error instanceof HandshakeBroken)
    return `What listens at ${where} hung up in the middle of the TLS handshake. Is it the port for plain LDAP?`;
  if (error instanceof StartTlsRefused) return `The directory at ${where} refuses StartTLS: ${clean(message)}.`;
  if (error instanceof WireError) return `What answers at ${where} does not speak LDAP (${message}).`;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The name ${endpoint.host} of the directory cannot be resolved (${code}).`;
    case 'ECONNREFUSED':
      return `Nothing listens at ${where}: the connection was refused.`;
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${where} cannot be reached (${code}): a firewall or a route.`;
    case 'ECONNRESET':
    case 'EPIPE':
      return hungUp(endpoint, '');
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = (await lookAtCertificate(endpoint))?.names;
      return `The certificate of the directory is not for ${endpoint.host}${names ? `; it names ${clean(names)}` : ''}. Use such a name in IDENTREE_LDAP_EXTERNAL_URL on the server, or give the directory a certificate with this one.`;
    }
    case 'CERT_HAS_EXPIRED':
      return `The certificate of the directory at ${where} has expired, or the clock of this host is wrong.`;
    case 'CERT_NOT_YET_VALID':
      return `The certificate of the directory at ${where} is not valid yet: the clock of this host is wrong (timedatectl).`;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `What listens at ${where} does not speak TLS. Is it the port for plain LDAP?`;
  }
  if (UNKNOWN_AUTHORITY.has(code)) {
    const issuer = (await lookAtCertificate(endpoint))?.issuer;
    return `The certificate of the directory at ${where} is signed by an unknown authority${issuer ? ` (${clean(issuer)})` : ''}. If it is yours, name it in IDENTREE_LDAP_TLS_SERVER_CA_CERT on the server.`;
  }
  if (/ALERT_CERTIFICATE_REQUIRED|ALERT_NO_CERTIFICATE/.test(code)) {
    return `The directory at ${where} requires a client certificate, and none is used.`;
  }
  if (
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR)/.test(code)
  ) {
    return `The directory at ${where} does not accept the certificate of this host (${code.replace(/^ERR_SSL_/, '')}).`;
  }
  if (/ALERT_HANDSHAKE_FAILURE/.test(code) && endpoint.client === null) {
    return `The directory at ${where} ended the TLS handshake: it requires a client certificate, and none is used, or it has no cipher in common with this host.`;
  }
  if (code.startsWith('ERR_SSL_')) return `The TLS handshake with ${where} failed: ${code.replace(/^ERR_SSL_/, '')}.`;
  return `The directory at ${where} could not be asked: ${clean(code === '' ? message : `${code}: ${message}`)}.`;
}

/** What an LDAP result means to the operator who sets up a host; null for success. RFC 4511, appendix A. */
function whyNoResult(result: LdapResult, what: string, access: DirectoryAccess): string | null {
  const told = result.message === '' ? '' : ` (${clean(result.message)})`;
  switch (result.code) {
    case 0:
    // The first entry was enough.
    case 4:
      return null;
    case 13:
      return `The directory refuses ${what} without TLS (13 confidentialityRequired)${told}.`;
    case 32:
      return `The directory has no ${what} (32 noSuchObject). Its base is ${access.baseDn}; it has "${clean(result.matchedDn)}".`;
    case 48:
    case 49:
      return `The directory refuses the name or password of this host (${result.code})${told}.`;
    case 50: {
      const as = access.endpoint.client || access.bind ? 'as this host' : 'without authentication';
      return `The directory does not let ${what} be read ${as} (50 insufficientAccessRights)${told}.`;
    }
    case 51:
      return `The directory has nothing to serve yet (51 busy)${told}. Try again when the server has fetched people and groups.`;
    default:
      return `The directory answers ${what} with result ${result.code}${told}.`;
  }
}

/** Asks for the containers that sssd searches, and for one person. */
async function read(connection: LdapConnection, access: DirectoryAccess): Promise<ProbeResult> {
  const refuse = (problem: string): ProbeResult => ({ ok: false, problem });
  const root = await connection.search({
    base: '',
    scope: 'base',
    present: 'objectClass',
    attributes: ['namingContexts'],
    sizeLimit: 1,
  });
  const noRoot = whyNoResult(root.result, 'the root of the directory', access);
  if (noRoot !== null) return refuse(noRoot);
  if (access.bind !== null) {
    const problem = whyNoResult(await connection.bind(access.bind.dn, access.bind.password), 'a bind', access);
    if (problem !== null) return refuse(problem);
  }
  const units = access.mode === 'full' ? ['people', 'groups', 'sudoers'] : ['sudoers'];
  for (const unit of units) {
    const base = `ou=${unit},${access.baseDn}`;
    const { result } = await connection.search({
      base,
      scope: 'base',
      present: 'objectClass',
      attributes: ['ou'],
      sizeLimit: 1,
    });
    const problem = whyNoResult(result, base, access);
    if (problem !== null) return refuse(problem);
  }
  if (access.mode === 'bridge') return { ok: true, person: null };
  const people = await connection.search({
    base: `ou=people,${access.baseDn}`,
    scope: 'one',
    present: 'uidNumber',
    attributes: ['uid'],
    sizeLimit: 1,
  });
  const problem = whyNoResult(people.result, 'a search for people', access);
  if (problem !== null) return refuse(problem);
  return { ok: true, person: people.entries[0]?.attributes.get('uid')?.[0] ?? null };
}

/**
 * Does what sssd will do with exactly these settings, and says what keeps it from working. sssd's own log never names
 * the cause: a wrong name in a certificate and a missing one are "Connect error" to it.
 */
export async function probeDirectory(access: DirectoryAccess): Promise<ProbeResult> {
  let connection: LdapConnection | null = null;
  try {
    connection = await connectLdap(access.endpoint);
    return await read(connection, access);
  } catch (error) {
    return { ok: false, problem: await whyNoConnection(error, access.endpoint) };
  } finally {
    connection?.close();
  }
}
