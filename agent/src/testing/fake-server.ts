import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type JsonWebKey, randomBytes, randomUUID, verify } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type BreakGlassState,
  type BreakGlassUse,
  breakGlassStateRequest,
  breakGlassUse,
  type EscrowRequest,
  escrowRequest,
} from '#shared/break-glass-api.ts';
import { defaultsDigest, type ToldDefaults } from '#shared/client-defaults.ts';
import {
  type ApproverKey,
  type ApproverKeySet,
  type DecisionDocument,
  type HostRecord,
  requestHash,
  type Verdict,
} from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import { formatEnrolmentToken } from '#shared/enrolment-token.ts';
import {
  type CertificateGrant,
  certificateRequest,
  type DirectorySettings,
  type EnrolmentGrant,
  enrolRequest,
  HOST_API,
} from '#shared/host-api.ts';
import { contentDigest, ENROLMENT_TAG, signatureBase } from '#shared/http-signature.ts';
import type { JournalsKept } from '#shared/journal-head.ts';
import type { TestPasskey } from '#shared/testing/authenticator.ts';
import { type PublicJwk, publicJwk, type SigningKey, signToken, tokenType } from '#shared/token.ts';
import { createTestAuthority, type IssueOptions, type TestAuthority } from './certificate.ts';
import type { FakeLog } from './fake-log.ts';
import { createPasskey, ORIGIN, RP_ID } from './passkey.ts';

/** The password that a host handed over as it is. */
export function passwordOf(kept: EscrowRequest | undefined): string {
  assert.ok(kept && 'password' in kept, 'it was handed over unsealed');
  return kept.password;
}

export interface ServerKey extends SigningKey {
  public: PublicJwk;
}

export async function createServerKey(): Promise<ServerKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const jwk = await publicJwk(publicKey);
  return { kid: jwk.kid, privateKey, public: jwk };
}

/** A challenge as the fake server holds it. */
export interface FakeChallenge {
  id: string;
  record: HostRecord;
  counter: number;
  keysVersion: number;
  status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  verdict: string | null;
  polls: number;
  cancelled: boolean;
  outcomes: { outcome: string; detail: string | null }[];
}

/** A call before it is handled; a test may answer it itself. */
export interface Call {
  method: string;
  path: string;
  body: Record<string, unknown> | null;
  response: http.ServerResponse;
}

export interface FakeServer {
  url: string;
  serverId: string;
  trustRoot: ServerKey;
  verdictKey: ServerKey;
  passkey: TestPasskey;
  person: { issuer: string; subject: string; username: string };
  calls: { method: string; path: string; body: Record<string, unknown> | null }[];
  challenges: FakeChallenge[];
  token: string;
  /** What the next answers carry. */
  approverKeys: { version: number; keys: ApproverKey[] };
  checkpoint: { seq: number; hash: string };
  /** What it says that it has of the journals of hosts; null: it knows nothing of such heads. */
  journals: JournalsKept | null;
  /** What it signs heads of; null: it signs none. */
  log: FakeLog | null;
  ttlMs: number;
  hostState: EnrolmentGrant['state'];
  /** Milliseconds that the server's clock is ahead. */
  clockAhead: number;
  /** What /healthz answers. */
  health: object;
  healthStatus: number;
  /** Returns true when it has answered. */
  intercept: ((call: Call) => boolean | Promise<boolean>) | null;
  /** Changes the grant before it is signed. */
  tamperGrant: ((grant: EnrolmentGrant) => EnrolmentGrant) | null;
  grantKey: ServerKey | null;
  /** What signs client certificates. */
  ca: TestAuthority;
  /** How long certificates are good for. */
  life: IssueOptions;
  /** Changes the certificate grant before it is signed. */
  tamperCertificate: ((grant: CertificateGrant) => CertificateGrant | Promise<CertificateGrant>) | null;
  /** What is said about the directory; null: none is served. */
  directory: Omit<DirectorySettings, 'v' | 'nonce' | 'serverId' | 'hostId'> | null;
  /** Changes the settings before they are signed. */
  tamperDirectory: ((settings: DirectorySettings) => object) | null;
  /** What it does about break-glass passwords, and what it was told. */
  breakGlass: {
    escrow: boolean;
    rotateBefore: number | null;
    kept: EscrowRequest[];
    uses: BreakGlassUse[];
    states: BreakGlassState[];
  };
  /** The settings that it tells hosts; null: it knows nothing of such. */
  clientDefaults: ToldDefaults['defaults'] | null;
  /** What it says instead of what it would sign about settings. */
  tamperDefaults: ((told: ToldDefaults) => ToldDefaults) | null;
  /** Resolves with the n-th challenge (from 0) once it exists. */
  challenge(n?: number): Promise<FakeChallenge>;
  /** A verdict as the server would make it; `change` edits the payload before it is signed. */
  verdict(
    challenge: FakeChallenge,
    change?: (verdict: Verdict) => Verdict,
    key?: SigningKey,
    type?: string,
  ): Promise<string>;
  /** Signs and publishes an approval. */
  approve(challenge: FakeChallenge, change?: (verdict: Verdict) => Verdict): Promise<void>;
  deny(challenge: FakeChallenge, reason?: string | null): Promise<void>;
  decide(challenge: FakeChallenge, status: FakeChallenge['status'], verdict: string | null): void;
  keySet(version: number, keys: ApproverKey[], signer?: SigningKey): Promise<string>;
  refuse(response: http.ServerResponse, status: number, code: string, message: string): void;
  /** One more address of this server, where it answers after the first was closed. */
  replica(): Promise<{ url: string; close(): Promise<void> }>;
  close(): Promise<void>;
}

const POLICY = sha256('policy');

/** A server that speaks the host API over real HTTP and checks every signature; all misbehaviour is up to the test. */
export async function createFakeServer(): Promise<FakeServer> {
  const trustRoot = await createServerKey();
  const verdictKey = await createServerKey();
  const ca = await createTestAuthority();
  const person = { issuer: 'https://id.example.com', subject: 'sub-1', username: 'dana' };
  const passkey = createPasskey(person);
  const hosts = new Map<string, { key: PublicJwk; hostname: string }>();
  const waiting = new Set<() => void>();
  const secret = randomBytes(32).toString('base64url');

  const readBody = async (request: http.IncomingMessage) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };

  function checkSignature(
    request: http.IncomingMessage,
    bytes: Buffer,
    key: PublicJwk,
    tag: string,
    keyid: string,
  ): boolean {
    const input = /^sig1=(\(.*\);created=(\d+);nonce="([^"]+)";keyid="([^"]+)";alg="ed25519";tag="([^"]+)")$/.exec(
      String(request.headers['signature-input']),
    );
    const signature = /^sig1=:(.*):$/.exec(String(request.headers.signature))?.[1];
    const digest = contentDigest(bytes);
    if (!input || !signature || request.headers['content-digest'] !== digest) return false;
    const [, , created, nonce, id, signedTag] = input as unknown as string[];
    if (id !== keyid || signedTag !== tag) return false;
    const base = signatureBase(
      { method: request.method!, targetUri: `${server.url}${request.url}`, contentDigest: digest },
      { created: Number(created), nonce: nonce!, keyid, tag },
    );
    const publicKey = createPublicKey({ key: key as unknown as JsonWebKey, format: 'jwk' });
    return verify(null, Buffer.from(base), publicKey, Buffer.from(signature, 'base64'));
  }

  const send = (response: http.ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  };

  const answerOf = async (challenge: FakeChallenge) => ({
    challengeId: challenge.id,
    userCode: 'ABCDEF-123456',
    status: challenge.status,
    approvalUrl: `${server.url}/approve/ABCDEF-123456`,
    expiresAt: challenge.record.createdAt + server.ttlMs + server.clockAhead,
    now: Date.now() + server.clockAhead,
    approvers: ['self' as const, 'admins' as const],
    verdict: challenge.verdict,
    approverKeys:
      server.approverKeys.version > challenge.keysVersion
        ? await server.keySet(server.approverKeys.version, server.approverKeys.keys)
        : null,
  });

  const issue = (csr: string, hostname: string, hostId: string) =>
    server.ca.issue(csr, [`dns:${hostname}`, `url:urn:uuid:${hostId}`], server.life);

  async function certificate(hostId: string, hostname: string, body: unknown, response: http.ServerResponse) {
    const { nonce, csr } = certificateRequest.parse(body);
    let grant: CertificateGrant = {
      v: 1,
      nonce,
      serverId: server.serverId,
      hostId,
      hostname,
      certificate: await issue(csr, hostname, hostId),
      caBundle: server.ca.pem,
    };
    if (server.tamperCertificate) grant = await server.tamperCertificate(grant);
    send(response, 200, { grant: await signToken(tokenType.certificate, grant, server.grantKey ?? trustRoot) });
  }

  async function directory(hostId: string, nonce: string, response: http.ServerResponse): Promise<void> {
    if (server.directory === null)
      return server.refuse(response, 404, 'directory_off', 'This server serves no directory.');
    const settings: DirectorySettings = { v: 1, nonce, serverId: server.serverId, hostId, ...server.directory };
    const told = server.tamperDirectory ? server.tamperDirectory(settings) : settings;
    send(response, 200, { settings: await signToken(tokenType.directory, told, server.grantKey ?? trustRoot) });
  }

  /** What an answer says of settings. */
  async function defaultsFor(hostId: string, path: string): Promise<{ clientDefaults?: string }> {
    const asked = new URL(path, server.url).searchParams;
    const { clientDefaults: defaults } = server;
    if (defaults === null || !asked.has('defaults') || asked.get('defaults') === defaultsDigest(defaults)) return {};
    const told: ToldDefaults = { v: 1, iss: server.serverId, aud: hostId, nonce: asked.get('nonce')!, defaults };
    const said = server.tamperDefaults ? server.tamperDefaults(told) : told;
    return { clientDefaults: await signToken(tokenType.clientDefaults, said, server.grantKey ?? verdictKey) };
  }

  async function breakGlass(hostId: string, path: string, body: unknown, response: http.ServerResponse): Promise<void> {
    const { escrow, rotateBefore, kept, uses, states } = server.breakGlass;
    if (/^\/break-glass\/state(\?|$)/.test(path)) {
      states.push(breakGlassStateRequest.parse(body));
      send(response, 200, { escrow, rotateBefore, ...(await defaultsFor(hostId, path)) });
    } else if (path === '/break-glass/uses') {
      uses.push(breakGlassUse.parse(body));
      send(response, 200, {});
    } else if (escrow) {
      kept.push(escrowRequest.parse(body));
      send(response, 200, {});
    } else server.refuse(response, 404, 'escrow_off', 'This server keeps no break-glass passwords.');
  }

  async function enrol(request: http.IncomingMessage, bytes: Buffer, response: http.ServerResponse): Promise<void> {
    const body = enrolRequest.parse(JSON.parse(bytes.toString('utf8')));
    if (!checkSignature(request, bytes, body.apiKey, ENROLMENT_TAG, body.apiKey.kid)) {
      return server.refuse(response, 401, 'signature_invalid', 'The signature does not match the request.');
    }
    if (body.token !== undefined && body.token !== server.token) {
      return server.refuse(response, 401, 'token_unknown', 'This enrolment token is not known here.');
    }
    const hostId = randomUUID();
    hosts.set(hostId, { key: body.apiKey, hostname: body.hostname });
    let grant: EnrolmentGrant = {
      v: 1,
      nonce: body.nonce,
      hostId,
      hostname: body.hostname,
      state: server.hostState,
      serverId: server.serverId,
      externalUrl: server.url,
      trustRoot: trustRoot.public,
      verificationKeys: [verdictKey.public],
      approverKeys: await server.keySet(server.approverKeys.version, server.approverKeys.keys),
      certificate: await issue(body.csr, body.hostname, hostId),
      caBundle: server.ca.pem,
    };
    if (server.tamperGrant) grant = server.tamperGrant(grant);
    send(response, 201, { grant: await signToken(tokenType.enrolment, grant, server.grantKey ?? trustRoot) });
  }

  async function handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (request.url === '/healthz')
      return send(response, server.healthStatus, { now: Date.now() + server.clockAhead, ...server.health });
    const bytes = await readBody(request);
    const body = bytes.length === 0 ? null : (JSON.parse(bytes.toString('utf8')) as Record<string, unknown>);
    const path = request.url!.slice(HOST_API.length);
    const method = request.method!;
    server.calls.push({ method, path, body });
    if (server.intercept && (await server.intercept({ method, path, body, response }))) return;
    if (method === 'POST' && path === '/enroll') return enrol(request, bytes, response);
    const keyid = /keyid="([^"]+)"/.exec(String(request.headers['signature-input']))?.[1] ?? '';
    const known = hosts.get(keyid);
    if (!known || !checkSignature(request, bytes, known.key, server.serverId, keyid)) {
      return server.refuse(response, 401, 'signature_invalid', 'The signature does not match the request.');
    }
    if (method === 'POST' && path === '/certificate') return certificate(keyid, known.hostname, body, response);
    if (method === 'GET' && path.startsWith('/directory?')) {
      return directory(keyid, new URLSearchParams(path.slice('/directory?'.length)).get('nonce') ?? '', response);
    }
    if (method === 'POST' && path.startsWith('/break-glass/')) return breakGlass(keyid, path, body, response);
    if (method === 'GET' && path.startsWith('/log?')) {
      const range = new URLSearchParams(path.slice('/log?'.length));
      const hashes = server.log?.page(Number(range.get('after')), Number(range.get('until'))) ?? [];
      return send(response, 200, { hashes });
    }
    if (method === 'POST' && path === '/heartbeat') {
      const version = Number(body!.approverKeysVersion);
      return send(response, 200, {
        now: Date.now() + server.clockAhead,
        state: server.hostState,
        approverKeys:
          server.approverKeys.version > version
            ? await server.keySet(server.approverKeys.version, server.approverKeys.keys)
            : null,
        checkpoint: server.log ? server.log.position() : server.checkpoint,
        ...(server.journals ? { journals: server.journals } : {}),
        ...(server.log ? { log: await server.log.shown(body!.log ? Number(body!.checkpointSeq) : null) } : {}),
      });
    }
    if (method === 'POST' && path === '/challenges') {
      const challenge: FakeChallenge = {
        id: randomBytes(16).toString('hex'),
        record: body!.record as HostRecord,
        counter: Number(body!.counter),
        keysVersion: Number(body!.approverKeysVersion),
        status: 'pending',
        verdict: null,
        polls: 0,
        cancelled: false,
        outcomes: [],
      };
      server.challenges.push(challenge);
      for (const wake of [...waiting]) wake();
      return send(response, 201, await answerOf(challenge));
    }
    const [, , id, sub] = path.split(/[/?]/);
    const challenge = server.challenges.find((candidate) => candidate.id === id);
    if (!challenge) return server.refuse(response, 404, 'challenge_not_found', 'There is no such request.');
    if (method === 'DELETE') {
      challenge.cancelled = true;
      return send(response, 200, {});
    }
    if (method === 'POST' && sub === 'outcome') {
      challenge.outcomes.push(body as FakeChallenge['outcomes'][number]);
      return send(response, 200, {});
    }
    challenge.polls += 1;
    challenge.keysVersion = Number(new URL(request.url!, server.url).searchParams.get('keys'));
    if (challenge.status === 'pending') {
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 5000);
        waiting.add(wake);
        response.on('close', wake);
      });
    }
    send(response, 200, await answerOf(challenge));
  }

  async function listen(): Promise<{ url: string; close(): Promise<void> }> {
    const listener = http.createServer((request, response) => {
      handle(request, response).catch((error: unknown) => {
        if (!response.headersSent) server.refuse(response, 500, 'internal', String(error));
      });
    });
    // An address of its own, so that a server that is closed stays dead: nobody else is given its port meanwhile.
    const address = `127.${randomBytes(3)
      .map((byte) => 1 + (byte % 250))
      .join('.')}`;
    await new Promise<void>((resolve) => listener.listen(0, address, resolve));
    return {
      url: `http://${address}:${(listener.address() as AddressInfo).port}`,
      close: () =>
        new Promise((resolve) => {
          for (const wake of [...waiting]) wake();
          listener.closeAllConnections();
          listener.close(() => resolve());
        }),
    };
  }
  const first = await listen();

  const server: FakeServer = {
    url: first.url,
    serverId: randomUUID(),
    trustRoot,
    verdictKey,
    passkey,
    person,
    calls: [],
    challenges: [],
    token: formatEnrolmentToken({ id: 'AAAAAAAAAAAAAAAA', secret, fingerprint: trustRoot.kid }),
    approverKeys: { version: 1, keys: [passkey.key] },
    checkpoint: { seq: 10, hash: 'h10' },
    journals: null,
    log: null,
    ttlMs: 60_000,
    hostState: 'active',
    clockAhead: 0,
    intercept: null,
    health: { status: 'ok', checks: {} },
    healthStatus: 200,
    tamperGrant: null,
    grantKey: null,
    ca,
    life: {},
    tamperCertificate: null,
    directory: null,
    tamperDirectory: null,
    breakGlass: { escrow: true, rotateBefore: null, kept: [], uses: [], states: [] },
    clientDefaults: null,
    tamperDefaults: null,
    async challenge(n = 0) {
      while (server.challenges.length <= n) {
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
      return server.challenges[n]!;
    },
    async verdict(challenge, change = (verdict) => verdict, key = verdictKey, type = tokenType.verdict) {
      const hash = requestHash(challenge.record);
      const document: DecisionDocument = {
        v: 1,
        purpose: 'approve',
        decision: 'approved',
        requestHash: hash,
        challengeId: challenge.id,
        approver: { issuer: person.issuer, subject: person.subject },
        policyVersion: POLICY,
        grace: 0,
        expiresAt: challenge.record.createdAt + server.ttlMs + server.clockAhead,
      };
      const now = Math.floor((Date.now() + server.clockAhead) / 1000);
      const payload: Verdict = {
        v: 1,
        iss: server.serverId,
        aud: challenge.record.hostId,
        iat: now,
        exp: now + 60,
        challengeId: challenge.id,
        nonce: challenge.record.nonce,
        requestHash: hash,
        decision: 'approved',
        class: 'passkey',
        approvers: [person],
        reason: null,
        policyVersion: POLICY,
        grace: 0,
        evidence: [passkey.assert(document)],
      };
      return signToken(type as typeof tokenType.verdict, change(payload), key);
    },
    async approve(challenge, change) {
      server.decide(challenge, 'approved', await server.verdict(challenge, change));
    },
    async deny(challenge, reason = null) {
      const verdict = await server.verdict(challenge, (payload) => ({
        ...payload,
        decision: 'denied',
        class: null,
        evidence: [],
        reason,
      }));
      server.decide(challenge, 'denied', verdict);
    },
    decide(challenge, status, verdict) {
      challenge.status = status;
      challenge.verdict = verdict;
      for (const wake of [...waiting]) wake();
    },
    keySet(version, keys, signer = trustRoot) {
      const set: ApproverKeySet = {
        v: 1,
        iss: server.serverId,
        version,
        issuedAt: Date.now(),
        rpId: RP_ID,
        origins: [ORIGIN],
        keys,
      };
      return signToken(tokenType.approverKeys, set, signer);
    },
    refuse(response, status, code, message) {
      send(response, status, { error: { code, message } });
    },
    replica: listen,
    close: first.close,
  };
  return server;
}
