import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { visibleText } from '#shared/visible-text.ts';
import { COLOURS, type Colour } from '../colours.ts';
import type { Bounds } from './bounds.ts';
import { createJsonFile, type JsonFile } from './json-file.ts';
import { readCertificate } from './server-certificate.ts';
import { newName, parseServerOrigin } from './server-origin.ts';

/** One server that the shell works with. The origin in canonical form is its identity. */
export interface Profile {
  origin: string;
  /** What the person calls it. */
  name: string;
  colour: Colour;
  /**
   * A certificate, PEM: the server's own or of the authority that issued it. Where it stands, nothing else vouches for
   * this server.
   */
  pin?: string;
}

/** As many as Ctrl+1 to Ctrl+9 reach. */
export const MAX_PROFILES = 9;

// Checked like typed text: this file is no more trusted than a keyboard.
const origin = z.string().refine((text) => {
  const parsed = parseServerOrigin(text);
  return parsed.ok && parsed.origin === text;
});

/** A name that says what it seems to say: one line, nothing invisible. */
export const profileName = z
  .string()
  .trim()
  .min(1)
  .max(40)
  .refine((text) => visibleText(text) === text);

const pin = z.string().refine((text) => readCertificate(text) === text);

/** What the file held before a person could have more than one server. */
const oneServer = z.strictObject({ v: z.literal(1), origin });
const manyServers = z.strictObject({
  v: z.literal(2),
  active: origin.nullable(),
  list: z
    .array(z.strictObject({ origin, name: profileName, colour: z.enum(COLOURS), pin: pin.optional() }))
    .max(MAX_PROFILES)
    // Two profiles of one server would share credential and storage.
    .refine((list) => new Set(list.map((one) => one.origin)).size === list.length),
});
const stored = z.union([
  manyServers,
  oneServer.transform((one) => ({ v: 2 as const, active: one.origin, list: [newProfile(one.origin, [])] })),
]);

const oneBounds = z.strictObject({
  x: z.int().min(-100_000).max(100_000).optional(),
  y: z.int().min(-100_000).max(100_000).optional(),
  width: z.int().min(360).max(20_000),
  height: z.int().min(400).max(20_000),
});
const storedBounds = z.union([
  z.strictObject({ v: z.literal(2), windows: z.record(z.string(), oneBounds) }),
  oneBounds.extend({ v: z.literal(1) }).transform(({ v: _version, ...one }) => ({
    v: 2 as const,
    // Of the one server that there was, whichever it is.
    windows: { [EVERY_SERVER]: one },
  })),
]);

/** Key of the bounds that a window gets whose server has none of its own. */
export const EVERY_SERVER = '*';

export type StoredProfiles = z.infer<typeof manyServers>;
export type StoredBounds = { v: 2; windows: Record<string, Bounds> };

export function profileFile(folder: string): JsonFile<StoredProfiles> {
  return createJsonFile<StoredProfiles>(join(folder, 'profile.json'), stored);
}

export function boundsFile(folder: string): JsonFile<StoredBounds> {
  return createJsonFile<StoredBounds>(join(folder, 'window.json'), storedBounds);
}

/** A profile as it is added: called like its host, in the first colour that no other has. */
export function newProfile(serverOrigin: string, others: readonly Profile[]): Profile {
  const used = new Set(others.map(({ colour }) => colour));
  return {
    origin: serverOrigin,
    name: newName(serverOrigin),
    colour: COLOURS.find((colour) => !used.has(colour)) ?? COLOURS[0],
  };
}

function digestOf(serverOrigin: string): string {
  return createHash('sha256').update(serverOrigin).digest('hex').slice(0, 32);
}

/** Storage partition of a profile: what one server's pages keep is never seen by another's. */
export function partitionOf(profile: Pick<Profile, 'origin'>): string {
  return `persist:server-${digestOf(profile.origin)}`;
}
