import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { sha256 } from '#shared/digest.ts';
import type { Random } from '../../platform/random.ts';
import { type EscrowBackend, type EscrowEntry, EscrowFailure, type EscrowLocation, fieldOf } from '../backend.ts';

/** The salt of those that have none of their own. */
const COMMON_SALT = Buffer.from('identree-escrow-salt-v1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface Key {
  id: string;
  bytes: Buffer;
}

/** RFC 5869 with SHA-256. The id tells keys apart and nothing about them. */
function deriveKey(secret: string, salt: Uint8Array): Key {
  const bytes = Buffer.from(hkdfSync('sha256', Buffer.from(secret), salt, 'identree-breakglass-v1', 32));
  const id = Buffer.from(hkdfSync('sha256', bytes, Buffer.alloc(0), 'identree-breakglass-key-id-v1', 32));
  return { id: sha256(id).slice(0, 16), bytes };
}

/** What a ciphertext belongs to: an attacker who can write the database cannot give one host the password of another. */
const belongsTo = ({ id, hostId }: EscrowEntry): Buffer => Buffer.from(`${hostId}\n${id}`);

/**
 * Keeps passwords in the database of the server, encrypted with AES-256-GCM under a key that is not in it.
 *
 * @param options.previous secret of before, which only decrypts.
 */
export function createLocalEscrow(options: {
  secret: string;
  previous: string | null;
  salt: Uint8Array | null;
  random: Random;
}): EscrowBackend & Required<Pick<EscrowBackend, 'rewrap'>> {
  const salts = options.salt === null ? [COMMON_SALT] : [options.salt, COMMON_SALT];
  const current = deriveKey(options.secret, salts[0]!);
  const secrets = [options.secret, ...(options.previous === null ? [] : [options.previous])];
  // A salt that is given later changes the key too.
  const keys = new Map(
    secrets.flatMap((secret) => salts.map((salt) => deriveKey(secret, salt))).map((key) => [key.id, key]),
  );

  function seal(entry: EscrowEntry, password: string): EscrowLocation {
    const nonce = Buffer.from(options.random.bytes(NONCE_BYTES));
    const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce).setAAD(belongsTo(entry));
    const sealed = Buffer.concat([nonce, cipher.update(password, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { key: current.id, sealed: sealed.toString('base64') };
  }

  function open(entry: EscrowEntry, location: EscrowLocation): string {
    const key = keys.get(fieldOf(location, 'key'));
    if (key === undefined) {
      throw new EscrowFailure(
        'it was encrypted with another key: IDENTREE_ESCROW_ENCRYPTION_KEY_PREVIOUS or IDENTREE_ESCROW_HKDF_SALT is missing',
      );
    }
    const sealed = Buffer.from(fieldOf(location, 'sealed'), 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(belongsTo(entry)).setAuthTag(sealed.subarray(-TAG_BYTES));
      const opened = [decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
      return Buffer.concat(opened).toString('utf8');
    } catch {
      throw new EscrowFailure('what is stored was changed, or belongs to another host');
    }
  }

  return {
    name: 'local',
    store: async (entry, password) => seal(entry, password),
    retrieve: async (entry, location) => open(entry, location),
    // It goes with its record.
    remove: async () => undefined,
    rewrap: (entry, location) => (location.key === current.id ? null : seal(entry, open(entry, location))),
  };
}
