import { sign } from 'node:crypto';
import {
  contentDigest,
  SIGNATURE_LABEL,
  type SignatureParameters,
  signatureBase,
  signatureParameters,
} from '#shared/http-signature.ts';
import type { SigningKey } from '#shared/token.ts';

/**
 * The header fields that sign a request (RFC 9421, RFC 9530).
 *
 * @param request `targetUri` is the URI as the server knows itself, with path and query.
 */
export function signRequest(
  request: { method: string; targetUri: string; body: Uint8Array },
  key: SigningKey,
  parameters: SignatureParameters,
): Record<string, string> {
  const digest = contentDigest(request.body);
  const base = signatureBase(
    { method: request.method, targetUri: request.targetUri, contentDigest: digest },
    parameters,
  );
  const signature = sign(null, Buffer.from(base), key.privateKey).toString('base64');
  return {
    'content-digest': digest,
    'signature-input': `${SIGNATURE_LABEL}=${signatureParameters(parameters)}`,
    signature: `${SIGNATURE_LABEL}=:${signature}:`,
  };
}
