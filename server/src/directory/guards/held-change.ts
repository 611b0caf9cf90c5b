import { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import type { LocalPower } from './power.ts';

/** Names that are listed with a change; `count` says how many there are in all. */
export const MAX_LISTED = 100;

const claims = z.record(z.string(), z.string());
const member = z.object({
  subject: z.string(),
  username: z.string(),
  /** The Linux account; null when they would not be served. */
  account: z.string().nullable(),
});
/** Power that a host gives by a file of its own. */
const local = z.object({
  host: z.string(),
  type: z.enum(['user', 'group', 'uid', 'gid']),
  name: z.string(),
  gives: z.string(),
  file: z.string(),
  line: z.number().nullable(),
});
const vanishing = z.object({ count: z.number(), before: z.number(), names: z.array(z.string()) });

/** What waits for an operator, complete enough to be judged without looking anything up. Names are the source's. */
export const heldChange = z.discriminatedUnion('kind', [
  /** People become members of a group that produces root. */
  z.object({
    kind: z.literal('power_member'),
    detail: z.object({
      group: z.string(),
      /** Sudo claims of the group as it would be served. */
      claims,
      /** Names of the rules of the database that are for this group. */
      rules: z.array(z.string()),
      /** Names of the rules, or of the groups whose claims they are, that run commands as members of this group. */
      runAs: z.array(z.string()).default([]),
      /** What hosts give to members by files of their own. Holds from before hosts said so have none. */
      local: z.array(local).default([]),
      added: z.array(member),
      count: z.number(),
    }),
  }),
  /** A person, or a group, would be served under a name or number to which rules or files of hosts give power. */
  z.object({
    kind: z.literal('power_name'),
    detail: z.object({
      owner: z.object({ kind: z.enum(['user', 'group']), issuer: z.string(), subject: z.string(), name: z.string() }),
      /** What hosts would call it. */
      name: z.string(),
      /** Names of the rules of the database that are for this name. */
      rules: z.array(z.string()),
      /** As with members. */
      runAs: z.array(z.string()).default([]),
      local: z.array(local),
      /** Who would gain power. */
      gains: z.array(member),
      count: z.number(),
    }),
  }),
  /** A host is new to the directory, and power would come to it by that: by patterns that it matches, or files of its own. */
  z.object({
    kind: z.literal('new_host'),
    detail: z.object({
      host: z.string(),
      /** Rules that reach it although they do not name it. */
      rules: z.array(
        z.object({
          rule: z.string(),
          /** The value of `sudoHost` that it matches. */
          pattern: z.string(),
          commands: z.array(z.string()),
          /** Values of `sudoUser`. */
          to: z.array(z.string()),
        }),
      ),
      /** What its files give to names that the directory serves. Until somebody has answered it is not served at all. */
      local: z.array(local),
    }),
  }),
  /** What one host says of its own files would keep many newcomers waiting: it is asked about once, for all of them. */
  z.object({
    kind: z.literal('host_report'),
    detail: z.object({
      host: z.string(),
      /** Accounts and groups that wait because of it. */
      waiting: z.array(z.string()),
      count: z.number(),
      local: z.array(local),
    }),
  }),
  /** The sudo claims of a group change. */
  z.object({
    kind: z.literal('power_rule'),
    detail: z.object({ group: z.string(), before: claims, after: claims, members: z.array(member), count: z.number() }),
  }),
  /** A person gets another Linux account, or one that is or was another person's. */
  z.object({
    kind: z.literal('binding'),
    detail: z.object({
      person: z.object({ issuer: z.string(), subject: z.string(), username: z.string() }),
      /** What they have, or had when they left; null: none. */
      from: z.string().nullable(),
      to: z.string(),
      /** They were gone: hosts do not see them now. Holds from before this was said are of people who were there. */
      returning: z.boolean().default(false),
      /** Whose it is. `has`: now; `left`: until lately; `signs_in`: bound by a sign-in. Null: it has no owner. */
      owner: z
        .object({
          kind: z.enum(['user', 'group']),
          issuer: z.string(),
          subject: z.string(),
          /** Their name at the source; null when they are gone. */
          name: z.string().nullable(),
          claim: z.enum(['has', 'left', 'signs_in']),
        })
        .nullable(),
    }),
  }),
  /** Much vanishes at once. */
  z.object({
    kind: z.literal('mass_change'),
    detail: z.object({
      users: vanishing,
      groups: vanishing,
      /** In groups that stay; names are `user in group`. */
      memberships: vanishing,
    }),
  }),
]);
export type HeldChange = z.infer<typeof heldChange>;

/**
 * Notes a change that needs an operator; true when it may happen. `proof` is all that the operator decides on, `local` what
 * hosts give by files of their own.
 */
export type Allowed = (change: HeldChange, subject: string, proof: unknown, local?: readonly LocalPower[]) => boolean;

/** Names exactly one change: who confirms it confirms nothing else. */
export const holdDigest = (kind: HeldChange['kind'], proof: unknown): string => canonicalSha256({ kind, proof });
