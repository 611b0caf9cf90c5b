import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { type CaFiles, fingerprintOf } from '../platform/authority-files.ts';

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const CA_DAYS = 3650;
/** A server makes itself a new certificate at each start, and when two thirds of this have passed. */
const SERVER_DAYS = 90;

/** As the library names it: the console's type check reads this file with the browser's idea of a CryptoKey. */
type Key = x509.X509CertificateCreateWithKeyParams['signingKey'];

async function privateKey(pem: string): Promise<Key> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return (await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])) as Key;
}

async function publicKeyOf(pem: string): Promise<Key> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return (await webcrypto.subtle.importKey('spki', der, ALGORITHM, true, ['verify'])) as Key;
}

function lifeOf(pem: string): Life {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  return { from: validFromDate.getTime(), until: validToDate.getTime() };
}

const serial = () => {
  const bytes = randomBytes(16);
  bytes[0] = bytes[0]! & 0x7f;
  return bytes.toString('hex');
};

/** Self-signed CA certificate for a P-256 key, PEM: path length 0, certificate and CRL signing only. */
export async function makeCaCertificate(keyPem: string, now: number): Promise<string> {
  const publicKey = await publicKeyOf(keyPem);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=identree host CA, O=identree',
    notBefore: new Date(now - 5 * MINUTE),
    notAfter: new Date(now + CA_DAYS * DAY),
    signingAlgorithm: ALGORITHM,
    keys: { privateKey: await privateKey(keyPem), publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      // Tells the next CA, which will have the same name, from this one.
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return certificate.toString('pem');
}

/** Milliseconds since the epoch. */
export interface Life {
  from: number;
  until: number;
}

/** The client certificate of a host. Times in milliseconds. */
export interface IssuedCertificate {
  pem: string;
  serial: string;
  beginsAt: number;
  expiresAt: number;
}

export interface CaCertificate {
  role: 'signing' | 'next' | 'old';
  pem: string;
  fingerprint: string;
  life: Life;
}

/** Issues client certificates to hosts: the name comes from the enrolment, never from the request. */
export interface CertificateAuthority {
  /** All CA certificates that count, in PEM; the one that signs is the first. */
  readonly bundle: string;
  /** The same, one by one. */
  certificates(): readonly CaCertificate[];
  /** Goes on with other files. */
  use(ca: SigningCa): void;
  /** Calls back when it has gone on with others. */
  onChange(callback: () => void): void;
  /** @returns null when the CSR is not a valid P-256 or Ed25519 one. */
  issue(csrPem: string, hostname: string, hostId: string): Promise<IssuedCertificate | null>;
  /** Makes a key and a server certificate for it, both in PEM. @param names DNS names and addresses, at least one */
  issueServer(names: readonly string[]): Promise<{ certificate: string; key: string; expiresAt: number }>;
}

/**
 * How much before it is made a certificate begins to count, for clocks that are slow. Of one that lives for minutes a
 * quarter: more of its life would be over when it is made, and it is renewed by its life.
 *
 * @param ttl milliseconds
 */
const earlyBy = (ttl: number): number => Math.min(5 * MINUTE, ttl / 4);

type SigningCa = Pick<CaFiles, 'keyPem' | 'certificatePem'> & Partial<CaFiles>;

export function createCertificateAuthority(deps: {
  ca: SigningCa;
  now: () => number;
  /** How long the certificate of a host is valid, milliseconds. */
  hostTtlMs: number;
}): CertificateAuthority {
  let { ca } = deps;
  let issuer = new x509.X509Certificate(ca.certificatePem);
  const callbacks: (() => void)[] = [];

  const read = ({ certificatePem, next, old }: SigningCa): CaCertificate[] => {
    const all = [
      { role: 'signing' as const, pem: certificatePem },
      { role: 'next' as const, pem: next },
      { role: 'old' as const, pem: old },
    ];
    return all.flatMap(({ role, pem }) =>
      pem ? [{ role, pem, fingerprint: fingerprintOf(pem), life: lifeOf(pem) }] : [],
    );
  };
  let certificates = read(ca);

  /** Everything that certificates of this authority have in common. */
  const sign = async (
    subject: string,
    key: Key,
    life: { serial: string; notBefore: number; notAfter: number },
    usage: x509.ExtendedKeyUsage,
    names: x509.JsonGeneralNames,
  ) =>
    x509.X509CertificateGenerator.create({
      serialNumber: life.serial,
      subject: [{ CN: [subject] }],
      issuer: issuer.subjectName,
      notBefore: new Date(life.notBefore),
      notAfter: new Date(life.notAfter),
      signingAlgorithm: ALGORITHM,
      signingKey: await privateKey(ca.keyPem),
      publicKey: key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension(names),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ],
    });

  const newLife = (ttl: number) => {
    const now = deps.now();
    return { serial: serial(), notBefore: now - earlyBy(ttl), notAfter: now + ttl };
  };

  return {
    get bundle() {
      return certificates.map(({ pem }) => (pem.endsWith('\n') ? pem : `${pem}\n`)).join('');
    },
    certificates: () => certificates,
    use(other) {
      ca = other;
      certificates = read(ca);
      issuer = new x509.X509Certificate(ca.certificatePem);
      for (const callback of callbacks) callback();
    },
    onChange: (callback) => void callbacks.push(callback),
    async issue(csrPem, hostname, hostId) {
      let request: x509.Pkcs10CertificateRequest;
      try {
        request = new x509.Pkcs10CertificateRequest(csrPem);
        if (!(await request.verify())) return null;
        const algorithm = request.publicKey.algorithm as { name: string; namedCurve?: string };
        if (!(algorithm.name === 'ECDSA' && algorithm.namedCurve === 'P-256') && algorithm.name !== 'Ed25519')
          return null;
      } catch {
        return null;
      }
      const life = newLife(deps.hostTtlMs);
      const certificate = await sign(
        hostname.slice(0, 64),
        request.publicKey as never,
        life,
        x509.ExtendedKeyUsage.clientAuth,
        [
          { type: 'dns', value: hostname },
          { type: 'url', value: `urn:uuid:${hostId}` },
        ],
      );
      return {
        pem: certificate.toString('pem'),
        serial: life.serial,
        beginsAt: life.notBefore,
        expiresAt: life.notAfter,
      };
    },

    async issueServer(names) {
      const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const life = newLife(SERVER_DAYS * DAY);
      const certificate = await sign(
        names[0]!.slice(0, 64),
        pair.publicKey as never,
        life,
        x509.ExtendedKeyUsage.serverAuth,
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      );
      const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey));
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' });
      return { certificate: certificate.toString('pem'), key: key as string, expiresAt: life.notAfter };
    },
  };
}
