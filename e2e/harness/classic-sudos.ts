import type { Suite } from './lab.ts';

/** The classic sudo of each Debian, and the name of the host that has it. */
export const CLASSIC_SUDOS = [
  ['1.9.13', 'web1', 'bookworm'],
  ['1.9.16', 'thirteen', 'trixie'],
] as const satisfies (readonly [version: string, host: string, suite: Suite])[];
