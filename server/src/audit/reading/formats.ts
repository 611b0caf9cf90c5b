import { eventOutcome } from '#shared/event-outcome.ts';
import { eventSentence, type SentenceLocale } from '#shared/event-sentences/sentence.ts';
import { eventKind, type LoggedEvent, type Topic } from '#shared/events.ts';
import type { Viewer } from '../../http/viewer.ts';
import { VERSION } from '../../version.ts';
import { auditRecord } from '../record.ts';

/** Who reads, and in which language. */
export interface Reader {
  readonly viewer: Pick<Viewer, 'role'>;
  readonly locale: SentenceLocale;
}

/** How events are written into a file: something before them, each of them, something between, and something after. */
export interface ExportFormat {
  readonly contentType: string;
  readonly extension: string;
  readonly head: string;
  readonly between: string;
  readonly tail: string;
  write(event: LoggedEvent, reader: Reader): string;
}

/** Where somebody acted from, and what else is known: for administrators. */
const isPrivileged = ({ viewer }: Reader): boolean => viewer.role === 'admin';

const isoTime = (at: number): string => new Date(at).toISOString();
/** As earlier versions wrote it. */
const wholeSeconds = (at: number): string => `${isoTime(at).slice(0, 19)}Z`;

/** Columns that earlier versions had, in their order; then what was added. */
const COLUMNS: readonly [string, (event: LoggedEvent, reader: Reader) => string | number | null][] = [
  ['username', ({ username }) => username],
  ['timestamp', ({ at }) => wholeSeconds(at)],
  ['action', ({ event }) => event],
  ['hostname', ({ hostname }) => hostname],
  ['code', ({ code }) => code],
  ['actor', ({ actor }) => actor],
  ['reason', ({ reason }) => reason],
  ['outcome', ({ event }) => eventOutcome(event)],
  ['sentence', (event, { locale }) => eventSentence(event, locale)],
  ['seq', ({ seq }) => seq],
  ['time', ({ at }) => isoTime(at)],
  ['host_id', ({ hostId }) => hostId],
  ['request_id', ({ challengeId }) => challengeId],
  ['remote_addr', ({ remoteAddr }, reader) => (isPrivileged(reader) ? remoteAddr : null)],
  ['id', ({ hash }) => hash],
];

/** What begins a formula in spreadsheets, wherever the words came from. Some look behind blanks. */
const FORMULA = /^\s*[=+\-@\t\r＝＋－＠]/;
/**
 * What ends a cell for spreadsheets of many countries, whatever quotes are around it. Quotes that follow are for them around
 * the next one, and none of its text.
 */
const ELSEWHERE_AN_END = /[;\t\r\n][\s"]*/g;

/** A cell of RFC 4180. An apostrophe in front of what would be a formula makes it text. */
function cell(value: string | number | null): string {
  const text = String(value ?? '');
  if (typeof value === 'number') return text;
  const inner = text.replace(ELSEWHERE_AN_END, (end, at: number) =>
    FORMULA.test(text.charAt(at + end.length)) ? `${end}'` : end,
  );
  const harmless = FORMULA.test(text) ? `'${inner}` : inner;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

const csv: ExportFormat = {
  contentType: 'text/csv; charset=utf-8; header=present',
  extension: 'csv',
  head: `${COLUMNS.map(([name]) => name).join(',')}\r\n`,
  between: '',
  tail: '',
  write: (event, reader) => `${COLUMNS.map(([, value]) => cell(value(event, reader))).join(',')}\r\n`,
};

/** The rows of the CSV with their names, without those that are empty; for administrators also what is known further. */
const json: ExportFormat = {
  contentType: 'application/json; charset=utf-8',
  extension: 'json',
  head: '[',
  between: ',',
  tail: '\n]\n',
  write: (event, reader) => {
    const row = COLUMNS.map(([name, value]) => [name, value(event, reader)] as const);
    const told = Object.fromEntries(row.filter(([name, value]) => value !== null || name === 'username'));
    return `\n${JSON.stringify(isPrivileged(reader) ? { ...told, data: event.data } : told)}`;
  },
};

/** What sinks carry: the bytes that were hashed are in it, so that it can be checked. Others get what they may see. */
const jsonl: ExportFormat = {
  contentType: 'application/x-ndjson; charset=utf-8',
  extension: 'jsonl',
  head: '',
  between: '',
  tail: '',
  write: (event, reader) =>
    isPrivileged(reader) ? `${auditRecord(event).text}\n` : `${json.write(event, reader).trimStart()}\n`,
};

/** `event.category` of ECS. */
const CATEGORIES: Record<Topic, readonly string[]> = {
  requests: ['process', 'session'],
  hosts: ['host'],
  passkeys: ['iam'],
  people: ['iam'],
  sessions: ['authentication', 'session'],
  directory: ['iam'],
  rules: ['configuration'],
  scim: ['iam'],
  policy: ['configuration'],
  attempts: ['authentication'],
  server: ['configuration'],
};

const known = (...values: (string | null)[]): string[] =>
  [...new Set(values.filter((value) => value !== null && value !== ''))] as string[];

/** Elastic Common Schema, one document a line, as its bulk readers and Filebeat take it. */
const ecs: ExportFormat = {
  contentType: 'application/x-ndjson; charset=utf-8',
  extension: 'ndjson',
  head: '',
  between: '',
  tail: '',
  write(event, reader) {
    const topic = eventKind(event.event)?.topic ?? 'server';
    const ip = isPrivileged(reader) ? event.remoteAddr : null;
    return `${JSON.stringify({
      '@timestamp': isoTime(event.at),
      ecs: { version: '8.11.0' },
      message: eventSentence(event, reader.locale),
      event: {
        id: event.hash,
        kind: 'event',
        category: CATEGORIES[topic],
        type: ['info'],
        action: event.event,
        outcome: eventOutcome(event.event),
        sequence: event.seq,
        reason: event.reason ?? undefined,
        provider: 'identree',
        dataset: 'identree.audit',
      },
      observer: { vendor: 'identree', product: 'identree', version: VERSION },
      user: event.username === '' ? undefined : { name: event.username },
      host: event.hostname === null ? undefined : { name: event.hostname, id: event.hostId ?? undefined },
      source: ip === null ? undefined : { ip },
      related: {
        user: known(event.username, event.actor),
        hosts: known(event.hostname),
        ip: known(ip),
      },
      identree: {
        code: event.code ?? undefined,
        actor: event.actor ?? undefined,
        request_id: event.challengeId ?? undefined,
        prev_hash: event.prevHash,
        // Text, because its members differ from event to event: a mapping would grow with each.
        data: isPrivileged(reader) ? JSON.stringify(event.data) : undefined,
      },
    })}\n`;
  },
};

export const EXPORT_FORMATS = { csv, jsonl, json, ecs } satisfies Record<string, ExportFormat>;
export type ExportFormatName = keyof typeof EXPORT_FORMATS;
