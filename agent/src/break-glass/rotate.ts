import { randomUUID } from 'node:crypto';
import type { BreakGlassState, BreakGlassWanted } from '#shared/break-glass-api.ts';
import { breakGlassType } from '#shared/break-glass-api.ts';
import { uuid } from '#shared/names.ts';
import type { SealedPassword } from '#shared/sealed-password.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Reply } from '../client/reply.ts';
import type { BreakGlassConf } from '../config/client-conf.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { withLock } from '../state/lock.ts';
import { UntrustedFile } from '../state/trusted-file.ts';
import { readHashFile, type StoredHash, writeHashFile } from './hash-file.ts';
import type { Journal } from './journal.ts';
import { makePassword } from './password.ts';
import { type Sealing, SealingFailed, sealingId } from './sealing.ts';

/** Clocks that differ by less are none of our business, milliseconds. */
const AHEAD_MS = 86_400_000;

/** Why a password has to be replaced. `people`: others than those who can open it now are named. */
export type Due = 'missing' | 'age' | 'requested' | 'used' | 'people';

/** Pure rule: why this password has to be replaced now; null: it need not be. */
export function dueFor(
  current: Pick<StoredHash, 'createdAt' | 'escrowId' | 'sealedTo'> | null,
  wanted: { rotateBefore: number | null; maximumAgeMs: number; lastOpened: number | null; sealedTo: string | null },
  now: number,
): Due | null {
  if (current === null) return 'missing';
  if (wanted.rotateBefore !== null && current.createdAt < wanted.rotateBefore) return 'requested';
  if (wanted.lastOpened !== null && current.createdAt <= wanted.lastOpened) return 'used';
  if (current.escrowId !== null && current.sealedTo !== wanted.sealedTo) return 'people';
  if (now - current.createdAt >= wanted.maximumAgeMs) return 'age';
  // Made under a clock that was far ahead, it would not grow old for as long. What was asked for may lie ahead by itself.
  const asked = Math.max(now, wanted.rotateBefore ?? 0, wanted.lastOpened ?? 0);
  return current.createdAt - asked > AHEAD_MS ? 'age' : null;
}

/** What this host says about its password. */
export function stateOf(current: StoredHash | null, enabled: boolean, problem: string | null): BreakGlassState {
  return {
    enabled,
    current: current && {
      createdAt: Math.floor(current.createdAt),
      type: breakGlassType.catch('unknown').parse(current.type),
      escrowId: uuid.nullable().catch(null).parse(current.escrowId),
    },
    problem: problem?.slice(0, 300) ?? null,
  };
}

export type Rotation =
  /** `shown`: nobody else has it, so who ran the command has to be told. The caller wipes it. */
  | { kind: 'rotated'; why: Due | 'forced'; escrowId: string | null; shown: Buffer | null }
  | { kind: 'not_due'; createdAt: number }
  /** The old password, if there was one, still opens this host. */
  | { kind: 'failed'; message: string };

export interface RotateDeps {
  /** Null: this host has no server to hand the password to. */
  client: Pick<HostClient, 'escrow' | 'breakGlassState'> | null;
  conf: BreakGlassConf;
  hostname: string;
  journal: Pick<Journal, 'lastOpened'>;
  lock: string;
  hash(password: Uint8Array, cost: number): Promise<string>;
  isPassword(password: Uint8Array, hash: string): Promise<boolean>;
  /** @throws SealingFailed */
  seal(password: Uint8Array, sealing: Sealing, id: string): Promise<SealedPassword>;
  clock: Clock;
  random: Random;
}

export interface RotateOptions {
  /** Also when it is not due. */
  force: boolean;
  /** Whether somebody is there to whom a password can be shown that no server keeps. */
  mayShow: boolean;
  /** The server is not to have it. */
  local: boolean;
}

const RETRIES_MS = [0, 1000, 3000];

const messageOf = (reply: Exclude<Reply<unknown>, { kind: 'ok' }>): string =>
  reply.kind === 'aborted' ? 'cancelled' : reply.message;

/**
 * Replaces the password. It is kept by the server, or somebody is told, before it begins to open this host; whatever
 * fails or crashes before that leaves the old one as it is.
 */
export async function rotate(deps: RotateDeps, options: RotateOptions): Promise<Rotation> {
  const { client, conf, clock } = deps;

  async function wantedNow(current: StoredHash | null): Promise<Reply<BreakGlassWanted>> {
    if (client === null || options.local) return { kind: 'ok', value: { escrow: false, rotateBefore: null } };
    return client.breakGlassState(stateOf(current, conf.enabled, null));
  }

  /** Null: the server keeps it. */
  async function keep(request: Parameters<HostClient['escrow']>[0]): Promise<string | null> {
    let message = '';
    for (const pause of RETRIES_MS) {
      await clock.sleep(pause);
      // The same id: a server that has kept it already says so again.
      const reply = await client!.escrow(request);
      if (reply.kind === 'ok') return null;
      message = messageOf(reply);
      if (reply.kind !== 'unavailable') break;
    }
    return message;
  }

  async function replace(current: StoredHash | null): Promise<Rotation> {
    const wanted = await wantedNow(current);
    if (wanted.kind !== 'ok') {
      return { kind: 'failed', message: `The server cannot keep a new password now: ${messageOf(wanted)}` };
    }
    const { escrow, rotateBefore } = wanted.value;
    const { maximumAgeMs } = conf;
    const lastOpened = await deps.journal.lastOpened();
    const sealedTo = sealingId(conf.sealing);
    const due = dueFor(current, { rotateBefore, maximumAgeMs, lastOpened, sealedTo }, clock.now());
    if (due === null && !options.force) return { kind: 'not_due', createdAt: current!.createdAt };
    if (!escrow && !options.mayShow) {
      return {
        kind: 'failed',
        message: 'The server keeps no break-glass passwords, and nobody is here to be told one.',
      };
    }
    const password = makePassword(conf.type, deps.random);
    try {
      const hash = await deps.hash(password, conf.cost);
      if (!(await deps.isPassword(password, hash))) throw new Error('bcrypt does not know its own hash again');
      // A clock that is behind the server's, or was set back, would replace it for ever.
      const createdAt = Math.max(clock.now(), (rotateBefore ?? 0) + 1, (lastOpened ?? 0) + 1);
      const escrowId = escrow ? randomUUID() : null;
      if (escrowId !== null) {
        const about = { id: escrowId, type: conf.type, createdAt };
        const problem = await keep(
          conf.sealing === null
            ? { ...about, password: password.toString('latin1') }
            : { ...about, sealed: await deps.seal(password, conf.sealing, escrowId) },
        );
        if (problem !== null)
          return { kind: 'failed', message: `The server did not keep the new password: ${problem}` };
      }
      const told = { escrowId, sealedTo: escrowId === null ? null : sealedTo };
      await writeHashFile(conf.file, deps.hostname, { hash, createdAt, type: conf.type, ...told });
      const shown = escrowId === null ? Buffer.from(password) : null;
      return { kind: 'rotated', why: due ?? 'forced', escrowId, shown };
    } catch (error) {
      if (error instanceof SealingFailed) return { kind: 'failed', message: error.message };
      throw error;
    } finally {
      password.fill(0);
    }
  }

  return withLock(deps.lock, clock, async () => {
    let current: StoredHash | null;
    try {
      current = await readHashFile(conf.file);
    } catch (error) {
      // What cannot be read opens nothing. Only a person may decide that it is not worth a look.
      if (!(error instanceof UntrustedFile) || !options.force) throw error;
      current = null;
    }
    const rotation = await replace(current);
    if (rotation.kind === 'rotated' && client !== null) {
      // So that the right one is shown to who needs it. The agent says so again if this gets lost.
      await client.breakGlassState(stateOf(await readHashFile(conf.file), conf.enabled, null));
    }
    return rotation;
  });
}
