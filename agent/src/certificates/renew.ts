import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificateGrant } from '#shared/host-api.ts';
import { tokenType } from '#shared/token.ts';
import { verifyForRoot } from '#shared/trust-root.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { type Random, randomText } from '../platform/random.ts';
import { probeDirectory } from '../sssd/probe.ts';
import { accessOf, type DirectoryUse, fetchDirectory, showsCertificate } from '../sssd/settings.ts';
import type { Enrolment } from '../state/identity.ts';
import { certificateProblem, joinPem, lifetimeOf, splitPem } from './check.ts';
import { generateTlsKey } from './key.ts';
import { type CertificateSet, type CertificateStore, FILES } from './store.ts';

export interface RenewDeps {
  client: Pick<HostClient, 'certificate' | 'directory'>;
  enrolment: Pick<Enrolment, 'identity' | 'trust'>;
  store: CertificateStore;
  /** The directory that this host uses; null: none was set up. */
  directory: () => Promise<DirectoryUse | null>;
  /** Keeps what the directory accepts from now on. */
  keepDirectory: (use: DirectoryUse) => Promise<void>;
  /** Notes which authorities came with the certificate. */
  noteAuthorities: (bundle: string) => Promise<void>;
  /** Has sssd take the new files. */
  reconnect: () => Promise<void>;
  clock: Clock;
  random: Random;
  log: Log;
}

export type Renewal =
  /** `isWhole`: the directory was asked for its authorities too, where there is one. */
  { ok: true; serial: string; until: number; isWhole: boolean } | { ok: false; message: string };

/**
 * The directory as it was set up, with the authorities that verify it today: else one that counts no more would stay in the
 * file of sssd for good. A server that has none any more has nothing to say about it; one that could not be asked has.
 */
async function withAuthoritiesOfToday(deps: RenewDeps, use: DirectoryUse): Promise<DirectoryUse | 'unknown'> {
  const fetched = await fetchDirectory(deps);
  if (!fetched.ok) {
    deps.log.warn(fetched.message);
    return fetched.isRefusal ? use : 'unknown';
  }
  return { ...use, settings: { ...use.settings, caBundle: fetched.settings.caBundle } };
}

/**
 * Gets a certificate for a new key and puts both in place of the old ones.
 *
 * A new key each time: a key that got into a backup or a disk image, or that was copied, is worth nothing once
 * its certificate has ended, and neither is what was recorded with it.
 */
export async function renewCertificate(deps: RenewDeps): Promise<Renewal> {
  const { identity, trust } = deps.enrolment;
  const refuse = (message: string): Renewal => ({ ok: false, message });
  const key = await generateTlsKey(identity.hostname);
  const nonce = randomText(deps.random);
  const reply = await deps.client.certificate({ nonce, csr: key.csr });
  if (reply.kind === 'aborted') return refuse('Cancelled.');
  if (reply.kind !== 'ok') return refuse(reply.message);

  const reject = (why: string) => refuse(`The new certificate is not accepted, the old one stays: ${why}.`);
  const read = await verifyForRoot(tokenType.certificate, reply.value.grant, trust.trustRoot, certificateGrant);
  if (!read.ok) return reject('the key that this host pinned has not signed it');
  const { payload: grant } = read;
  if (grant.nonce !== nonce) return reject('it is the answer to another request');
  const { hostId, hostname, serverId } = identity;
  if (grant.hostId !== hostId || grant.hostname !== hostname || grant.serverId !== serverId)
    return reject('it names somebody else');
  const problem = certificateProblem(grant, { key: key.pem, hostname, hostId, now: deps.clock.now() });
  if (problem !== null) return reject(problem);

  const before = await deps.directory();
  const today = before && (await withAuthoritiesOfToday(deps, before));
  const use = today === 'unknown' ? before : today;
  const old = await deps.store.current().catch(() => null);
  const set: CertificateSet = {
    certificate: grant.certificate,
    key: key.pem,
    ca: joinPem([grant.caBundle, ...(use ? [use.settings.caBundle] : [])]),
  };
  const kept = await deps.store.put(set, async (folder) => (use === null ? null : tryNew(folder, old, use)));
  if (kept !== null) return reject(kept);
  if (use !== null && use.settings.caBundle !== before?.settings.caBundle) await deps.keepDirectory(use);
  const isWhole = before === null || today !== 'unknown';
  // Else it would not be known any more that one which counts no longer is still among those of the directory.
  if (isWhole) await deps.noteAuthorities(grant.caBundle);
  if (old !== null && !splitPem(grant.caBundle).every((authority) => old.ca.includes(authority)))
    deps.log.warn('the server has another certificate authority than before; its trust root has signed for it');
  if (use?.client === 'sssd') await deps.reconnect();
  const { serial, until } = lifetimeOf(grant.certificate);
  return { ok: true, serial, until, isWhole };
}

/**
 * Tries the new files, as they are on disk, at the directory. A directory that takes the old pair and not the new one
 * keeps the old one in use; one that is away says nothing about either.
 */
async function tryNew(folder: string, old: CertificateSet | null, use: DirectoryUse): Promise<string | null> {
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const fresh: CertificateSet = {
    certificate: await read(FILES.certificate),
    key: await read(FILES.key),
    ca: await read(FILES.ca),
  };
  if (!showsCertificate(use) || old === null) return null;
  const tried = await probeDirectory(accessOf(use, fresh));
  if (tried.ok) return null;
  return (await probeDirectory(accessOf(use, old))).ok ? tried.problem : null;
}
