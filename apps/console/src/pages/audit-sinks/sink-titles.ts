import type { AuditSink } from '../../server/api.ts';

export const SINK_TITLES: Record<AuditSink['name'], string> = {
  jsonlog: 'JSON lines',
  syslog: 'Syslog',
  splunk_hec: 'Splunk',
  loki: 'Loki',
};
