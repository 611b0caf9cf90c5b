/** Whose password, and which one. */
export interface EscrowEntry {
  /** Made by the host for this password alone. */
  readonly id: string;
  readonly hostId: string;
  readonly hostname: string;
}

/** Where a password is, in words of the backend's own. Never the password. */
export type EscrowLocation = Readonly<Record<string, string>>;

/**
 * Keeps passwords. Each is kept beside the one before, not over it: until its host has it, the old one still opens that
 * host. Every method throws {@link EscrowFailure}.
 */
export interface EscrowBackend {
  readonly name: string;
  /** Resolves once it is kept for good. The same entry again is the same password. */
  store(entry: EscrowEntry, password: string): Promise<EscrowLocation>;
  retrieve(entry: EscrowEntry, location: EscrowLocation): Promise<string>;
  /** Removes a password that opens nothing any more. One that is gone already counts as removed. */
  remove(entry: EscrowEntry, location: EscrowLocation): Promise<void>;
  /** The same under the present key; null: it is. */
  rewrap?(entry: EscrowEntry, location: EscrowLocation): EscrowLocation | null;
}

/** It is not kept, or cannot be had. The message is for the log and holds nothing secret. */
export class EscrowFailure extends Error {}

/** A field of a location that this backend has written. */
export function fieldOf(location: EscrowLocation, name: string): string {
  const value = location[name];
  if (value === undefined) throw new EscrowFailure(`what is stored of this does not say its ${name}`);
  return value;
}
