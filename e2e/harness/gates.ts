import type { Suite } from './lab.ts';

/** Each gate that a sudo can have: a host for it, and what sudo is called there. */
export const GATES = [
  { name: 'sudo 1.9.13, PAM stage', host: 'twelve-pam', suite: 'bookworm', gate: 'pam', sudo: 'sudo' },
  { name: 'sudo 1.9.13, plugin', host: 'twelve', suite: 'bookworm', gate: 'plugin', sudo: 'sudo' },
  { name: 'sudo 1.9.16, plugin', host: 'thirteen', suite: 'trixie', gate: 'plugin', sudo: 'sudo' },
  { name: 'sudo-rs, PAM stage', host: 'thirteen-rs', suite: 'trixie', gate: 'pam', sudo: 'sudo-rs' },
] as const satisfies { name: string; host: string; suite: Suite; gate: 'pam' | 'plugin'; sudo: string }[];
export type Gate = (typeof GATES)[number];
