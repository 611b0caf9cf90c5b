import {
  type BerReader,
  createReader,
  enter,
  leave,
  peekTag,
  readBoolean,
  readEnumerated,
  readInteger,
  readOctets,
  skip,
} from '../../server/src/ldap/ber/reader.ts';
import { BOOLEAN, OCTET_STRING, SEQUENCE } from '../../server/src/ldap/ber/tag.ts';
import { CONTROLS_TAG } from '../../server/src/ldap/protocol/decode-controls.ts';
import type { FilterNode } from '../../server/src/ldap/protocol/decode-filter.ts';
import { decodeRequest } from '../../server/src/ldap/protocol/decode-request.ts';
import { FILTER, OP } from '../../server/src/ldap/protocol/operation.ts';

/** A control as it was sent (RFC 4511 4.1.11). */
export interface SentControl {
  oid: string;
  critical: boolean;
  hasValue: boolean;
}

/** What a client asked, in the words of RFC 4511. */
export type Asked =
  | {
      kind: 'search';
      base: string;
      scope: 'base' | 'one' | 'sub' | 'subordinate';
      /** RFC 4515. */
      filter: string;
      attributes: string[];
      sizeLimit: number;
      timeLimit: number;
      typesOnly: boolean;
    }
  | { kind: 'bind'; name: string; method: string; version: number }
  | { kind: 'extended'; name: string }
  | { kind: 'compare' | 'abandon' | 'unbind' | 'update' | 'unreadable' };

/** How an operation ended. */
export interface Answer {
  resultCode: number;
  /** Entries that a search found. */
  entries: number;
}

const SCOPES = ['base', 'one', 'sub', 'subordinate'] as const;

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}

const octets = (reader: BerReader, tag: number = OCTET_STRING): string => {
  const start = readOctets(reader, tag);
  return text(reader.bytes, start, start + reader.length);
};

/** A filter as people write it. */
function filterText(bytes: Uint8Array, node: FilterNode): string {
  const attribute = node.attributeStart < 0 ? '' : text(bytes, node.attributeStart, node.attributeEnd);
  const escaped = (start: number, end: number): string =>
    text(bytes, start, end).replace(/[*()\\\0]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const value = node.valueStart < 0 ? '' : escaped(node.valueStart, node.valueEnd);
  const inner = (): string => node.children.map((child) => filterText(bytes, child)).join('');
  switch (node.tag) {
    case FILTER.and:
      return `(&${inner()})`;
    case FILTER.or:
      return `(|${inner()})`;
    case FILTER.not:
      return `(!${inner()})`;
    case FILTER.equality:
      return `(${attribute}=${value})`;
    case FILTER.greaterOrEqual:
      return `(${attribute}>=${value})`;
    case FILTER.lessOrEqual:
      return `(${attribute}<=${value})`;
    case FILTER.approximate:
      return `(${attribute}~=${value})`;
    case FILTER.present:
      return `(${attribute}=*)`;
    case FILTER.substrings: {
      let pattern = '';
      for (let i = 0; i < node.parts.length; i += 3) {
        const [kind, start, end] = node.parts.slice(i, i + 3) as [number, number, number];
        pattern += (kind === 0x80 ? '' : '*') + escaped(start, end);
      }
      return `(${attribute}=${pattern}${node.parts.at(-3) === 0x82 ? '' : '*'})`;
    }
    default: {
      const rule = node.ruleStart < 0 ? '' : `:${text(bytes, node.ruleStart, node.ruleEnd)}`;
      return `(${attribute}${node.dnAttributes ? ':dn' : ''}${rule}:=${value})`;
    }
  }
}

function controlsOf(message: Uint8Array): SentControl[] {
  const reader = createReader(message);
  enter(reader, SEQUENCE);
  readInteger(reader);
  skip(reader);
  const found: SentControl[] = [];
  if (peekTag(reader) !== CONTROLS_TAG) return found;
  enter(reader, CONTROLS_TAG);
  while (reader.at < reader.end && !reader.failed) {
    const outer = enter(reader, SEQUENCE);
    const oid = octets(reader);
    const critical = peekTag(reader) === BOOLEAN && readBoolean(reader);
    const hasValue = peekTag(reader) === OCTET_STRING;
    if (hasValue) octets(reader);
    leave(reader, outer);
    found.push({ oid, critical, hasValue });
  }
  return found;
}

/** Reads one whole message of a client. Never throws. */
export function readAsked(message: Uint8Array): { messageId: number; asked: Asked; controls: SentControl[] } {
  const request = decodeRequest(message);
  if (request.kind === 'protocol-error') return { messageId: 0, asked: { kind: 'unreadable' }, controls: [] };
  const { messageId } = request;
  const controls = controlsOf(message);
  switch (request.kind) {
    case 'search': {
      const attributes: string[] = [];
      const list = createReader(message, request.attributes.start, request.attributes.end);
      while (list.at < list.end) attributes.push(octets(list));
      const { sizeLimit, timeLimit, typesOnly } = request;
      const asked = {
        kind: request.kind,
        base: text(message, request.base.start, request.base.end),
        scope: SCOPES[request.scope]!,
        filter: request.filter === null ? '' : filterText(message, request.filter),
        attributes,
        sizeLimit,
        timeLimit,
        typesOnly,
      };
      return { messageId, asked, controls };
    }
    case 'bind': {
      const { version, name, authentication } = request;
      const method = authentication.method === 'simple' ? 'simple' : authentication.mechanism;
      const asked = { kind: request.kind, name: text(message, name.start, name.end), method, version };
      return { messageId, asked, controls };
    }
    case 'extended':
      return { messageId, asked: { kind: request.kind, name: request.name }, controls };
    case 'unacceptable':
      return { messageId, asked: { kind: 'unreadable' }, controls };
    default:
      return { messageId, asked: { kind: request.kind }, controls };
  }
}

/** Reads one whole message of a server: an entry, or the end of an operation. */
export function readAnswered(message: Uint8Array): { messageId: number; entry: boolean; resultCode: number } {
  const reader = createReader(message);
  enter(reader, SEQUENCE);
  const messageId = readInteger(reader);
  const tag = peekTag(reader);
  if (tag === OP.searchEntry) return { messageId, entry: true, resultCode: 0 };
  enter(reader, tag);
  const resultCode = readEnumerated(reader);
  return { messageId, entry: false, resultCode };
}
