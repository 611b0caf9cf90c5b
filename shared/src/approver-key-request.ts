import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { type ApproverKey, type ApproverKeySet, approverKeySet } from './decision.ts';
import { canonicalSha256 } from './digest.ts';
import { uuid } from './names.ts';

/** A file that is carried to the trust root: the set that waits for its signature, and the one in force. */
export const approverKeyRequest = z.strictObject({
  v: z.literal(1),
  serverId: uuid,
  /** JWS by the trust root: what the new set is compared with by who signs it. */
  inForce: z.string(),
  set: approverKeySet,
});
export type ApproverKeyRequest = z.infer<typeof approverKeyRequest>;

/** By which a person says which set is meant. In hexadecimal: it is typed as the value of an option, so it begins with no dash. */
export const setDigest = (set: ApproverKeySet): string =>
  Buffer.from(canonicalSha256(set), 'base64url').toString('hex');

export interface SetChanges {
  added: ApproverKey[];
  removed: ApproverKey[];
  /** The same credential, and not all that was said of it. */
  changed: { from: ApproverKey; to: ApproverKey }[];
}

/** Pure rule: what another set changes about who may approve. */
export function changesBetween(from: readonly ApproverKey[], to: readonly ApproverKey[]): SetChanges {
  const before = new Map(from.map((key) => [key.credentialId, key]));
  const after = new Set(to.map(({ credentialId }) => credentialId));
  const changes: SetChanges = { added: [], removed: from.filter((key) => !after.has(key.credentialId)), changed: [] };
  for (const key of to) {
    const old = before.get(key.credentialId);
    if (old === undefined) changes.added.push(key);
    else if (canonicalJson(old) !== canonicalJson(key)) changes.changed.push({ from: old, to: key });
  }
  return changes;
}
