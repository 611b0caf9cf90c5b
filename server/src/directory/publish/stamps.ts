import type { Database } from '../../db/database.ts';
import type { Entry } from '../../ldap/entry.ts';
import type { Clock } from '../../platform/clock.ts';
import { nextTurn } from '../../platform/slices.ts';
import type { BareEntry } from '../tree/model.ts';
import { planStamps, type Stamp, usnAtBoot } from './plan-stamps.ts';
import { readStampState, readStamps, writeStamps } from './stamp-store.ts';

const CHUNK = 500;

/** Gives entries their numbers and times, durably: what hosts have seen is never given out again for something else. */
export function createStamps(deps: { db: Database; clock: Clock }) {
  const { db, clock } = deps;
  const floor = usnAtBoot(0, clock.now());
  let held: { generation: number; stamps: Map<string, Stamp> } | undefined;
  let parents = new Map<string, string>();
  let boot = true;

  return {
    /** Resolves when everything in the answer is durable. */
    async stamp(bare: readonly BareEntry[], signal?: AbortSignal): Promise<{ entries: readonly Entry[]; usn: number }> {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const state = await readStampState(db.query);
        if (held?.generation !== state.generation) {
          held = await db.snapshot(async (query) => ({
            generation: (await readStampState(query)).generation,
            stamps: await readStamps(query),
          }));
        }
        const current = held;
        const start = Math.max(state.usn, boot ? floor : 0);
        const plan = await planStamps(bare, current.stamps, start, clock.now(), parents, signal);
        let { generation } = current;
        let intact = true;
        const total = Math.max(plan.changed.length, plan.removed.length);
        for (let at = 0; intact && at < total; at += CHUNK) {
          const changed = plan.changed.slice(at, at + CHUNK);
          const removed = plan.removed.slice(at, at + CHUNK);
          intact = await db.transaction(async (work) => {
            const now = await readStampState(work);
            if (now.generation !== generation) return false;
            // The whole range at once: another process must not use the numbers of the chunks to come.
            await writeStamps(work, changed, removed, { generation: generation + 1, usn: Math.max(now.usn, plan.usn) });
            return true;
          });
          generation += 1;
          await nextTurn();
        }
        if (!intact) {
          held = undefined;
          continue;
        }
        for (const stamp of plan.changed) current.stamps.set(stamp.uuid, stamp);
        for (const uuid of plan.removed) current.stamps.delete(uuid);
        held = { generation, stamps: current.stamps };
        parents = plan.parents;
        boot = false;
        return { entries: plan.entries, usn: Math.max(plan.usn, state.usn) };
      }
      throw new Error('the update sequence numbers keep changing under this process');
    },
  };
}
