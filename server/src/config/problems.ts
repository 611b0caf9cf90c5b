import type { SettingMeta } from './config.ts';

/** One thing that is wrong. `setting` is a variable name, `section.key` of the TOML file, or that file. */
export interface ConfigProblem {
  setting: string;
  problem: string;
  fix: string;
}

/** A required setting that nobody gave. */
export function missing(meta: SettingMeta, problem: string): ConfigProblem {
  const how = meta.secret ? ` Set it or ${meta.env}_FILE.` : meta.example ? ` For example: ${meta.example}` : '';
  return { setting: meta.env, problem, fix: `${meta.description}${how}` };
}

/** One line per problem, for the terminal. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(({ setting, problem, fix }) => `  ${setting} ${problem}. ${fix}`.trimEnd()).join('\n');
}
