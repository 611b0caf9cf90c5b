import { createHash } from 'node:crypto';

/**
 * Host requests are signed with HTTP Message Signatures (RFC 9421) over method, target URI and content digest
 * (RFC 9530), so that TLS may end at a proxy. Both ends build the signature base with this one function.
 */

/** The covered components, in this order; nothing else is accepted. */
export const COVERED_COMPONENTS = ['@method', '@target-uri', 'content-digest'] as const;

/** Label of the one signature in the `Signature` and `Signature-Input` fields. */
export const SIGNATURE_LABEL = 'sig1';

/** Tag of enrolment requests, whose sender does not know the server's id yet. */
export const ENROLMENT_TAG = 'identree-enrol';

/** How far `created` may be from the server's clock, seconds. */
export const CLOCK_SKEW_SECONDS = 60;

/** Signature parameters, RFC 9421 section 2.3. */
export interface SignatureParameters {
  /** Seconds since the Unix epoch. */
  created: number;
  /** 16 or more random bytes, base64url. */
  nonce: string;
  /** Host UUID; the key's thumbprint while enrolling. */
  keyid: string;
  /** Server id; ENROLMENT_TAG while enrolling. */
  tag: string;
}

/** `Content-Digest` field value over the exact body bytes; requests without a body sign the empty one. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

/** The value of `@signature-params` and, after the label, of `Signature-Input`. */
export function signatureParameters(p: SignatureParameters): string {
  const components = COVERED_COMPONENTS.map((name) => `"${name}"`).join(' ');
  return `(${components});created=${p.created};nonce="${p.nonce}";keyid="${p.keyid}";alg="ed25519";tag="${p.tag}"`;
}

/** The signature base, RFC 9421 section 2.5. */
export function signatureBase(
  request: { method: string; targetUri: string; contentDigest: string },
  p: SignatureParameters,
): string {
  return [
    `"@method": ${request.method}`,
    `"@target-uri": ${request.targetUri}`,
    `"content-digest": ${request.contentDigest}`,
    `"@signature-params": ${signatureParameters(p)}`,
  ].join('\n');
}
