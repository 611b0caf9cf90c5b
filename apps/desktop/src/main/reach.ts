/** Why nothing is heard of a server. Each has its own words, because each is mended by somebody else. */
export type OfflineKind =
  | 'no_network'
  | 'name_not_found'
  | 'unreachable'
  | 'certificate'
  | 'other_certificate'
  | 'unavailable';

/** Whether what is known of a server is up to date. */
export type Reach = 'connecting' | 'live' | 'signed_out' | OfflineKind;

/** The server shows another certificate than the one that the person agreed to. */
export class OtherCertificate extends Error {
  constructor(cause: unknown) {
    super('another certificate', { cause });
  }
}

/** What went wrong on the way to a server. */
export type Failure =
  | { kind: 'network'; error: unknown }
  | { kind: 'not_the_server' }
  | { kind: 'status'; status: number };

/** Chromium's names of network errors (`net::ERR_…`), and Node's for tests over its own client. */
const NETWORK: [pattern: RegExp, kind: OfflineKind][] = [
  [/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_NETWORK_IO_SUSPENDED|ENETUNREACH|ENETDOWN/, 'no_network'],
  [/ERR_NAME_NOT_RESOLVED|ERR_NAME_RESOLUTION_FAILED|ERR_DNS_|ENOTFOUND|EAI_AGAIN/, 'name_not_found'],
  // It wants a certificate of the person; there is nothing wrong with its own.
  [/ERR_SSL_CLIENT_AUTH_/, 'unreachable'],
  [/ERR_CERT_|ERR_SSL_|ERR_BAD_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED/, 'certificate'],
];

/** The kind of being offline that a failure means. */
export function offlineKind(failure: Failure): OfflineKind {
  // A portal or a proxy answered in its place: the same as a server that says it is not available.
  if (failure.kind !== 'network') return 'unavailable';
  if (failure.error instanceof OtherCertificate) return 'other_certificate';
  const text = textOf(failure.error);
  return NETWORK.find(([pattern]) => pattern.test(text))?.[1] ?? 'unreachable';
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return `${error.message} ${typeof code === 'string' ? code : ''} ${error.cause === undefined ? '' : textOf(error.cause)}`;
}
