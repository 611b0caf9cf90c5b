import { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import { compileGlob } from './glob.ts';

/** What a request needs: nobody, a signed-in approver, or an approver with a passkey. */
export const approvalLevel = z.enum(['none', 'session', 'passkey']);
export type ApprovalLevel = z.infer<typeof approvalLevel>;

const pattern = z
  .string()
  .min(1)
  .max(253)
  .refine((text) => compileGlob(text) !== null, 'not a readable pattern');
const group = z.string().min(1).max(255);

const rule = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower-case letters, digits, dot, hyphen and underscore'),
    match_users: z.array(pattern).min(1).optional(),
    match_groups: z.array(group).min(1).optional(),
    match_hosts: z.array(pattern).min(1).optional(),
    match_host_groups: z.array(group).min(1).optional(),
    approval: approvalLevel,
    /** Only administrators may approve; without it the person whose account asks may do so too. */
    require_admin: z.boolean().default(false),
  })
  .refine(
    (r) =>
      (r.name === 'default') ===
      [r.match_users, r.match_groups, r.match_hosts, r.match_host_groups].every((criterion) => criterion === undefined),
    'a rule needs at least one match_ criterion; only the rule named default has none',
  );
export type PolicyRule = z.infer<typeof rule>;

/** The policy file: `{"policies": [...]}`; the first rule that matches decides, `default` is the fall-back. */
export const policyFile = z
  .strictObject({ policies: z.array(rule).max(1000) })
  .refine(
    (file) => new Set(file.policies.map((r) => r.name)).size === file.policies.length,
    'rule names must be unique',
  );

/** A validated policy and its version: SHA-256 of its canonical JSON. */
export interface Policy {
  version: string;
  rules: readonly PolicyRule[];
}

/** Makes a policy of a validated file. */
export function policyOf(file: z.infer<typeof policyFile>): Policy {
  return { version: canonicalSha256(file), rules: file.policies };
}

/** Without a file: every request needs a passkey, of the person who asks or of an administrator. */
export const BUILT_IN_POLICY: Policy = policyOf({
  policies: [{ name: 'default', approval: 'passkey', require_admin: false }],
});

/** Whom and what a policy is asked about. */
export interface PolicySubject {
  user: string;
  /** Groups of the person the account is bound to, as the identity provider named them. */
  groups: readonly string[];
  host: string;
  hostGroup: string | null;
}

/** What a policy answers; stored with the challenge. */
export const policyOutcome = z.object({
  rule: z.string(),
  version: z.string(),
  approval: approvalLevel,
  approvers: z.array(z.enum(['self', 'admins'])),
});
export type PolicyOutcome = z.infer<typeof policyOutcome>;

const matchesAny = (patterns: readonly string[] | undefined, value: string): boolean =>
  patterns === undefined || patterns.some((text) => compileGlob(text)?.test(value));

function matches(r: PolicyRule, subject: PolicySubject): boolean {
  return (
    matchesAny(r.match_users, subject.user) &&
    matchesAny(r.match_hosts, subject.host) &&
    (r.match_groups === undefined || r.match_groups.some((name) => subject.groups.includes(name))) &&
    (r.match_host_groups === undefined ||
      (subject.hostGroup !== null && r.match_host_groups.includes(subject.hostGroup)))
  );
}

/** First match wins; `default` is only the fall-back; without one the built-in default applies. */
export function evaluatePolicy(policy: Policy, subject: PolicySubject): PolicyOutcome {
  const found =
    policy.rules.find((r) => r.name !== 'default' && matches(r, subject)) ??
    policy.rules.find((r) => r.name === 'default') ??
    BUILT_IN_POLICY.rules[0]!;
  return {
    rule: found.name,
    version: policy.version,
    approval: found.approval,
    approvers: found.require_admin ? ['admins'] : ['self', 'admins'],
  };
}

const RANK: Record<ApprovalLevel, number> = { none: 0, session: 1, passkey: 2 };

/**
 * The stricter of two outcomes. A policy that changes while a request waits may tighten what it needs, never loosen
 * it; the version is that of the newer one.
 */
export function stricterOutcome(then: PolicyOutcome, current: PolicyOutcome): PolicyOutcome {
  return {
    rule: current.rule,
    version: current.version,
    approval: RANK[then.approval] >= RANK[current.approval] ? then.approval : current.approval,
    approvers: then.approvers.filter((kind) => current.approvers.includes(kind)),
  };
}
