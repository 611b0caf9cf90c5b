import { z } from 'zod';
import { type RuleInput, ruleInput } from './rule.ts';

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_RULES = 1000;

const text = z.string().max(65_536).optional();
const v1 = z
  .array(
    z.object({
      group: z.string(),
      hosts: text,
      commands: z.string().max(65_536),
      runAsUser: text,
      runAsGroup: text,
      options: text,
    }),
  )
  .max(MAX_RULES);
const v2 = z.object({ version: z.literal(2), rules: z.array(ruleInput).max(MAX_RULES) });

const split = (list: string | undefined): string[] =>
  (list ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/**
 * Reads `sudorules.json`: the bare array of earlier installations, or `{"version":2,"rules":[…]}`.
 *
 * @returns a problem for anything else; nothing is imported then.
 */
export function parseRulesFile(content: string): { ok: true; rules: RuleInput[] } | { ok: false; problem: string } {
  if (Buffer.byteLength(content) > MAX_BYTES) return { ok: false, problem: 'larger than 4 MiB' };
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    return { ok: false, problem: 'not valid JSON' };
  }
  if (json === null) return { ok: true, rules: [] };
  if (Array.isArray(json)) {
    const parsed = v1.safeParse(json);
    if (!parsed.success) return { ok: false, problem: z.prettifyError(parsed.error) };
    const rules = parsed.data.map((rule) => ({
      ...ruleInput.parse({ group: rule.group.slice(0, 64), commands: [] }),
      hosts: split(rule.hosts),
      commands: split(rule.commands),
      runAsUser: split(rule.runAsUser),
      runAsGroup: split(rule.runAsGroup),
      options: split(rule.options),
    }));
    return { ok: true, rules };
  }
  const parsed = v2.safeParse(json);
  return parsed.success
    ? { ok: true, rules: [...parsed.data.rules] }
    : { ok: false, problem: z.prettifyError(parsed.error) };
}

export function formatRulesFile(rules: readonly RuleInput[]): string {
  return `${JSON.stringify({ version: 2, rules }, null, 1)}\n`;
}
