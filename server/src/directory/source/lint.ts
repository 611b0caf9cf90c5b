/** Something in the directory that is not served as it was written, or that an operator should look at. */
export interface Lint {
  readonly code: LintCode;
  /** What it is about: `user <name>`, `group <name>`, `rule <name>`. */
  readonly subject: string;
  /** One plain sentence fragment for the operator. */
  readonly detail: string;
  /** The account or group name that is kept free, where an operator may release it. */
  readonly name?: string;
}

export const LINT_CODES = [
  'record_left_out',
  'field_left_out',
  'group_nested',
  'nobody_linked',
  'name_invalid',
  'name_reserved',
  'name_collision',
  'name_requarantined',
  'group_shadows_upg',
  'ids_exhausted',
  'id_claim_refused',
  'sudo_value_rejected',
  'sudo_rule_dropped',
  'sudo_unauthenticated',
  'sudo_equals_all',
  'sudo_argument_wildcard',
  'sudo_argument_quoted',
  'sudo_host_unmatched',
  'sudo_overlap_auth',
  'ssh_key_rejected',
  'shell_rejected',
  'home_rejected',
  'access_value_rejected',
  'uidmap_export_failed',
] as const;
export type LintCode = (typeof LINT_CODES)[number];
