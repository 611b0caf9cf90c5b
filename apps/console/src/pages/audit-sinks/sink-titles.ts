import type { AuditSink } from '../../server/api.ts';

type Name = AuditSink['name'];
type Kind = Exclude<Name, `${string}_${number}` | `${string}_${string}_${number}`>;

const KINDS: Record<Kind, string> = {
  jsonlog: 'JSON lines',
  syslog: 'Syslog',
  splunk_hec: 'Splunk',
  loki: 'Loki',
};

/** What people call a sink: its kind, and the number that its settings have if it is a further one. */
export function sinkTitle(name: Name): string {
  const [, kind = name, number] = /^(.+)_([2-9])$/.exec(name) ?? [];
  const title = KINDS[kind as Kind];
  return number === undefined ? title : `${title} ${number}`;
}
