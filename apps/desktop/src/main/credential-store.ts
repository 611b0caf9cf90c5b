import { join } from 'node:path';
import { z } from 'zod';
import { createJsonFile } from './json-file.ts';
import type { SecretsPort } from './ports.ts';

/** The desktop session on one server. It stays in this process: no page ever gets it. */
export interface Credential {
  /** The one server that it may be sent to. */
  origin: string;
  secret: string;
  /** Milliseconds since the Unix epoch. */
  expiresAt: number;
}

const plain = z.strictObject({ origin: z.string(), secret: z.string().min(20), expiresAt: z.int().min(0) });
const sealed = z.strictObject({ v: z.literal(1), sealed: z.base64().max(16_384) });

export interface CredentialStore {
  /** The live credential for this server; null when there is none, it has expired or the keychain no longer opens it. */
  get(origin: string): Credential | null;
  /** @returns where it is kept: in the keychain, or in memory until the shell ends. */
  set(credential: Credential): Promise<'keychain' | 'memory'>;
  clear(): Promise<void>;
  /** Reads what an earlier run kept. */
  load(): Promise<void>;
}

/**
 * Keeps the credential encrypted by the operating system's keychain. Without a keychain it lives in memory only: a
 * clear-text file would be found by every program of the user and by every backup.
 */
export function createCredentialStore(deps: {
  folder: string;
  secrets: SecretsPort;
  clock: { now(): number };
}): CredentialStore {
  const file = createJsonFile(join(deps.folder, 'credential.json'), sealed);
  let current: Credential | null = null;
  return {
    get(origin) {
      // The origin is inside the sealed text, so that an edited profile cannot send the credential elsewhere.
      if (!current || current.origin !== origin || current.expiresAt <= deps.clock.now()) return null;
      return current;
    },
    async set(credential) {
      current = credential;
      try {
        if (await deps.secrets.available()) {
          const data = await deps.secrets.encrypt(JSON.stringify(credential));
          await file.write({ v: 1, sealed: data.toString('base64') });
          return 'keychain';
        }
      } catch {
        // A keychain that is locked or refuses: the same as none.
      }
      await file.remove();
      return 'memory';
    },
    async clear() {
      current = null;
      await file.remove();
    },
    async load() {
      const stored = await file.read();
      if (!stored) return;
      try {
        current = plain.parse(JSON.parse(await deps.secrets.decrypt(Buffer.from(stored.sealed, 'base64'))));
      } catch {
        current = null;
      }
    },
  };
}
