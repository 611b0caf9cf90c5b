import { createReader, enter, leave, peekTag, readBoolean, readInteger, readOctets } from '../ber/reader.ts';
import { BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET } from '../ber/tag.ts';
import { element, integerElement } from '../ber/writer.ts';
import { OID, OP } from '../protocol/operation.ts';

/** Requests as clients send them, and answers as clients read them. */

export interface TestControl {
  oid: string;
  critical?: boolean;
  value?: Uint8Array;
}

const octets = (value: string | Uint8Array): Buffer => element(OCTET_STRING, value);
const boolean = (value: boolean): Buffer => element(BOOLEAN, Uint8Array.of(value ? 0xff : 0));

export function controlElement({ oid, critical = false, value }: TestControl): Buffer {
  return element(
    SEQUENCE,
    octets(oid),
    ...(critical ? [boolean(true)] : []),
    ...(value === undefined ? [] : [octets(value)]),
  );
}

/** A whole LDAPMessage around an operation. */
export function message(id: number, operation: Uint8Array, controls: readonly TestControl[] = []): Buffer {
  const attached = controls.length === 0 ? [] : [element(0xa0, ...controls.map(controlElement))];
  return element(SEQUENCE, integerElement(INTEGER, id), operation, ...attached);
}

export interface TestSearch {
  base?: string | Uint8Array;
  scope?: number;
  deref?: number;
  sizeLimit?: number;
  timeLimit?: number;
  typesOnly?: boolean;
  filter?: string | Uint8Array;
  attributes?: readonly string[];
  controls?: readonly TestControl[];
}

export function search(id: number, options: TestSearch = {}): Buffer {
  const { base = '', scope = 2, deref = 0, sizeLimit = 0, timeLimit = 0, typesOnly = false } = options;
  const { filter = '(objectClass=*)', attributes = [], controls = [] } = options;
  const operation = element(
    OP.searchRequest,
    octets(base),
    integerElement(ENUMERATED, scope),
    integerElement(ENUMERATED, deref),
    integerElement(INTEGER, sizeLimit),
    integerElement(INTEGER, timeLimit),
    boolean(typesOnly),
    typeof filter === 'string' ? filterElement(filter) : filter,
    element(SEQUENCE, ...attributes.map(octets)),
  );
  return message(id, operation, controls);
}

export const pagingControl = (size: number, cookie: Uint8Array | string = '', critical = false): TestControl => ({
  oid: OID.paging,
  critical,
  value: element(SEQUENCE, integerElement(INTEGER, size), octets(cookie)),
});

/** A dereference control. @param wishes attributes whose values are names, and what is wanted of the entries named so */
export const dereferenceControl = (wishes: readonly [string, readonly string[]][], critical = false): TestControl => ({
  oid: OID.dereference,
  critical,
  value: element(
    SEQUENCE,
    ...wishes.map(([attribute, names]) =>
      element(SEQUENCE, octets(attribute), element(SEQUENCE, ...names.map(octets))),
    ),
  ),
});

export function bind(
  id: number,
  dn = '',
  password: string | Uint8Array = '',
  options: { version?: number; controls?: readonly TestControl[] } = {},
): Buffer {
  const { version = 3, controls = [] } = options;
  const operation = element(OP.bindRequest, integerElement(INTEGER, version), octets(dn), element(0x80, password));
  return message(id, operation, controls);
}

export function saslBind(id: number, mechanism: string, credentials?: string): Buffer {
  const choice = element(0xa3, octets(mechanism), ...(credentials === undefined ? [] : [octets(credentials)]));
  return message(id, element(OP.bindRequest, integerElement(INTEGER, 3), octets(''), choice));
}

export const unbind = (id: number): Buffer => message(id, element(OP.unbindRequest));
export const abandon = (id: number, target: number): Buffer => message(id, integerElement(OP.abandonRequest, target));

export function compare(id: number, dn: string, attribute: string, value: string | Uint8Array): Buffer {
  const assertion = element(SEQUENCE, octets(attribute), octets(value));
  return message(id, element(OP.compareRequest, octets(dn), assertion));
}

export function extended(id: number, oid: string, value?: Uint8Array): Buffer {
  return message(
    id,
    element(OP.extendedRequest, element(0x80, oid), ...(value === undefined ? [] : [element(0x81, value)])),
  );
}

export const cancel = (id: number, target: number): Buffer =>
  extended(id, OID.cancel, element(SEQUENCE, integerElement(INTEGER, target)));

/** Unescapes `\2a`. */
function assertionValue(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const [, hex, plain] of text.matchAll(/\\([0-9a-fA-F]{2})|([^\\]+|\\)/gs)) {
    parts.push(hex === undefined ? Buffer.from(plain!, 'utf8') : Buffer.from(hex, 'hex'));
  }
  return Buffer.concat(parts);
}

/** Encodes a filter in its text form (RFC 4515). */
export function filterElement(text: string): Buffer {
  const [encoded, rest] = readFilter(text.trim());
  if (rest !== '') throw new Error(`trailing text in filter: ${rest}`);
  return encoded;
}

function readFilter(text: string): [Buffer, string] {
  if (!text.startsWith('(')) throw new Error(`no filter: ${text}`);
  const sign = text[1]!;
  if ('&|!'.includes(sign)) {
    let rest = text.slice(2);
    const children: Buffer[] = [];
    while (rest.startsWith('(')) {
      const [child, after] = readFilter(rest);
      children.push(child);
      rest = after;
    }
    if (!rest.startsWith(')')) throw new Error(`unbalanced: ${rest}`);
    return [element(sign === '&' ? 0xa0 : sign === '|' ? 0xa1 : 0xa2, ...children), rest.slice(1)];
  }
  const end = text.indexOf(')');
  return [leafElement(text.slice(1, end)), text.slice(end + 1)];
}

function leafElement(text: string): Buffer {
  const match = /^([^=<>~:]*)(:dn)?(?::([^=:]+))?(:=|[<>~]?=)(.*)$/s.exec(text);
  if (match === null) throw new Error(`no assertion: ${text}`);
  const [, attribute = '', dn, rule, operator, value = ''] = match;
  if (operator === ':=') {
    return element(
      0xa9,
      ...(rule === undefined ? [] : [element(0x81, rule)]),
      ...(attribute === '' ? [] : [element(0x82, attribute)]),
      element(0x83, assertionValue(value)),
      ...(dn === undefined ? [] : [element(0x84, Uint8Array.of(0xff))]),
    );
  }
  const pair = (tag: number): Buffer => element(tag, octets(attribute), octets(assertionValue(value)));
  if (operator === '>=') return pair(0xa5);
  if (operator === '<=') return pair(0xa6);
  if (operator === '~=') return pair(0xa8);
  if (value === '*') return element(0x87, attribute);
  if (!value.includes('*')) return pair(0xa3);
  const pieces = value.split('*');
  const parts = pieces.flatMap((piece, index) => {
    if (piece === '') return [];
    return [element(index === 0 ? 0x80 : index === pieces.length - 1 ? 0x82 : 0x81, assertionValue(piece))];
  });
  return element(0xa4, octets(attribute), element(SEQUENCE, ...parts));
}

/** An answer as a client understands it. */
export interface Answer {
  id: number;
  tag: number;
  /** The name of an entry. */
  dn?: string;
  attributes?: Map<string, string[]>;
  /** The code of a result. */
  code?: number;
  matchedDn?: string;
  text?: string;
  responseName?: string;
  responseValue?: Buffer;
  cookie?: Buffer;
  /** What an entry's control says of the entries that it names. */
  dereferenced?: { attribute: string; name: string; attributes: Map<string, string[]> | null }[];
  estimate?: number;
}

/** Reads every complete message; what is left over makes it throw. */
export function readAnswers(bytes: Uint8Array): Answer[] {
  const answers: Answer[] = [];
  const reader = createReader(bytes);
  while (reader.at < reader.end) {
    const outer = enter(reader, SEQUENCE);
    const id = readInteger(reader);
    const tag = peekTag(reader);
    answers.push(tag === OP.searchEntry ? readEntry(reader, id) : readResult(reader, id, tag));
    leave(reader, outer);
    if (reader.failed) throw new Error(`unreadable answer at ${reader.at} of ${bytes.length}`);
  }
  return answers;
}

type Reader = ReturnType<typeof createReader>;

function text(reader: Reader, tag: number): string {
  const start = readOctets(reader, tag);
  return Buffer.from(reader.bytes.subarray(start, start + reader.length)).toString('utf8');
}

function readEntry(reader: Reader, id: number): Answer {
  const end = enter(reader, OP.searchEntry);
  const dn = text(reader, OCTET_STRING);
  const attributes = readAttributes(reader, SEQUENCE, dn);
  leave(reader, end);
  const answer: Answer = { id, tag: OP.searchEntry, dn, attributes };
  if (peekTag(reader) === 0xa0) readControls(reader, answer);
  return answer;
}

function readAttributes(reader: Reader, tag: number, dn: string): Map<string, string[]> {
  const attributes = new Map<string, string[]>();
  const list = enter(reader, tag);
  while (reader.at < reader.end) {
    const attribute = enter(reader, SEQUENCE);
    const name = text(reader, OCTET_STRING);
    const values = enter(reader, SET);
    const found: string[] = [];
    while (reader.at < reader.end) found.push(text(reader, OCTET_STRING));
    leave(reader, values);
    leave(reader, attribute);
    if (attributes.has(name)) throw new Error(`${name} sent twice for ${dn}`);
    attributes.set(name, found);
  }
  leave(reader, list);
  return attributes;
}

function readDereferenced(reader: Reader): NonNullable<Answer['dereferenced']> {
  const found: NonNullable<Answer['dereferenced']> = [];
  const list = enter(reader, SEQUENCE);
  while (reader.at < reader.end) {
    const result = enter(reader, SEQUENCE);
    const attribute = text(reader, OCTET_STRING);
    const name = text(reader, OCTET_STRING);
    found.push({ attribute, name, attributes: peekTag(reader) === 0xa0 ? readAttributes(reader, 0xa0, name) : null });
    leave(reader, result);
  }
  leave(reader, list);
  if (reader.failed) throw new Error('unreadable dereference control');
  return found;
}

function readResult(reader: Reader, id: number, tag: number): Answer {
  const end = enter(reader, tag);
  const code = readInteger(reader, ENUMERATED);
  const answer: Answer = { id, tag, code, matchedDn: text(reader, OCTET_STRING), text: text(reader, OCTET_STRING) };
  while (reader.at < reader.end && !reader.failed) {
    const next = peekTag(reader);
    const start = readOctets(reader, next);
    const value = Buffer.from(reader.bytes.slice(start, start + reader.length));
    if (next === 0x8a) answer.responseName = value.toString('latin1');
    else answer.responseValue = value;
  }
  leave(reader, end);
  if (peekTag(reader) === 0xa0) readControls(reader, answer);
  return answer;
}

function readControls(reader: Reader, answer: Answer): void {
  const end = enter(reader, 0xa0);
  while (reader.at < reader.end && !reader.failed) {
    const control = enter(reader, SEQUENCE);
    const oid = text(reader, OCTET_STRING);
    if (peekTag(reader) === BOOLEAN) readBoolean(reader);
    const start = readOctets(reader, OCTET_STRING);
    if (oid === OID.paging) {
      const inner = createReader(reader.bytes, start, start + reader.length);
      const outer = enter(inner, SEQUENCE);
      answer.estimate = readInteger(inner);
      const cookie = readOctets(inner, OCTET_STRING);
      answer.cookie = Buffer.from(inner.bytes.slice(cookie, cookie + inner.length));
      leave(inner, outer);
    } else if (oid === OID.dereference) {
      answer.dereferenced = readDereferenced(createReader(reader.bytes, start, start + reader.length));
    }
    leave(reader, control);
  }
  leave(reader, end);
}
