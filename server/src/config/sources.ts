import { parse as parseToml, TomlError } from 'smol-toml';
import { systemReason } from '#shared/system-error.ts';
import { type ConfigProblem, missing } from './problems.ts';
import type { SettingMeta } from './setting.ts';
import type { RawValue } from './values.ts';

export interface ConfigSources {
  env: Readonly<Record<string, string | undefined>>;
  /** Text of a file; throws as `fs.readFileSync` does. */
  readFile: (path: string) => string;
}

export const DEFAULT_TOML_FILE = '/etc/identree/identree.toml';
export const TOML_FILE_VARIABLE = 'IDENTREE_TOML_CONFIG_FILE';

export type TomlTable = Record<string, unknown>;

/** Stands for a value whose error is already noted. */
export const INVALID = Symbol('invalid');

/** What the strongest source says about a setting; null when none does. */
export function rawValue(
  meta: SettingMeta,
  { env, readFile }: ConfigSources,
  toml: TomlTable,
  errors: ConfigProblem[],
): RawValue | null | typeof INVALID {
  const direct = env[meta.env];
  const fromFile = meta.secret ? secretFromFile(meta.env, missing(meta, '').fix, { env, readFile }, errors) : null;
  if (fromFile !== null) return fromFile;
  if (direct !== undefined) return direct.trim() === '' ? (meta.default ?? null) : direct;
  if (meta.toml !== null) {
    const [section = '', key = ''] = meta.toml.split('.');
    const table = toml[section];
    const value = isTable(table) ? table[key] : undefined;
    if (value !== undefined) {
      if (typeof value === 'string') return value.trim() === '' ? (meta.default ?? null) : value;
      if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return String(value);
      if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
      errors.push({
        setting: meta.toml,
        problem: 'is neither text, number, true, false nor a list of texts',
        fix: 'See docs/configuration.md.',
      });
      return INVALID;
    }
  }
  return meta.default ?? null;
}

/** A secret from the file that `<variable>_FILE` names; null when nothing does. `whenEmpty`: what to do then. */
export function secretFromFile(
  variable: string,
  whenEmpty: string,
  { env, readFile }: ConfigSources,
  errors: ConfigProblem[],
): string | null | typeof INVALID {
  const fileName = env[`${variable}_FILE`];
  if (!fileName) return null;
  const wrong = (setting: string, problem: string, fix: string): typeof INVALID => {
    errors.push({ setting, problem, fix });
    return INVALID;
  };
  if (env[variable]) return wrong(variable, `is set and so is ${variable}_FILE`, 'Remove one of the two.');
  let content: string;
  try {
    content = readFile(fileName).replace(/\r?\n$/, '');
  } catch (error) {
    const problem = `names ${fileName}, which cannot be read (${reasonOf(error)})`;
    return wrong(`${variable}_FILE`, problem, 'Make the file readable for the server, or correct the path.');
  }
  if (content.trim() === '') return wrong(`${variable}_FILE`, `names ${fileName}, which is empty`, whenEmpty);
  return content;
}

/** The TOML file, empty when there is none at the default place. */
export function readToml({ env, readFile }: ConfigSources, errors: ConfigProblem[]): TomlTable {
  const named = env[TOML_FILE_VARIABLE];
  const file = named || DEFAULT_TOML_FILE;
  let content: string;
  try {
    content = readFile(file);
  } catch (error) {
    // Without the file that an operator relies on, defaults would silently take its place.
    if (!named && errorCode(error) === 'ENOENT') return {};
    errors.push({
      setting: named ? TOML_FILE_VARIABLE : file,
      problem: named
        ? `names ${file}, which cannot be read (${reasonOf(error)})`
        : `cannot be read (${reasonOf(error)})`,
      fix: 'Make the file readable for the server, or correct the path.',
    });
    return {};
  }
  try {
    return parseToml(content) as TomlTable;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The parser quotes the line, and a secret may have been put there by mistake.
    errors.push({
      setting: file,
      problem: `is not valid TOML at line ${error.line}, column ${error.column}`,
      fix: 'Correct that line.',
    });
    return {};
  }
}

export const isTable = (value: unknown): value is TomlTable =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const reasonOf = (error: unknown): string => systemReason(error) ?? 'it is no file';

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'error';
}
