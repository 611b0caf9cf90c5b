import { normalize } from 'node:path';
import type { z } from 'zod';
import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, optional, type SettingMeta, settingMeta, withDefault } from '../setting.ts';
import { daysOfTopics, integer, path } from '../values.ts';
import { configuredSinks, type SinkConfig, type SinkNumber, type SinkShape, sinkSettings } from './audit-sinks.ts';

const meta = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_AUDIT_${name}`,
  toml: `audit.${name.toLowerCase()}`,
  section: 'Audit',
  description,
  ...more,
});

/** Where events go beside the database. */
export const auditSettings = {
  ...sinkSettings,
  bufferSize: withDefault(
    integer(-1_000_000, 1_000_000),
    defaultsTo(
      meta(
        'BUFFER_SIZE',
        'How many events each sink has read ahead from the database, at most. When a sink is slow, events wait in the database; none is dropped. 0 or less: 4096.',
      ),
      '4096',
    ),
  ),
  retention: withDefault(daysOfTopics, {
    ...meta(
      'RETENTION',
      'After how many days the payload of events is archived and erased, by topic (docs/events.md). Their hashes stay, so that the log stays whole. What is not named is kept.',
      { example: 'attempts=30,sessions=90', defaultNote: 'everything is kept' },
    ),
    default: '',
  }),
  archiveDir: optional(
    path,
    meta('ARCHIVE_DIR', 'Where what is erased is written first, as lines of JSON. Needed for a retention.', {
      example: '/var/lib/identree-server/audit-archive',
    }),
  ),
};

type Settings = z.output<z.ZodObject<typeof auditSettings>>;

/** Where events go, as the rest of the server is told. */
export interface AuditConfig extends Pick<Settings, 'bufferSize' | 'retention' | 'archiveDir'> {
  sinks: readonly SinkConfig[];
}

export function assembleAudit(settings: Settings): AuditConfig {
  const { bufferSize, retention, archiveDir } = settings;
  return { bufferSize, retention, archiveDir, sinks: configuredSinks(settings) };
}

type Audit = Readable<typeof auditSettings>;

/** Each sink of a kind: what could be read of its settings so far, what these are called, and their types. */
function sinksOf<S extends z.ZodRawShape>(
  kind: z.ZodObject<Record<SinkNumber, z.ZodObject<S>>>,
  read: Partial<Record<SinkNumber, object>> | undefined,
) {
  return (Object.keys(kind.shape) as SinkNumber[]).map((number) => {
    const { shape } = kind.shape[number];
    const names = Object.entries(shape).map(([key, type]) => [key, settingMeta.get(type as z.ZodType)!.env]);
    return {
      first: number === '1',
      values: (read?.[number] ?? {}) as Partial<z.output<z.ZodObject<S>>>,
      names: Object.fromEntries(names) as Record<keyof S, string>,
      shape,
    };
  });
}

/** A further sink that goes nowhere: what is set of it would have no effect, and somebody counts on it. */
function checkPlaces<S extends z.ZodRawShape & { to: z.ZodType }>(
  sinks: ReturnType<typeof sinksOf<S>>,
  { errors }: Report,
): void {
  for (const { first, values, names, shape } of sinks) {
    const given: Record<string, unknown> = values;
    if (first || given.to !== null) continue;
    for (const [key, type] of Object.entries(shape as unknown as Record<string, z.ZodType>)) {
      const { default: otherwise } = settingMeta.get(type)!;
      const unset = otherwise === undefined ? null : type.parse(otherwise);
      if (given[key] === undefined || JSON.stringify(given[key]) === JSON.stringify(unset)) continue;
      const problem = `has no effect, because ${names.to} is not set`;
      errors.push({ setting: names[key as keyof S], problem, fix: 'Set both or neither.' });
    }
  }
}

/** Two that write one file would rename it behind each other's back, and so would one that is what another is renamed to. */
function checkLines(sinks: ReturnType<typeof sinksOf<SinkShape<'jsonlog'>>>, { errors }: Report): void {
  const seen = new Map<string, string>();
  for (const { values, names } of sinks) {
    if (!values.to) continue;
    const place = values.to.to === 'stdout' ? 'stdout' : normalize(values.to.path);
    const fix = 'Name another file for each.';
    const other = seen.get(place);
    if (other !== undefined) errors.push({ setting: names.to, problem: `is the same as ${other}`, fix });
    for (const [elsewhere, setting] of seen) {
      const [shorter, longer] = [place, elsewhere].sort((one, another) => one.length - another.length);
      if (!longer!.startsWith(`${shorter}.`) || !/^[1-9][0-9]*$/.test(longer!.slice(shorter!.length + 1))) continue;
      errors.push({ setting: names.to, problem: `and ${setting} get in each other's way when one is rotated`, fix });
    }
    if (other === undefined) seen.set(place, names.to);
  }
}

function checkSyslog(sinks: ReturnType<typeof sinksOf<SinkShape<'syslog'>>>, { errors, warnings }: Report): void {
  for (const { first, values, names } of sinks) {
    const { to, clientCert, clientKey } = values;
    const secured = (['caCert', 'clientCert', 'clientKey'] as const).filter((key) => values[key] != null);
    // Of a further one that goes nowhere this is told already.
    if (to !== undefined && to?.transport !== 'tls' && (first || to !== null)) {
      for (const key of secured) {
        // Who sets these believes that nobody can read or forge what is sent.
        const fix = `Set ${names.to} to a tls:// address, or unset this.`;
        errors.push({ setting: names[key], problem: 'has no effect without TLS', fix });
      }
    }
    if (clientCert !== undefined && clientKey !== undefined && !clientCert !== !clientKey) {
      const setting = clientCert ? names.clientKey : names.clientCert;
      errors.push({ setting, problem: 'is not set, and the other one is', fix: 'Set both.' });
    }
    if (to?.transport === 'udp') {
      warnings.push({
        setting: names.to,
        problem: 'is udp: what is lost on the way is lost, and long events are shortened',
        fix: 'Use tls or tcp, or let another sink keep everything.',
      });
    }
  }
}

/** Rules over several of these settings. */
export function checkAudit({ audit = {} }: { audit?: Audit | undefined }, report: Report): void {
  const { errors } = report;
  const lines = sinksOf(sinkSettings.jsonlog, audit.jsonlog);
  const syslog = sinksOf(sinkSettings.syslog, audit.syslog);
  const splunk = sinksOf(sinkSettings.splunk_hec, audit.splunk_hec);
  const loki = sinksOf(sinkSettings.loki, audit.loki);
  checkPlaces(lines, report);
  checkPlaces(syslog, report);
  checkPlaces(splunk, report);
  checkPlaces(loki, report);
  checkLines(lines, report);
  checkSyslog(syslog, report);
  const missing = (setting: string, problem: string) => errors.push({ setting, problem, fix: 'Set both.' });
  for (const { first, values, names } of splunk) {
    if (values.to && values.token === null) missing(names.token, 'is not set, and Splunk needs it');
    // An administrator who gives a token believes that events arrive there.
    if (first && values.token && values.to === null) missing(names.to, 'is not set, and its token is');
  }
  for (const { first, values, names } of loki)
    if (first && values.token && values.to === null) missing(names.to, 'is not set, and its token is');
  const { retention, archiveDir } = audit;
  if (retention !== undefined && Object.keys(retention).length > 0 && archiveDir === null) {
    const fix = 'Name a folder: what is erased is written there first.';
    errors.push({ setting: 'IDENTREE_AUDIT_ARCHIVE_DIR', problem: 'is not set, and a retention is', fix });
  }
}
