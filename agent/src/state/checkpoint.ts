import { z } from 'zod';
import type { Checkpoint } from '#shared/host-api.ts';
import { timestamp } from '#shared/names.ts';
import { atomicWrite } from './atomic-write.ts';
import { readTrustedFile, UntrustedFile } from './trusted-file.ts';

const stored = z.strictObject({
  v: z.literal(1),
  seq: z.int().min(0),
  hash: z.string(),
  /** The head that the server claimed when it had lost what this host has seen. */
  rolledBack: z.strictObject({ seq: z.int().min(0), at: timestamp }).nullable(),
});

export type StoredCheckpoint = z.infer<typeof stored>;

/**
 * The newest head of the event log that this host has seen. A server that shows an older one was rolled back (or is a
 * copy): its decisions may repeat what was revoked since, so they stop counting until the log has caught up.
 */
export interface Checkpoints {
  seq(): number;
  rolledBack(): StoredCheckpoint['rolledBack'];
  /** Takes the head that a heartbeat brought. */
  observe(head: Checkpoint, now: number): Promise<'ok' | 'rolled_back'>;
}

/** Pure rule: what is remembered after a head was seen. */
export function observeHead(state: StoredCheckpoint, head: Checkpoint, now: number): StoredCheckpoint {
  const forked = head.seq === state.seq && state.hash !== '' && head.hash !== state.hash;
  if (head.seq < state.seq || forked) {
    return { ...state, rolledBack: state.rolledBack ?? { seq: head.seq, at: now } };
  }
  return { v: 1, seq: head.seq, hash: head.hash, rolledBack: null };
}

/** @throws UntrustedFile when the file is missing or damaged: forgetting is what it guards against. */
export async function readCheckpoint(path: string): Promise<StoredCheckpoint> {
  const bytes = await readTrustedFile(path, { private: true });
  try {
    return stored.parse(JSON.parse(bytes!.toString('utf8')));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);
  }
}

export async function openCheckpoints(path: string): Promise<Checkpoints> {
  let state = await readCheckpoint(path);
  return {
    seq: () => state.seq,
    rolledBack: () => state.rolledBack,
    async observe(head, now) {
      const next = observeHead(state, head, now);
      if (JSON.stringify(next) !== JSON.stringify(state)) {
        state = next;
        await atomicWrite(path, `${JSON.stringify(next, null, 2)}\n`);
      }
      return next.rolledBack === null ? 'ok' : 'rolled_back';
    },
  };
}
