import type { Ground } from '../platform/module.ts';
import { BUILT_IN_POLICY } from './policy.ts';
import type { PolicySource } from './source.ts';
import { keepPolicyVersion, type PolicyInForce, readPolicyInForce, writePolicyInForce } from './store.ts';

/** What is in force while nothing was ever noted. */
const FIRST: PolicyInForce = { version: BUILT_IN_POLICY.version, problem: null };

/**
 * Notes which policy is in force, with its event: one that was taken over, replaced, found broken or mended, also while no
 * server ran. Several servers note a change once among them, and a restart notes nothing.
 */
export async function announcePolicy(
  { db, events, clock }: Pick<Ground, 'db' | 'events' | 'clock'>,
  policies: PolicySource,
): Promise<void> {
  const state = await policies.current();
  const now: PolicyInForce = state.ok
    ? { version: state.policy.version, problem: null }
    : { version: null, problem: state.problem };
  const isNews = (before: PolicyInForce) => before.version !== now.version || before.problem !== now.problem;
  // Mostly there is none, and then nothing is locked.
  if (!isNews((await readPolicyInForce(db.query)) ?? FIRST)) return;
  await db.transaction(async (work) => {
    // Writers of events wait here, so that of two servers the second one finds what the first one noted.
    await events.lockHead(work);
    const before = (await readPolicyInForce(work.query)) ?? FIRST;
    if (!isNews(before)) return;
    if (state.ok) await keepPolicyVersion(work, state.policy, clock.now());
    await writePolicyInForce(work, now);
    await events.append(work, {
      event: 'policy_changed',
      username: '',
      reason: now.problem,
      data: { from: before.version, to: now.version },
    });
  });
}
