import type { GrantEntry } from '#shared/offline-grant.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Chain } from '../journal/chain.ts';
import { isNeverTaken } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Waker } from '../platform/waker.ts';
import type { HeldGrants } from './held-grants.ts';

export interface TellDeps {
  client: Pick<HostClient, 'grantEntry' | 'grantsInForce'>;
  journal: Pick<Chain<GrantEntry>, 'unreported' | 'reported'>;
  grants: Pick<HeldGrants, 'hear' | 'end' | 'any'>;
  hostId: string;
  clock: Clock;
  log: Log;
}

/** How often it is asked what counts still, while anything may, milliseconds. */
const INTERVAL_MS = 45_000;
/** How long uses are gathered before they are told, milliseconds: the commands have the processor first. */
const GATHER_MS = 1000;
const JITTER = 0.2;

/**
 * Tells the server what was done by grants, and hears which count still. A server that refuses this host has none of its
 * grants in force; one that cannot be reached leaves them to their time.
 */
export async function tellUses(deps: TellDeps): Promise<void> {
  const { client, journal, grants, log } = deps;
  for (const entry of await journal.unreported()) {
    if (entry.kind === 'use' && entry.record.hostId !== deps.hostId) {
      log.error(
        `a use of an offline grant was written down under an earlier enrolment; it cannot be told: ${entry.id}`,
      );
      await journal.reported(entry);
      continue;
    }
    const reply = await client.grantEntry(entry);
    if (reply.kind === 'ok') grants.hear(reply.value);
    else if (reply.kind === 'refused') {
      grants.end();
      log.warn(`the server did not take a use of an offline grant: ${reply.message}`);
    }
    const isNever = isNeverTaken(reply);
    if (isNever)
      log.error(`a use of an offline grant cannot be told; it stays in the journal of this host: ${entry.id}`);
    if (reply.kind !== 'ok' && !isNever) return;
    await journal.reported(entry);
  }
  if (!grants.any()) return;
  const reply = await client.grantsInForce();
  if (reply.kind === 'ok') grants.hear(reply.value);
  else if (reply.kind === 'refused') grants.end();
}

/** Tells until stopped. Who writes the journal wakes it. */
export async function keepTelling(
  deps: TellDeps & { random: () => number; waker: Pick<Waker, 'woken'> },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const woken = deps.waker.woken();
    try {
      await tellUses(deps);
    } catch (error) {
      deps.log.error(`offline grants: ${error instanceof Error ? error.message : String(error)}`);
    }
    await deps.clock.sleep(INTERVAL_MS * (1 + JITTER * deps.random()), AbortSignal.any([signal, woken]));
    if (woken.aborted) await deps.clock.sleep(GATHER_MS, signal);
  }
}
