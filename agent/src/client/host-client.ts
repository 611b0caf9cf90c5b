import type { z } from 'zod';
import {
  type BreakGlassState,
  type BreakGlassUse,
  type BreakGlassWanted,
  breakGlassStateResponse,
  type EscrowRequest,
} from '#shared/break-glass-api.ts';
import type { HostRecord } from '#shared/decision.ts';
import {
  type CertificateRequest,
  type ChallengeAnswer,
  type CreateChallengeRequest,
  certificateResponse,
  challengeAnswer,
  directoryResponse,
  type HeartbeatRequest,
  HOST_API,
  type HostReport,
  heartbeatResponse,
  LONG_POLL_SECONDS,
  type OutcomeRequest,
  type ReportRequest,
} from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import { logResponse } from '#shared/log-head.ts';
import { type GrantEntry, type GrantsInForce, grantsInForce } from '#shared/offline-grant.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { Counter } from '../state/counter.ts';
import type { Enrolment } from '../state/identity.ts';
import { AGENT_VERSION } from '../version.ts';
import type { Servers } from './failover.ts';
import { ANYTHING, type Reply, readFailure, readReply } from './reply.ts';
import { TAKEN } from './send-once.ts';
import { signRequest } from './sign-request.ts';
import type { Answer, TransportRequest } from './transport.ts';
import { createTurns } from './turns.ts';

export type HeartbeatResponse = z.infer<typeof heartbeatResponse>;

/** The host API as this host may use it: every call signed with its key. */
export interface HostClient {
  /** Somebody is about to ask: makes ready what does not depend on what. Returns at once, and nothing comes of a failure. */
  prepare(): void;
  /** Not abortable: a request that may have arrived has to be known, so that it can be cancelled. */
  createChallenge(record: HostRecord, approverKeysVersion: number, mayWait: boolean): Promise<Reply<ChallengeAnswer>>;
  /** Long poll; resolves when decided or after LONG_POLL_SECONDS. */
  poll(challengeId: string, approverKeysVersion: number, signal?: AbortSignal): Promise<Reply<ChallengeAnswer>>;
  cancel(challengeId: string): Promise<Reply<unknown>>;
  outcome(challengeId: string, outcome: OutcomeRequest): Promise<Reply<unknown>>;
  run(challengeId: string, run: RunRequest): Promise<Reply<unknown>>;
  heartbeat(
    facts: Pick<
      HeartbeatRequest,
      'approverKeysVersion' | 'checkpointSeq' | 'osInfo' | 'log' | 'authorities' | 'checks' | 'journals'
    >,
  ): Promise<Reply<HeartbeatResponse>>;
  /** What this host says of itself. */
  report(report: HostReport): Promise<Reply<unknown>>;
  /** The grant in the answer still has to be verified. */
  certificate(request: Pick<CertificateRequest, 'nonce' | 'csr'>): Promise<Reply<{ grant: string }>>;
  /** Hashes of events after one number up to another, at most a page of them. */
  logHashes(after: number, until: number): Promise<Reply<{ hashes: string[] }>>;
  /** The settings in the answer still have to be verified. */
  directory(nonce: string): Promise<Reply<{ settings: string }>>;
  /** Hands a break-glass password over before it opens anything. */
  escrow(request: EscrowRequest): Promise<Reply<unknown>>;
  breakGlassUse(use: BreakGlassUse): Promise<Reply<unknown>>;
  /**
   * @param wait the server may keep the answer for `wait.seconds`, until it wants something else than what this host has
   * @param defaults what this host has heard of settings; those in the answer still have to be verified
   */
  breakGlassState(
    state: BreakGlassState,
    wait?: { seconds: number; signal: AbortSignal },
    defaults?: { heard: string; nonce: string },
  ): Promise<Reply<BreakGlassWanted>>;
  /** Tells the next entry of the journal of offline grants. */
  grantEntry(entry: GrantEntry): Promise<Reply<GrantsInForce>>;
  grantsInForce(): Promise<Reply<GrantsInForce>>;
}

const CALL_TIMEOUT_MS = 10_000;
const COUNTED_TIMEOUT_MS = (CLOCK_SKEW_SECONDS + 5) * 1000;
const POLL_TIMEOUT_MS = (LONG_POLL_SECONDS + 10) * 1000;
const CANCEL_TIMEOUT_MS = 3000;
const ESCROW_TIMEOUT_MS = 40_000;

/** What a body carries by which a clone is known. */
type Counted = Pick<CreateChallengeRequest, 'counter' | 'machineId'>;

export function createHostClient(deps: {
  servers: Pick<Servers, 'dialAhead' | 'request' | 'requestOnce' | 'patienceMs'>;
  enrolment: Enrolment;
  counter: Counter;
  machineId: string;
  clock: Clock;
  random: Random;
}): HostClient {
  const { identity, apiKey } = deps.enrolment;
  const target = identity.externalUrl.replace(/\/+$/, '');

  function sign(
    method: string,
    path: string,
    body: unknown,
    timeoutMs: number,
    nonce = randomText(deps.random, 18),
  ): TransportRequest {
    const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
    const signed = signRequest({ method, targetUri: `${target}${HOST_API}${path}`, body: bytes }, apiKey, {
      created: Math.floor(deps.clock.now() / 1000),
      nonce,
      keyid: identity.hostId,
      tag: identity.serverId,
    });
    return {
      method,
      path: `${HOST_API}${path}`,
      headers: body === undefined ? signed : { ...signed, 'content-type': 'application/json' },
      body: bytes,
      timeoutMs,
    };
  }

  const turns = createTurns(deps);

  const read = <T>(answer: Promise<Answer>, schema: z.ZodType<T>): Promise<Reply<T>> =>
    answer.then((came) => readReply(came, schema)).catch(readFailure);

  function call<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    { timeoutMs = CALL_TIMEOUT_MS, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Reply<T>> {
    const request = sign(method, path, body, timeoutMs);
    return read(deps.servers.request(signal ? { ...request, signal } : request), schema);
  }

  /**
   * A request with a counter. The caller gets its answer or, in time, the news that there is none. The next number waits
   * until this one is taken, by whichever server, or until they would refuse it for its age: overtaken on the way, it would
   * look like the number of a clone.
   */
  async function counted<Body extends Counted, T>(
    path: string,
    facts: () => Omit<Body, keyof Counted>,
    schema: z.ZodType<T>,
    late: (value: T) => void = () => undefined,
  ): Promise<Reply<T>> {
    let given = false;
    const { promise: replied, resolve, reject } = Promise.withResolvers<Reply<T>>();
    turns.take(({ counter, nonce }, isAgain) => {
      if (given) {
        resolve({ kind: 'aborted' });
        return null;
      }
      const body = { counter, machineId: deps.machineId, ...facts() };
      const sent = deps.servers.requestOnce(sign('POST', path, body, COUNTED_TIMEOUT_MS, nonce));
      const reply = read(sent.answer, schema);
      const known = reply.then((came) => isAgain && came.kind === 'refused' && came.code === TAKEN);
      known.then((isKnown) => (isKnown ? undefined : resolve(reply))).catch(reject);
      return { settled: sent.settled, known };
    }, reject);
    const limit = new AbortController();
    const patience = deps.clock.sleep(CALL_TIMEOUT_MS + deps.servers.patienceMs, limit.signal).then((): Reply<T> => {
      given = true;
      return { kind: 'unavailable', unreachable: false, outage: false, message: 'the server did not answer in time' };
    });
    replied.then((reply) => (given && reply.kind === 'ok' ? late(reply.value) : undefined)).catch(() => undefined);
    try {
      return await Promise.race([replied, patience]);
    } finally {
      given = true;
      limit.abort('answered');
    }
  }

  const cancel: HostClient['cancel'] = (challengeId) =>
    call('DELETE', `/challenges/${challengeId}`, undefined, ANYTHING, { timeoutMs: CANCEL_TIMEOUT_MS });

  return {
    prepare() {
      deps.servers.dialAhead();
      void deps.counter.takeAhead();
    },
    createChallenge: (record, approverKeysVersion, mayWait) =>
      counted<CreateChallengeRequest, ChallengeAnswer>(
        '/challenges',
        () => ({ record, approverKeysVersion, agentVersion: AGENT_VERSION, mayWait }),
        challengeAnswer,
        // The caller has given up on it.
        ({ challengeId }) => void cancel(challengeId),
      ),
    poll: (challengeId, approverKeysVersion, signal) =>
      call(
        'GET',
        `/challenges/${challengeId}?wait=${LONG_POLL_SECONDS}&keys=${approverKeysVersion}`,
        undefined,
        challengeAnswer,
        {
          timeoutMs: POLL_TIMEOUT_MS,
          ...(signal ? { signal } : {}),
        },
      ),
    cancel,
    outcome: (challengeId, outcome) => call('POST', `/challenges/${challengeId}/outcome`, outcome, ANYTHING),
    run: (challengeId, run) => call('POST', `/challenges/${challengeId}/run`, run, ANYTHING),
    report: (report) => counted<ReportRequest, unknown>('/report', () => ({ report }), ANYTHING),
    heartbeat: (facts) =>
      counted<HeartbeatRequest, HeartbeatResponse>(
        '/heartbeat',
        () => ({ now: deps.clock.now(), agentVersion: AGENT_VERSION, ...facts }),
        heartbeatResponse,
      ),
    certificate: (request) =>
      counted<CertificateRequest, { grant: string }>('/certificate', () => request, certificateResponse),
    logHashes: (after, until) => call('GET', `/log?after=${after}&until=${until}`, undefined, logResponse),
    directory: (nonce) => call('GET', `/directory?nonce=${nonce}`, undefined, directoryResponse),
    // The server hands it on, and answers when it is kept.
    escrow: (request) => call('POST', '/break-glass/escrow', request, ANYTHING, { timeoutMs: ESCROW_TIMEOUT_MS }),
    breakGlassUse: (use) => call('POST', '/break-glass/uses', use, ANYTHING),
    breakGlassState(state, wait, defaults) {
      const query = [
        ...(wait === undefined ? [] : [`wait=${wait.seconds}`]),
        ...(defaults === undefined ? [] : [`defaults=${defaults.heard}`, `nonce=${defaults.nonce}`]),
      ].join('&');
      const path = `/break-glass/state${query === '' ? '' : `?${query}`}`;
      const patience =
        wait === undefined ? {} : { timeoutMs: wait.seconds * 1000 + CALL_TIMEOUT_MS, signal: wait.signal };
      return call('POST', path, state, breakGlassStateResponse, patience);
    },
    grantEntry: (entry) => call('POST', '/offline-grants/journal', entry, grantsInForce),
    grantsInForce: () => call('GET', '/offline-grants', undefined, grantsInForce),
  };
}
