import { z } from 'zod';
import type { RawValue } from './values.ts';

/** Everything about a setting that is not its type. */
export interface SettingMeta {
  /** Name in the environment. */
  env: `IDENTREE_${string}`;
  /** `section.key` in the TOML file; null for what only the environment can set. */
  toml: `${string}.${string}` | null;
  /** Heading in docs/configuration.md. */
  section: string;
  /** For docs and error messages: what it does, in one or two sentences. */
  description: string;
  /** As a person would write it. */
  default?: string;
  /** In place of `default` in the docs, where the default follows from other settings. */
  defaultNote?: string;
  example?: string;
  required?: boolean;
  /** Never printed, never read from TOML, and readable from the file that `<env>_FILE` names. */
  secret?: boolean;
  /** Why this secret may be the same as another one. No two others may. */
  mayRepeat?: string;
  /** The same setting of the first of several things, whose documentation it shares. */
  furtherOf?: string;
}

/** Settings and what is known about them. */
export const settingMeta = z.registry<SettingMeta>();

// The types are shared between settings, and the registry knows a type by identity: each setting gets its own copy.

/** A setting that the server does not start without. */
export function required<T>(type: z.ZodType<T, RawValue>, meta: SettingMeta) {
  return type.clone().register(settingMeta, { ...meta, required: true });
}

/** A setting that is null when it is not given. */
export function optional<T>(type: z.ZodType<T, RawValue>, meta: SettingMeta) {
  return type.nullable().register(settingMeta, meta);
}

/** A setting that always has a value. */
export function withDefault<T>(type: z.ZodType<T, RawValue>, meta: SettingMeta & { default: string }) {
  return type.clone().register(settingMeta, meta);
}

/** What is known about a setting, with a default. */
export const defaultsTo = <T extends SettingMeta>(meta: T, value: string): T & { default: string } => ({
  ...meta,
  default: value,
});
/** A secret: never in the TOML file. */
export const hidden = { toml: null, secret: true } as const;
