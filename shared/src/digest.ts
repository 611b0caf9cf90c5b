import { hash, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/** SHA-256, base64url without padding (43 characters). */
export function sha256(data: string | Uint8Array): string {
  // Each createHash() is an object outside of the heap that waits for the collector; streams hash thousands at a time.
  return hash('sha256', data, 'base64url');
}

/** SHA-256 of the RFC 8785 form of a JSON value, base64url without padding. */
export function canonicalSha256(value: unknown): string {
  return sha256(canonicalJson(value));
}

/** Compares two texts without telling by its duration where they differ. Lengths may leak. */
export function constantTimeEqual(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
