import type { Clock } from '../platform/clock.ts';
import type { Hello } from './hello.ts';

/** Longer than sshd keeps a connection that has not logged in, unless LoginGraceTime says otherwise. */
const REFUSED_FOR_MS = 150_000;

/** A process that waits for PAM, told from a later one with its number. */
export const processKey = (hello: Hello): string => `${hello.ppid}:${hello.pstart}`;
/** sshd starts another process for each attempt of one connection. */
const connectionKey = (hello: Hello) => hello.sshConnection ?? processKey(hello);

/** Connections whose login has got its answer: ssh tries again by itself, and each try would be one more request. */
export interface RefusedConnections {
  add(hello: Hello): void;
  has(hello: Hello): boolean;
}

export function createRefusedConnections(clock: Clock): RefusedConnections {
  const refused = new Map<string, number>();
  return {
    add(hello) {
      const now = clock.monotonic();
      for (const [connection, until] of refused) if (until <= now) refused.delete(connection);
      refused.set(connectionKey(hello), now + REFUSED_FOR_MS);
    },
    has: (hello) => (refused.get(connectionKey(hello)) ?? 0) > clock.monotonic(),
  };
}
