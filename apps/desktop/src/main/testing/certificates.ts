import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { NOBODY } from './fake-server.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;

export interface TestCertificate {
  /** PEM. */
  certificate: string;
  key: string;
}

interface Options {
  names?: readonly string[];
  subject?: string;
  use?: 'server' | 'client';
  isCa?: boolean;
  /** Days from now. */
  from?: number;
  until?: number;
  /** Its own when not given. */
  issuer?: Authority;
}

interface Authority {
  pem: string;
  subject: string;
  keys: CryptoKeyPair;
}

async function make(options: Options): Promise<TestCertificate & { keys: CryptoKeyPair; subject: string }> {
  const { names = ['localhost'], use = 'server', isCa = false, from = -1, until = 30, issuer } = options;
  const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
  const subject = `CN=${options.subject ?? names[0] ?? 'nobody'}`;
  const { serverAuth, clientAuth } = ExtendedKeyUsage;
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: issuer?.subject ?? subject,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: `1${randomBytes(8).toString('hex').slice(1)}`,
    notBefore: new Date(Date.now() + from * DAY),
    notAfter: new Date(Date.now() + until * DAY),
    extensions: [
      new BasicConstraintsExtension(isCa, undefined, true),
      ...(isCa ? [] : [new ExtendedKeyUsageExtension([use === 'server' ? serverAuth : clientAuth])]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
    ],
  });
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
  return { certificate: `${certificate.toString('pem')}\n`, key, keys, subject };
}

/** A certificate that vouches for itself. For tests. */
export const selfSigned = (options: Omit<Options, 'issuer'> = {}): Promise<TestCertificate> => make(options);

/** An authority that no system knows. For tests. */
export async function testAuthority(subject = 'a private authority') {
  const { certificate: pem, keys, subject: name } = await make({ subject, names: ['authority.test'], isCa: true });
  const authority: Authority = { pem, keys, subject: name };
  return { pem, issue: (options: Omit<Options, 'issuer'> = {}) => make({ ...options, issuer: authority }) };
}

/**
 * A server over TLS whose certificate can be changed while it runs; tells what reached it. For tests.
 *
 * @param answer the text of its answer to this path, JSON
 */
export async function startTlsServer(
  first: TestCertificate,
  answer: (path: string) => string | Promise<string> = (path) => (path === '/trpc/me.get' ? NOBODY : '{"ok":true}'),
) {
  const seen: string[] = [];
  const server = createServer({ cert: first.certificate, key: first.key }, async (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`.trim());
    const text = await answer(request.url ?? '');
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    seen,
    /** Connections that are open end with it. */
    change(next: TestCertificate) {
      server.setSecureContext({ cert: next.certificate, key: next.key });
      server.closeAllConnections();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
