import { commandLine } from '#shared/command-words.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import { CHAIN_START } from '#shared/events.ts';
import { type GrantEntry, type GrantsInForce, type GrantUse, offlineGrant } from '#shared/offline-grant.ts';
import { type PublicJwk, tokenType, verifyToken } from '#shared/token.ts';
import type { UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { HostService } from '../hosts/service.ts';
import type { Host } from '../hosts/store.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { Asking } from './asking.ts';
import { newChallengeId } from './challenge-id.ts';
import type { OfflineGrants } from './offline-grants.ts';
import { findUse, keepJournalHash } from './offline-store.ts';
import { problemOfUse } from './problem-of-use.ts';
import * as store from './store.ts';
import { newUserCode } from './user-code.ts';

export type OfflineUses = ReturnType<typeof createOfflineUses>;

/** What hosts tell of the grants that they used. */
export function createOfflineUses(deps: {
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  serverId: string;
  /** Verifies grants. */
  grantKey: PublicJwk;
  asking: Pick<Asking, 'outcome' | 'run'>;
  grants: Pick<OfflineGrants, 'inForce'>;
  hosts: Pick<HostService, 'journalTold'>;
}) {
  const { events, clock, random } = deps;

  /** A use becomes a request that was approved when its grant was made. False: it was told before. */
  async function noteUse(work: UnitOfWork, host: Host, use: GrantUse, remoteAddr: string): Promise<boolean> {
    const { record } = use;
    if (record.hostId !== host.id) throw new Refusal('wrong_host_record');
    const verified = await verifyToken(tokenType.offlineGrant, use.grant, [deps.grantKey], offlineGrant);
    if (!verified.ok) throw new Refusal('bad_request', `the grant of a use: ${verified.problem}`);
    const grant = verified.payload;
    if (grant.aud !== host.id || grant.iss !== deps.serverId)
      throw new Refusal('bad_request', 'the grant of a use is that of another host');
    const now = clock.now();
    const policy = { rule: grant.rule, version: grant.policyVersion, approval: 'none' as const, approvers: [] };
    const grantedAt = grant.iat * 1000;
    const challenge = {
      ...store.newChallenge({
        id: newChallengeId(random, now),
        user_code: newUserCode(random),
        host,
        record,
        created_at: now,
        expires_at: now,
        lease_until: now,
        policy,
      }),
      status: 'approved' as const,
      decided_at: grantedAt,
      class: 'policy' as const,
      offline_grant: use.grant,
      offline_granted_at: grantedAt,
      offline_used_at: use.at,
    };
    if (!(await store.insertChallenges(work, [challenge]))) return false;
    const problem = problemOfUse(use, grant);
    await events.append(work, {
      event: 'grant_used_offline',
      username: record.user,
      hostId: host.id,
      hostname: host.hostname,
      challengeId: challenge.id,
      code: challenge.user_code,
      reason: record.reason,
      remoteAddr,
      data: {
        requestHash: challenge.request_hash,
        runAs: record.runAs.user,
        command: commandLine(record),
        policyVersion: grant.policyVersion,
        rule: grant.rule,
        grantedWith: grant.challengeId,
        grantedAt,
        usedAt: use.at,
        problem,
        journalHash: use.hash,
        // Something that this host wrote down before it is missing, or its journal was begun anew.
        gap: use.prevHash !== (host.grants_journal ?? CHAIN_START),
      },
    });
    return true;
  }

  return {
    /** Takes the next entry of the journal of a host; one that was told before changes nothing. */
    async note(work: UnitOfWork, host: Host, entry: GrantEntry, remoteAddr: string): Promise<GrantsInForce> {
      const { hash, ...rest } = entry;
      if (canonicalSha256(rest) !== hash) throw new Refusal('bad_request', 'the hash of an entry is another');
      if (entry.kind === 'use') {
        if (await noteUse(work, host, entry, remoteAddr)) {
          await keepJournalHash(work, host.id, hash);
          await deps.hosts.journalTold(work, host.id, 'offlineGrants', entry);
        }
        return deps.grants.inForce(host);
      }
      // None: of a use that this database has lost, by a backup perhaps. There is nothing that could be said of it.
      const id = await findUse(work.query, host.id, entry.nonce);
      if (id !== null) {
        const told = { remoteAddr, journal: { at: entry.at, hash } };
        if (entry.kind === 'run') await deps.asking.run(work, host, id, entry.run, told);
        else await deps.asking.outcome(work, host, id, { outcome: entry.outcome, detail: entry.detail }, told);
      }
      if (entry.prevHash === host.grants_journal) await keepJournalHash(work, host.id, hash);
      await deps.hosts.journalTold(work, host.id, 'offlineGrants', entry);
      return deps.grants.inForce(host);
    },
  };
}
