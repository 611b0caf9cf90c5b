import type { X509Certificate } from 'node:crypto';
import type { ClientCertificate } from './session/credentials.ts';

/** Values of one kind in a subject alternative name, as Node prints it: `DNS:a, URI:"b, c"`. */
function alternatives(text: string, kind: 'DNS' | 'URI'): string[] {
  const found: string[] = [];
  for (const [, label, value = ''] of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    if (label !== kind) continue;
    found.push(value.startsWith('"') ? (JSON.parse(value) as string) : value);
  }
  return found;
}

/** Reads what identifies a host out of a certificate that TLS has verified. */
export function readClientCertificate(certificate: X509Certificate): ClientCertificate {
  const alternative = certificate.subjectAltName ?? '';
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  const names = [...alternatives(alternative, 'DNS'), ...(common === undefined ? [] : [common])];
  return {
    serial: certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
    names: [...new Set(names.map((name) => name.toLowerCase()))],
    uris: alternatives(alternative, 'URI'),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}
