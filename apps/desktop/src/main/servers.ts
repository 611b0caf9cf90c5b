import type { Credential, CredentialStore } from './credential-store.ts';
import { createForwarder } from './forward.ts';
import { followServer, type Live } from './live.ts';
import type { HttpPort } from './ports.ts';
import type { Profile } from './profile.ts';
import type { ServerView } from './server-view.ts';

export interface Servers {
  /** Follows this server as long as its session lives. Nothing happens when it is followed already. */
  follow(origin: string): void;
  /** Stops following; the session is not touched. */
  leave(origin: string): void;
  view(profiles: readonly Profile[]): ServerView[];
  /** Connects anew everywhere. */
  kick(): void;
  /**
   * Denies a request as the person who is signed in there, as the console's own Deny does.
   *
   * @returns whether it was; null when no answer came, and nobody here knows
   */
  deny(origin: string, id: string): Promise<boolean | null>;
}

/** All servers that somebody is signed in at, each with a connection of its own: none waits for another. */
export function createServers(deps: {
  http: HttpPort;
  credentials: Pick<CredentialStore, 'get'>;
  userAgent: string;
  now: () => number;
  onChange: () => void;
  onSessionEnded: (origin: string, used: Credential | null) => void;
}): Servers {
  const followed = new Map<string, Live>();

  const forwarderOf = (origin: string, onFailure?: Parameters<typeof createForwarder>[0]['onFailure']) =>
    createForwarder({
      http: deps.http,
      origin,
      credential: () => deps.credentials.get(origin),
      userAgent: deps.userAgent,
      onSessionEnded: (used) => deps.onSessionEnded(origin, used),
      ...(onFailure ? { onFailure } : {}),
    });

  return {
    follow(origin) {
      if (followed.has(origin)) return;
      followed.set(
        origin,
        followServer({
          forwarder: (onFailure) => forwarderOf(origin, onFailure),
          now: deps.now,
          onChange: deps.onChange,
        }),
      );
    },
    leave(origin) {
      followed.get(origin)?.stop();
      followed.delete(origin);
    },
    view: (profiles) =>
      profiles.map((profile) => {
        const live = followed.get(profile.origin);
        return { profile, reach: live?.reach() ?? 'signed_out', pending: live?.pending() ?? [] };
      }),
    kick() {
      for (const live of followed.values()) live.kick();
    },
    async deny(origin, id) {
      const live = followed.get(origin);
      // Only what this person was shown: nothing from outside names a request that is not there.
      if (!live?.pending().some((one) => one.id === id && one.canDeny)) return false;
      const response = await forwarderOf(origin).forward({
        method: 'POST',
        target: '/trpc/challenges.deny',
        stream: false,
        headers: new Headers({ 'content-type': 'application/json' }),
        body: new Response(JSON.stringify({ challengeId: id, reason: null })).body,
        signal: AbortSignal.timeout(15_000),
        names: ['challenges.deny'],
      });
      await live.refresh().catch(() => {});
      return response.type === 'error' ? null : response.status === 200;
    },
  };
}
