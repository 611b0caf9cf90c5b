import { z } from 'zod';
import type { Checkpoint } from '#shared/host-api.ts';
import { sha256Text, timestamp } from '#shared/names.ts';
import { atomicWrite } from './atomic-write.ts';
import { readTrustedFile, UntrustedFile } from './trusted-file.ts';

/** How the server's log differs from what this host has seen of it: shorter, or another one. */
const contradictionKind = z.enum(['rolled_back', 'forked']);
export type ContradictionKind = z.infer<typeof contradictionKind>;

const stored = z.strictObject({
  v: z.literal(2),
  seq: z.int().min(0),
  hash: z.string(),
  /** The head as it was signed; null until a server has shown one. See shared/src/log-head.ts. */
  signed: z
    .strictObject({
      head: z.string(),
      history: sha256Text,
      epoch: timestamp,
      at: timestamp,
      /** What the trust root said about the key. */
      key: z.string(),
      keyId: sha256Text,
      keyIssuedAt: timestamp,
    })
    .nullable(),
  /** Where the log ended that contradicts this one, and since when. */
  contradiction: z.strictObject({ kind: contradictionKind, seq: z.int().min(0), at: timestamp }).nullable(),
  /** The newest backup that an operator let the log go on from, and up to where this host had seen it. */
  restored: z
    .strictObject({
      at: timestamp,
      seq: z.int().min(0),
      seen: z.int().min(0),
      operator: z.string(),
      reason: z.string(),
    })
    .nullable(),
});
export type StoredCheckpoint = z.infer<typeof stored>;

/** As hosts kept it that knew no signed heads. */
const unsigned = z.strictObject({
  v: z.literal(1),
  seq: z.int().min(0),
  hash: z.string(),
  rolledBack: z.strictObject({ seq: z.int().min(0), at: timestamp }).nullable(),
});

/** What a host knows of a log that it has not seen yet. */
export const NOTHING_SEEN: StoredCheckpoint = {
  v: 2,
  seq: 0,
  hash: '',
  signed: null,
  contradiction: null,
  restored: null,
};

/**
 * The newest head of the event log that this host has followed it to. A server whose log does not continue it was rolled
 * back, or shows another past: its decisions may repeat what was revoked since, so they stop counting.
 */
export interface Checkpoints {
  current(): StoredCheckpoint;
  /** Writes what is known from now on. */
  keep(next: StoredCheckpoint): Promise<void>;
}

export function contradicted(
  state: StoredCheckpoint,
  kind: ContradictionKind,
  head: { seq: number },
  now: number,
): StoredCheckpoint {
  // Since when, and by what at first: an operator looks for what happened then.
  return { ...state, contradiction: { seq: head.seq, at: now, ...state.contradiction, kind } };
}

/** What is remembered after an unsigned head was seen: its number may not fall, and one number has one hash. */
export function observeHead(state: StoredCheckpoint, head: Checkpoint, now: number): StoredCheckpoint {
  if (head.seq < state.seq) return contradicted(state, 'rolled_back', head, now);
  if (head.seq === state.seq && state.hash !== '' && head.hash !== state.hash)
    return contradicted(state, 'forked', head, now);
  return { ...state, seq: head.seq, hash: head.hash, contradiction: null };
}

function parse(text: string): StoredCheckpoint {
  const json: unknown = JSON.parse(text);
  const older = unsigned.safeParse(json);
  if (!older.success) return stored.parse(json);
  const { seq, hash, rolledBack } = older.data;
  return { ...NOTHING_SEEN, seq, hash, contradiction: rolledBack && { kind: 'rolled_back', ...rolledBack } };
}

/** @throws UntrustedFile when the file is missing or damaged: forgetting is what it guards against. */
export async function readCheckpoint(path: string): Promise<StoredCheckpoint> {
  const bytes = await readTrustedFile(path, { private: true });
  try {
    return parse(bytes!.toString('utf8'));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);
  }
}

export const checkpointText = (state: StoredCheckpoint): string => `${JSON.stringify(state, null, 2)}\n`;

export async function openCheckpoints(path: string): Promise<Checkpoints> {
  let state = await readCheckpoint(path);
  return {
    current: () => state,
    async keep(next) {
      if (JSON.stringify(next) === JSON.stringify(state)) return;
      // On disk first: after a crash the host must not know less than it has acted on.
      await atomicWrite(path, checkpointText(next));
      state = next;
    },
  };
}
