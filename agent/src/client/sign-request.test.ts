import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { describe, it } from 'node:test';
import { signingKeyFromPem } from '#shared/token.ts';
import { signRequest } from './sign-request.ts';

/** The Ed25519 test key of RFC 9421, appendix B.1.4. */
const KEY = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----`;

describe('a signed request', () => {
  it('has exactly these header fields', async () => {
    const key = await signingKeyFromPem(KEY);
    const headers = signRequest(
      { method: 'POST', targetUri: 'https://id.example.com/api/host/v1/heartbeat', body: Buffer.from('{"a":1}') },
      key,
      { created: 1_800_000_000, nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA', keyid: 'host', tag: 'server' },
    );
    assert.deepEqual(headers, {
      'content-digest': 'sha-256=:AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=:',
      'signature-input':
        'sig1=("@method" "@target-uri" "content-digest");created=1800000000;nonce="AAAAAAAAAAAAAAAAAAAAAAAA";keyid="host";alg="ed25519";tag="server"',
      signature: headers.signature,
    });
    const base = [
      '"@method": POST',
      '"@target-uri": https://id.example.com/api/host/v1/heartbeat',
      '"content-digest": sha-256=:AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=:',
      `"@signature-params": ${headers['signature-input']!.slice('sig1='.length)}`,
    ].join('\n');
    const signature = Buffer.from(/^sig1=:(.*):$/.exec(headers.signature!)![1]!, 'base64');
    assert.equal(verify(null, Buffer.from(base), createPublicKey(KEY), signature), true);
    // Ed25519 is deterministic, so this is a fixed vector for other implementations.
    assert.equal(signature.toString('base64'), SIGNATURE);
  });
});

const SIGNATURE = '8jh2nG/+5Q8iwC+CrSlnRy+JmKaZYOsX+vzL3WLEnen46KT2s4Yzv4lazSPPz+4URndeJpIseSmZxHASWmI+Cg==';
