import { z } from 'zod';
import { PASSWORD_TYPES } from './break-glass-api.ts';
import { canonicalSha256 } from './digest.ts';
import { sha256Text, uuid } from './names.ts';

/**
 * Settings of hosts in which a server has a say: they count where client.conf of a host says nothing. It tells them with
 * the answer to POST /break-glass/state, to a host that has heard others.
 */

/** Bounds of each, wherever it is written: client.conf, the server's configuration, what it tells. */
export const CLIENT_BOUNDS = {
  /** The longest that a request waits on a host, milliseconds. */
  timeoutMs: { least: 5000, most: 24 * 3_600_000 },
  breakGlassRotationDays: { least: 1, most: 3650 },
} as const;

const within = ({ least, most }: { least: number; most: number }) => z.int().min(least).max(most);

/** What is not there is not told. */
export const clientDefaults = z.strictObject({
  timeoutMs: within(CLIENT_BOUNDS.timeoutMs).exactOptional(),
  breakGlassEnabled: z.boolean().exactOptional(),
  breakGlassPasswordType: z.enum(PASSWORD_TYPES).exactOptional(),
  breakGlassRotationDays: within(CLIENT_BOUNDS.breakGlassRotationDays).exactOptional(),
});
export type ClientDefaults = z.infer<typeof clientDefaults>;

/** The payload of the JWS, signed by a key that signs verdicts. */
export const toldDefaults = z.strictObject({
  v: z.literal(1),
  iss: uuid,
  /** The host. */
  aud: uuid,
  /** Of the question: what was told before does not pass for the answer to it. */
  nonce: sha256Text,
  /** To be held against {@link clientDefaults} by itself: a host that does not take all of it takes none, and says why. */
  defaults: z.record(
    z.string().regex(/^[A-Za-z]{1,64}$/),
    z.union([z.boolean(), z.number(), z.string().regex(/^[\x20-\x7e]{0,64}$/)]),
  ),
});
export type ToldDefaults = z.infer<typeof toldDefaults>;

/** By which host and server know that they mean the same settings. */
export const defaultsDigest = (defaults: ToldDefaults['defaults']): string =>
  canonicalSha256({ purpose: 'client-defaults', defaults });
