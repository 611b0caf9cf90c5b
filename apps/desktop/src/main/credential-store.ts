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
/** One credential is what earlier versions kept. */
const opened = z.union([z.array(plain).max(50), plain.transform((one) => [one])]);
const sealed = z.strictObject({ v: z.literal([1, 2]), sealed: z.base64().max(65_536) });

export interface CredentialStore {
  /** The live credential for this server; null when there is none, it has expired or the keychain no longer opens it. */
  get(origin: string): Credential | null;
  /** @returns where it is kept: in the keychain, or in memory until the shell ends. */
  set(credential: Credential): Promise<'keychain' | 'memory'>;
  /** Forgets the one of this server; those of others stay. */
  clear(origin: string): Promise<void>;
  /** Reads what an earlier run kept. */
  load(): Promise<void>;
}

/**
 * Keeps credentials encrypted by the operating system's keychain. Without a keychain they live in memory only: a
 * clear-text file would be found by every program of the user and by every backup.
 */
export function createCredentialStore(deps: {
  folder: string;
  secrets: SecretsPort;
  clock: { now(): number };
}): CredentialStore {
  const file = createJsonFile(join(deps.folder, 'credential.json'), sealed);
  const known = new Map<string, Credential>();
  // Sealing takes time: without a turn for each, an older list could be written after a newer one.
  let queue: Promise<unknown> = Promise.resolve();

  function keep(): Promise<'keychain' | 'memory'> {
    const next = queue.then(write, write);
    queue = next.catch(() => {});
    return next;
  }

  async function write(): Promise<'keychain' | 'memory'> {
    const live = [...known.values()].filter(({ expiresAt }) => expiresAt > deps.clock.now());
    if (live.length === 0) {
      await file.remove();
      return 'memory';
    }
    try {
      if ((await deps.secrets.problem()) === null) {
        const data = await deps.secrets.encrypt(JSON.stringify(live));
        await file.write({ v: 2, sealed: data.toString('base64') });
        return 'keychain';
      }
    } catch {
      // A keychain that is locked or refuses: the same as none.
    }
    await file.remove();
    return 'memory';
  }

  return {
    get(origin) {
      // The origin is inside the sealed text, so that an edited profile cannot send the credential elsewhere.
      const one = known.get(origin);
      return one && one.expiresAt > deps.clock.now() ? one : null;
    },
    set(credential) {
      known.set(credential.origin, credential);
      return keep();
    },
    async clear(origin) {
      known.delete(origin);
      await keep();
    },
    async load() {
      const stored = await file.read();
      if (!stored) return;
      try {
        const text = await deps.secrets.decrypt(Buffer.from(stored.sealed, 'base64'));
        for (const one of opened.parse(JSON.parse(text))) known.set(one.origin, one);
      } catch {
        known.clear();
      }
    },
  };
}
