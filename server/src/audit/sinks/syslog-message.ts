import { type EventName, eventKind } from '#shared/events.ts';
import type { AuditRecord } from '../record.ts';

/** RFC 5424: `authpriv`. */
const FACILITY = 10;
const SEVERITY = { alert: 1, warning: 4, notice: 5, informational: 6 } as const;

/** What somebody should look at. What was refused is a warning, everything else is informational. */
const LOUD: Partial<Record<EventName, keyof typeof SEVERITY>> = {
  host_log_contradicted: 'alert',
  host_journal_contradicted: 'alert',
  host_quarantined: 'alert',
  break_glass_used: 'alert',
  break_glass_refused: 'alert',
  revealed_breakglass: 'warning',
  log_epoch_started: 'warning',
  log_key_created: 'notice',
  policy_changed: 'notice',
  sudo_rule_modified: 'notice',
  host_reported: 'notice',
  account_binding_held: 'warning',
  directory_change_held: 'warning',
  recovery_code_created: 'notice',
  audit_dead_letters_retried: 'notice',
};

function severityOf(event: string): number {
  const loud = Object.hasOwn(LOUD, event) ? LOUD[event as EventName] : undefined;
  return SEVERITY[loud ?? (eventKind(event)?.topic === 'attempts' ? 'warning' : 'informational')];
}

/** PRINTUSASCII, as the header has it. */
const header = (text: string, most: number): string => text.replace(/[^\x21-\x7e]/g, '').slice(0, most) || '-';

const MOST_VALUE = 200;
/**
 * A value of structured data. Control characters are replaced: receivers drop or rewrite them, each in its own way. The
 * message has every value exactly.
 */
function parameter(name: string, value: string | null): string {
  if (value === null) return '';
  const short = shortened(Buffer.from(value.replace(/\p{Cc}/gu, '\ufffd')), MOST_VALUE).toString('utf8');
  return ` ${name}="${short.replace(/[\\"\]]/g, '\\$&')}"`;
}

/** At most so many octets of UTF-8, and no half character. */
export function shortened(bytes: Buffer, most: number): Buffer {
  if (bytes.length <= most) return bytes;
  let end = most;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

const BOM = '\ufeff';

export interface SyslogOrigin {
  /** Name of this machine. */
  hostname: string;
  pid: number;
  /** Private enterprise number of the structured data; 32473 is the one for examples (RFC 5612). */
  enterprise: number;
}

/** An event as an RFC 5424 message: MSGID is its name, the structured data finds it, the message is the whole of it. */
export function syslogMessage({ event, text }: AuditRecord, origin: SyslogOrigin): Buffer {
  const priority = FACILITY * 8 + severityOf(event.event);
  const time = new Date(event.at).toISOString();
  const data = [
    `identree@${origin.enterprise}`,
    parameter('event', event.event),
    parameter('username', event.username),
    parameter('hostname', event.hostname),
    parameter('seq', String(event.seq)),
    parameter('hash', event.hash),
  ].join('');
  const name = header(event.event, 32);
  const host = header(origin.hostname, 255);
  return Buffer.from(`<${priority}>1 ${time} ${host} identree ${origin.pid} ${name} [${data}] ${BOM}${text}`);
}
