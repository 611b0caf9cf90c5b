import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, hidden, optional, type SettingMeta, withDefault } from '../setting.ts';
import {
  auditLog,
  daysOfTopics,
  duration,
  eventNames,
  flag,
  integer,
  issuedSecret,
  octets,
  path,
  pemOrPath,
  serviceUrl,
  syslogUrl,
  text,
} from '../values.ts';

const meta = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_AUDIT_${name}`,
  toml: `audit.${name.toLowerCase()}`,
  section: 'Audit',
  description,
  ...more,
});

/** A setting that says which events a sink gets. */
const eventsFor = (name: string, sink: string) =>
  withDefault(eventNames, {
    ...meta(`${name}_EVENTS`, `Which events ${sink} gets: names of events, or of topics (docs/events.md).`, {
      example: 'attempts,revealed_breakglass,break_glass_used',
      defaultNote: 'all of them',
    }),
    default: '',
  });

/** Where events go beside the database. */
export const auditSettings = {
  log: optional(
    auditLog,
    meta(
      'LOG',
      'Where every event is written as a line of JSON: stdout, file:PATH or a path. Of several servers on one database, one writes at a time. See docs/audit.md.',
      { example: 'file:/var/log/identree/audit.jsonl' },
    ),
  ),
  logMaxSize: withDefault(
    octets(0, 1024 ** 4),
    defaultsTo(
      meta('LOG_MAX_SIZE', 'A file that has reached this size is renamed to PATH.1, between two events. 0: never.'),
      '100MB',
    ),
  ),
  logMaxFiles: withDefault(
    integer(-1000, 1000),
    defaultsTo(meta('LOG_MAX_FILES', 'How many such files are kept: the oldest is deleted. 0 or less: 5.'), '5'),
  ),
  logEvents: eventsFor('LOG', 'the file or standard output'),
  syslogUrl: optional(
    syslogUrl,
    meta(
      'SYSLOG_URL',
      'A syslog receiver (RFC 5424) that gets every event: tls://, tcp:// or udp://, with ?framing=newline for a receiver that knows no octet counting. Over udp nobody learns what arrives.',
      { example: 'tls://syslog.example.com:6514' },
    ),
  ),
  syslogCaCert: optional(
    pemOrPath,
    meta(
      'SYSLOG_CA_CERT',
      'The authority that vouches for it: a path or PEM. Unset: the authorities that Node.js knows.',
      { example: '/etc/identree-server/syslog-ca.pem' },
    ),
  ),
  syslogClientCert: optional(
    path,
    meta('SYSLOG_CLIENT_CERT_FILE', 'Certificate that this server shows it (PEM). Read for each connection.'),
  ),
  syslogClientKey: optional(path, meta('SYSLOG_CLIENT_KEY_FILE', 'The key that belongs to it (PEM).')),
  syslogEnterpriseNumber: withDefault(
    integer(1, 4_294_967_295),
    defaultsTo(
      meta(
        'SYSLOG_ENTERPRISE_NUMBER',
        'The private enterprise number of the structured data, identree@NUMBER. 32473 is the one for examples.',
      ),
      '32473',
    ),
  ),
  syslogSafetyWindow: withDefault(
    duration('0s', '1h'),
    defaultsTo(
      meta(
        'SYSLOG_SAFETY_WINDOW',
        'How long a receiver may have events in its memory only. When a connection breaks, what was sent so long before comes again.',
      ),
      '10s',
    ),
  ),
  syslogEvents: eventsFor('SYSLOG', 'the syslog receiver'),
  splunkUrl: optional(
    serviceUrl,
    meta(
      'SPLUNK_HEC_URL',
      "Splunk's HTTP Event Collector that gets every event. Without a path: /services/collector/event.",
      { example: 'https://splunk.example.com:8088/services/collector/event' },
    ),
  ),
  splunkToken: optional(issuedSecret, meta('SPLUNK_HEC_TOKEN', 'The token of that collector.', hidden)),
  splunkIndex: optional(
    text(255),
    meta('SPLUNK_HEC_INDEX', 'The index that events go to. Unset: the one of the token.'),
  ),
  splunkGzip: withDefault(flag, defaultsTo(meta('SPLUNK_HEC_GZIP', 'Whether they are sent compressed.'), 'false')),
  splunkAck: withDefault(
    flag,
    defaultsTo(
      meta(
        'SPLUNK_HEC_ACK',
        'Whether an event counts as delivered only once the indexers have it. The token needs indexer acknowledgement for it.',
      ),
      'false',
    ),
  ),
  splunkEvents: eventsFor('SPLUNK_HEC', 'Splunk'),
  lokiUrl: optional(
    serviceUrl,
    meta('LOKI_URL', 'A Grafana Loki that gets every event; /loki/api/v1/push is added.', {
      example: 'https://loki.example.com',
    }),
  ),
  lokiToken: optional(issuedSecret, meta('LOKI_TOKEN', 'Bearer token for it.', hidden)),
  lokiTenant: optional(text(150), meta('LOKI_TENANT', 'Its tenant (X-Scope-OrgID).')),
  lokiGzip: withDefault(flag, defaultsTo(meta('LOKI_GZIP', 'Whether events are sent compressed.'), 'false')),
  lokiEvents: eventsFor('LOKI', 'Loki'),
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

/** Rules over several of these settings. */
export function checkAudit(
  { audit }: { audit?: Readable<typeof auditSettings> | undefined },
  { errors, warnings }: Report,
): void {
  const { syslogUrl, syslogCaCert, syslogClientCert, syslogClientKey } = audit ?? {};
  const given = Object.entries({
    IDENTREE_AUDIT_SYSLOG_CA_CERT: syslogCaCert,
    IDENTREE_AUDIT_SYSLOG_CLIENT_CERT_FILE: syslogClientCert,
    IDENTREE_AUDIT_SYSLOG_CLIENT_KEY_FILE: syslogClientKey,
  }).filter(([, value]) => value != null);
  if (syslogUrl !== undefined && syslogUrl?.transport !== 'tls') {
    for (const [setting] of given) {
      // Who sets these believes that nobody can read or forge what is sent.
      const fix = 'Set IDENTREE_AUDIT_SYSLOG_URL to a tls:// address, or unset this.';
      errors.push({ setting, problem: 'has no effect without TLS', fix });
    }
  }
  if (syslogClientCert !== undefined && syslogClientKey !== undefined && !syslogClientCert !== !syslogClientKey) {
    errors.push({
      setting: syslogClientCert ? 'IDENTREE_AUDIT_SYSLOG_CLIENT_KEY_FILE' : 'IDENTREE_AUDIT_SYSLOG_CLIENT_CERT_FILE',
      problem: 'is not set, and the other one is',
      fix: 'Set both.',
    });
  }
  const { retention, archiveDir } = audit ?? {};
  if (retention !== undefined && Object.keys(retention).length > 0 && archiveDir === null) {
    const fix = 'Name a folder: what is erased is written there first.';
    errors.push({ setting: 'IDENTREE_AUDIT_ARCHIVE_DIR', problem: 'is not set, and a retention is', fix });
  }
  const { splunkUrl, splunkToken, lokiUrl, lokiToken } = audit ?? {};
  const missing = (setting: string, problem: string) => errors.push({ setting, problem, fix: 'Set both.' });
  if (splunkUrl && splunkToken === null) missing('IDENTREE_AUDIT_SPLUNK_HEC_TOKEN', 'is not set, and Splunk needs it');
  // An administrator who gives a token believes that events arrive there.
  if (splunkToken && splunkUrl === null) missing('IDENTREE_AUDIT_SPLUNK_HEC_URL', 'is not set, and its token is');
  if (lokiToken && lokiUrl === null) missing('IDENTREE_AUDIT_LOKI_URL', 'is not set, and its token is');
  if (syslogUrl?.transport === 'udp') {
    warnings.push({
      setting: 'IDENTREE_AUDIT_SYSLOG_URL',
      problem: 'is udp: what is lost on the way is lost, and long events are shortened',
      fix: 'Use tls or tcp, or let another sink keep everything.',
    });
  }
}
