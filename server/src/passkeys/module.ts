import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Ground, Module } from '../platform/module.ts';
import type { ApproverKeys } from './approver-keys.ts';
import { createConfirmations } from './confirmations.ts';
import type { RelyingParty } from './relying-party.ts';
import { createPasskeysRouter } from './router.ts';
import { createPasskeys } from './service.ts';
import { createApprovals } from './verify-approval.ts';

/** People's passkeys, and approvals that are signed with them. */
export function passkeysModule(
  ground: Ground & { rp: RelyingParty; approverKeys: Pick<ApproverKeys, 'publish' | 'unsigned'> },
  others: { resolver: Pick<ViewerResolver, 'recheck'> },
) {
  const passkeys = createPasskeys({ ...ground, ...others });
  return {
    name: 'passkeys',
    procedures: { passkeys: createPasskeysRouter({ passkeys }) },
    passkeys,
    confirmations: createConfirmations({ ...ground, ...others }),
    approvals: createApprovals(ground),
  } satisfies Module & Record<string, unknown>;
}
