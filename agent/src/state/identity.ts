import { lstat, mkdir } from 'node:fs/promises';
import { z } from 'zod';
import { hostName, sha256Text, timestamp, uuid } from '#shared/names.ts';
import { type PublicJwk, type SigningKey, signingKeyFromPem } from '#shared/token.ts';
import type { PinnedTrust } from '#shared/verify-verdict.ts';
import { stateFiles } from '../paths.ts';
import { readTrustedFile, UntrustedFile } from './trusted-file.ts';

/** Who this host is at its server; written last by enrolment, so its presence means that everything else is there. */
export const identity = z.strictObject({
  v: z.literal(1),
  hostId: uuid,
  hostname: hostName,
  serverId: uuid,
  /** What signatures name as target; the connection may go elsewhere (a proxy, a tunnel). */
  externalUrl: z.url({ protocol: /^https?$/ }),
  /** Thumbprint of api-key.pem: files of two enrolments must not be mixed. */
  apiKeyId: sha256Text,
  enrolledAt: timestamp,
});
export type Identity = z.infer<typeof identity>;

const publicKey = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: sha256Text, kid: sha256Text });

/** trust.json: what is pinned at enrolment and what `identree-server trust show` prints. */
export const trustFile = z.object({
  serverId: uuid,
  trustRoot: publicKey,
  verificationKeys: z.array(publicKey).min(1),
}) satisfies z.ZodType<PinnedTrust>;

/** Everything that a host needs to speak for itself and to judge answers. */
export interface Enrolment {
  identity: Identity;
  apiKey: SigningKey;
  trust: PinnedTrust;
}

/** This host is not enrolled, or its enrolment cannot be used. */
export class NotEnrolled extends Error {}

/** Makes the state folder (0700) and checks that no other account can write into it. @throws UntrustedFile */
export async function prepareStateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const info = await lstat(path);
  if (!info.isDirectory()) throw new UntrustedFile(path, `${path} is not a folder.`);
  if (info.uid !== process.geteuid?.()) {
    throw new UntrustedFile(path, `${path} belongs to uid ${info.uid}, not to the account that runs this command.`);
  }
  // Never narrowed on our own: an operator who names a shared folder, /tmp say, would lock all others out of it.
  if ((info.mode & 0o077) !== 0) {
    throw new UntrustedFile(
      path,
      `${path} is open to other accounts. Choose another folder, or run: chmod 700 ${path}`,
    );
  }
}

function parseJson<T>(path: string, bytes: Buffer, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);
  }
}

/** Reads a trust file: the pinned one of this host, or one that an auditor was given. */
export async function readTrust(path: string): Promise<PinnedTrust | null> {
  const bytes = await readTrustedFile(path);
  return bytes === null ? null : parseJson(path, bytes, trustFile);
}

/** True when an identity file exists, whatever it holds. */
export async function isEnrolled(state: string): Promise<boolean> {
  return lstat(stateFiles(state).identity).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Only the identity; enough for `status`. */
export async function readIdentity(state: string): Promise<Identity | null> {
  const path = stateFiles(state).identity;
  const bytes = await readTrustedFile(path, { private: true });
  return bytes === null ? null : parseJson(path, bytes, identity);
}

/** Loads the enrolment of this host. @throws NotEnrolled, UntrustedFile */
export async function loadEnrolment(state: string): Promise<Enrolment> {
  const files = stateFiles(state);
  const who = await readIdentity(state);
  if (who === null) throw new NotEnrolled('This host is not enrolled. Run as root: identree enroll.');
  const pem = await readTrustedFile(files.apiKey, { private: true });
  const trust = await readTrust(files.trust);
  const damaged = () =>
    new NotEnrolled('The enrolment of this host is incomplete. Run as root: identree enroll --replace.');
  if (pem === null || trust === null) throw damaged();
  const apiKey = await signingKeyFromPem(pem.toString('utf8')).catch(() => {
    throw damaged();
  });
  if (apiKey.kid !== who.apiKeyId || trust.serverId !== who.serverId) throw damaged();
  return { identity: who, apiKey, trust };
}

export type { PublicJwk };
