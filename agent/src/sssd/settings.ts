import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { type DirectorySettings, directorySettings } from '#shared/host-api.ts';
import { sha256Text } from '#shared/names.ts';
import { tokenType } from '#shared/token.ts';
import { verifyForRoot } from '#shared/trust-root.ts';
import { splitPem } from '../certificates/check.ts';
import type { CertificateSet } from '../certificates/store.ts';
import type { HostClient } from '../client/host-client.ts';
import { type Random, randomText } from '../platform/random.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import type { Enrolment } from '../state/identity.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';
import type { Endpoint } from './ldap-connection.ts';
import type { DirectoryAccess } from './probe.ts';

/** The directory as this host uses it: what the server said, and what root decided about it. */
const directoryFile = z.strictObject({
  v: z.literal(1),
  settings: directorySettings.omit({ v: true, nonce: true, serverId: true, hostId: true }),
  /** Who asks it. */
  client: z.enum(['sssd', 'sudo']),
  startTls: z.boolean(),
  /** SHA-256 of the configuration file as identree wrote it: what differs was edited since. */
  written: sha256Text.nullable(),
});
export type DirectoryUse = z.infer<typeof directoryFile>;

/** @param settings as the server sent them */
export function directoryUse(
  { ldapUrl, baseDn, mode, caBundle, clientCertificates, anonymous, bind }: DirectorySettings,
  { client, startTls }: Pick<DirectoryUse, 'client' | 'startTls'>,
): DirectoryUse {
  const settings = { ldapUrl, baseDn, mode, caBundle, clientCertificates, anonymous, bind };
  return { v: 1, settings, client, startTls, written: null };
}

/**
 * Asks the server where the directory is. Who names the directory and its authorities decides who may be whom on
 * this host, so the answer counts only with the signature of the trust root, and only as the answer to this question.
 */
export async function fetchDirectory(deps: {
  client: Pick<HostClient, 'directory'>;
  enrolment: Pick<Enrolment, 'identity' | 'trust'>;
  random: Random;
}): Promise<
  | { ok: true; settings: DirectorySettings }
  /** `isRefusal`: the server has answered, and will not say it. */
  | { ok: false; message: string; isRefusal?: true }
> {
  const { identity, trust } = deps.enrolment;
  const nonce = randomText(deps.random);
  const reply = await deps.client.directory(nonce);
  if (reply.kind === 'aborted') return { ok: false, message: 'Cancelled.' };
  if (reply.kind === 'refused' && reply.code === 'not_found')
    return {
      ok: false,
      message: 'The server is of a version that does not tell hosts where its directory is.',
      isRefusal: true,
    };
  if (reply.kind === 'refused') return { ok: false, message: reply.message, isRefusal: true };
  if (reply.kind !== 'ok') return { ok: false, message: `The server could not be asked: ${reply.message}` };
  const refuse = (why: string) => ({
    ok: false as const,
    message: `What the server says about its directory is not accepted: ${why}.`,
  });
  const read = await verifyForRoot(tokenType.directory, reply.value.settings, trust.trustRoot, directorySettings);
  if (!read.ok) return refuse('the key that this host pinned has not signed it');
  const { payload: settings } = read;
  if (settings.nonce !== nonce) return refuse('it is the answer to another question');
  if (settings.hostId !== identity.hostId || settings.serverId !== identity.serverId)
    return refuse('it is for another host');
  if (splitPem(settings.caBundle).length === 0) return refuse('it names no authority');
  return { ok: true, settings };
}

/** Host and port of an LDAP URL. @throws when it is none */
export function parseLdapUrl(url: string): { scheme: 'ldap' | 'ldaps'; host: string; port: number } {
  const parsed = /^(ldaps?):\/\/(?:\[([0-9a-f:.]+)\]|([^/:?#@[\]\s]+))(?::([0-9]{1,5}))?\/?$/i.exec(url);
  if (!parsed) throw new TypeError(`not an LDAP URL: ${url}`);
  const scheme = parsed[1]!.toLowerCase() as 'ldap' | 'ldaps';
  return { scheme, host: parsed[2] ?? parsed[3]!, port: Number(parsed[4] ?? (scheme === 'ldaps' ? 636 : 389)) };
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/** Whether what passes to and from the directory can be read and changed on the way. */
export function isExposed(use: Pick<DirectoryUse, 'settings' | 'startTls'>): boolean {
  const { scheme, host } = parseLdapUrl(use.settings.ldapUrl);
  return scheme === 'ldap' && !use.startTls && !LOOPBACK.test(host);
}

export function securityOf(use: Pick<DirectoryUse, 'settings' | 'startTls'>): Endpoint['security'] {
  if (parseLdapUrl(use.settings.ldapUrl).scheme === 'ldaps') return 'ldaps';
  return use.startTls ? 'starttls' : 'plain';
}

/** Whether the certificate of this host is shown to the directory. */
export function showsCertificate(use: Pick<DirectoryUse, 'settings' | 'startTls'>): boolean {
  return securityOf(use) !== 'plain' && use.settings.clientCertificates !== 'off';
}

/** The directory as sssd will reach it with these files. */
export function accessOf(use: DirectoryUse, set: CertificateSet): DirectoryAccess {
  const { baseDn, mode, bind } = use.settings;
  const { host, port } = parseLdapUrl(use.settings.ldapUrl);
  return {
    endpoint: {
      host,
      port,
      security: securityOf(use),
      ca: set.ca,
      client: showsCertificate(use) ? { certificate: set.certificate, key: set.key } : null,
    },
    baseDn,
    mode,
    bind,
  };
}

/** Null when no directory was set up. @throws UntrustedFile */
export async function readDirectoryUse(path: string): Promise<DirectoryUse | null> {
  const bytes = await readTrustedFile(path, { private: true });
  if (bytes === null) return null;
  try {
    return directoryFile.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. Set the directory up again: identree setup --sssd.`);
  }
}

export async function writeDirectoryUse(path: string, use: DirectoryUse | null): Promise<void> {
  if (use === null) await rm(path, { force: true });
  else await atomicWrite(path, `${JSON.stringify(use, null, 2)}\n`);
}
