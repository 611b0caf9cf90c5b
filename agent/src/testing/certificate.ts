import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { generateTlsKey } from '../certificates/key.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;
const USES = {
  client: [ExtendedKeyUsage.clientAuth],
  server: [ExtendedKeyUsage.serverAuth],
  both: [ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth],
};

export interface IssueOptions {
  use?: 'client' | 'server' | 'both' | 'none';
  isCa?: boolean;
  /** Milliseconds since the epoch. */
  from?: number;
  until?: number;
}

export interface TestAuthority {
  /** Its own certificate, PEM. */
  pem: string;
  /** @param names `dns:…`, `ip:…` or `url:…`; the first one is the subject too */
  issue(csrPem: string, names: readonly string[], options?: IssueOptions): Promise<string>;
  /** Certificate and key of a server, PEM. */
  server(names: readonly string[], options?: IssueOptions): Promise<{ certificate: string; key: string }>;
}

/** An authority of its own. Usually all have the same name, so that only keys tell them apart. */
export async function createTestAuthority(name = 'test authority'): Promise<TestAuthority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const serial = () => `1${randomBytes(8).toString('hex').slice(1)}`;
  const self = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    serialNumber: serial(),
    notBefore: new Date(Date.now() - 3650 * DAY),
    notAfter: new Date(Date.now() + 3650 * DAY),
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const authority: TestAuthority = {
    pem: `${self.toString('pem')}\n`,
    async issue(csrPem, names, { use = 'client', isCa = false, from, until } = {}) {
      const extensions: Extension[] = [
        new BasicConstraintsExtension(isCa, undefined, true),
        new SubjectAlternativeNameExtension(
          names.map((name) => {
            const [, type, value] = /^(dns|ip|url):(.*)$/.exec(name) as unknown as [
              string,
              'dns' | 'ip' | 'url',
              string,
            ];
            return { type, value };
          }),
        ),
      ];
      if (use !== 'none') extensions.push(new ExtendedKeyUsageExtension(USES[use]));
      const certificate = await X509CertificateGenerator.create({
        subject: [{ CN: [names[0]!.replace(/^\w+:/, '').slice(0, 64)] }],
        issuer: self.subject,
        publicKey: new Pkcs10CertificateRequest(csrPem).publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        serialNumber: serial(),
        notBefore: new Date(from ?? Date.now() - DAY),
        notAfter: new Date(until ?? Date.now() + 365 * DAY),
        extensions,
      });
      return `${certificate.toString('pem')}\n`;
    },
    async server(names, options = {}) {
      const key = await generateTlsKey('server');
      return { certificate: await authority.issue(key.csr, names, { use: 'server', ...options }), key: key.pem };
    },
  };
  return authority;
}

/** A certificate for a DNS name under an authority of its own. PEM. */
export async function makeCertificate(name: string): Promise<{ certificate: string; key: string; ca: string }> {
  const authority = await createTestAuthority();
  return { ...(await authority.server([`dns:${name}`])), ca: authority.pem };
}
