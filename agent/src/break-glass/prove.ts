import type { HostClient } from '../client/host-client.ts';
import type { BreakGlassConf } from '../config/client-conf.ts';
import type { Clock } from '../platform/clock.ts';
import { readHashFile, type StoredHash } from './hash-file.ts';
import { stateOf } from './rotate.ts';

/** Whether somebody can get in when no server answers. */
export interface Proof {
  /** Why nothing may come to depend on the server yet; null: nothing keeps it from that. */
  problem: string | null;
  /** What an operator should know all the same. */
  note: string | null;
}

export interface ProveDeps {
  conf: BreakGlassConf;
  client: Pick<HostClient, 'breakGlassState'>;
  /** Whether what checks passwords says no to a wrong one. */
  saysNo(): Promise<boolean>;
  clock: Clock;
}

/** An agent that was just started makes the first password within seconds. */
const FIRST_PASSWORD_MS = 45_000;
const LOOK_MS = 500;

const problemOf = (problem: string): Proof => ({ problem, note: null });
const noteOf = (note: string | null): Proof => ({ problem: null, note });

/** The file as soon as it is there; null when that takes too long. @throws UntrustedFile */
async function awaited(file: string, clock: Clock): Promise<StoredHash | null> {
  const deadline = clock.monotonic() + FIRST_PASSWORD_MS;
  for (;;) {
    const stored = await readHashFile(file);
    if (stored !== null || clock.monotonic() >= deadline) return stored;
    await clock.sleep(LOOK_MS);
  }
}

/**
 * What can be proven without the password: its hash is there and is nobody else's, and what checks a typed one works and
 * refuses. Where the server keeps passwords there has to be one; where it keeps none that is the operator's decision.
 *
 * @throws UntrustedFile
 */
export async function proveBreakGlass({ conf, client, saysNo, clock }: ProveDeps): Promise<Proof> {
  if (!conf.enabled) return noteOf('The break-glass password is turned off: while no server answers, nobody gets in.');
  let stored = await readHashFile(conf.file);
  if (stored === null) {
    const reply = await client.breakGlassState(stateOf(null, true, null));
    if (reply.kind !== 'ok')
      return problemOf(`The server does not answer: ${reply.kind === 'aborted' ? 'cancelled' : reply.message}`);
    if (!reply.value.escrow)
      return noteOf(
        'There is no break-glass password, and the server keeps none: while no server answers, nobody gets in. To make one:  identree rotate-breakglass --local',
      );
    stored = await awaited(conf.file, clock);
    if (stored === null) return problemOf('This host has no break-glass password yet. Run: identree rotate-breakglass');
  }
  return (await saysNo())
    ? noteOf(null)
    : problemOf('What checks break-glass passwords does not work. Run: identree verify-breakglass');
}
