/** Who a connection belongs to, once it has proved it. */
export interface Identity {
  /** The service account reads everything; a host reads what hosts may. */
  kind: 'service' | 'host';
  /** What WhoAmI answers. */
  dn: string;
  /** Names of the host in lower case, the fully qualified one first; empty for the service account. */
  hostNames: readonly string[];
  /** What `isCurrent` is asked about: the account or the certificate that was used. */
  reference: string;
}

/** A client certificate that the TLS layer has verified against the client CAs. */
export interface ClientCertificate {
  /** Hexadecimal, lower case, without leading zeros' meaning: as the certificate states it. */
  serial: string;
  /** Common name and DNS names, lower case, each once. */
  names: readonly string[];
  /** URIs of the subject alternative name: `urn:uuid:…` of the host. */
  uris: readonly string[];
  /** SHA-256 of the certificate, hexadecimal. */
  fingerprint: string;
}

/** A simple bind with a name and a password. */
export interface BindAttempt {
  dn: string;
  password: Uint8Array;
  /** Certificate of this very connection, if it showed one. */
  certificate: ClientCertificate | null;
}

/** What the LDAP server asks about credentials; it knows none itself. */
export interface CredentialChecker {
  /** @returns null when name and password do not belong together, whatever the reason; at once where that can be told. */
  checkBind(attempt: BindAttempt): Promise<Identity | null> | Identity | null;
  /** @returns null when the certificate belongs to no host that may connect. */
  identify(certificate: ClientCertificate): Promise<Identity | null>;
  /** Whether an identity handed out earlier still holds: certificate not revoked, host still registered. */
  isCurrent(identity: Identity): Promise<boolean>;
}
