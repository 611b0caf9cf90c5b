import type { Limits } from './limits.ts';

/** What an operator decides about the LDAP server. */
export interface Settings {
  limits: Limits;
  /** Searches without authentication. */
  allowAnonymous: boolean;
  /** Passwords and searches only over TLS. */
  requireTls: boolean;
  /** A connection of a host sees only sudo rules that may apply to that host. */
  scopeSudoToHost: boolean;
  vendorName: string;
  vendorVersion: string;
}
