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
      values: (read?.[number] ?? {}) as Partial<z.output<z.ZodObject<S>>>,
      names: Object.fromEntries(names) as Record<keyof S, string>,
      shape,
    };
  });
}

type Sinks<S extends z.ZodRawShape> = ReturnType<typeof sinksOf<S>>;

/** Refuses those of some settings of a sink that are given and not as they are anyway: somebody counts on them. */
function refuseGiven<S extends z.ZodRawShape>(
  { values, names, shape }: Pick<Sinks<S>[number], 'values' | 'names' | 'shape'>,
  keys: readonly (keyof S)[],
  { errors }: Report,
  { problem, fix }: { problem: string; fix: string },
): void {
  for (const key of keys) {
    const type = shape[key] as unknown as z.ZodType;
    const { default: otherwise } = settingMeta.get(type)!;
    const unset = otherwise === undefined ? null : type.parse(otherwise);
    const given: unknown = (values as Record<keyof S, unknown>)[key];
    if (given === undefined || JSON.stringify(given) === JSON.stringify(unset)) continue;
    errors.push({ setting: names[key], problem, fix });
  }
}

/** What is set of a sink that goes nowhere would have no effect. */
function checkPlaces<S extends z.ZodRawShape & { to: z.ZodType }>(sinks: Sinks<S>, report: Report): void {
  for (const sink of sinks) {
    if ((sink.values as { to?: unknown }).to !== null) continue;
    const problem = `has no effect, because ${sink.names.to} is not set`;
    refuseGiven(sink, Object.keys(sink.shape), report, { problem, fix: 'Set both or neither.' });
  }
}

/** Two that write one file would rename it behind each other's back, and so would one that is what another is renamed to. */
function checkLines(sinks: Sinks<SinkShape<'jsonlog'>>, report: Report): void {
  const { errors } = report;
  const seen = new Map<string, string>();
  for (const sink of sinks) {
    const { values, names } = sink;
    if (!values.to) continue;
    if (values.to.to === 'stdout') {
      const problem = 'has no effect on the standard output';
      refuseGiven(sink, ['maxSize', 'maxFiles'], report, {
        problem,
        fix: `Name a file in ${names.to}, or remove this.`,
      });
    }
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

function checkSyslog(sinks: Sinks<SinkShape<'syslog'>>, { errors, warnings }: Report): void {
  for (const { values, names } of sinks) {
    const { to, clientCert, clientKey } = values;
    const secured = (['caCert', 'clientCert', 'clientKey'] as const).filter((key) => values[key] != null);
    // Of one that goes nowhere this is told already.
    if (to && to.transport !== 'tls') {
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
  for (const { values, names } of splunk) {
    if (!values.to || values.token !== null) continue;
    errors.push({ setting: names.token, problem: 'is not set, and Splunk needs it', fix: 'Set both.' });
  }
  const { bufferSize, retention, archiveDir } = audit;
  const isNowhere = [lines, syslog, splunk, loki].every((sinks: Sinks<{ to: z.ZodType }>) =>
    sinks.every(({ values }) => values.to === null),
  );
  if (
    isNowhere &&
    bufferSize !== undefined &&
    String(bufferSize) !== settingMeta.get(auditSettings.bufferSize)!.default
  ) {
    const fix = 'Set where events go, or remove this.';
    errors.push({ setting: 'IDENTREE_AUDIT_BUFFER_SIZE', problem: 'has no effect without a sink', fix });
  }
  if (retention === undefined || archiveDir === undefined) return;
  const erases = Object.keys(retention).length > 0;
  if (erases && archiveDir === null) {
    const fix = 'Name a folder: what is erased is written there first.';
    errors.push({ setting: 'IDENTREE_AUDIT_ARCHIVE_DIR', problem: 'is not set, and a retention is', fix });
  }
  if (!erases && archiveDir !== null) {
    const problem = 'has no effect without IDENTREE_AUDIT_RETENTION';
    errors.push({ setting: 'IDENTREE_AUDIT_ARCHIVE_DIR', problem, fix: 'Set both or neither.' });
  }
}
