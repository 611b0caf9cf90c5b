import { isDeepStrictEqual } from 'node:util';
import { sha256 } from '#shared/digest.ts';
import { type Host, renewalOf } from '../app.ts';
import { certificateProblem, joinPem } from '../certificates/check.ts';
import { renewCertificate } from '../certificates/renew.ts';
import { shareWithSssd } from '../certificates/share.ts';
import type { CertificateSet } from '../certificates/store.ts';
import { certificateFolder, type Paths, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { systemRun } from '../platform/run.ts';
import type { Addition } from '../setup/addition.ts';
import { probeDirectory } from './probe.ts';
import {
  accessOf,
  type DirectoryUse,
  directoryUse,
  fetchDirectory,
  isExposed,
  parseLdapUrl,
  readDirectoryUse,
  showsCertificate,
  writeDirectoryUse,
} from './settings.ts';
import { createSssdAddition } from './sssd-addition.ts';
import { sssdConf } from './sssd-conf.ts';
import { createSudoLdapAddition } from './sudo-ldap-addition.ts';
import { sudoLdapConf } from './sudo-ldap-conf.ts';

export interface DirectoryOptions {
  client: 'sssd' | 'sudo';
  force: boolean;
  allowPlainLdap: boolean;
  startTls: boolean;
  hostAccess: boolean;
  dryRun: boolean;
}

const BRIDGE = `This directory serves sudo rules only (bridge mode); people and groups are in another one.
sssd has one directory for each domain, and looks for somebody's rules only in the domain that they are from. It cannot
take people from there and rules from here. Two ways work:
  1. sudo reads the rules itself:  identree setup --sudo-ldap
     This needs a sudo that can; Debian has it in the package sudo-ldap.
  2. The other directory passes searches below our ou=sudoers on to this one (slapd-ldap(5), slapd-meta(5)), and
     ldap_sudo_search_base in your sssd.conf names that branch. See docs/sssd.md.`;

const exposed = (url: string): string => `The directory is at ${url}: plain LDAP, without TLS.
Whoever is on the way could make themselves anybody on this host, and give themselves any sudo rule. Choose:
  LDAPS, best              set IDENTREE_LDAP_EXTERNAL_URL on the server to ldaps://…
  StartTLS on this port    identree setup … --start-tls
  plain all the same       identree setup … --allow-plain-ldap   (inside of a tunnel, say)`;

const NOBODY = `The directory gives this host no way to say who it is: certificates are off or need TLS, hosts have no
passwords, and who has not authenticated reads nothing. On the server: IDENTREE_LDAP_TLS_CLIENT_CERTIFICATES=optional
with an ldaps:// address, or IDENTREE_LDAP_PROVISION_ENABLED=true.`;

/** Why these settings are not used on a host; null when they may be. */
export function settingsProblem(use: DirectoryUse, options: Pick<DirectoryOptions, 'allowPlainLdap'>): string | null {
  const { settings, client, startTls } = use;
  if (client === 'sssd' && settings.mode === 'bridge') return BRIDGE;
  if (startTls && parseLdapUrl(settings.ldapUrl).scheme === 'ldaps')
    return `The directory is at ${settings.ldapUrl}, which is TLS already. Leave --start-tls out.`;
  if (isExposed(use) && !options.allowPlainLdap) return exposed(settings.ldapUrl);
  if (!settings.anonymous && settings.bind === null && !showsCertificate(use)) return NOBODY;
  return null;
}

/** The certificate of this host; a new one when there is none that can be used. */
async function usableSet(host: Host, paths: Paths, log: Log): Promise<CertificateSet | { problem: string }> {
  const { hostname, hostId } = host.enrolment.identity;
  const set = await host.certificates.current();
  if (set !== null) {
    const expected = { key: set.key, hostname, hostId, now: Date.now() };
    if (certificateProblem({ certificate: set.certificate, caBundle: set.ca }, expected) === null) return set;
  }
  const renewal = await renewCertificate(renewalOf(host, paths, log));
  if (!renewal.ok) return { problem: renewal.message };
  return (await host.certificates.current())!;
}

/**
 * Asks the server where its directory is and plans what sssd, or sudo, needs to use it. Nothing is changed yet.
 *
 * @returns null when it may not be; why was printed.
 */
export async function prepareDirectory(
  host: Host,
  paths: Paths,
  options: DirectoryOptions,
  { log, print }: { log: Log; print: (line: string) => void },
): Promise<Addition | null> {
  const refuse = (problem: string): null => {
    print(problem);
    print('Nothing is changed.');
    return null;
  };
  const fetched = await fetchDirectory({ client: host.client, enrolment: host.enrolment, random: systemRandom });
  if (!fetched.ok) return refuse(fetched.message);
  const use = directoryUse(fetched.settings, options);
  const problem = settingsProblem(use, options);
  if (problem !== null) return refuse(problem);

  const file = stateFiles(paths.state).directory;
  const previous = await readDirectoryUse(file);
  // A dry run asks for nothing that the server would remember.
  const set = options.dryRun ? await host.certificates.current() : await usableSet(host, paths, log);
  if (set !== null && 'problem' in set) return refuse(set.problem);
  if (set === null) print('This host has no certificate; a new one would be requested.');

  const text = options.client === 'sssd' ? sssdConf(use, options) : sudoLdapConf(use);
  use.written = sha256(text);
  const wanted: CertificateSet | null = set && { ...set, ca: joinPem([use.settings.caBundle]) };
  const isNew = set?.ca !== wanted?.ca;
  const input = {
    text,
    written: previous?.client === options.client ? previous.written : null,
    force: options.force,
    probe: () => probeDirectory(accessOf(use, wanted!)),
    pending: isNew || !isDeepStrictEqual(previous, use),
  };
  const deps = { root: '', run: systemRun, ownerUid: 0, print, clock: systemClock };
  const inner = options.client === 'sssd' ? createSssdAddition(input, deps) : createSudoLdapAddition(input, deps);
  return {
    ...inner,
    async switchOver(changes) {
      const isShared = options.client === 'sssd' && (await shareWithSssd(certificateFolder(paths.state), systemRun));
      if (isNew || isShared) await host.certificates.put(wanted!);
      await writeDirectoryUse(file, use);
      return inner.switchOver(changes);
    },
    async switchBack(changes, before) {
      if (isNew) await host.certificates.put(set!);
      await writeDirectoryUse(file, previous);
      await inner.switchBack(changes, before);
    },
  };
}
