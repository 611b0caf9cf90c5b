import type { HostLookup, LdapHost } from '../ldap/credential-checker.ts';
import type { HostService } from './service.ts';
import type { Host } from './store.ts';

const HOST_URN = /^urn:uuid:([0-9a-f-]{36})$/i;

const seen = (host: Host | null): LdapHost | null => host && { id: host.id, hostname: host.hostname };

/** What the LDAP directory asks about hosts. A host that waits, is quarantined or revoked, or has yet to say what gives
 * power on it, may not connect. */
export function createLdapHosts(found: Pick<HostService, 'activeByName' | 'activeById'>): HostLookup {
  /** Before a host has said whom its own files give power, a name of the directory could be one of those. */
  const served = (host: Host | null): Host | null => (host?.report_due === 0 ? host : null);
  const hosts = {
    activeByName: async (hostname: string) => served(await found.activeByName(hostname)),
    activeById: async (id: string) => served(await found.activeById(id)),
  };
  return {
    byName: async (hostname) => seen(await hosts.activeByName(hostname)),
    async byCertificate({ uris, names }) {
      // Certificates of the embedded CA carry the identity, so that one of a former host of the same name is worth nothing.
      const id = uris.map((uri) => HOST_URN.exec(uri)?.[1]).find((found) => found !== undefined);
      if (id !== undefined) {
        const host = await hosts.activeById(id.toLowerCase());
        return host && names.includes(host.hostname) ? seen(host) : null;
      }
      for (const name of names) {
        const host = await hosts.activeByName(name);
        if (host) return seen(host);
      }
      return null;
    },
    isActive: async (hostId) => (await hosts.activeById(hostId)) !== null,
  };
}
