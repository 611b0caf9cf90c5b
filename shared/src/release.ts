import { createHash, type KeyObject, verify } from 'node:crypto';

/**
 * What a server hands out to hosts that are about to be installed, as it was signed where the key is: a file with a line
 * for each file that belongs to it. The installer reads it in shell, after OpenSSL has checked its signature.
 *
 * ```
 * identree release 1
 * version 0.3.0
 * <SHA-256 in hex> <bytes> <name>
 * ```
 */
export interface Release {
  version: string;
  files: readonly ReleaseFile[];
}

export interface ReleaseFile {
  name: string;
  /** Bytes. */
  size: number;
  /** In hex. */
  sha256: string;
}

export const MANIFEST = 'manifest';
export const INSTALL_SCRIPT = 'install.sh';
export const INSTALL_KEY = 'install.pub';
/** Name of the signature of a file. */
export const signatureOf = (name: string): string => `${name}.sig`;

/** No manifest of ours comes near it. Bytes. */
export const MAX_MANIFEST = 64 * 1024;

const FIRST = 'identree release 1';
const VERSION = /^version ([A-Za-z0-9][A-Za-z0-9.+~-]{0,63})$/;
/** A plain name: whatever is made of it stays in its folder. */
const FILE = /^([0-9a-f]{64}) ([1-9]\d{0,11}) ([A-Za-z0-9][A-Za-z0-9._+~-]{0,127})$/;
/** What lies beside the files and is none of them. */
const OWN = new Set([MANIFEST, INSTALL_KEY, 'version', ...[MANIFEST, INSTALL_SCRIPT].map(signatureOf)]);

/** The bytes that are signed. Files in the order of their names, so that the same files give the same bytes. */
export function formatRelease({ version, files }: Release): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  const text = [FIRST, `version ${version}`, ...sorted.map((f) => `${f.sha256} ${f.size} ${f.name}`), ''].join('\n');
  if (parseRelease(text) === null) throw new Error('not a release');
  return text;
}

/** Null for whatever is not exactly what `formatRelease` writes. */
export function parseRelease(text: string): Release | null {
  if (!text.endsWith('\n')) return null;
  const [first, second = '', ...lines] = text.slice(0, -1).split('\n');
  const version = VERSION.exec(second)?.[1];
  if (first !== FIRST || version === undefined) return null;
  const files: ReleaseFile[] = [];
  for (const line of lines) {
    const [, sha256 = '', size = '', name = ''] = FILE.exec(line) ?? [];
    const last = files.at(-1)?.name ?? '';
    if (name <= last || OWN.has(name)) return null;
    files.push({ name, size: Number(size), sha256 });
  }
  return files.some(({ name }) => name === INSTALL_SCRIPT) ? { version, files } : null;
}

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** As it stands in a `.sig` file: what `openssl base64 -A` writes, and a line feed. */
export const formatSignature = (signature: Uint8Array): string => `${Buffer.from(signature).toString('base64')}\n`;

/** 64 bytes, or null. Without padding too, as it was written once. */
export function parseSignature(text: string): Buffer | null {
  const body = /^([A-Za-z0-9+/]{86})(?:==)?\n?$/.exec(text)?.[1];
  return body === undefined ? null : Buffer.from(body, 'base64');
}

/** Whether a `.sig` file is an Ed25519 signature (RFC 8032) of these bytes by this key, and by no other kind of key. */
export function isSigned(bytes: Uint8Array, signature: string, key: KeyObject): boolean {
  const raw = parseSignature(signature);
  return raw !== null && key.asymmetricKeyType === 'ed25519' && verify(null, bytes, key, raw);
}
