import { type HostReport, reportDigest } from '#shared/host-api.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { ApproverKeys } from '../state/approver-keys.ts';
import type { Checkpoints } from '../state/checkpoint.ts';

/** What the last heartbeat came to; `identree status` shows it. */
export interface Health {
  /** Milliseconds since the epoch. */
  at: number;
  result: 'ok' | 'refused' | 'unreachable' | 'rolled_back';
  /** State of this host at the server; null when it did not say. */
  hostState: string | null;
  message: string | null;
  /** Server clock minus ours, milliseconds. */
  clockOffset: number | null;
  approverKeysVersion: number;
  checkpointSeq: number;
}

export interface HeartbeatDeps {
  client: Pick<HostClient, 'heartbeat' | 'report'>;
  /** What this host says of itself. */
  report: () => Promise<HostReport>;
  keys: ApproverKeys;
  checkpoints: Checkpoints;
  osInfo: string;
  save(health: Health): Promise<void>;
  clock: Clock;
  log: Log;
}

const INTERVAL_MS = 5 * 60_000;
const RETRY_MS = 30_000;
const JITTER = 0.2;

/**
 * Tells the server what gives power on this host, when that is not what it knows. A server that does not ask for it is an
 * earlier one.
 */
async function tell(deps: HeartbeatDeps, known: string | null | undefined): Promise<void> {
  if (known === undefined) return;
  const report = await deps.report();
  if (reportDigest(report) === known) return;
  const reply = await deps.client.report(report);
  if (reply.kind !== 'ok' && reply.kind !== 'aborted') deps.log.warn(`report: ${reply.message}`);
}

/** One heartbeat: tells the server that we live, takes newer approver keys, compares the head of its event log. */
export async function beat(deps: HeartbeatDeps): Promise<Health> {
  const { keys, checkpoints, clock, log } = deps;
  const reply = await deps.client.heartbeat({
    approverKeysVersion: keys.current().version,
    checkpointSeq: checkpoints.seq(),
    osInfo: deps.osInfo,
  });
  const at = clock.now();
  let health: Omit<Health, 'approverKeysVersion' | 'checkpointSeq'>;
  if (reply.kind === 'ok') {
    const { value } = reply;
    if (value.approverKeys !== null && (await keys.offer(value.approverKeys)) === 'rejected') {
      log.warn('the server sent an approver-key set that its trust root did not sign; ignored');
    }
    const seen = await checkpoints.observe(value.checkpoint, at);
    if (seen === 'rolled_back') {
      log.error(
        `the server's event log ends at ${value.checkpoint.seq}, this host has seen ${checkpoints.seq()}: it was rolled back; refusing its decisions`,
      );
    }
    await tell(deps, value.reportDigest);
    health = {
      at,
      result: seen === 'ok' ? 'ok' : 'rolled_back',
      hostState: value.state,
      message: null,
      clockOffset: value.now - at,
    };
  } else {
    const message = reply.kind === 'aborted' ? 'cancelled' : reply.message;
    log.warn(`heartbeat: ${message}`);
    health = {
      at,
      result: reply.kind === 'refused' ? 'refused' : 'unreachable',
      hostState: null,
      message,
      clockOffset: null,
    };
  }
  const full = { ...health, approverKeysVersion: keys.current().version, checkpointSeq: checkpoints.seq() };
  await deps.save(full);
  return full;
}

/** Beats until stopped. The pause varies so that a fleet started at once does not knock at once. */
export async function keepBeating(deps: HeartbeatDeps & { random: () => number }, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let result: Health['result'] = 'unreachable';
    try {
      result = (await beat(deps)).result;
    } catch (error) {
      deps.log.error(`heartbeat failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    // Also when refused: an operator may confirm this host any moment.
    const pause = result === 'ok' ? INTERVAL_MS : RETRY_MS;
    await deps.clock.sleep(pause * (1 + JITTER * deps.random()), signal);
  }
}
