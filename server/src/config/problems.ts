import type { SettingMeta } from './setting.ts';

/** One thing that is wrong. `setting` is a variable name, `section.key` of the TOML file, or that file. */
export interface ConfigProblem {
  setting: string;
  problem: string;
  fix: string;
}

/** Where rules over several settings put what they find. */
export interface Report {
  errors: ConfigProblem[];
  warnings: ConfigProblem[];
}

/** A required setting that is missing. */
export function missing(meta: SettingMeta, problem: string): ConfigProblem {
  const how = meta.secret ? ` Set it or ${meta.env}_FILE.` : meta.example ? ` For example: ${meta.example}` : '';
  return { setting: meta.env, problem, fix: `${meta.description}${how}` };
}

/** Two settings of which one is worth nothing. Undefined: could not be read, which has its own error. */
export function bothOrNeither(
  errors: ConfigProblem[],
  ...pair: [
    one: [name: string, value: string | null | undefined],
    other: [name: string, value: string | null | undefined],
  ]
): void {
  const absent = pair.find(([, value]) => value === null);
  const present = pair.find(([, value]) => value);
  if (!absent || !present) return;
  errors.push({ setting: absent[0], problem: `is not set, but ${present[0]} is`, fix: 'Set both or neither.' });
}

/** One line per problem, for the terminal. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(({ setting, problem, fix }) => `  ${setting} ${problem}. ${fix}`.trimEnd()).join('\n');
}
