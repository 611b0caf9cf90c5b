import { z } from 'zod';
import { visibleText } from '#shared/visible-text.ts';
import type { PasskeysTable } from '../db/schema.ts';

/** A passkey as its owner sees it. */
export interface PasskeyView {
  credentialId: string;
  name: string;
  /** May be copied to other devices of the owner (BE flag), and has been (BS flag). */
  synced: boolean;
  backedUp: boolean;
  createdAt: number;
  lastUsedAt: number | null;
  /** Hosts do not know it yet: the trust root, which is off line, has not signed for it. */
  unsigned: boolean;
}

/** What the owner calls it: one line, 1 to 64 characters. */
export const passkeyName = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .refine((name) => visibleText(name) === name, 'holds an invisible character');

const transportList = z.array(z.string().max(32)).max(8);

/** How the browser may reach the authenticator; a hint, so anything unreadable is left out. */
export function readTransports(value: unknown): string[] {
  return transportList.safeParse(value).data ?? [];
}

export function transportsOf(row: Pick<PasskeysTable, 'transports'>): string[] {
  try {
    return readTransports(JSON.parse(row.transports));
  } catch {
    return [];
  }
}

export function passkeyView(row: PasskeysTable, unsigned: ReadonlySet<string>): PasskeyView {
  return {
    credentialId: row.credential_id,
    name: row.name,
    synced: row.backup_eligible === 1,
    backedUp: row.backed_up === 1,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    unsigned: unsigned.has(row.credential_id),
  };
}
