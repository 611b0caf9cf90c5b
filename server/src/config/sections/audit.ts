import { defaultsTo, optional, type SettingMeta, withDefault } from '../setting.ts';
import { auditLog, integer, octets } from '../values.ts';

const meta = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_AUDIT_${name}`,
  toml: `audit.${name.toLowerCase()}`,
  section: 'Audit',
  description,
  ...more,
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
};
