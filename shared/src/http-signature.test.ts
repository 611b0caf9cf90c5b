import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contentDigest, signatureBase, signatureParameters } from './http-signature.ts';

const PARAMETERS = {
  created: 1_800_000_000,
  nonce: 'bm9uY2Utbm9uY2Utbm9uY2U',
  keyid: '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e',
  tag: '5d3f0f2a-1111-4222-8333-444455556666',
};

describe('HTTP message signatures', () => {
  it('content digest: the example of RFC 9530, appendix B', () => {
    assert.equal(
      contentDigest(Buffer.from('{"hello": "world"}\n')),
      'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:',
    );
    assert.equal(contentDigest(Buffer.alloc(0)), 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:');
  });

  it('signature parameters, RFC 9421 section 2.3', () => {
    assert.equal(
      signatureParameters(PARAMETERS),
      '("@method" "@target-uri" "content-digest");created=1800000000;nonce="bm9uY2Utbm9uY2Utbm9uY2U";keyid="0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e";alg="ed25519";tag="5d3f0f2a-1111-4222-8333-444455556666"',
    );
  });

  it('signature base, RFC 9421 section 2.5: no newline at the end', () => {
    const base = signatureBase(
      {
        method: 'GET',
        targetUri: 'https://id.example.com/api/host/v1/challenges/0011?wait=25&keys=3',
        contentDigest: contentDigest(Buffer.alloc(0)),
      },
      PARAMETERS,
    );
    assert.equal(
      base,
      [
        '"@method": GET',
        '"@target-uri": https://id.example.com/api/host/v1/challenges/0011?wait=25&keys=3',
        '"content-digest": sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
        '"@signature-params": ("@method" "@target-uri" "content-digest");created=1800000000;nonce="bm9uY2Utbm9uY2Utbm9uY2U";keyid="0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e";alg="ed25519";tag="5d3f0f2a-1111-4222-8333-444455556666"',
      ].join('\n'),
    );
  });
});
