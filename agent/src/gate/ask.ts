import { type ApprovalClass, type HostRecord, requestHash, type Verdict } from '#shared/decision.ts';
import type { ChallengeAnswer, OutcomeRequest } from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import type { MessageKey } from '#shared/messages.ts';
import { type PinnedTrust, verifyVerdict } from '#shared/verify-verdict.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Reply } from '../client/reply.ts';
import type { HeldGrants } from '../offline-grants/held-grants.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { type Random, randomText } from '../platform/random.ts';
import { createUntil, type Until } from '../platform/until.ts';
import type { ApproverKeys } from '../state/approver-keys.ts';
import type { ContradictionKind } from '../state/checkpoint.ts';
import { readChallengeId, readToken, writeToken } from './continuation.ts';
import { createDeathWatch, type DeathWatch } from './death-watch.ts';
import { buildRecord, type Evidence, type Requester } from './evidence.ts';
import { createReports } from './reports.ts';
import type { Voice } from './terminal-text.ts';
import { sayTimeLeft, sayWhileUnanswered, type Trouble } from './while-waiting.ts';

/** A request that the server has accepted and no approver has answered yet. */
export interface Asked {
  record: HostRecord;
  answer: ChallengeAnswer;
  /** On the monotonic clock: after this nothing counts any more. */
  deadline: number;
  /** Server clock minus ours, milliseconds, never more than the skew that signatures allow. */
  offset: number;
}

export type Outcome =
  /** The agent is leaving, and the hook has by what another one goes on with the request. */
  | { kind: 'left' }
  /**
   * `settle` reports what became of the yes; call it once the hook has been told. `once_started`: not before the hook has
   * had the time to start what was asked for.
   */
  | { kind: 'granted'; settle(outcome: OutcomeRequest, when?: 'now' | 'once_started'): Promise<void> }
  | { kind: 'denied' | 'expired' | 'cancelled' | 'refused' }
  /** No server can be asked any more, and this host has a way in without one. */
  | Unreachable;

/** No server can be asked for this, and this host has a way in without one. */
export interface Unreachable {
  kind: 'unreachable';
  record: HostRecord;
}

export interface AskDeps {
  client: Pick<HostClient, 'prepare' | 'createChallenge' | 'poll' | 'cancel' | 'outcome' | 'run'>;
  keys: ApproverKeys;
  /** Told what answers say of offline grants. */
  grants: Pick<HeldGrants, 'moment' | 'answered' | 'hear' | 'refused'>;
  trust: PinnedTrust;
  hostId: string;
  /** The server's own address, pinned at enrolment. */
  externalUrl: string;
  minimumClass: ApprovalClass;
  /** The longest that a request waits here, milliseconds. */
  timeoutMs(): number;
  /** Whom people call after a refusal. */
  contact: string | null;
  /** Whether there is a way in without a server. */
  breakGlassReady(): Promise<boolean>;
  /** Whether every server that client.conf names was asked since then (monotonic), and each is out. */
  allOutSince(at: number): boolean;
  /** Why no request may be made at all, if there is a reason. */
  blocked(): ContradictionKind | null;
  /** Work that must not hold up the person, but should end before the process does. */
  background(work: Promise<unknown>): void;
  clock: Clock;
  random: Random;
  log: Log;
}

const CONTRADICTIONS = { rolled_back: 'gate.rolledBack', forked: 'gate.logForked' } as const satisfies Record<
  ContradictionKind,
  MessageKey
>;

/** Why a wait is aborted without being over: another agent goes on with it. */
export const LEFT = 'left';

export interface Question {
  /** False: somebody who would have to be waited for is as good as a no (`sudo -n`). */
  mayWait: boolean;
  evidence: Evidence;
  who: Requester;
}

/** What is done right before a yes. */
export interface LastLook {
  /** Resolves when the hook will use a yes at once; false: never. Absent where a hook cannot do otherwise. */
  ready?(): Promise<boolean>;
  /** What would run is what was asked for. */
  unchanged(): Promise<boolean>;
}

export interface Ask {
  /** Somebody is about to ask, and what they ask is still to be found out. */
  prepare(): void;
  /** Brings the request to the server and shows the person what to do. Null: refused, and the person knows why. */
  open(question: Question, voice: Voice, signal: AbortSignal): Promise<Asked | Unreachable | null>;
  /** Waits for an answer that can be verified. The last look is taken once, right before a yes. */
  wait(asked: Asked, voice: Voice, last: LastLook, signal: AbortSignal): Promise<Outcome>;
  /** By what `resume` knows it again. */
  tokenOf(asked: Asked): Buffer;
  /** Goes on with a request of an earlier agent. Null: the token is of no request like this, or its time is over. */
  resume(question: Question, token: Buffer): Asked | null;
  /** Tells the server what became of a command, in the background. Which one, the token says. */
  report(token: Buffer, run: RunRequest): void;
}

/** How long a server that cannot be reached is tried before the person is told, milliseconds. */
const CREATE_PATIENCE_MS = 6000;
/** While somebody waits for an answer, it is given longer, milliseconds. */
const DEAD_AFTER_MS = 30_000;
const SLACK_MS = 5000;
/** How long an agent that leaves waits for the answer to what it has just asked, milliseconds; it stops within 1.5 s. */
const LAST_ANSWER_MS = 1000;
const LONGEST_WAIT_MS = 24 * 3_600_000;
const aborted = (signal: AbortSignal) =>
  new Promise<'aborted'>((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });

/**
 * A command in the words of whoever has just typed it; null for a login. The plugin is told of sudoedit what it starts,
 * which is an editor with the files behind `--`, and which nobody has typed.
 */
function askedWords(mode: Evidence['mode'], { argv, resolved }: HostRecord): readonly string[] | null {
  if (mode === 'login') return null;
  const end = mode === 'edit' && resolved ? argv.lastIndexOf('--') : -1;
  return end === -1 ? argv : ['sudoedit', ...argv.slice(end + 1)];
}

/** Resolves when the answer to a new request is of no use any more. The next agent goes on only with what it can name. */
async function abandoned(signal: AbortSignal, clock: Pick<Clock, 'sleep'>): Promise<'abandoned'> {
  await aborted(signal);
  if (signal.reason === LEFT) await clock.sleep(LAST_ANSWER_MS);
  return 'abandoned';
}

export function createAsk(deps: AskDeps): Ask {
  const { client, keys, clock, log } = deps;
  const reports = createReports({ client, clock, log });
  const serverName = new URL(deps.externalUrl).host;

  /** The link as shown: on the pinned server, whatever an answer on its way here was turned into. */
  function ownLink(answer: ChallengeAnswer): ChallengeAnswer {
    const base = deps.externalUrl.replace(/\/+$/, '');
    const own = URL.canParse(answer.approvalUrl) && new URL(answer.approvalUrl).origin === new URL(base).origin;
    return own ? answer : { ...answer, approvalUrl: `${base}/approve/${answer.userCode}` };
  }

  async function takeKeys(answer: ChallengeAnswer): Promise<void> {
    if (answer.approverKeys === null) return;
    const taken = await keys.offer(answer.approverKeys);
    if (taken === 'rejected') log.warn('the server sent an approver-key set that its trust root did not sign; ignored');
  }

  const cancel = (challengeId: string) => deps.background(reports.withdraw(challengeId));

  /** Says why there is no request. Null when it is worth another try. */
  function explain(reply: Exclude<Reply<unknown>, { kind: 'ok' }>, patient: boolean, voice: Voice): boolean {
    const server = serverName;
    if (reply.kind === 'unavailable') {
      if (patient) return false;
      if (reply.unreachable) voice.refusal('gate.unreachable', { server }, deps.contact);
      else voice.refusal('gate.serverFault', { server, message: reply.message }, deps.contact);
    } else if (reply.kind === 'refused')
      voice.refusal('gate.refused', { server, message: reply.message }, deps.contact);
    else if (reply.kind === 'broken')
      voice.refusal('gate.serverFault', { server, message: reply.message }, deps.contact);
    return true;
  }

  /** True when the server's log contradicts what this host has seen; the person knows then. */
  function refuseBlocked(voice: Voice): boolean {
    const why = deps.blocked();
    if (why === null) return false;
    voice.refusal(CONTRADICTIONS[why], {}, deps.contact);
    return true;
  }

  const open: Ask['open'] = async (question, voice, signal) => {
    if (refuseBlocked(voice)) return null;
    const answered = createUntil(signal);
    const trouble: { last: Trouble | null } = { last: null };
    void sayWhileUnanswered(voice, serverName, () => trouble.last, clock, answered.signal);
    try {
      return await create(question, voice, signal, (reply) => {
        if (reply.kind === 'unavailable') trouble.last = reply;
        else answered.end();
      });
    } finally {
      answered.end();
    }
  };

  async function create(
    question: Question,
    voice: Voice,
    signal: AbortSignal,
    told: (reply: Reply<ChallengeAnswer>) => void,
  ): Promise<Asked | Unreachable | null> {
    const giveUp = clock.monotonic() + CREATE_PATIENCE_MS;
    // One sign of a living server, whatever it was, and nobody is let in without it.
    const dead = question.mayWait ? createDeathWatch(deps) : null;
    for (;;) {
      if (signal.aborted) return null;
      // Every try is a request of its own: whether an unanswered one has arrived cannot be known.
      const record = buildRecord(question.evidence, question.who, {
        hostId: deps.hostId,
        nonce: randomText(deps.random),
        createdAt: clock.now(),
      });
      const started = clock.monotonic();
      const asking = deps.grants.moment();
      const creating = client.createChallenge(record, keys.current().version, question.mayWait);
      const reply = await Promise.race([creating, abandoned(signal, clock)]);
      if (reply === 'abandoned') {
        deps.background(
          creating.then((late) => (late.kind === 'ok' ? reports.withdraw(late.value.challengeId) : undefined)),
        );
        return null;
      }
      told(reply);
      if (reply.kind === 'ok') {
        const answer = reply.value;
        await takeKeys(answer);
        await deps.grants.answered(record, answer, asking);
        if (answer.status === 'pending' && !question.mayWait) {
          // A server that knows no requests without waiting has made one.
          cancel(answer.challengeId);
          voice.refusal('gate.nobodyWaits', {}, deps.contact);
          return null;
        }
        const ttl = Math.min(Math.max(0, answer.expiresAt - answer.now), LONGEST_WAIT_MS);
        const skew = CLOCK_SKEW_SECONDS * 1000;
        const argv = askedWords(question.evidence.mode, record);
        const leftMs = Math.min(ttl, deps.timeoutMs());
        if (answer.status === 'pending') voice.request(ownLink(answer), { server: serverName, leftMs, argv });
        return {
          record,
          answer,
          deadline: started + Math.min(ttl + SLACK_MS, deps.timeoutMs()),
          offset: Math.min(skew, Math.max(-skew, answer.now - clock.now())),
        };
      }
      if (reply.kind === 'refused') deps.grants.refused(record.user, reply.code);
      if (reply.kind === 'refused' && reply.code === 'approval_required') {
        voice.refusal('gate.nobodyWaits', {}, deps.contact);
        return null;
      }
      dead?.note(reply);
      const patient = clock.monotonic() < giveUp || dead?.undecided() === true;
      if (!patient && dead !== null && (await foundDead(dead, voice))) return { kind: 'unreachable', record };
      if (explain(reply, patient, voice)) return null;
      await clock.sleep(1000, signal);
    }
  }

  /** True when it is dead; the person knows then. */
  async function foundDead(server: DeathWatch, voice: Voice): Promise<boolean> {
    if (!(await server.isDead())) return false;
    voice.sentence('gate.unreachableNow', { server: serverName });
    return true;
  }

  /** Null while there is no answer that counts. */
  async function judge(
    asked: Asked,
    answer: ChallengeAnswer,
  ): Promise<{ verdict: Verdict } | { problem: string; final: boolean } | null> {
    if (answer.verdict === null) return answer.status === 'pending' ? null : { problem: 'unsigned', final: false };
    const judged = await verifyVerdict({
      token: answer.verdict,
      record: asked.record,
      challengeId: asked.answer.challengeId,
      trust: deps.trust,
      approverKeys: keys.current(),
      minimumClass: deps.minimumClass,
      now: clock.now() + asked.offset,
    });
    if (judged.ok) return { verdict: judged.verdict };
    return { problem: judged.problem, final: judged.problem === 'class_too_low' };
  }

  async function finish(
    asked: Asked,
    verdict: Verdict,
    voice: Voice,
    last: LastLook,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const id = asked.answer.challengeId;
    const settle = (outcome: OutcomeRequest, when: 'now' | 'once_started' = 'now') => {
      const reporting = reports.outcome(id, outcome, when);
      deps.background(reporting);
      return reporting;
    };
    if (verdict.decision === 'denied') {
      voice.denied(verdict, deps.contact);
      return { kind: 'denied' };
    }
    if (verdict.decision !== 'approved') {
      voice.refusal(verdict.decision === 'expired' ? 'gate.expired' : 'gate.withdrawn', {}, deps.contact);
      return { kind: verdict.decision };
    }
    // A hook that is stopped may never say; its request ends when every other does.
    const known = createUntil(signal);
    const over = () => clock.sleep(Math.max(0, asked.deadline - clock.monotonic()), known.signal).then(() => false);
    const ready = last.ready === undefined || (await Promise.race([last.ready(), over()]));
    known.end();
    if (signal.aborted && signal.reason === LEFT) return { kind: 'left' };
    if (!ready || clock.monotonic() >= asked.deadline) {
      if (!signal.aborted) voice.refusal('gate.expired', {}, deps.contact);
      void settle({ outcome: 'refused', detail: 'gone' });
      return { kind: 'cancelled' };
    }
    if (!(await last.unchanged())) {
      voice.refusal('gate.targetChanged', {}, deps.contact);
      log.warn(`${id} was approved, but what would run is no longer what was shown; refused`);
      void settle({ outcome: 'refused', detail: 'target_changed' });
      return { kind: 'refused' };
    }
    if (signal.aborted) {
      void settle({ outcome: 'refused', detail: 'gone' });
      return { kind: 'cancelled' };
    }
    // What was approved while it was found out that this is another log than before.
    if (refuseBlocked(voice)) {
      void settle({ outcome: 'refused', detail: 'log_contradicted' });
      return { kind: 'refused' };
    }
    voice.approved(verdict);
    return { kind: 'granted', settle };
  }

  const wait: Ask['wait'] = async (asked, voice, last, signal) => {
    const over = createUntil(signal);
    const left = Math.min(asked.answer.expiresAt - (clock.now() + asked.offset), asked.deadline - clock.monotonic());
    if (asked.answer.status === 'pending') {
      void sayTimeLeft(voice, left, clock, over.signal);
    }
    try {
      return await waitForAnswer(asked, voice, last, signal, over);
    } finally {
      over.end();
    }
  };

  async function waitForAnswer(
    asked: Asked,
    voice: Voice,
    last: LastLook,
    signal: AbortSignal,
    over: Until,
  ): Promise<Outcome> {
    const id = asked.answer.challengeId;
    let answer: ChallengeAnswer | null = asked.answer;
    let ignored: string | null = null;
    let saidRetrying = false;
    let pause = 1000;
    let dead = createDeathWatch(deps);
    for (;;) {
      if (signal.aborted) {
        if (signal.reason === LEFT) return { kind: 'left' };
        cancel(id);
        return { kind: 'cancelled' };
      }
      const judged = answer && (await judge(asked, answer));
      if (judged && clock.monotonic() < asked.deadline) {
        if ('verdict' in judged) {
          // Nothing is said of the time once it no longer counts.
          over.end();
          return finish(asked, judged.verdict, voice, last, signal);
        }
        if (judged.final) {
          voice.tooWeak(deps.minimumClass, deps.contact);
          const outcome = { outcome: 'refused', detail: judged.problem } as const;
          deps.background(reports.withdraw(id).then(() => reports.outcome(id, outcome)));
          return { kind: 'refused' };
        }
        if (ignored === null) {
          voice.sentence('gate.ignored');
          log.warn(`an answer to ${id} could not be verified (${judged.problem}); ignored`);
        }
        ignored = judged.problem;
      }
      const left = asked.deadline - clock.monotonic();
      if (left <= 0) {
        voice.refusal('gate.expired', {}, deps.contact);
        // Withdrawn first: what could not be verified may never have been the server's, and then the request is still open.
        const withdrawn = reports.withdraw(id);
        const outcome = { outcome: 'refused', detail: `verdict_rejected: ${ignored}`.slice(0, 200) } as const;
        deps.background(ignored === null ? withdrawn : withdrawn.then(() => reports.outcome(id, outcome)));
        return { kind: 'expired' };
      }
      if (judged) {
        await clock.sleep(Math.min(pause, left), signal);
        pause = Math.min(pause * 1.5, 5000);
      }

      const asking = clock.monotonic();
      const until = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(asked.deadline - asking)))]);
      const reply = await client.poll(id, keys.current().version, until);
      if (reply.kind === 'ok' && reply.value.challengeId === id) {
        dead = createDeathWatch(deps);
        answer = reply.value;
        await takeKeys(answer);
        if (answer.grants) deps.grants.hear(answer.grants);
        const early = answer.status === 'pending' && clock.monotonic() - asking < 500;
        // A server that does not hold the poll must not be asked in a tight loop.
        if (early) await clock.sleep(1000, signal);
        else if (answer.status === 'pending') pause = 1000;
        continue;
      }
      answer = null;
      if (reply.kind === 'aborted') continue;
      if (reply.kind === 'refused') {
        voice.refusal('gate.refused', { server: serverName, message: reply.message }, deps.contact);
        cancel(id);
        return { kind: 'refused' };
      }
      if (reply.kind === 'unavailable' && !reply.outage) dead = createDeathWatch(deps);
      else dead.note(reply);
      if (dead.silentMs() >= DEAD_AFTER_MS && (await foundDead(dead, voice))) {
        over.end();
        // It may come back with the request still open, and then nobody waits for the answer.
        cancel(id);
        return { kind: 'unreachable', record: asked.record };
      }
      if (!saidRetrying) voice.sentence('gate.retrying');
      saidRetrying = true;
      await clock.sleep(Math.min(pause, Math.max(0, asked.deadline - clock.monotonic())), signal);
      pause = Math.min(pause * 1.5, 5000);
    }
  }

  const resume: Ask['resume'] = (question, token) => {
    const told = readToken(token);
    if (told === null) return null;
    const { nonce, createdAt } = told.record;
    const record = buildRecord(question.evidence, question.who, { hostId: deps.hostId, nonce, createdAt });
    // What is asked now must be what was asked then, to the last bit of what was signed.
    if (requestHash(record) !== requestHash(told.record)) return null;
    const left = told.answer.expiresAt - (clock.now() + told.offset);
    if (left <= 0) return null;
    return {
      record,
      answer: { ...told.answer, status: 'pending', verdict: null, approverKeys: null },
      deadline: clock.monotonic() + Math.min(left + SLACK_MS, deps.timeoutMs()),
      offset: told.offset,
    };
  };

  return {
    prepare: () => client.prepare(),
    open,
    wait,
    tokenOf: writeToken,
    resume,
    report(token, run) {
      const id = readChallengeId(token);
      if (id === null) return log.warn('a sudo reports on a request that cannot be read; ignored');
      deps.background(reports.run(id, run));
    },
  };
}
