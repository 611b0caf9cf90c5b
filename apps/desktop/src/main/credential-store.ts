import { join } from 'node:path';
import { z } from 'zod';
import { inTime, NotInTime } from './in-time.ts';
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

/**
 * How long a keychain is waited for, milliseconds. One that asks the person for a password answers when they have typed it,
 * and one that hangs never: no window waits for either.
 */
export const KEYCHAIN_PATIENCE_MS = 3000;

export interface CredentialStore {
  /** The live credential for this server; null when there is none, it has expired or the keychain no longer opens it. */
  get(origin: string): Credential | null;
  /** @returns where it is kept by now: in the keychain, or in memory until the shell ends or the keychain answers. */
  set(credential: Credential): Promise<'keychain' | 'memory'>;
  /**
   * Forgets the one of this server; those of others stay.
   *
   * @throws when it could not be erased from the disk: the next start finds it there
   */
  clear(origin: string): Promise<void>;
  /**
   * Reads what an earlier run kept.
   *
   * @param onLate called once what the keychain gave after this call came back can be had
   */
  load(onLate?: () => void): Promise<void>;
}

/**
 * Keeps credentials encrypted by the operating system's keychain. Without a keychain they live in memory only: a
 * clear-text file would be found by every program of the user and by every backup.
 */
export function createCredentialStore(deps: {
  folder: string;
  secrets: SecretsPort;
  clock: { now(): number };
  patienceMs?: number;
}): CredentialStore {
  const { patienceMs = KEYCHAIN_PATIENCE_MS } = deps;
  const file = createJsonFile(join(deps.folder, 'credential.json'), sealed);
  const known = new Map<string, Credential>();
  /** Servers that were signed in to or out of in this run: what an earlier one kept of them counts no more. */
  const settled = new Set<string>();
  let version = 0;
  // Sealing takes time: without a turn for each, an older list could be written after a newer one.
  let queue: Promise<unknown> = Promise.resolve();

  function inTurn<T>(job: () => Promise<T>): Promise<T> {
    const next = queue.then(job, job);
    queue = next.catch(() => {});
    return next;
  }

  function keep(): Promise<'keychain' | 'memory'> {
    version += 1;
    return inTurn(write);
  }

  async function seal(text: string): Promise<Buffer | null> {
    return (await deps.secrets.problem()) === null ? deps.secrets.encrypt(text) : null;
  }

  async function write(): Promise<'keychain' | 'memory'> {
    const mine = version;
    const live = [...known.values()].filter(({ expiresAt }) => expiresAt > deps.clock.now());
    if (live.length === 0) {
      await file.remove();
      return 'memory';
    }
    const store = (data: Buffer) => file.write({ v: 2, sealed: data.toString('base64') });
    const sealing = seal(JSON.stringify(live));
    try {
      const data = await inTime(sealing, patienceMs);
      if (data) {
        await store(data);
        return 'keychain';
      }
    } catch (error) {
      // A keychain that is locked or refuses: the same as none. One that is slow is heard when it answers.
      const late = (data: Buffer | null) => inTurn(async () => data && mine === version && (await store(data)));
      if (error instanceof NotInTime) void sealing.then(late).catch(() => {});
    }
    await file.remove();
    return 'memory';
  }

  function adopt(text: string): void {
    for (const one of opened.parse(JSON.parse(text))) if (!settled.has(one.origin)) known.set(one.origin, one);
  }

  return {
    get(origin) {
      // The origin is inside the sealed text, so that an edited profile cannot send the credential elsewhere.
      const one = known.get(origin);
      return one && one.expiresAt > deps.clock.now() ? one : null;
    },
    set(credential) {
      settled.add(credential.origin);
      known.set(credential.origin, credential);
      // What an older file says of this server does not count in this run.
      return keep().catch(() => 'memory');
    },
    async clear(origin) {
      settled.add(origin);
      known.delete(origin);
      await keep();
    },
    async load(onLate) {
      const stored = await file.read();
      if (!stored) return;
      const opening = deps.secrets.decrypt(Buffer.from(stored.sealed, 'base64'));
      try {
        adopt(await inTime(opening, patienceMs));
      } catch (error) {
        if (!(error instanceof NotInTime)) return known.clear();
        const late = (text: string) => {
          adopt(text);
          // What was written in between did not know of these.
          void keep().catch(() => {});
          onLate?.();
        };
        void opening.then(late).catch(() => {});
      }
    },
  };
}
