import type { HostRecord, ResolvedBySudo } from './decision.ts';

/** True when who asks, or another user, can still change the program or put another in its place once it is approved. */
export function mayChangeUntilItRuns({ target, unrestricted }: HostRecord): boolean {
  return (
    target?.sha256 === null ||
    unrestricted.includes('user-writable-target') ||
    unrestricted.includes('user-writable-path')
  );
}

/** Variables that can make the command run something else than what is shown; empty where sudo told none. */
export function notableVariables({ resolved }: HostRecord): ResolvedBySudo['environment']['notable'] {
  return resolved?.environment.notable ?? [];
}
