import { optional, withDefault } from '../setting.ts';
import { duration, path } from '../values.ts';

/** What a request needs, and for how long it waits. */
export const approvalSettings = {
  challengeTtlMs: withDefault(duration('30s', '24h'), {
    env: 'IDENTREE_CHALLENGE_TTL',
    toml: 'auth.challenge_ttl',
    section: 'Approvals',
    description: 'How long a request waits for an answer, from 30s to 24h.',
    default: '120s',
  }),
  policiesFile: optional(path, {
    env: 'IDENTREE_APPROVAL_POLICIES_FILE',
    toml: 'admin.approval_policies_file',
    section: 'Approvals',
    description: 'Approval policies. Unset: every request needs a passkey.',
    example: '/etc/identree/policies.json',
  }),
  offlineGrantMs: withDefault(duration('0s', '1h'), {
    env: 'IDENTREE_OFFLINE_GRANT',
    toml: 'auth.offline_grant',
    section: 'Approvals',
    description:
      'How long a host may run a command again without asking that the policy has approved by itself (`approval: none`), up to 1h. 0s: never.',
    default: '0s',
  }),
};
