import type { JsonFile } from './json-file.ts';
import { MAX_PROFILES, newProfile, type Profile, type StoredProfiles } from './profile.ts';

/**
 * The servers of this person and which of them is looked at. What a call changes holds at once; it rejects when that
 * could not be written, so that the person can be told.
 */
export function createProfiles(file: JsonFile<StoredProfiles>) {
  let list: Profile[] = [];
  let active: string | null = null;

  const get = (origin: string): Profile | null => list.find((one) => one.origin === origin) ?? null;
  const write = () => file.write({ v: 2, active, list });

  return {
    async load(): Promise<void> {
      const stored = await file.read();
      if (!stored) return;
      list = stored.list;
      active = stored.active;
    },
    list: (): readonly Profile[] => list,
    /** Where a list lies that could not be read, as long as it is not replaced. */
    unreadable: file.unreadable,
    get,
    /** The one that the window shows, or showed last. */
    active: (): Profile | null => get(active ?? '') ?? list[0] ?? null,
    /** A profile that is not kept yet; null when there is room for no other. */
    draft: (origin: string): Profile | null => (list.length < MAX_PROFILES ? newProfile(origin, list) : null),
    /** Makes it the one that is looked at, and keeps it when it is new. */
    async activate(profile: Profile): Promise<void> {
      const isNew = !get(profile.origin);
      if (!isNew && active === profile.origin) return;
      if (isNew) list = [...list, profile];
      active = profile.origin;
      await write();
    },
    async change(origin: string, change: Pick<Profile, 'name' | 'colour'>): Promise<void> {
      list = list.map((one) => (one.origin === origin ? { ...one, ...change } : one));
      await write();
    },
    async remove(origin: string): Promise<void> {
      list = list.filter((one) => one.origin !== origin);
      if (active === origin) active = list[0]?.origin ?? null;
      await write();
    },
  };
}
