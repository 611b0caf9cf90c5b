import { ID } from '../schema/schema.ts';
import { AUDIENCE, findValues, found, readElement, type Snapshot } from '../snapshot/snapshot.ts';

/** Who looks at the directory. */
export interface View {
  /** One bit of `AUDIENCE`. */
  audience: number;
  /** Ordinal of the entry that stands for the connection itself, which it may always see; -1 without one. */
  self: number;
  /**
   * Names of the host that the connection belongs to, in lower case: of the sudo rules it sees only those that may apply
   * to it. Null: all.
   */
  host: readonly string[] | null;
}

export const ANONYMOUS: View = { audience: AUDIENCE.anonymous, self: -1, host: null };

/** Whether an entry exists for this view. */
export function isVisible(snapshot: Snapshot, view: View, ordinal: number): boolean {
  if ((snapshot.audience[ordinal]! & view.audience) === 0 && ordinal !== view.self) return false;
  return view.host === null || appliesTo(snapshot, ordinal, view.host);
}

/** The entry of a name that exists for this view; -1 when there is none. @param key of the name; negative: no entry has it. */
export function visibleEntry(snapshot: Snapshot, view: View, key: number): number {
  if (key < 0) return -1;
  for (let i = snapshot.keyStart[key]!; i < snapshot.keyStart[key + 1]!; i++) {
    const ordinal = snapshot.postings[i]!;
    if (isVisible(snapshot, view, ordinal)) return ordinal;
  }
  return -1;
}

/** ALL, netgroups, addresses, networks and patterns: whether they mean a host only the host itself can tell. */
const OPEN_ENDED = /^(?:all$|\+)|[*?[\]/:]|^\d+\.\d+\.\d+\.\d+$/i;

/** False for a sudo rule that names hosts, none of which is this one. */
function appliesTo(snapshot: Snapshot, ordinal: number, host: readonly string[]): boolean {
  if (!findValues(snapshot, ordinal, ID.sudoHost)) return true;
  const { arena } = snapshot;
  let at = found.start;
  const { end } = found;
  while (at < end) {
    readElement(arena, at);
    at = found.end;
    const value = Buffer.from(arena.slice(found.start, found.end)).toString('utf8');
    if (!value.startsWith('!') && (OPEN_ENDED.test(value) || host.includes(value.toLowerCase()))) return true;
  }
  return false;
}
