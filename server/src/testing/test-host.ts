import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type HostRecord, hostRecord } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import {
  type ChallengeAnswer,
  type EnrolmentGrant,
  enrolmentGrant,
  HOST_API,
  type HostReport,
} from '#shared/host-api.ts';
import {
  contentDigest,
  ENROLMENT_TAG,
  SIGNATURE_LABEL,
  type SignatureParameters,
  signatureBase,
  signatureParameters,
} from '#shared/http-signature.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { type PublicJwk, publicJwk } from '#shared/token.ts';
import type { App } from '../app/app.ts';
import type { Clock } from '../platform/clock.ts';

/** What a test changes about an otherwise good request. */
export interface Tampering {
  method?: string;
  path?: string;
  body?: string | Buffer;
  headers?: Record<string, string | undefined>;
  parameters?: Partial<SignatureParameters>;
  key?: KeyObject;
  /** Changes what is sent after it was signed. */
  after?: { method?: string; path?: string; body?: string | Buffer };
}

export interface TestAnswer {
  status: number;
  body: Record<string, unknown> & { error?: { code: string; message: string } };
}

export interface TestHost {
  id: string;
  hostname: string;
  machineId: string;
  key: KeyObject;
  /** Thumbprint of it. */
  keyId: string;
  /** Private key of the certificate in `grant`, PEM. */
  tlsKey: string;
  serverId: string;
  grant: EnrolmentGrant;
  counter: number;
  send(method: string, path: string, body?: object, tampering?: Tampering, app?: App): Promise<TestAnswer>;
  /** Says what gives power on it. */
  report(report: Partial<HostReport>): Promise<TestAnswer>;
  record(fields?: Partial<HostRecord>): HostRecord;
  /** A good create request for a record. */
  createBody(record?: HostRecord): object;
  create(record?: HostRecord): Promise<ChallengeAnswer>;
}

async function inject(
  app: App,
  method: string,
  url: string,
  headers: Record<string, string | undefined>,
  body: string | Buffer,
) {
  const answer = await app.http.inject({
    method: method as 'GET',
    url,
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >,
    ...(body.length > 0 ? { payload: body } : {}),
  });
  return { status: answer.statusCode, body: (answer.body === '' ? {} : answer.json()) as TestAnswer['body'] };
}

/** Signs and sends one request, with whatever is wrong about it. */
export async function sendSigned(
  app: App,
  input: {
    externalUrl: string;
    method: string;
    path: string;
    body: object | undefined;
    parameters: SignatureParameters;
    key: KeyObject;
  },
  tampering: Tampering = {},
): Promise<TestAnswer> {
  const method = tampering.method ?? input.method;
  const path = tampering.path ?? `${HOST_API}${input.path}`;
  const body = tampering.body ?? (input.body === undefined ? '' : JSON.stringify(input.body));
  const parameters = { ...input.parameters, ...tampering.parameters };
  const digest = contentDigest(Buffer.from(body));
  const base = signatureBase({ method, targetUri: `${input.externalUrl}${path}`, contentDigest: digest }, parameters);
  const signature = sign(null, Buffer.from(base), tampering.key ?? input.key).toString('base64');
  const headers = {
    'content-digest': digest,
    'signature-input': `${SIGNATURE_LABEL}=${signatureParameters(parameters)}`,
    signature: `${SIGNATURE_LABEL}=:${signature}:`,
    ...(body.length > 0 ? { 'content-type': 'application/json' } : {}),
    ...tampering.headers,
  };
  const { after = {} } = tampering;
  return inject(app, after.method ?? method, after.path ?? path, headers, after.body ?? body);
}

/** A request for a client certificate, and the key that belongs to it; both in PEM. */
export async function certificateRequest(name: string): Promise<{ csr: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${name}`,
    keys: keys as never,
    signingAlgorithm: algorithm,
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' });
  return { csr: request.toString('pem'), key: String(key) };
}

/** A body for POST /enroll with a fresh key. */
export async function enrolBody(
  hostname: string,
  credential: { token: string } | { sharedSecret: string },
  more: { reports?: true } = {},
) {
  const { privateKey } = generateKeyPairSync('ed25519');
  const apiKey: PublicJwk = await publicJwk(privateKey);
  const tls = await certificateRequest(hostname);
  return {
    key: privateKey,
    tlsKey: tls.key,
    body: {
      ...credential,
      ...more,
      hostname,
      machineId: sha256(`machine of ${hostname}`),
      nonce: randomBytes(32).toString('base64url'),
      apiKey,
      csr: tls.csr,
      agentVersion: '0.3.0',
      osInfo: 'Debian GNU/Linux 12 (bookworm)',
    },
  };
}

export function sendEnrol(
  app: App,
  clock: Clock,
  request: Awaited<ReturnType<typeof enrolBody>>,
  tampering: Tampering = {},
): Promise<TestAnswer> {
  const parameters = {
    created: Math.floor(clock.now() / 1000),
    nonce: randomBytes(18).toString('base64url'),
    keyid: request.body.apiKey.kid,
    tag: ENROLMENT_TAG,
  };
  const input = {
    externalUrl: app.config.externalUrl,
    method: 'POST',
    path: '/enroll',
    body: request.body,
    parameters,
    key: request.key,
  };
  return sendSigned(app, input, tampering);
}

/** Enrols a host with a token and returns what speaks for it. */
export async function enrolTestHost(
  app: App,
  clock: Clock,
  hostname: string,
  more: { reports?: true } = {},
): Promise<TestHost> {
  const { token } = await app.hosts.createToken(hostname, 'test', null);
  const request = await enrolBody(hostname, { token }, more);
  const answer = await sendEnrol(app, clock, request);
  if (answer.status !== 200) throw new Error(`enrolment failed: ${JSON.stringify(answer)}`);
  const payload = String(answer.body.grant).split('.')[1]!;
  const grant = enrolmentGrant.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));

  const host: TestHost = {
    id: grant.hostId,
    hostname,
    machineId: request.body.machineId,
    key: request.key,
    keyId: request.body.apiKey.kid,
    tlsKey: request.tlsKey,
    serverId: grant.serverId,
    grant,
    counter: 0,
    send(method, path, body, tampering = {}, to = app) {
      const parameters = {
        created: Math.floor(clock.now() / 1000),
        nonce: randomBytes(18).toString('base64url'),
        keyid: host.id,
        tag: host.serverId,
      };
      return sendSigned(
        to,
        { externalUrl: app.config.externalUrl, method, path, body, parameters, key: host.key },
        tampering,
      );
    },
    report(report) {
      host.counter += 1;
      const empty = { v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false };
      const { counter, machineId } = host;
      return host.send('POST', '/report', { counter, machineId, report: { ...empty, ...report } });
    },
    record: (fields = {}) => hostRecord.parse(sampleRecord({ hostId: host.id, createdAt: clock.now(), ...fields })),
    createBody(record = host.record()) {
      host.counter += 1;
      return {
        record,
        counter: host.counter,
        machineId: host.machineId,
        approverKeysVersion: 0,
        agentVersion: '0.3.0',
      };
    },
    async create(record) {
      const created = await host.send('POST', '/challenges', host.createBody(record));
      if (created.status !== 201) throw new Error(`create failed: ${JSON.stringify(created)}`);
      return created.body as unknown as ChallengeAnswer;
    },
  };
  return host;
}
