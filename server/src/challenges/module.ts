import { type EventRecord, eventKind } from '#shared/events.ts';
import { signToken, tokenType } from '#shared/token.ts';
import type { LogReads } from '../audit/log-reads.ts';
import type { Callers } from '../auth/callers.ts';
import type { Standing } from '../auth/standing.ts';
import { createWaiters } from '../events/waiters.ts';
import type { HostService } from '../hosts/service.ts';
import type { HostApi } from '../http/host-operation.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import type { Ground, Module } from '../platform/module.ts';
import type { PolicySource } from '../policies/source.ts';
import { createAnnouncing } from './announcing.ts';
import { createAsking } from './asking.ts';
import { createDeciding } from './deciding.ts';
import { challengeRoutes } from './host-routes.ts';
import { createNoteShown } from './noting-shown.ts';
import { createOfflineGrants } from './offline-grants.ts';
import { createOfflineUses } from './offline-uses.ts';
import { createRequirements } from './requirement.ts';
import { createChallengesRouter } from './router.ts';
import { createSettling, type Settling } from './settling.ts';
import { createShowing } from './showing.ts';
import { countAllPending } from './store.ts';

/** How often overdue requests are looked for, milliseconds. */
const REAP_EVERY_MS = 500;
/** How often it is looked whether what grants of hosts rest on still holds, milliseconds. */
const LOOK_AT_GRANTS_MS = 5000;

/** The request that is another one after this event, for its host that waits. */
function changedChallenge({ challengeId, event }: EventRecord): string | null {
  // Its own creation is no news to who already waits for it, nor is that somebody looked or was refused.
  return event === 'challenge_created' || eventKind(event)?.topic === 'attempts' ? null : challengeId;
}

/** How requests end. It needs nobody but the keys, so that those who end requests can come before those who make them. */
export function settlingModule(ground: Ground & { approverKeys: Pick<ApproverKeys, 'since'> }) {
  const { keys, approverKeys } = ground;
  const settling = createSettling({
    ...ground,
    serverId: keys.serverId,
    signVerdict: (verdict) => signToken(tokenType.verdict, verdict, keys.verdict),
    keysSince: approverKeys.since,
  });
  return {
    name: 'settling',
    start: settling.extendLeases,
    jobs: [{ name: 'overdue requests', everyMs: REAP_EVERY_MS, run: settling.reap }],
    settling,
  } satisfies Module & Record<string, unknown>;
}

/** Requests and their decisions. */
export function challengesModule(
  ground: Ground & { approverKeys: Pick<ApproverKeys, 'since'>; hosts: Pick<HostService, 'facts' | 'journalTold'> },
  others: {
    callers: Pick<Callers, 'resolver' | 'accounts'>;
    approvals: Approvals;
    policies: PolicySource;
    policyForGrants: () => Promise<string | null>;
    standing: Standing;
    settling: Settling;
    hostApi: HostApi;
    reads: LogReads;
  },
) {
  const { config, db, events, keys, approverKeys } = ground;
  const { resolver, accounts } = others.callers;
  const accountOwner = accounts.ownerOf;
  const requirements = createRequirements({ ...others, accountOwner, accountOwners: accounts.ownersOf });
  const { serverId } = keys;
  const grants = createOfflineGrants({
    ...ground,
    ...others,
    requirements,
    longestMs: config.offlineGrantMs,
    serverId,
    sign: (grant) => signToken(tokenType.offlineGrant, grant, keys.verdict),
  });
  const asking = createAsking({
    ...ground,
    ...others,
    requirements,
    grants,
    ttlMs: config.challengeTtlMs,
    externalUrl: config.externalUrl,
    keysSince: approverKeys.since,
  });
  const deciding = createDeciding({ ...ground, ...others, requirements, recheckViewer: resolver.recheck });
  const showing = createShowing({ ...ground, ...others, accountOwner, noteShown: createNoteShown(ground) });
  const announcing = createAnnouncing({ ...ground, requirements, externalUrl: config.externalUrl });
  const uses = createOfflineUses({ ...ground, serverId, grantKey: keys.verdict.public, asking, grants });
  const waiters = createWaiters({ events, db, keyOf: changedChallenge });
  return {
    name: 'challenges',
    metrics: [
      readGauge({
        name: 'active_challenges',
        help: 'Requests that wait now.',
        read: shortly(() => countAllPending(db.query)),
      }),
    ],
    routes: [others.hostApi(challengeRoutes({ asking, waiters, grants, uses }))],
    jobs: [
      { name: 'offline grants', everyMs: LOOK_AT_GRANTS_MS, run: grants.endUnfounded },
      { name: 'offline grants of before', everyMs: 60_000, run: grants.forgetOver },
    ],
    handOver: () => waiters.close(),
    stop: async () => waiters.close(),
    procedures: { challenges: createChallengesRouter({ ...deciding, ...showing }, others.reads) },
    challenges: { ...asking, ...deciding, ...showing },
    announcing,
    offlineGrants: grants,
  } satisfies Module & Record<string, unknown>;
}
