import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import { type Random, randomText } from '../../platform/random.ts';
import { issuerText } from '../source/model.ts';
import * as store from './scim-store.ts';

/** Who is pushing. */
export interface ScimClient {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  readonly maySudo: boolean;
}

export interface Actor {
  readonly username: string;
  readonly remoteAddr: string | null;
}

const TOUCH_EVERY_MS = 60_000;
const DAY_MS = 86_400_000;

/** Who may push, and with which token. */
export function createScimClients(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
}) {
  const { db, clock, random } = deps;
  return {
    /** Who sent this? Null for a token that is unknown, expired or revoked. */
    async authenticate(token: string): Promise<ScimClient | null> {
      const hash = sha256(token);
      const row = await store.findClientByToken(db.query, hash);
      const now = clock.now();
      if (!row || !constantTimeEqual(row.token_hash, hash) || row.revoked_at !== null || row.expires_at <= now)
        return null;
      if (now - (row.last_used_at ?? 0) > TOUCH_EVERY_MS)
        await db.transaction((work) => store.touchClient(work, row.id, now));
      return { id: row.id, name: row.name, issuer: row.issuer, maySudo: row.scopes.split(' ').includes('sudo:write') };
    },

    clients: async () =>
      (await store.listClients(db.query)).map((row) => ({
        id: row.id,
        name: row.name,
        issuer: row.issuer,
        maySudo: row.scopes.split(' ').includes('sudo:write'),
        createdAt: row.created_at,
        createdBy: row.created_by,
        expiresAt: row.expires_at,
        lastUsedAt: row.last_used_at,
        revokedAt: row.revoked_at,
      })),

    /** Makes a client and its token. The token is shown once and stored as a hash. @throws Refusal */
    async createClient(
      input: { name: string; issuer: string; sudo: boolean; days: number },
      actor: Actor,
    ): Promise<{ id: string; token: string; expiresAt: number }> {
      if (!issuerText.safeParse(input.issuer).success) throw new Refusal('bad_request');
      const token = `scim_${randomText(random)}`;
      const now = clock.now();
      const row: store.ClientRow = {
        id: random.uuid(),
        name: input.name,
        issuer: input.issuer,
        token_hash: sha256(token),
        scopes: input.sudo ? 'sudo:write' : '',
        created_at: now,
        created_by: actor.username,
        expires_at: now + input.days * DAY_MS,
        last_used_at: null,
        revoked_at: null,
      };
      await db.transaction(async (work) => {
        await store.insertClient(work, row);
        await deps.events.append(work, {
          event: 'scim_client_created',
          username: '',
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
          data: { clientId: row.id, name: row.name, issuer: row.issuer, scopes: row.scopes, expiresAt: row.expires_at },
        });
      });
      return { id: row.id, token, expiresAt: row.expires_at };
    },

    /** From now on the token writes nothing. What it wrote stays. @throws Refusal */
    revokeClient: (id: string, actor: Actor): Promise<void> =>
      db.transaction(async (work) => {
        const row = await store.revokeClient(work, id, clock.now());
        if (!row) throw new Refusal('not_found');
        await deps.events.append(work, {
          event: 'scim_client_revoked',
          username: '',
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
          data: { clientId: row.id, name: row.name },
        });
      }),
  };
}
