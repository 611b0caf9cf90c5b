import { z } from 'zod';
import { accountName } from '#shared/names.ts';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import type { Viewer } from '../http/viewer.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import { type Accounts, isSame } from './accounts.ts';
import { backchannelUriOf, redirectUriOf, signedOutUriOf } from './addresses.ts';
import { listClaims } from './binding-store.ts';
import type { Bindings } from './bindings.ts';
import { listPeople } from './people-store.ts';
import { roleOf } from './resolve-viewer.ts';

const personId = z.uuid();
const claim = z.object({ account: accountName, personId });

/** What this needs to know of everybody's passkeys. */
export interface PasskeysOfPeople {
  count(personId: string): Promise<number>;
  countByPerson(): Promise<Map<string, number>>;
  createRecoveryCode(
    personId: string,
    by: { personId: string | null; username: string; remoteAddr: string | null },
  ): Promise<{ code: string; expiresAt: number }>;
}

/** `people.*`: who has signed in, and what only an administrator may do about them. */
export function createPeopleRouter(deps: {
  db: Pick<Database, 'query'>;
  config: Pick<Config, 'adminGroups' | 'externalUrl' | 'oidc'>;
  bindings: Bindings;
  accounts: Pick<Accounts, 'of' | 'knownAs'>;
  passkeys: PasskeysOfPeople;
  unreadable: Pick<UnreadableRows, 'report'>;
}) {
  const { db, bindings, accounts } = deps;
  const actorOf = (viewer: Viewer) => ({ username: viewer.person.username, remoteAddr: viewer.remoteAddr });

  return router({
    /** What the identity provider has to know, and what identree asks it for. */
    signIn: adminViewProcedure.query(() => {
      const { config } = deps;
      return {
        issuer: config.oidc.issuerUrl,
        clientId: config.oidc.clientId,
        redirectUri: redirectUriOf(config),
        signedOutUri: signedOutUriOf(config),
        backchannelUri: backchannelUriOf(config),
        groupsClaim: config.oidc.groupsClaim,
        adminGroups: config.adminGroups,
      };
    }),
    list: adminViewProcedure.query(async () => {
      const people = await listPeople(db.query);
      const passkeys = await deps.passkeys.countByPerson();
      const accountsOf = await accounts.of(
        db.query,
        people.map(({ id }) => id),
      );
      const claims = await listClaims(db.query);
      /** Who has an account that is claimed: a person who signed in, or whom only the directory knows. */
      const ownerOf = (issuer: string, subject: string) => {
        const owner = people.find((person) => {
          if ('unreadable' in person) return false;
          return isSame(accounts.knownAs(person) ?? person, { issuer, subject }) || isSame(person, { issuer, subject });
        });
        return { id: owner?.id ?? null, username: owner?.username ?? '', issuer, subject };
      };
      return people.map((person) => {
        if ('unreadable' in person) return deps.unreadable.report('people', person);
        return {
          id: person.id,
          username: person.username,
          displayName: person.displayName,
          issuer: person.issuer,
          subject: person.subject,
          role: roleOf(person.groups, deps.config.adminGroups),
          groups: [...person.groups],
          accounts: accountsOf.get(person.id) ?? [],
          /** Accounts that this person claims and another one has. */
          claims: claims
            .filter((claim) => claim.person_id === person.id)
            .map((claim) => ({
              account: claim.account,
              heldAt: claim.held_at,
              owner: ownerOf(claim.owner_issuer, claim.owner_subject),
            })),
          passkeys: passkeys.get(person.id) ?? 0,
          createdAt: person.createdAt,
          lastLoginAt: person.lastLoginAt,
        };
      });
    }),
    /** Shown once; nobody can read it again. */
    createRecoveryCode: adminProcedure
      .input(z.object({ personId }))
      .mutation(({ ctx, input }) =>
        deps.passkeys.createRecoveryCode(input.personId, { personId: ctx.viewer.person.id, ...actorOf(ctx.viewer) }),
      ),
    confirmBinding: adminProcedure
      .input(claim)
      .mutation(({ ctx, input }) => bindings.confirm(input, actorOf(ctx.viewer))),
    rejectBinding: adminProcedure
      .input(claim)
      .mutation(({ ctx, input }) => bindings.reject(input, actorOf(ctx.viewer))),
  });
}
