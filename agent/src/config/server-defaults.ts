import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { type ClientDefaults, clientDefaults, defaultsDigest, toldDefaults } from '#shared/client-defaults.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import type { Log } from '../platform/log.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import type { Enrolment } from '../state/identity.ts';
import { readTrustedFile } from '../state/trusted-file.ts';

/** The settings that the server has told this host. They outlast a restart of the agent, and a server that is away. */
export interface ServerDefaults {
  /** Those that count where client.conf says nothing. */
  current(): ClientDefaults;
  /** Why what the server told last does not count; null: it does, or it told nothing. */
  problem(): string | null;
  /** By which the server knows what this host has heard of it. */
  heard(): string;
  /** Takes what the answer to the question with this nonce says. What was not signed for it changes nothing. */
  hear(token: string, nonce: string): Promise<void>;
  /** Forgets them: this host is revoked. */
  forget(): Promise<void>;
}

/** What is on disk. */
const stored = z.strictObject({
  v: z.literal(1),
  /** The JWS of the settings that count; null: none do. */
  token: z.string().nullable(),
  /** Why those that were told after it do not; null: none were. */
  refused: z.string().nullable(),
});
type Stored = z.infer<typeof stored>;

const NOTHING: Stored = { v: 1, token: null, refused: null };

/** No settings have it, so the server says anew what it tells. */
const HEARD_NOTHING = canonicalSha256({ purpose: 'client-defaults', defaults: null });

/** What a signed text tells; null: it was not signed by this server for this host. */
async function readTold(token: string, { identity, trust }: Pick<Enrolment, 'identity' | 'trust'>) {
  const verified = await verifyToken(tokenType.clientDefaults, token, trust.verificationKeys, toldDefaults);
  if (!verified.ok) return null;
  const { payload } = verified;
  return payload.iss === trust.serverId && payload.aud === identity.hostId ? payload : null;
}

/** All of them, or none and why: one that is out of bounds is no reason to guess what was meant by the others. */
function taken(
  told: Parameters<typeof defaultsDigest>[0],
): { ok: true; defaults: ClientDefaults } | { ok: false; why: string } {
  const parsed = clientDefaults.safeParse(told);
  if (parsed.success) return { ok: true, defaults: parsed.data };
  const wrong = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : [String(issue.path[0])],
  );
  const words = [...new Set(wrong)].map((key) => `${key} cannot be ${JSON.stringify(told[key])} here`);
  return { ok: false, why: words.join(', ') };
}

/** Reads what was told. A file that cannot be used is a problem to show, and no reason to refuse anybody. */
export async function openServerDefaults(deps: {
  file: string;
  enrolment: Pick<Enrolment, 'identity' | 'trust'>;
  log: Log;
}): Promise<ServerDefaults> {
  const { file, enrolment, log } = deps;
  let defaults: ClientDefaults = {};
  let kept = NOTHING;
  let damage: string | null = null;
  /** By which the server knows what this host has heard. Null: nothing, so that it says anew what it tells. */
  let heard: string | null = null;

  async function read(): Promise<void> {
    const bytes = await readTrustedFile(file, { private: true, maxBytes: 64 * 1024 });
    if (bytes === null) return;
    const found = stored.parse(JSON.parse(bytes.toString('utf8')));
    if (found.token !== null) {
      const told = await readTold(found.token, enrolment);
      if (told === null) throw new Error('it was not signed by the server for this host');
      const read = taken(told.defaults);
      if (!read.ok) throw new Error(read.why);
      defaults = read.defaults;
    }
    kept = found;
  }

  try {
    await read();
    // What an earlier start refused, as an earlier version, is looked at once more.
    if (kept.refused === null) heard = defaultsDigest(defaults);
  } catch (error) {
    // What the server says takes the place of the file.
    const isDamaged = error instanceof z.ZodError || error instanceof SyntaxError;
    const why = isDamaged ? 'it is damaged' : error instanceof Error ? error.message : String(error);
    damage = `${file} does not count: ${why}`;
    log.warn(damage);
  }

  /** On disk first: after a restart the same has to count. */
  async function keep(next: Stored, counts: ClientDefaults, digest: string): Promise<void> {
    await atomicWrite(file, `${JSON.stringify(next)}\n`);
    [kept, defaults, damage, heard] = [next, counts, null, digest];
  }

  return {
    current: () => defaults,
    problem: () =>
      damage ??
      (kept.refused
        ? `None of the settings that the server told last counts: ${kept.refused}. Those of before do.`
        : null),
    heard: () => heard ?? HEARD_NOTHING,
    async hear(token, nonce) {
      const told = await readTold(token, enrolment);
      if (told === null || told.nonce !== nonce)
        return log.warn('the server sent settings that it has not signed for this host and this question; ignored');
      const read = taken(told.defaults);
      const digest = defaultsDigest(told.defaults);
      if (read.ok) {
        await keep({ v: 1, token, refused: null }, read.defaults, digest);
        return log.info(`the server tells other settings: ${JSON.stringify(read.defaults)}`);
      }
      await keep({ v: 1, token: kept.token, refused: read.why }, defaults, digest);
      log.error(`none of the settings that the server tells counts: ${read.why}`);
    },
    async forget() {
      [kept, defaults, damage, heard] = [NOTHING, {}, null, defaultsDigest({})];
      await rm(file, { force: true });
    },
  };
}
