import { z } from 'zod';
import { defaultsTo, hidden, optional, type SettingMeta, withDefault } from '../setting.ts';
import {
  auditLog,
  duration,
  eventNames,
  flag,
  headerSecret,
  integer,
  octets,
  path,
  pemOrPath,
  serviceUrl,
  syslogUrl,
  text,
} from '../values.ts';

/** Kinds of sinks, by the names that metrics, dead letters and cursors have, with what their settings are called after. */
const KINDS = { jsonlog: 'LOG', syslog: 'SYSLOG', splunk_hec: 'SPLUNK_HEC', loki: 'LOKI' } as const;
export type SinkKind = keyof typeof KINDS;
const SINK_KINDS = Object.keys(KINDS) as SinkKind[];

/** Numbers of the sinks of one kind. The settings of the first one have no number. */
const NUMBERS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'] as const;
export type SinkNumber = (typeof NUMBERS)[number];

/** Follows from the settings alone, so that a sink keeps its place in the log whatever others are added or removed. */
export type SinkName = SinkKind | `${SinkKind}_${Exclude<SinkNumber, '1'>}`;

const nameOf = (kind: SinkKind, number: SinkNumber): SinkName => (number === '1' ? kind : `${kind}_${number}`);

const SINK_NAMES: ReadonlySet<string> = new Set(
  SINK_KINDS.flatMap((kind) => NUMBERS.map((number) => nameOf(kind, number))),
);

/** Whether a sink can be called so. */
export const isSinkName = (name: string): name is SinkName => SINK_NAMES.has(name);

type MetaOf = (suffix: string, description: string, more?: Partial<SettingMeta>) => SettingMeta;

/** What is said of the settings of one sink. Those of a further one are described by those of the first. */
function metaFor(kind: SinkKind, number: SinkNumber): MetaOf {
  const first = `AUDIT_${KINDS[kind]}`;
  const own = number === '1' ? first : `${first}_${number}`;
  return (suffix, description, more = {}) => {
    const end = suffix === '' ? '' : `_${suffix}`;
    return {
      env: `IDENTREE_${own}${end}`,
      toml: `audit.${`${own}${end}`.toLowerCase().slice('audit_'.length)}`,
      section: 'Audit',
      description,
      ...(number === '1' ? {} : { furtherOf: `IDENTREE_${first}${end}` }),
      ...more,
    };
  };
}

/** A setting that says which events a sink gets. */
const eventsFor = (meta: MetaOf, sink: string) =>
  withDefault(eventNames, {
    ...meta('EVENTS', `Which events ${sink} gets: names of events, or of topics (docs/events.md).`, {
      example: 'attempts,revealed_breakglass,break_glass_used',
      defaultNote: 'all of them',
    }),
    default: '',
  });

const lines = (meta: MetaOf) => ({
  to: optional(
    auditLog,
    meta(
      '',
      'Where every event is written as a line of JSON: stdout, file:PATH or a path. Of several servers on one database, one writes at a time. See docs/audit.md.',
      { example: 'file:/var/log/identree/audit.jsonl' },
    ),
  ),
  maxSize: withDefault(
    octets(0, 1024 ** 4),
    defaultsTo(
      meta('MAX_SIZE', 'A file that has reached this size is renamed to PATH.1, between two events. 0: never.'),
      '100MB',
    ),
  ),
  maxFiles: withDefault(
    integer(-1000, 1000),
    defaultsTo(meta('MAX_FILES', 'How many such files are kept: the oldest is deleted. 0 or less: 5.'), '5'),
  ),
  events: eventsFor(meta, 'the file or standard output'),
});

const syslog = (meta: MetaOf) => ({
  to: optional(
    syslogUrl,
    meta(
      'URL',
      'A syslog receiver (RFC 5424) that gets every event: tls://, tcp:// or udp://, with ?framing=newline for a receiver that knows no octet counting. Over udp nobody learns what arrives.',
      { example: 'tls://syslog.example.com:6514' },
    ),
  ),
  caCert: optional(
    pemOrPath,
    meta('CA_CERT', 'The authority that vouches for it: a path or PEM. Unset: the authorities that Node.js knows.', {
      example: '/etc/identree-server/syslog-ca.pem',
    }),
  ),
  clientCert: optional(
    path,
    meta('CLIENT_CERT_FILE', 'Certificate that this server shows it (PEM). Read for each connection.'),
  ),
  clientKey: optional(path, meta('CLIENT_KEY_FILE', 'The key that belongs to it (PEM).')),
  enterpriseNumber: withDefault(
    integer(1, 4_294_967_295),
    defaultsTo(
      meta(
        'ENTERPRISE_NUMBER',
        'The private enterprise number of the structured data, identree@NUMBER. 32473 is the one for examples.',
      ),
      '32473',
    ),
  ),
  safetyWindow: withDefault(
    duration('0s', '1h'),
    defaultsTo(
      meta(
        'SAFETY_WINDOW',
        'How long a receiver may have events in its memory only. When a connection breaks, what was sent so long before comes again.',
      ),
      '10s',
    ),
  ),
  events: eventsFor(meta, 'the syslog receiver'),
});

const splunk = (meta: MetaOf) => ({
  to: optional(
    serviceUrl,
    meta('URL', "Splunk's HTTP Event Collector that gets every event. Without a path: /services/collector/event.", {
      example: 'https://splunk.example.com:8088/services/collector/event',
    }),
  ),
  token: optional(headerSecret, meta('TOKEN', 'The token of that collector.', hidden)),
  index: optional(text(255), meta('INDEX', 'The index that events go to. Unset: the one of the token.')),
  gzip: withDefault(flag, defaultsTo(meta('GZIP', 'Whether they are sent compressed.'), 'false')),
  ack: withDefault(
    flag,
    defaultsTo(
      meta(
        'ACK',
        'Whether an event counts as delivered only once the indexers have it. The token needs indexer acknowledgement for it.',
      ),
      'false',
    ),
  ),
  events: eventsFor(meta, 'Splunk'),
});

const loki = (meta: MetaOf) => ({
  to: optional(
    serviceUrl,
    meta('URL', 'A Grafana Loki that gets every event; /loki/api/v1/push is added.', {
      example: 'https://loki.example.com',
    }),
  ),
  token: optional(headerSecret, meta('TOKEN', 'Bearer token for it.', hidden)),
  tenant: optional(text(150), meta('TENANT', 'Its tenant (X-Scope-OrgID).')),
  gzip: withDefault(flag, defaultsTo(meta('GZIP', 'Whether events are sent compressed.'), 'false')),
  events: eventsFor(meta, 'Loki'),
});

/** The settings of all sinks of one kind, by number. */
function numbered<S extends z.ZodRawShape>(kind: SinkKind, shapeOf: (meta: MetaOf) => S) {
  const entries = NUMBERS.map((number) => [number, z.object(shapeOf(metaFor(kind, number)))]);
  return z.object(Object.fromEntries(entries) as Record<SinkNumber, z.ZodObject<S>>);
}

export const sinkSettings = {
  jsonlog: numbered('jsonlog', lines),
  syslog: numbered('syslog', syslog),
  splunk_hec: numbered('splunk_hec', splunk),
  loki: numbered('loki', loki),
};

/** Types of the settings of one sink. */
export type SinkShape<K extends SinkKind> = (typeof sinkSettings)[K]['shape'][SinkNumber]['shape'];

type Settings<K extends SinkKind> = z.output<(typeof sinkSettings)[K]>[SinkNumber];
type Configured<K extends SinkKind, Needed extends keyof Settings<K>> = { kind: K; name: SinkName } & Settings<K> & {
    [N in Needed]: NonNullable<Settings<K>[N]>;
  };

/** A sink that is configured. */
export type SinkConfig =
  | Configured<'jsonlog', 'to'>
  | Configured<'syslog', 'to'>
  | Configured<'splunk_hec', 'to' | 'token'>
  | Configured<'loki', 'to'>;

/** Those that are configured, by kind and number. */
export function configuredSinks(settings: { [K in SinkKind]: Record<SinkNumber, Settings<K>> }): SinkConfig[] {
  const each = <K extends SinkKind>(kind: K) =>
    NUMBERS.map((number) => ({ kind, name: nameOf(kind, number), ...settings[kind][number] }));
  const sinks = [...each('jsonlog'), ...each('syslog'), ...each('splunk_hec'), ...each('loki')];
  // Configuration is refused for a collector without a token.
  const isConfigured = (sink: (typeof sinks)[number]) =>
    sink.to !== null && (sink.kind !== 'splunk_hec' || sink.token !== null);
  return sinks.filter(isConfigured) as SinkConfig[];
}
