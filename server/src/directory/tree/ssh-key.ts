const TYPES = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
];
const MAX_BYTES = 16_384;
const MIN_RSA_BITS = 2048;

export type SshKey = { ok: true; key: string; identity: string } | { ok: false; problem: string };

function field(blob: Buffer, at: number): Buffer | null {
  if (at + 4 > blob.length) return null;
  const length = blob.readUInt32BE(at);
  return at + 4 + length > blob.length ? null : blob.subarray(at + 4, at + 4 + length);
}

/**
 * Checks one public key in OpenSSH's one-line form. Options before the type are refused: `command=` or `environment=`
 * in a directory would be obeyed by sshd. The blob must be of the type that the line names (RFC 4253 6.6).
 *
 * @returns the key with one space between its parts and printable comment only.
 */
export function parseSshKey(text: string): SshKey {
  const line = text.trim();
  if (Buffer.byteLength(line) > MAX_BYTES) return { ok: false, problem: 'longer than 16 KiB' };
  if (/[\x00-\x1f\x7f]/.test(line)) return { ok: false, problem: 'control characters' };
  const [type = '', encoded = '', ...comment] = line.split(/ +/);
  if (!TYPES.includes(type))
    return { ok: false, problem: type === 'ssh-dss' ? 'DSA keys are not accepted' : 'not a key of an accepted type' };
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return { ok: false, problem: 'the key is not base64' };
  const blob = Buffer.from(encoded, 'base64');
  const inner = field(blob, 0);
  if (inner?.toString('latin1') !== type) return { ok: false, problem: 'the key is of another type than it says' };
  if (type === 'ssh-rsa') {
    const exponent = field(blob, 4 + inner.length);
    const modulus = exponent && field(blob, 8 + inner.length + exponent.length);
    const bits = modulus ? BigInt(`0x${modulus.toString('hex') || '0'}`).toString(2).length : 0;
    if (bits < MIN_RSA_BITS) return { ok: false, problem: `RSA with fewer than ${MIN_RSA_BITS} bits` };
  } else if (field(blob, 4 + inner.length) === null) return { ok: false, problem: 'the key is cut off' };
  const canonical = blob.toString('base64');
  const note = comment.join(' ').replace(/[^\x20-\x7e]/g, '?');
  return { ok: true, key: `${type} ${canonical}${note === '' ? '' : ` ${note}`}`, identity: `${type} ${canonical}` };
}
