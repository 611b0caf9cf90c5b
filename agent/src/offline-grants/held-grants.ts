import type { HostRecord } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import {
  type GrantsInForce,
  grantShape,
  OFFLINE_GRANT_LONGEST_MS,
  type OfflineGrant,
  offlineGrant,
} from '#shared/offline-grant.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import type { PinnedTrust } from '#shared/verify-verdict.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';

/** By both clocks: one that nobody sets, and one that says when an hour is over even if a snapshot took the other back. */
export interface Moment {
  /** Milliseconds since boot; null: that cannot be known. */
  boot: number | null;
  wall: number;
}

/**
 * What this host may run again without asking. It is in memory only: no reboot, no restart and no backup of the state folder
 * brings back a grant, or uses of one.
 */
export interface HeldGrants {
  /** To be taken before a request is sent: its grant counts from then. */
  moment(): Moment;
  /** Takes the grant that came with the answer to a request, and ends what the answer ends. */
  answered(record: HostRecord, answer: ChallengeAnswer, asked: Moment): Promise<void>;
  /** What the server said of which grants count still. */
  hear(inForce: GrantsInForce): void;
  /** Counts one use, at once. Null: there is no grant for this request now. */
  take(record: HostRecord): Taken | null;
  /** A request of this account was refused: nothing of it goes on without the server, nor anything of a host that is refused. */
  refused(user: string, code: string): void;
  /** Ends all of them: the server does not want to hear from this host. */
  end(): void;
  any(): boolean;
}

/** One use of a grant. */
export interface Taken {
  /** The JWS. */
  token: string;
  /** The server takes what became of the command as well. */
  tellRun: boolean;
}

interface Held {
  token: string;
  grant: OfflineGrant;
  since: Moment;
  lastsMs: number;
  left: number;
}

/** More shapes than this are not told apart; the oldest goes. */
const MOST = 512;

export function createHeldGrants(deps: {
  trust: PinnedTrust;
  hostId: string;
  /** The longest that one counts here, milliseconds; 0: never. */
  longestMs: number;
  clock: Pick<Clock, 'now'>;
  sinceBoot: () => number | null;
  log: Pick<Log, 'warn'>;
}): HeldGrants {
  const { clock, sinceBoot } = deps;
  const longestMs = Math.min(deps.longestMs, OFFLINE_GRANT_LONGEST_MS);
  const held = new Map<string, Held>();
  let revokedTo = 0;
  let tellRun = false;

  const endWhere = (over: (one: Held) => boolean) => {
    for (const [shape, one] of held) if (over(one)) held.delete(shape);
  };

  const hear: HeldGrants['hear'] = (inForce) => {
    // A number from far ahead, whoever said it, must not keep this host without grants for longer than one would count.
    const to = Math.min(inForce.revokedTo, clock.now() + OFFLINE_GRANT_LONGEST_MS);
    revokedTo = Math.max(Math.min(revokedTo, clock.now() + OFFLINE_GRANT_LONGEST_MS), to);
    tellRun = inForce.runs === true;
    endWhere(({ grant }) => grant.sequence <= revokedTo || grant.policyVersion !== inForce.policyVersion);
  };

  function isOver({ since, lastsMs }: Held): boolean {
    const boot = sinceBoot();
    if (boot === null || since.boot === null) return true;
    const passed = [boot - since.boot, clock.now() - since.wall];
    return passed.some((ms) => ms < 0 || ms >= lastsMs);
  }

  return {
    moment: () => ({ boot: sinceBoot(), wall: clock.now() }),

    async answered(record, answer, asked) {
      if (answer.grants) hear(answer.grants);
      if (answer.status !== 'approved') endWhere(({ grant }) => grant.user === record.user);
      const token = answer.offlineGrant ?? null;
      if (token === null || longestMs === 0 || asked.boot === null) return;
      const shape = grantShape(record);
      if (shape === null) return;
      const verified = await verifyToken(tokenType.offlineGrant, token, deps.trust.verificationKeys, offlineGrant);
      const grant = verified.ok ? verified.payload : null;
      const now = Math.floor(clock.now() / 1000);
      if (
        grant === null ||
        grant.iss !== deps.trust.serverId ||
        grant.aud !== deps.hostId ||
        grant.challengeId !== answer.challengeId ||
        grant.nonce !== record.nonce ||
        grant.user !== record.user ||
        grant.shape !== shape ||
        Math.abs(grant.iat - now) > CLOCK_SKEW_SECONDS
      )
        return deps.log.warn('the server sent an offline grant that is none for this request; ignored');
      if (grant.sequence <= revokedTo || grant.policyVersion !== answer.grants?.policyVersion) return;
      const lastsMs = Math.min((grant.exp - grant.iat) * 1000, longestMs);
      held.delete(shape);
      held.set(shape, { token, grant, since: asked, lastsMs, left: grant.uses });
      if (held.size > MOST) held.delete(held.keys().next().value!);
    },

    hear,

    take(record) {
      const shape = grantShape(record);
      const one = shape === null ? undefined : held.get(shape);
      if (shape === null || one === undefined) return null;
      if (isOver(one) || one.left <= 0) {
        held.delete(shape);
        return null;
      }
      one.left -= 1;
      return { token: one.token, tellRun };
    },

    refused: (user, code) => endWhere(({ grant }) => grant.user === user || code.startsWith('host_')),

    end: () => held.clear(),
    any: () => held.size > 0,
  };
}
