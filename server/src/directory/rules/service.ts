import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import type { SudoSettings } from '../settings.ts';
import type { StoredRule } from '../tree/model.ts';
import {
  checkInput,
  type FieldProblem,
  nameOf,
  type RuleInput,
  type RuleSyntax,
  type RuleWarning,
  ruleInput,
  sudoUsersOf,
  writtenOf,
} from './rule.ts';
import * as store from './rule-store.ts';
import { formatRulesFile, parseRulesFile } from './rules-file.ts';

export interface SudoRule {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  readonly rule: RuleInput;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

export interface Actor {
  readonly username: string;
  readonly remoteAddr: string | null;
}

/** What came of writing a rule. Nothing was written unless `ok`. */
export type WriteResult =
  | { ok: true; rule: SudoRule }
  | { ok: false; why: 'invalid'; problems: FieldProblem[]; warnings: RuleWarning[] }
  /** Allowed, but has to be meant: send it again with `acknowledged`. */
  | { ok: false; why: 'warnings'; problems: FieldProblem[]; warnings: RuleWarning[] }
  /** Another operator was faster. */
  | { ok: false; why: 'conflict'; current: SudoRule | null };

/** What came of a file of rules. All of them were written, or none. */
export type ImportResult =
  | { ok: true; imported: number }
  | { ok: false; why: 'invalid'; problem: string }
  /** Allowed, but has to be meant: send it again with `acknowledged`. */
  | { ok: false; why: 'warnings'; rules: number; warnings: (RuleWarning & { rule: string })[] };

/** Thrown, so that the transaction takes back what it already wrote. */
class NameTaken extends Error {}

export type SudoRules = ReturnType<typeof createSudoRules>;

// Trusts nothing that it reads: an edited database must not crash the directory or smuggle a shape in.
const storedRule = z.string().transform((text, context): RuleInput => {
  try {
    return ruleInput.parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: 'custom', message: 'unreadable rule' });
    return z.NEVER;
  }
});

function fromRow(row: store.RuleRow): SudoRule {
  return {
    id: row.id,
    name: row.name,
    revision: row.revision,
    rule: storedRule.parse(row.rule),
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  };
}

/** Sudo rules in the database. */
export function createSudoRules(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  settings: SudoSettings;
  syntax: RuleSyntax;
  hostNames: () => Promise<readonly string[]>;
}) {
  const { db, clock, random } = deps;

  const check = async (rule: RuleInput) => checkInput(rule, deps.settings, deps.syntax, await deps.hostNames());

  async function report(
    work: UnitOfWork,
    action: string,
    name: string,
    before: RuleInput | null,
    after: RuleInput | null,
    actor: Actor,
  ) {
    await deps.events.append(work, {
      event: 'sudo_rule_modified',
      username: '',
      actor: actor.username,
      remoteAddr: actor.remoteAddr,
      reason: action,
      data: { name, before, after },
    });
  }

  /** The wished name, or the first free `name-2`, `name-3` … where the rule names itself after its group. */
  async function freeName(work: UnitOfWork, rule: RuleInput, id: string): Promise<string | null> {
    const wished = nameOf(rule);
    if (!(await store.isNameTaken(work.query, wished, id))) return wished;
    if (rule.name !== null) return null;
    for (let n = 2; n <= 1000; n += 1) {
      if (!(await store.isNameTaken(work.query, `${wished}-${n}`, id))) return `${wished}-${n}`;
    }
    return null;
  }

  const taken: WriteResult = {
    ok: false,
    why: 'invalid',
    problems: [{ field: 'name', index: null, message: 'another rule has this name' }],
    warnings: [],
  };

  async function insert(
    work: UnitOfWork,
    rule: RuleInput,
    actor: Actor,
    action: string,
  ): Promise<store.RuleRow | null> {
    const now = clock.now();
    const id = random.uuid();
    const name = await freeName(work, rule, id);
    if (name === null) return null;
    const row: store.RuleRow = {
      id,
      name,
      revision: 1,
      rule: JSON.stringify(rule),
      created_at: now,
      created_by: actor.username,
      updated_at: now,
      updated_by: actor.username,
    };
    if (!(await store.insertRule(work, row))) return null;
    await report(work, action, name, null, rule, actor);
    return row;
  }

  return {
    list: async (): Promise<SudoRule[]> => (await store.listRules(db.query)).map(fromRow),

    /** What is wrong with a rule, and what should be meant. Writes nothing. */
    validate: check,

    async create(rule: RuleInput, acknowledged: boolean, actor: Actor): Promise<WriteResult> {
      const { problems, warnings } = await check(rule);
      if (problems.length > 0) return { ok: false, why: 'invalid', problems, warnings };
      if (warnings.length > 0 && !acknowledged) return { ok: false, why: 'warnings', problems, warnings };
      const row = await db.transaction((work) => insert(work, rule, actor, 'created'));
      return row ? { ok: true, rule: fromRow(row) } : taken;
    },

    /** @throws Refusal not_found */
    async update(
      id: string,
      revision: number,
      rule: RuleInput,
      acknowledged: boolean,
      actor: Actor,
    ): Promise<WriteResult> {
      const { problems, warnings } = await check(rule);
      if (problems.length > 0) return { ok: false, why: 'invalid', problems, warnings };
      if (warnings.length > 0 && !acknowledged) return { ok: false, why: 'warnings', problems, warnings };
      return db.transaction(async (work): Promise<WriteResult> => {
        const before = await store.findRule(work.query, id);
        if (!before) throw new Refusal('not_found');
        const name = await freeName(work, rule, id);
        if (name === null) return taken;
        const set = { name, rule: JSON.stringify(rule), updated_at: clock.now(), updated_by: actor.username };
        if (!(await store.updateRule(work, id, revision, set))) {
          return { ok: false, why: 'conflict', current: fromRow(before) };
        }
        await report(work, 'updated', name, fromRow(before).rule, rule, actor);
        return { ok: true, rule: fromRow({ ...before, ...set, revision: revision + 1 }) };
      });
    },

    /** @throws Refusal not_found */
    remove: (id: string, revision: number, actor: Actor) =>
      db.transaction(async (work): Promise<{ ok: true } | { ok: false; why: 'conflict'; current: SudoRule }> => {
        const before = await store.findRule(work.query, id);
        if (!before) throw new Refusal('not_found');
        if (!(await store.deleteRule(work, id, revision)))
          return { ok: false, why: 'conflict', current: fromRow(before) };
        await report(work, 'removed', before.name, fromRow(before).rule, null, actor);
        return { ok: true };
      }),

    /**
     * Takes over `sudorules.json`, all or nothing. Rules that would not be served are named with what is wrong.
     *
     * @param options.onlyIfEmpty for the import at a start: a second start imports nothing again.
     */
    async importFile(
      content: string,
      actor: Actor,
      options: { onlyIfEmpty: boolean; acknowledged: boolean },
    ): Promise<ImportResult> {
      const invalid = (problem: string): ImportResult => ({ ok: false, why: 'invalid', problem });
      const parsed = parseRulesFile(content);
      if (!parsed.ok) return invalid(parsed.problem);
      const warnings: (RuleWarning & { rule: string })[] = [];
      for (const [index, rule] of parsed.rules.entries()) {
        const checked = await check(rule);
        const first = checked.problems[0];
        if (first) return invalid(`rule ${index + 1} (${nameOf(rule)}): ${first.field}: ${first.message}`);
        warnings.push(...checked.warnings.map((warning) => ({ ...warning, rule: nameOf(rule) })));
      }
      if (warnings.length > 0 && !options.acknowledged)
        return { ok: false, why: 'warnings', rules: parsed.rules.length, warnings };
      try {
        return await db.transaction(async (work) => {
          if (options.onlyIfEmpty && (await store.listRules(work.query)).length > 0)
            return { ok: true, imported: 0 } as const;
          for (const rule of parsed.rules) {
            if (!(await insert(work, rule, actor, 'imported'))) throw new NameTaken(nameOf(rule));
          }
          return { ok: true, imported: parsed.rules.length } as const;
        });
      } catch (error) {
        if (error instanceof NameTaken) return invalid(`there is a rule "${error.message}" already`);
        throw error;
      }
    },

    exportFile: async (): Promise<string> =>
      formatRulesFile((await store.listRules(db.query)).map((row) => fromRow(row).rule)),

    /** What the tree is built from: enabled rules by name. */
    storedRules: async (): Promise<StoredRule[]> =>
      (await store.listRules(db.query))
        .map(fromRow)
        .filter(({ rule }) => rule.enabled)
        .map(({ id, name, rule }) => ({
          id,
          name,
          sudoUsers: sudoUsersOf(rule),
          description: rule.description,
          written: writtenOf(rule),
        })),
  };
}
