import { join } from 'node:path';
import { z } from 'zod';
import { createJsonFile, type JsonFile } from './json-file.ts';

const stored = z.strictObject({
  v: z.literal(1),
  /** Whether the shell stays when its window is closed; null as long as the person was not asked. */
  background: z.boolean().nullable(),
  /** Notifications do not say what would run: they may be seen while the screen is locked. */
  hideCommand: z.boolean(),
});

/** What the person has settled about the shell itself. */
export type Settings = z.infer<typeof stored>;

export const FIRST_SETTINGS: Settings = { v: 1, background: null, hideCommand: false };

export function settingsFile(folder: string): JsonFile<Settings> {
  return createJsonFile<Settings>(join(folder, 'settings.json'), stored);
}
