import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { createJsonFile, type JsonFile } from './json-file.ts';
import { parseServerOrigin } from './server-origin.ts';

/** One server that the shell works with. The origin in canonical form is its identity. */
export interface Profile {
  origin: string;
}

const storedProfile = z.strictObject({
  v: z.literal(1),
  // Checked like typed text: this file is no more trusted than a keyboard.
  origin: z.string().refine((text) => {
    const parsed = parseServerOrigin(text);
    return parsed.ok && parsed.origin === text;
  }),
});

const storedBounds = z.strictObject({
  v: z.literal(1),
  x: z.int().min(-100_000).max(100_000).optional(),
  y: z.int().min(-100_000).max(100_000).optional(),
  width: z.int().min(360).max(20_000),
  height: z.int().min(400).max(20_000),
});

export function profileFile(folder: string): JsonFile<z.infer<typeof storedProfile>> {
  return createJsonFile(join(folder, 'profile.json'), storedProfile);
}

export function boundsFile(folder: string): JsonFile<z.infer<typeof storedBounds>> {
  return createJsonFile(join(folder, 'window.json'), storedBounds);
}

/** Storage partition of a profile: what one server's pages keep is never seen by another's. */
export function partitionOf(profile: Profile): string {
  return `persist:server-${createHash('sha256').update(profile.origin).digest('hex').slice(0, 32)}`;
}
