import { generateKeyPairSync, type KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import { Agent, request as httpsRequest } from 'node:https';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { type ApproverKeySet, approverKeySet, type HostRecord } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import { type ChallengeAnswer, type EnrolmentGrant, enrolmentGrant, HOST_API } from '#shared/host-api.ts';
import {
  contentDigest,
  ENROLMENT_TAG,
  SIGNATURE_LABEL,
  signatureBase,
  signatureParameters,
} from '#shared/http-signature.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { type PublicJwk, publicJwk } from '#shared/token.ts';

/** What a host holds: enough to speak for it. */
export interface HostIdentity {
  hostId: string;
  serverId: string;
  privateKey: KeyObject;
  machineId: string;
}

export interface HostAnswer<T = Record<string, unknown>> {
  status: number;
  body: T & { error?: { code: string; message: string } };
}

/** Speaks the host API over one connection, with whatever identity it was given. */
export interface HostClient {
  readonly identity: HostIdentity;
  call<T>(method: string, path: string, body?: unknown): Promise<HostAnswer<T>>;
  create(record: HostRecord): Promise<HostAnswer<ChallengeAnswer>>;
  poll(challengeId: string, wait?: number): Promise<HostAnswer<ChallengeAnswer>>;
  cancel(challengeId: string): Promise<HostAnswer<ChallengeAnswer>>;
  record(fields?: Partial<HostRecord>): HostRecord;
  close(): void;
}

export interface Endpoint {
  url: string;
  address: string;
  ca: string;
}

interface Signer {
  keyid: string;
  tag: string;
  privateKey: KeyObject;
}

async function send<T>(
  endpoint: Endpoint,
  agent: Agent,
  signer: Signer,
  method: string,
  path: string,
  content: unknown,
): Promise<HostAnswer<T>> {
  const body = content === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(content));
  const digest = contentDigest(body);
  const parameters = {
    created: Math.floor(Date.now() / 1000),
    nonce: randomBytes(18).toString('base64url'),
    keyid: signer.keyid,
    tag: signer.tag,
  };
  const targetUri = `${endpoint.url}${HOST_API}${path}`;
  const base = signatureBase({ method, targetUri, contentDigest: digest }, parameters);
  const signature = sign(null, Buffer.from(base), signer.privateKey).toString('base64');
  const url = new URL(targetUri);
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        agent,
        host: endpoint.address,
        port: url.port,
        servername: url.hostname,
        path: url.pathname + url.search,
        method,
        timeout: 40_000,
        headers: {
          host: url.host,
          'content-digest': digest,
          'signature-input': `${SIGNATURE_LABEL}=${signatureParameters(parameters)}`,
          signature: `${SIGNATURE_LABEL}=:${signature}:`,
          ...(content === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(body.length) }),
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          try {
            resolve({ status: answer.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) });
          } catch {
            reject(new Error(`not JSON: ${text.slice(0, 200)}`));
          }
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end(body);
  });
}

/** Takes over an identity, for example one that was read from a host's disk. */
export function createHostClient(
  endpoint: Endpoint,
  identity: HostIdentity,
  { firstCounter = 1, approverKeysVersion = 0 } = {},
): HostClient {
  const agent = new Agent({ ca: endpoint.ca, keepAlive: true, maxSockets: 1 });
  const signer = { keyid: identity.hostId, tag: identity.serverId, privateKey: identity.privateKey };
  let counter = firstCounter;
  const call = <T>(method: string, path: string, body?: unknown): Promise<HostAnswer<T>> =>
    send<T>(endpoint, agent, signer, method, path, body);
  return {
    identity,
    call,
    create: (record) =>
      call('POST', '/challenges', {
        record,
        counter: counter++,
        machineId: identity.machineId,
        approverKeysVersion,
        agentVersion: 'e2e',
      }),
    poll: (challengeId, wait = 0) => call('GET', `/challenges/${challengeId}?wait=${wait}&keys=0`),
    cancel: (challengeId) => call('DELETE', `/challenges/${challengeId}`),
    record: (fields = {}) => sampleRecord({ hostId: identity.hostId, uid: 2001, ...fields }),
    close: () => agent.destroy(),
  };
}

/** Reads the payload of a compact JWS without checking it: tests hold the keys themselves. */
export function payloadOf<T>(token: string): T {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as T;
}

export const keySetOf = (token: string): ApproverKeySet => approverKeySet.parse(payloadOf(token));

/** A host that exists only in the tests, enrolled with a real token or the server's enrolment secret. */
export async function enrolFakeHost(
  endpoint: Endpoint,
  hostname: string,
  credential: { token: string } | { sharedSecret: string },
): Promise<{ client: HostClient; grant: EnrolmentGrant }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const apiKey: PublicJwk = await publicJwk(privateKey);
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${hostname}`,
    keys,
    signingAlgorithm: algorithm,
  });
  const machineId = sha256(`machine ${hostname} ${randomBytes(8).toString('hex')}`);
  const agent = new Agent({ ca: endpoint.ca });
  const answer = await send<{ grant: string }>(
    endpoint,
    agent,
    { keyid: apiKey.kid, tag: ENROLMENT_TAG, privateKey },
    'POST',
    '/enroll',
    {
      ...credential,
      hostname,
      machineId,
      nonce: randomBytes(32).toString('base64url'),
      apiKey,
      csr: csr.toString('pem'),
      agentVersion: 'e2e',
      osInfo: 'e2e',
    },
  );
  agent.destroy();
  if (answer.status >= 300)
    throw new Error(`enrolment of ${hostname}: ${answer.status} ${JSON.stringify(answer.body)}`);
  const grant = enrolmentGrant.parse(payloadOf(answer.body.grant));
  const identity = { hostId: grant.hostId, serverId: grant.serverId, privateKey, machineId };
  const approverKeysVersion = keySetOf(grant.approverKeys).version;
  const client = createHostClient(endpoint, identity, { approverKeysVersion });
  return { client, grant };
}

export const endpointOf = (
  server: { url: string },
  lab: { serverAddress: string; certs: { ca: string } },
): Endpoint => ({
  url: server.url,
  address: lab.serverAddress,
  ca: lab.certs.ca,
});
