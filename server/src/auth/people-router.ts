import { z } from 'zod';
import { accountName } from '#shared/names.ts';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import type { Viewer } from '../http/viewer.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import { backchannelUriOf, redirectUriOf, signedOutUriOf } from './addresses.ts';
import { listBindings } from './binding-store.ts';
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
  passkeys: PasskeysOfPeople;
  unreadable: Pick<UnreadableRows, 'report'>;
}) {
  const { db, bindings } = deps;
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
      const all = await listBindings(db.query);
      const nameOf = new Map(people.map(({ id, username }) => [id, username]));
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
          accounts: all.filter((binding) => binding.person_id === person.id).map(({ account }) => account),
          /** Accounts that this person claims and somebody else has. */
          claims: all
            .filter((binding) => binding.held_person_id === person.id)
            .map((binding) => ({
              account: binding.account,
              heldAt: binding.held_at ?? 0,
              owner: { id: binding.person_id, username: nameOf.get(binding.person_id) ?? '' },
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
