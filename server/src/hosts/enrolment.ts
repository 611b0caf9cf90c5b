import { calculateJwkThumbprint } from 'jose';
import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import { type EnrolmentToken, formatEnrolmentToken, parseEnrolmentToken } from '#shared/enrolment-token.ts';
import { Refusal } from '#shared/errors.ts';
import type {
  CertificateGrant,
  CertificateRequest,
  EnrolmentGrant,
  EnrolRequest,
  HeartbeatRequest,
  ProvisionRequest,
} from '#shared/host-api.ts';
import { CLOCK_SKEW_SECONDS, ENROLMENT_TAG } from '#shared/http-signature.ts';
import { hostName as hostNameSchema, normaliseHostName } from '#shared/names.ts';
import type { PublicJwk } from '#shared/token.ts';
import { terminalLine } from '#shared/visible-text.ts';
import type { CertificateAuthority, IssuedCertificate } from '../certificates/authority.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { SignedRequest } from '../http/host-operation.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { stateRefusal } from './admission.ts';
import { checkSignature, readSignature } from './request-signature.ts';
import * as store from './store.ts';

/** How long an enrolment token works, milliseconds. */
export const TOKEN_TTL_MS = 60 * 60 * 1000;

export interface EnrolmentDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  serverId: string;
  externalUrl: string;
  trustRoot: PublicJwk;
  verificationKeys: PublicJwk[];
  ca: CertificateAuthority;
  /** Why no certificate is issued; null: it is. */
  caProblem: () => string | null;
  signGrant: (grant: EnrolmentGrant) => Promise<string>;
  signCertificateGrant: (grant: CertificateGrant) => Promise<string>;
  /** The approver-key set in force. */
  currentKeys: (query: Database['query']) => Promise<{ version: number; token: string }>;
  /** The enrolment secret of the operations document; null when it is not in use. */
  sharedSecret: string | null;
  /** True: a host that enrols with the shared secret need not wait for an operator. */
  autoConfirm: boolean;
}

const lifeOf = ({ beginsAt, expiresAt }: IssuedCertificate) => ({
  certificate_from: beginsAt,
  certificate_until: expiresAt,
});

export type Enrolment = ReturnType<typeof createEnrolment>;

/** How hosts become known and keep being what they are: tokens, keys, certificates, signs of life. */
export function createEnrolment(deps: EnrolmentDeps) {
  const { db, events, clock, random } = deps;

  async function noteCertificate(
    work: UnitOfWork,
    host: Pick<store.Host, 'id' | 'hostname'>,
    issued: Pick<IssuedCertificate, 'serial' | 'expiresAt'>,
    remoteAddr: string,
  ): Promise<void> {
    await events.append(work, {
      event: 'certificate_issued',
      username: '',
      hostId: host.id,
      hostname: host.hostname,
      code: issued.serial,
      remoteAddr,
      data: { serial: issued.serial, expiresAt: issued.expiresAt },
    });
  }

  /** A certificate of an authority that the other servers do not know would keep a host from its directory. */
  function refuseOtherCa(): void {
    const problem = deps.caProblem();
    if (problem !== null) throw new Refusal('unavailable', problem);
  }

  /** The host name that a token was made for, if it may still be used. It is not spent yet. */
  async function nameOfToken(work: UnitOfWork, token: EnrolmentToken, now: number): Promise<string> {
    const row = await store.findToken(work.query, token.id);
    if (!row || !constantTimeEqual(row.secret_hash, sha256(token.secret))) throw new Refusal('token_unknown');
    if (row.used_at !== null) throw new Refusal('token_used');
    if (now >= row.expires_at) throw new Refusal('token_expired');
    return row.hostname;
  }

  return {
    async heartbeat(work: UnitOfWork, host: store.Host, body: HeartbeatRequest): Promise<void> {
      await store.updateHost(work, host.id, {
        last_seen_at: clock.now(),
        agent_version: body.agentVersion,
        os_info: terminalLine(body.osInfo),
        clock_skew_ms: body.now - clock.now(),
        checkpoint_seq: Math.max(host.checkpoint_seq, body.checkpointSeq),
      });
    },

    /**
     * Issues the next client certificate to a host that was admitted. Whose it is follows from who asked, whatever the
     * request for it says: otherwise one host could become any other.
     */
    async renewCertificate(
      work: UnitOfWork,
      host: store.Host,
      body: CertificateRequest,
      remoteAddr: string,
    ): Promise<string> {
      refuseOtherCa();
      const issued = await deps.ca.issue(body.csr, host.hostname, host.id);
      if (!issued) throw new Refusal('csr_invalid');
      await store.updateHost(work, host.id, lifeOf(issued));
      await noteCertificate(work, host, issued, remoteAddr);
      return deps.signCertificateGrant({
        v: 1,
        nonce: body.nonce,
        serverId: deps.serverId,
        hostId: host.id,
        hostname: host.hostname,
        certificate: issued.pem,
        caBundle: deps.ca.bundle,
      });
    },

    /**
     * Issues another client certificate to a host that is enrolled, to whoever has a token for its name. The identity with
     * which it asks for approvals stays what it is: this certificate opens the directory and nothing else.
     */
    async certifyByToken(body: ProvisionRequest, remoteAddr: string) {
      const token = parseEnrolmentToken(body.token);
      if (!token) throw new Refusal('token_malformed');
      refuseOtherCa();
      return db.transaction(async (work) => {
        const now = clock.now();
        const hostname = await nameOfToken(work, token, now);
        const live = await store.findLiveHost(work.query, hostname);
        const host = live && (await store.lockHost(work, live.id));
        if (!host) throw new Refusal('host_unknown');
        const refusal = stateRefusal(host.state);
        if (refusal) throw new Refusal(refusal);
        const issued = await deps.ca.issue(body.csr, host.hostname, host.id);
        if (!issued) throw new Refusal('csr_invalid');
        if (!(await store.spendToken(work, token.id, host.id, now))) throw new Refusal('token_used');
        await store.updateHost(work, host.id, lifeOf(issued));
        await noteCertificate(work, host, issued, remoteAddr);
        return { host, issued, caBundle: deps.ca.bundle };
      });
    },

    /** Enrols a host. Throws a Refusal; writes nothing then. */
    async enrol(request: SignedRequest, body: EnrolRequest, remoteAddr: string): Promise<string> {
      const read = readSignature(request);
      if (!read.ok) throw new Refusal(read.refusal);
      const { kid, ...bare } = body.apiKey;
      if (read.parameters.keyid !== kid || (await calculateJwkThumbprint(bare, 'sha256')) !== kid) {
        throw new Refusal('signature_invalid');
      }
      // Proof of possession: the request is signed with the key it brings.
      const problem = await checkSignature(request, read, { key: body.apiKey.x, tag: ENROLMENT_TAG }, clock.now());
      if (problem) throw new Refusal(problem);

      const token = body.token === undefined ? null : parseEnrolmentToken(body.token);
      if (body.token !== undefined && !token) throw new Refusal('token_malformed');
      if (!token) {
        if (
          deps.sharedSecret === null ||
          !constantTimeEqual(sha256(body.sharedSecret ?? ''), sha256(deps.sharedSecret))
        ) {
          throw new Refusal('shared_secret_wrong');
        }
      }
      const hostId = random.uuid();
      refuseOtherCa();
      const issued = await deps.ca.issue(body.csr, body.hostname, hostId);
      if (!issued) throw new Refusal('csr_invalid');
      const state = token || deps.autoConfirm ? ('active' as const) : ('waiting' as const);

      return db.transaction(async (work) => {
        const now = clock.now();
        if (token) {
          const name = await nameOfToken(work, token, now);
          if (name !== body.hostname) throw new Refusal('token_wrong_name');
          if (!(await store.spendToken(work, token.id, hostId, now))) throw new Refusal('token_used');
        }
        if (await store.findLiveHost(work.query, body.hostname)) throw new Refusal('host_exists');
        if (!(await store.spendNonce(work, kid, read.parameters.nonce, now + 2 * CLOCK_SKEW_SECONDS * 1000))) {
          throw new Refusal('nonce_replayed');
        }
        await store.insertHost(work, {
          id: hostId,
          hostname: body.hostname,
          state,
          host_group: null,
          api_key: body.apiKey.x,
          api_key_thumbprint: kid,
          machine_id: body.machineId,
          counter: 0,
          counter_signed_at: null,
          rebind: 0,
          ...lifeOf(issued),
          enrolled_at: now,
          enrolled_with: token ? 'token' : 'shared_secret',
          confirmed_at: state === 'active' ? now : null,
          last_seen_at: now,
          agent_version: body.agentVersion,
          os_info: terminalLine(body.osInfo),
          clock_skew_ms: null,
          checkpoint_seq: 0,
          remote_addr: remoteAddr,
          report_due: body.reports === true ? 1 : 0,
          reached: 0,
          grants_revoked_to: 0,
          grants_journal: null,
        });
        await events.append(work, {
          event: 'host_enrolled',
          username: '',
          hostId,
          hostname: body.hostname,
          remoteAddr,
          data: { state, with: token ? 'token' : 'shared_secret', keyFingerprint: kid, tokenId: token?.id ?? null },
        });
        await noteCertificate(work, { id: hostId, hostname: body.hostname }, issued, remoteAddr);
        const keys = await deps.currentKeys(work.query);
        return deps.signGrant({
          v: 1,
          nonce: body.nonce,
          hostId,
          hostname: body.hostname,
          state,
          serverId: deps.serverId,
          externalUrl: deps.externalUrl,
          trustRoot: deps.trustRoot,
          verificationKeys: deps.verificationKeys,
          approverKeys: keys.token,
          certificate: issued.pem,
          caBundle: deps.ca.bundle,
        });
      });
    },

    /** Makes a single-use token for one host name. The token is shown once and stored as a hash. */
    async createToken(
      hostname: string,
      createdBy: string,
      remoteAddr: string | null,
      ttlMs = TOKEN_TTL_MS,
    ): Promise<{ token: string; expiresAt: number; hostname: string }> {
      const parsed = hostNameSchema.safeParse(normaliseHostName(hostname));
      if (!parsed.success) throw new Refusal('bad_request');
      const id = randomText(random, 12);
      const secret = randomText(random);
      const now = clock.now();
      await db.transaction(async (work) => {
        await store.insertToken(work, {
          id,
          secret_hash: sha256(secret),
          hostname: parsed.data,
          created_by: createdBy,
          created_at: now,
          expires_at: now + ttlMs,
          used_at: null,
          used_by: null,
        });
        await events.append(work, {
          event: 'enrolment_token_created',
          username: '',
          hostname: parsed.data,
          actor: createdBy,
          remoteAddr,
          data: { tokenId: id, expiresAt: now + ttlMs },
        });
      });
      return {
        token: formatEnrolmentToken({ id, secret, fingerprint: deps.trustRoot.kid }),
        expiresAt: now + ttlMs,
        hostname: parsed.data,
      };
    },
  };
}
