import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { optional, withDefault } from '../setting.ts';
import { duration, flag, secret } from '../values.ts';

/** How hosts are admitted. */
export const hostSettings = {
  sharedSecret: optional(secret(32), {
    env: 'IDENTREE_SHARED_SECRET',
    toml: null,
    section: 'Hosts',
    description:
      'Lets a host enrol without a token, and nothing else. A host that enrols with it waits until an operator confirms its key. Unset: tokens only.',
    secret: true,
  }),
  enrolmentAutoConfirm: withDefault(flag, {
    env: 'IDENTREE_ENROLMENT_AUTO_CONFIRM',
    toml: 'hosts.enrolment_auto_confirm',
    section: 'Hosts',
    description:
      'Accept hosts that enrol with IDENTREE_SHARED_SECRET at once. Then the secret is all that a stranger needs.',
    default: 'false',
  }),
  certificateTtlMs: withDefault(duration('5m', '3650d'), {
    env: 'IDENTREE_MTLS_CERT_TTL',
    toml: 'hosts.cert_ttl',
    section: 'Hosts',
    description:
      'How long the certificate of a host is valid. Its agent renews it when two thirds of that have passed, and sssd is restarted each time: in a moment without a sudo of the plugin; one that asks by the PAM stage can be refused in that second. In minutes a server must not be away for a third of that.',
    default: '8760h',
  }),
};

/** Rules over several of these settings. */
export function checkHosts(values: Readable<typeof hostSettings>, { warnings }: Report): void {
  if (values.enrolmentAutoConfirm && values.sharedSecret === null) {
    warnings.push({
      setting: 'IDENTREE_ENROLMENT_AUTO_CONFIRM',
      problem: 'has no effect without IDENTREE_SHARED_SECRET',
      fix: 'Hosts that enrol with a token are accepted at once anyway.',
    });
  }
}
