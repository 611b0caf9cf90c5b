import { type HostAuthorities, type HostReport, reportDigest } from '#shared/host-api.ts';
import { JOURNAL_NAMES, type JournalsKept } from '#shared/journal-head.ts';
import { authoritiesToTell, type HeardAuthorities } from '../certificates/authorities.ts';
import type { HostClient } from '../client/host-client.ts';
import type { JournalHeadsToTell } from '../journal/heads.ts';
import { JOURNAL_WORDS, journalProblemText } from '../journal/words.ts';
import type { HeldGrants } from '../offline-grants/held-grants.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Waker } from '../platform/waker.ts';
import type { ApproverKeys } from '../state/approver-keys.ts';
import type { Doctor } from './doctor.ts';
import { type FollowDeps, type Followed, followLog, observeUnsigned } from './follow-log.ts';

/** What the last heartbeat came to; `identree doctor` shows it. */
export interface Health {
  /** Milliseconds since the epoch. */
  at: number;
  result: 'ok' | 'refused' | 'unreachable' | Exclude<Followed['kind'], 'followed'>;
  /** State of this host at the server; null when it did not say. */
  hostState: string | null;
  message: string | null;
  /** Server clock minus ours, milliseconds. */
  clockOffset: number | null;
  approverKeysVersion: number;
  checkpointSeq: number;
  /** What the server has of the journals of this host; null: it did not say. */
  journals: JournalsKept | null;
}

export interface HeartbeatDeps extends FollowDeps {
  client: Pick<HostClient, 'heartbeat' | 'logHashes' | 'report'>;
  /** What this host says of itself. */
  report: () => Promise<HostReport>;
  keys: ApproverKeys;
  grants: Pick<HeldGrants, 'hear' | 'end'>;
  /** Told what the server says of its authorities. */
  authorities: Pick<HeardAuthorities, 'current' | 'hear' | 'followed'>;
  /** Whom this host goes by; null: it has no certificate that can be read. */
  ownAuthorities: () => Promise<HostAuthorities | null>;
  osInfo: string;
  /** What this host finds when it looks at itself. */
  doctor: Doctor;
  /** Heads of the journals of this host. */
  journals: JournalHeadsToTell;
  save(health: Health): Promise<void>;
  clock: Clock;
}

const INTERVAL_MS = 5 * 60_000;
const RETRY_MS = 30_000;
const JITTER = 0.2;

/**
 * Tells the server what gives power on this host, when that is not what it knows. A server that does not ask for it is an
 * earlier one. True: it knows now what it did not know before.
 */
async function tell(deps: HeartbeatDeps, known: string | null | undefined): Promise<boolean> {
  if (known === undefined) return false;
  const report = await deps.report();
  if (reportDigest(report) === known) return false;
  const reply = await deps.client.report(report);
  if (reply.kind !== 'ok' && reply.kind !== 'aborted') deps.log.warn(`report: ${reply.message}`);
  return reply.kind === 'ok';
}

/** What the operator reads in the agent's log about a head that does not count. */
function warnOf(followed: Exclude<Followed, { kind: 'followed' }>, seen: number, at: number): string {
  switch (followed.kind) {
    case 'rolled_back':
      return `the server's event log ends at ${at}, this host has seen ${seen}: it was rolled back; refusing its decisions`;
    case 'forked':
      return `the server's event log up to ${at} is not the one that this host has seen up to ${seen}: it was rewritten or grew from an older copy; refusing its decisions`;
    case 'unproven':
      return `the server has not shown that its event log continues what this host has seen: ${followed.why}`;
  }
}

/** A journal that is not what the server has seen of it is written to the log of the machine as well. */
function warnOfJournals(kept: JournalsKept | null, log: Pick<Log, 'error'>): void {
  for (const name of JOURNAL_NAMES)
    if (kept?.[name]?.problem)
      log.error(`the journal of ${JOURNAL_WORDS[name]}: ${journalProblemText(kept[name].problem)}`);
}

/** One heartbeat: tells the server that we live, takes newer approver keys, follows its event log. */
export async function beat(deps: HeartbeatDeps): Promise<Health> {
  const { keys, checkpoints, clock, log } = deps;
  const before = checkpoints.current();
  // A server that has named none does not know the question.
  const heard = deps.authorities.current();
  const own = heard === null ? null : await deps.ownAuthorities();
  const checks = deps.doctor.news();
  const journals = await deps.journals.said();
  const reply = await deps.client.heartbeat({
    approverKeysVersion: keys.current().version,
    checkpointSeq: before.seq,
    osInfo: deps.osInfo,
    ...(heard === null || own === null ? {} : { authorities: authoritiesToTell(own, heard) }),
    ...(before.signed === null
      ? {}
      : { log: { head: before.signed.head, contradiction: before.contradiction?.kind ?? null } }),
    ...(checks === null ? {} : { checks }),
    ...(journals === null ? {} : { journals }),
  });
  const at = clock.now();
  let health: Omit<Health, 'approverKeysVersion' | 'checkpointSeq' | 'journals'>;
  if (reply.kind === 'ok') {
    const { value } = reply;
    if (value.grants) deps.grants.hear(value.grants);
    if (value.state !== 'active') deps.grants.end();
    deps.authorities.hear(value.authorities ?? null);
    deps.doctor.heard(value.takesChecks === true, checks);
    deps.journals.heard(value.journals ?? null);
    warnOfJournals(value.journals ?? null, log);
    if (value.approverKeys !== null && (await keys.offer(value.approverKeys)) === 'rejected') {
      log.warn('the server sent an approver-key set that its trust root did not sign; ignored');
    }
    const followed = value.log
      ? await followLog(deps, value.log, at)
      : await observeUnsigned(deps, value.checkpoint, at);
    const warning = followed.kind === 'followed' ? null : warnOf(followed, before.seq, value.checkpoint.seq);
    if (warning !== null) log[followed.kind === 'unproven' ? 'warn' : 'error'](warning);
    if (await tell(deps, value.reportDigest)) deps.doctor.changed();
    health = {
      at,
      result: followed.kind === 'followed' ? 'ok' : followed.kind,
      hostState: value.state,
      message: warning,
      clockOffset: value.now - at,
    };
  } else {
    const message = reply.kind === 'aborted' ? 'cancelled' : reply.message;
    log.warn(`heartbeat: ${message}`);
    if (reply.kind === 'refused') deps.grants.end();
    // A server that does not take what was found must not count this host as gone for it.
    if (reply.kind === 'refused' && reply.code === 'bad_request') {
      deps.doctor.heard(false, checks);
      deps.journals.heard(null);
    }
    health = {
      at,
      result: reply.kind === 'refused' ? 'refused' : 'unreachable',
      hostState: null,
      message,
      clockOffset: null,
    };
  }
  const full = {
    ...health,
    approverKeysVersion: keys.current().version,
    checkpointSeq: checkpoints.current().seq,
    journals: deps.journals.kept(),
  };
  await deps.save(full);
  return full;
}

/** Beats until stopped. The pause varies so that a fleet started at once does not knock at once. */
export async function keepBeating(
  deps: HeartbeatDeps & {
    random: () => number;
    /** Woken when the server says by other ways that this host may not speak any more. */
    waker: Pick<Waker, 'woken'>;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    let result: Health['result'] = 'unreachable';
    const sooner = AbortSignal.any([signal, deps.authorities.followed(), deps.waker.woken()]);
    try {
      result = (await beat(deps)).result;
    } catch (error) {
      deps.log.error(`heartbeat failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    // Also when refused: an operator may confirm this host any moment.
    const isAwaited = deps.doctor.isAwaited() || deps.journals.areAwaited();
    const pause = result === 'ok' && !isAwaited ? INTERVAL_MS : RETRY_MS;
    await deps.clock.sleep(pause * (1 + JITTER * deps.random()), sooner);
  }
}
