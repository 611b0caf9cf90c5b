import type { z } from 'zod';
import { type Config, listSettings, type settings } from './config.ts';
import { type ConfigProblem, missing } from './problems.ts';
import { programEnvironment } from './program-environment.ts';
import type { Readable } from './readable.ts';
import { checkTogether } from './rules.ts';
import { assembleAudit } from './sections/audit.ts';
import { POSTGRES_CONNECTIONS } from './sections/database.ts';
import { escrowCommand } from './sections/escrow.ts';
import { channelSecrets, readChannelSecrets } from './sections/notify.ts';
import { type ConfigSources, INVALID, rawValue, readToml } from './sources.ts';
import { unknownNames } from './unknown-names.ts';
import { withoutEffect } from './without-effect.ts';

/**
 * Milliseconds in which every load balancer asks /healthz again and learns that this server stops. A server that has no
 * other beside it does not wait: there is nowhere to send people to.
 */
const STOP_DELAY_MS = 3000;

export type ConfigResult =
  | { ok: true; config: Config; warnings: ConfigProblem[] }
  | { ok: false; errors: ConfigProblem[]; warnings: ConfigProblem[] };

/**
 * Reads the configuration: environment, then the TOML file, then defaults. An empty variable clears what the file says.
 * Tells everything that is wrong at once, and never a secret.
 */
export function loadConfig({ env, readFile }: ConfigSources): ConfigResult {
  const errors: ConfigProblem[] = [];
  const warnings: ConfigProblem[] = [];
  const known = listSettings();
  const toml = readToml({ env, readFile }, errors);
  const unknown = unknownNames(env, toml);
  errors.push(...unknown.errors);
  warnings.push(...unknown.warnings);

  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  for (const { path, type, meta } of known) {
    const raw = rawValue(meta, { env, readFile }, toml, errors);
    if (raw === INVALID) continue;
    if (raw !== null && raw !== meta.default) given.add(meta.env);
    if (raw === null && meta.required) {
      errors.push(missing(meta, 'is not set'));
      continue;
    }
    if (raw === null) {
      place(values, path, null);
      continue;
    }
    const parsed = type.safeParse(raw);
    if (parsed.success) {
      if (meta.required && Array.isArray(parsed.data) && parsed.data.length === 0) {
        errors.push(missing(meta, 'is empty'));
      } else place(values, path, parsed.data);
    } else {
      for (const issue of parsed.error.issues) {
        const fix = issue.code === 'custom' ? String(issue.params?.fix ?? '') : '';
        errors.push({ setting: meta.env, problem: issue.message, fix });
      }
    }
  }
  const ofChannels = readChannelSecrets({ env, readFile }, errors);
  const readable = values as Readable<(typeof settings)['shape']>;
  checkTogether(readable, ofChannels, { errors, warnings });
  warnings.push(...withoutEffect(readable, given, new Set(errors.map(({ setting }) => setting))));
  if (errors.length > 0) return { ok: false, errors, warnings };
  return { ok: true, config: assemble(values as z.output<typeof settings>, env, channelSecrets(ofChannels)), warnings };
}

function place(values: Record<string, unknown>, path: string[], value: unknown): void {
  let table = values;
  for (const key of path.slice(0, -1)) {
    table[key] ??= {};
    table = table[key] as Record<string, unknown>;
  }
  table[path.at(-1)!] = value;
}

function assemble(
  values: z.output<typeof settings>,
  env: ConfigSources['env'],
  secrets: Config['notify']['secrets'],
): Config {
  const { tls, database, ldap, directory, sudoRules, escrow, audit, notify, ...rest } = values;
  const { commandEnv, ...escrowRest } = escrow;
  const maxConnections = database.driver === 'sqlite' ? 1 : database.maxConnections || POSTGRES_CONNECTIONS;
  const source = directory.source ?? (values.pocketId.apiKey === null ? 'none' : 'pocketid');
  return {
    ...rest,
    database: { ...database, maxConnections },
    stopDelayMs: values.stopDelayMs ?? (database.driver === 'sqlite' ? 0 : STOP_DELAY_MS),
    tls: keyPair(tls.certFile, tls.keyFile),
    directory: { ...directory, source },
    sudoRules: { ...sudoRules, source: sudoRules.source ?? (source === 'none' ? 'store' : 'claims') },
    ldap: assembleLdap(ldap, values.externalUrl),
    escrow: { ...escrowRest, command: escrowCommand({ ...escrowRest, commandEnv }, env) },
    audit: assembleAudit(audit),
    notify: { ...notify, secrets, environment: programEnvironment(env) },
    evaluation: false,
  };
}

const keyPair = (certFile: string | null, keyFile: string | null): Config['tls'] =>
  certFile !== null && keyFile !== null ? { certFile, keyFile } : null;

function assembleLdap(values: z.output<typeof settings>['ldap'], externalUrl: string): Config['ldap'] {
  const { enabled, baseDn, tlsCertFile, tlsKeyFile, bindDn, bindPassword, ...rest } = values;
  if (baseDn === null || enabled === false) return null;
  const { hostname } = new URL(externalUrl);
  const derived =
    rest.tlsListen === null
      ? `ldap://${hostname}:${rest.listen?.port ?? 389}`
      : `ldaps://${hostname}:${rest.tlsListen.port}`;
  return {
    ...rest,
    baseDn,
    externalUrl: rest.externalUrl ?? derived,
    tls: keyPair(tlsCertFile, tlsKeyFile),
    clientCertificates: rest.clientCertificates ?? (rest.tlsCaCert === null ? 'optional' : 'required'),
    service: bindDn !== null && bindPassword !== null ? { dn: bindDn, password: bindPassword } : null,
  };
}
