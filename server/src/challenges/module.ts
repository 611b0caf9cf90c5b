import { Gauge } from 'prom-client';
import { signToken, tokenType } from '#shared/token.ts';
import type { Callers } from '../auth/callers.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Standing } from '../auth/standing.ts';
import type { HostService } from '../hosts/service.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import type { Ground, Module } from '../platform/module.ts';
import type { PolicySource } from '../policies/source.ts';
import { createChallengesRouter } from './router.ts';
import { createChallengeService } from './service.ts';
import { countAllPending } from './store.ts';
import { createWaiters } from './waiters.ts';

/** How often overdue requests are looked for, milliseconds. */
const REAP_EVERY_MS = 500;

/** Requests and their decisions. */
export function challengesModule(
  ground: Ground,
  others: {
    hosts: Pick<HostService, 'facts'>;
    resolver: Pick<ViewerResolver, 'recheck'>;
    accountOwner: Callers['accountOwner'];
    approvals: Approvals;
    approverKeys: Pick<ApproverKeys, 'since'>;
    policies: PolicySource;
    standing: Standing;
  },
) {
  const { config, keys, db, events } = ground;
  const challenges = createChallengeService({
    ...ground,
    policies: others.policies,
    ttlMs: config.challengeTtlMs,
    externalUrl: config.externalUrl,
    serverId: keys.serverId,
    signVerdict: (verdict) => signToken(tokenType.verdict, verdict, keys.verdict),
    hosts: others.hosts,
    recheckViewer: others.resolver.recheck,
    passkeys: others.approvals,
    standing: others.standing,
    accountOwner: others.accountOwner,
    keysSince: others.approverKeys.since,
  });
  const waiters = createWaiters({ events });
  return {
    name: 'challenges',
    metrics: [
      new Gauge({
        name: 'identree_active_challenges',
        help: 'Requests that wait now.',
        registers: [],
        async collect() {
          this.set(await countAllPending(db.query));
        },
      }),
    ],
    jobs: [{ name: 'overdue requests', everyMs: REAP_EVERY_MS, run: challenges.reap }],
    stop: async () => waiters.close(),
    procedures: createChallengesRouter({ challenges }),
    challenges,
    waiters,
  } satisfies Module & Record<string, unknown>;
}
