import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import { uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import type { Numbers } from './numbers/numbers.ts';
import type { Directory } from './publish/directory.ts';
import { createSudoRulesRouter } from './rules/router.ts';
import type { SudoRules } from './rules/service.ts';
import { createScimRouter } from './scim/router.ts';
import type { Scim } from './scim/service.ts';
import type { DirectorySettings } from './settings.ts';
import type { Lint } from './source/lint.ts';

/** What the routers stand for. */
export interface DirectoryParts {
  directory: Directory;
  numbers: Pick<Numbers, 'releaseName' | 'accounts'>;
  rules: SudoRules;
  scim: Scim;
  settings: DirectorySettings;
  /** Where hosts reach it. */
  ldapUrl: string;
  /** What is wrong between who signs in and whom the source knows. */
  linkLints: () => Promise<Lint[]>;
  unreadable: Pick<UnreadableRows, 'report'>;
}

const MAX_LINTS = 1000;
/** As many as a person can look at together. */
const MAX_AT_ONCE = 200;
const hold = z.object({ id: uuid, digest: z.string().max(64) });

/** @throws Refusal when this server serves no directory */
function served<T>(parts: T | null): T {
  if (parts === null) throw new Refusal('directory_off');
  return parts;
}

/** What concerns everybody goes first: one thing to mend, and not one of a thousand. */
const lintsOf = async ({ directory, linkLints }: DirectoryParts): Promise<Lint[]> => [
  ...(await linkLints()),
  ...directory.lints(),
];

/** `directory.*`, `sudoRules.*` and `scim.*`. @param parts null: this server serves no directory */
export function createDirectoryRouters(parts: DirectoryParts | null) {
  return {
    directory: createDirectoryRouter(parts),
    sudoRules: createSudoRulesRouter(() => served(parts)),
    scim: createScimRouter(() => served(parts).scim),
  };
}

/** `directory.*`: what is served, what waits for an operator, and what the source said that cannot be served. */
function createDirectoryRouter(parts: DirectoryParts | null) {
  const actorOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }) => ({
    username: ctx.viewer.person.username,
    remoteAddr: ctx.remoteAddr,
  });
  return router({
    /** Null: this server serves no directory. */
    status: adminViewProcedure.query(async () => {
      if (parts === null) return null;
      const { directory, settings, ldapUrl } = parts;
      const held = await directory.openHolds();
      return {
        ...directory.status(),
        ldapUrl,
        baseDn: settings.baseDn,
        issuer: settings.issuer,
        // Without people of its own the tree has only the rules of the database, whatever the setting says.
        sudoSource: settings.people ? settings.sudoSource : ('store' as const),
        lintCount: (await lintsOf(parts)).length,
        /** How many changes wait for a decision. */
        held,
      };
    }),
    lints: adminViewProcedure.query(async () => (await lintsOf(served(parts))).slice(0, MAX_LINTS)),
    /** Who has which uid and gid, by gid. */
    accounts: adminViewProcedure
      .input(
        z.object({
          after: z.int().min(0).nullish(),
          limit: z.int().min(1).max(200).default(50),
          search: z.string().trim().max(200).nullish(),
        }),
      )
      .query(({ input }) =>
        served(parts).numbers.accounts({
          after: input.after ?? 0,
          limit: input.limit,
          search: input.search || null,
        }),
      ),
    /** The gravest first; `held` of the status says how many there are. */
    holds: adminViewProcedure.query(async () => {
      const { directory, unreadable } = served(parts);
      const broken = await directory.unreadableHolds();
      return [...(await directory.holds()), ...broken.map((row) => unreadable.report('directory_holds', row))];
    }),
    refresh: adminProcedure.mutation(() => served(parts).directory.refresh('console')),
    /** `was`: how the change stood when the operator looked. */
    confirm: adminProcedure
      .input(hold.extend({ was: z.enum(['open', 'rejected']).default('open') }))
      .mutation(({ ctx, input }) => served(parts).directory.confirm(input, actorOf(ctx))),
    reject: adminProcedure
      .input(hold.extend({ was: z.enum(['open', 'confirmed']).default('open') }))
      .mutation(({ ctx, input }) => served(parts).directory.reject(input, actorOf(ctx))),
    /** Answers many changes that were looked at together: all of them, or none when one is not what was seen. */
    decideMany: adminProcedure
      .input(
        z.object({
          decision: z.enum(['confirmed', 'rejected']),
          holds: z
            .array(hold.extend({ was: z.enum(['open', 'rejected']).default('open') }))
            .min(1)
            .max(MAX_AT_ONCE),
        }),
      )
      .mutation(({ ctx, input }) => served(parts).directory.decideMany(input.holds, input.decision, actorOf(ctx))),
    releaseName: adminProcedure
      .input(z.object({ name: z.string().max(64) }))
      .mutation(({ ctx, input }) => served(parts).numbers.releaseName(input.name, actorOf(ctx))),
  });
}
