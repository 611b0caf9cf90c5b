import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import { type GrantUse, grantShape, type OfflineGrant, offlineGrant, type UseProblem } from '#shared/offline-grant.ts';
import type { Challenge } from './store.ts';

/** Why a use is not one that its grant allowed. It is written down all the same: what ran has run. */
export function problemOfUse({ record, at }: Pick<GrantUse, 'record' | 'at'>, grant: OfflineGrant): UseProblem | null {
  if (grant.user !== record.user || grant.shape !== grantShape(record)) return 'another_request';
  const slack = CLOCK_SKEW_SECONDS * 1000;
  const inTime = at >= grant.iat * 1000 - slack && at < grant.exp * 1000 + slack;
  return inTime ? null : 'outside_its_time';
}

/** What a view says of a use. Its grant was verified before it was written. */
export function offlineView(challenge: Challenge) {
  const { offline_grant: token, offline_granted_at: grantedAt, offline_used_at: usedAt, record } = challenge;
  if (!token || grantedAt === null || usedAt === null) return null;
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  const grant = offlineGrant.parse(JSON.parse(payload));
  return { grantedAt, usedAt, problem: problemOfUse({ record, at: usedAt }, grant) };
}
