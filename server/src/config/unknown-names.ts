import { nearest } from '#shared/nearest.ts';
import { listSettings } from './config.ts';
import { DEAD_SETTINGS, DEAD_TOML_SECTIONS } from './dead-settings.ts';
import type { ConfigProblem } from './problems.ts';
import { isChannelSecret } from './sections/notify.ts';
import { type ConfigSources, isTable, TOML_FILE_VARIABLE, type TomlTable } from './sources.ts';

const HAS_NO_EFFECT = 'This version does not use it. Remove it, or read docs/configuration.md.';

/**
 * What an administrator who sets it counts on: a trail elsewhere, or a way in when all else fails. They must not believe
 * that there is one. Of these names, those that this version knows are settings like others.
 */
const COUNTED_ON: readonly { names: RegExp; problem: string; fix: string }[] = [
  {
    names: /^IDENTREE_AUDIT(_|$)|(^|\.)audit([._]|$)/,
    problem: 'asks for an audit sink that this version does not have: no event would arrive there',
    fix: 'Unset it to start without the sink. docs/audit.md lists those that there are.',
  },
  {
    names: /^IDENTREE_ESCROW(_|$)|(^|\.)escrow([._]|$)/,
    problem: 'asks for an escrow of break-glass passwords, and this version has none like it: nothing is kept there',
    fix: 'Unset it to start without the escrow, and keep what it holds.',
  },
  {
    names: /^IDENTREE_(CLIENT_)?BREAKGLASS(_|$)|(^|\.)breakglass([._]|$)/,
    problem: 'asks for something of break-glass that this version does not do',
    fix: 'Unset it to start without it, and make sure that there is another way into the hosts.',
  },
];

const countedOn = (name: string) => COUNTED_ON.find(({ names }) => names.test(name));

/**
 * Names that mean nothing here: typing errors, settings of earlier installations, secrets in TOML. They are warnings, but
 * for those that an administrator counts on: the server does not start without.
 */
export function unknownNames(
  env: ConfigSources['env'],
  toml: TomlTable,
): { errors: ConfigProblem[]; warnings: ConfigProblem[] } {
  const found = [...unknownVariables(env), ...unknownTomlKeys(toml)];
  return {
    errors: found.flatMap(({ setting }) => {
      const refused = env[setting] === '' ? undefined : countedOn(setting);
      return refused ? [{ setting, problem: refused.problem, fix: refused.fix }] : [];
    }),
    warnings: found.filter(({ setting }) => !countedOn(setting)),
  };
}

function unknownVariables(env: ConfigSources['env']): ConfigProblem[] {
  const known = listSettings().flatMap(({ meta }) => (meta.secret ? [meta.env, `${meta.env}_FILE`] : [meta.env]));
  known.push(TOML_FILE_VARIABLE);
  const names = Object.keys(env).filter(
    (name) => name.startsWith('IDENTREE_') && !known.includes(name) && !isChannelSecret(name),
  );
  return names.sort().flatMap((name) => {
    const dead = DEAD_SETTINGS.includes(name);
    if (!dead) return [unknown(name, known)];
    return env[name] ? [{ setting: name, problem: 'has no effect', fix: HAS_NO_EFFECT }] : [];
  });
}

function unknownTomlKeys(toml: TomlTable): ConfigProblem[] {
  const settings = listSettings();
  const known = settings.flatMap(({ meta }): string[] => (meta.toml ? [meta.toml] : []));
  const secrets = settings.flatMap(({ meta }): string[] => (meta.secret ? [meta.env] : []));
  const names = Object.entries(toml).flatMap(([section, table]) =>
    isTable(table) ? Object.keys(table).map((key) => [section, key] as const) : [[section, ''] as const],
  );
  return names.flatMap(([section, key]) => {
    const name = key === '' ? section : `${section}.${key}`;
    if (known.includes(name)) return [];
    const variables = [`IDENTREE_${section}_${key}`, `IDENTREE_${key}`].map((variable) => variable.toUpperCase());
    const secret = secrets.find((candidate) => variables.includes(candidate));
    if (secret) {
      const fix = `Set ${secret} or ${secret}_FILE and remove it here.`;
      return [{ setting: name, problem: 'is a secret, and secrets are not read from the TOML file', fix }];
    }
    if (DEAD_TOML_SECTIONS.includes(section) || variables.some((variable) => DEAD_SETTINGS.includes(variable))) {
      return [{ setting: name, problem: 'has no effect', fix: HAS_NO_EFFECT }];
    }
    return [unknown(name, known)];
  });
}

function unknown(name: string, known: readonly string[]): ConfigProblem {
  const meant = nearest(name, known);
  const fix = meant ? `Did you mean ${meant}?` : 'Remove it; docs/configuration.md lists what there is.';
  return { setting: name, problem: 'is not known', fix };
}
