import { z } from 'zod';
import { uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, type RestMeta, router } from '../../http/trpc.ts';
import type { DirectorySettings } from '../settings.ts';
import type { ServedRule } from '../tree/model.ts';
import { ruleInput } from './rule.ts';
import type { SudoRules } from './service.ts';
import { simulate } from './simulate.ts';

const acknowledged = z.boolean().default(false);
const revision = z.int().min(1);
const names = z.array(z.string().min(1).max(256)).max(500);

/** Nothing was written: 422 for what is wrong or has to be meant, 409 when another operator was faster. */
const writeStatus =
  (done: number) =>
  (output: unknown): number => {
    const result = output as { ok: boolean; why?: string };
    return result.ok ? done : result.why === 'conflict' ? 409 : 422;
  };

const rest = (
  method: RestMeta['method'],
  path: string,
  summary: string,
  status?: RestMeta['status'],
): { rest: RestMeta } => ({
  rest: { method, path: `/sudo-rules${path}`, summary, ...(status ? { status } : {}) },
});

/** `sudoRules.*`: the rules of the database. Changing one changes who is root, so it takes an administrator in a browser. */
export function createSudoRulesRouter(
  /** @throws Refusal when there is no directory */
  parts: () => {
    rules: SudoRules;
    /** What hosts see. */
    directory: { rules(): readonly ServedRule[]; groupsOf(account: string): Promise<string[]> };
    settings: Pick<DirectorySettings, 'sudo'>;
  },
) {
  const actorOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }) => ({
    username: ctx.viewer.person.username,
    remoteAddr: ctx.remoteAddr,
  });
  return router({
    list: adminViewProcedure.meta(rest('GET', '', 'Rules of the database')).query(() => parts().rules.list()),
    /** What hosts see now, from claims and from the database. */
    served: adminViewProcedure.query(() => parts().directory.rules()),
    validate: adminViewProcedure
      .meta(rest('POST', '/validate', 'What is wrong with a rule, without writing it'))
      .input(z.object({ rule: ruleInput }))
      .query(({ input }) => parts().rules.validate(input.rule)),
    create: adminProcedure
      .meta(rest('POST', '', 'Make a rule', writeStatus(201)))
      .input(z.object({ rule: ruleInput, acknowledged }))
      .mutation(({ ctx, input }) => parts().rules.create(input.rule, input.acknowledged, actorOf(ctx))),
    update: adminProcedure
      .meta(rest('PUT', '/{id}', 'Change a rule that still has this revision', writeStatus(200)))
      .input(z.object({ id: uuid, revision, rule: ruleInput, acknowledged }))
      .mutation(({ ctx, input }) =>
        parts().rules.update(input.id, input.revision, input.rule, input.acknowledged, actorOf(ctx)),
      ),
    delete: adminProcedure
      .meta(rest('DELETE', '/{id}', 'Remove a rule that still has this revision', writeStatus(200)))
      .input(z.object({ id: uuid, revision }))
      .mutation(({ ctx, input }) => parts().rules.remove(input.id, input.revision, actorOf(ctx))),
    import: adminProcedure
      .meta(rest('POST', '/import', 'Take over rules from the text of a sudorules.json, all or none', writeStatus(200)))
      .input(z.object({ content: z.string().max(60_000), acknowledged }))
      .mutation(({ ctx, input }) =>
        parts().rules.importFile(input.content, actorOf(ctx), { onlyIfEmpty: false, acknowledged: input.acknowledged }),
      ),
    export: adminViewProcedure
      .meta(rest('GET', '/export', 'Rules of the database as the text of a sudorules.json'))
      .query(() => parts().rules.exportFile()),
    simulate: adminViewProcedure
      .meta(rest('POST', '/simulate', 'What sudo would do for a person, a host and a command'))
      .input(
        z.object({
          user: z.object({
            name: z.string().max(64),
            /** Null: those that the directory knows. */
            groups: names.nullable().default(null),
            netgroups: names.default([]),
          }),
          host: z.object({ names: names.min(1), addresses: names.default([]), netgroups: names.default([]) }),
          command: z.string().max(4096),
          runAsUser: z.string().max(64).default('root'),
          runAsGroup: z.string().max(64).nullable().default(null),
        }),
      )
      .query(async ({ input }) => {
        const { directory, settings } = parts();
        const groups = input.user.groups ?? (await directory.groupsOf(input.user.name));
        const asked = { ...input, user: { ...input.user, groups } };
        return { ...simulate(directory.rules(), settings.sudo.defaults ?? [], asked), groups };
      }),
  });
}
