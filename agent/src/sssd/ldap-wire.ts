/**
 * The little of LDAP (RFC 4511) that a look at the directory needs: bind, search by presence, StartTLS. A client
 * library would be ten times as much code in the process that lets sudo through, and would hide which layer failed.
 */

/** A protocol data unit that is none, or larger than what was asked for can be. */
export class WireError extends Error {}

/** More than any answer to these requests: one entry, or the root. */
export const MESSAGE_LIMIT = 64 * 1024;

const UNIVERSAL = { integer: 0x02, octets: 0x04, enumerated: 0x0a, sequence: 0x30 } as const;
export const OP = {
  bindRequest: 0x60,
  bindResponse: 0x61,
  unbindRequest: 0x42,
  searchRequest: 0x63,
  searchEntry: 0x64,
  searchDone: 0x65,
  searchReference: 0x73,
  extendedRequest: 0x77,
  extendedResponse: 0x78,
} as const;
const PRESENT_FILTER = 0x87;
const SIMPLE_PASSWORD = 0x80;
const REQUEST_NAME = 0x80;
export const START_TLS = '1.3.6.1.4.1.1466.20037';

function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const size = body.length;
  const head = size < 0x80 ? [tag, size] : [tag, 0x83, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

const text = (value: string, tag: number = UNIVERSAL.octets): Buffer => element(tag, Buffer.from(value, 'utf8'));
/** 0…127 */
const small = (value: number, tag: number = UNIVERSAL.integer): Buffer => element(tag, Buffer.from([value]));
const FALSE = element(0x01, Buffer.from([0]));

const message = (id: number, operation: Buffer): Buffer => element(UNIVERSAL.sequence, small(id), operation);

export const bindRequest = (id: number, dn: string, password: string): Buffer =>
  message(id, element(OP.bindRequest, small(3), text(dn), text(password, SIMPLE_PASSWORD)));

export const startTlsRequest = (id: number): Buffer =>
  message(id, element(OP.extendedRequest, text(START_TLS, REQUEST_NAME)));

export const unbindRequest = (id: number): Buffer => message(id, Buffer.from([OP.unbindRequest, 0]));

export interface Search {
  base: string;
  scope: 'base' | 'one';
  /** Entries that have this attribute. */
  present: string;
  attributes: readonly string[];
  /** Entries, at most 127. 0: no limit of ours. */
  sizeLimit: number;
}

export const searchRequest = (id: number, search: Search): Buffer =>
  message(
    id,
    element(
      OP.searchRequest,
      text(search.base),
      small(search.scope === 'base' ? 0 : 1, UNIVERSAL.enumerated),
      small(0, UNIVERSAL.enumerated),
      small(search.sizeLimit),
      small(10),
      FALSE,
      text(search.present, PRESENT_FILTER),
      element(UNIVERSAL.sequence, ...search.attributes.map((name) => text(name))),
    ),
  );

/** Reads elements one after the other out of bytes that are all there. */
function createReader(bytes: Buffer) {
  let at = 0;
  const reader = {
    more: () => at < bytes.length,
    next(): { tag: number; body: Buffer } {
      const found = readElement(bytes.subarray(at));
      if (found === null) throw new WireError('an element is cut off');
      at += found.size;
      return found;
    },
    expect(tag: number): Buffer {
      const found = reader.next();
      if (found.tag !== tag) throw new WireError(`tag ${found.tag.toString(16)} instead of ${tag.toString(16)}`);
      return found.body;
    },
    text: () => reader.expect(UNIVERSAL.octets).toString('utf8'),
    number(tag: number = UNIVERSAL.integer): number {
      const body = reader.expect(tag);
      if (body.length === 0 || body.length > 4) throw new WireError('a number is too large');
      return body.readIntBE(0, body.length);
    },
  };
  return reader;
}

/** The first element; null when it is not all there yet. @throws WireError when it can never be one. */
function readElement(bytes: Buffer): { tag: number; body: Buffer; size: number } | null {
  if (bytes.length < 2) return null;
  const tag = bytes[0]!;
  let length = bytes[1]!;
  let start = 2;
  if ((tag & 0x1f) === 0x1f || length === 0x80) throw new WireError('an element is not as LDAP writes it');
  if (length > 0x80) {
    const octets = length & 0x7f;
    if (octets > 4) throw new WireError('an element is too large');
    if (bytes.length < 2 + octets) return null;
    length = bytes.readUIntBE(2, octets);
    start += octets;
  }
  // From its length, before it is waited for and held.
  if (length > MESSAGE_LIMIT) throw new WireError('an element is too large');
  return bytes.length < start + length
    ? null
    : { tag, body: bytes.subarray(start, start + length), size: start + length };
}

export interface LdapResult {
  code: number;
  matchedDn: string;
  message: string;
}

export type Answer =
  | { kind: 'entry'; id: number; dn: string; attributes: Map<string, string[]> }
  | { kind: 'result'; id: number; tag: number; result: LdapResult }
  | { kind: 'other'; id: number };

function readEntry(id: number, body: Buffer): Answer {
  const reader = createReader(body);
  const dn = reader.text();
  const list = createReader(reader.expect(UNIVERSAL.sequence));
  const attributes = new Map<string, string[]>();
  while (list.more()) {
    const one = createReader(list.expect(UNIVERSAL.sequence));
    const name = one.text();
    const values = createReader(one.expect(0x31));
    const found: string[] = [];
    while (values.more()) found.push(values.text());
    attributes.set(name.toLowerCase(), found);
  }
  return { kind: 'entry', id, dn, attributes };
}

/** The first answer in what has arrived; null when it is not all there yet. @throws WireError */
export function readAnswer(bytes: Buffer): { answer: Answer; size: number } | null {
  if (bytes.length > 0 && bytes[0] !== UNIVERSAL.sequence) throw new WireError('this is not LDAP');
  const whole = readElement(bytes);
  if (whole === null) return null;
  const reader = createReader(whole.body);
  const id = reader.number();
  const { tag, body } = reader.next();
  const { size } = whole;
  if (tag === OP.searchEntry) return { answer: readEntry(id, body), size };
  if (tag === OP.searchReference) return { answer: { kind: 'other', id }, size };
  const result = createReader(body);
  const code = result.number(UNIVERSAL.enumerated);
  return {
    answer: { kind: 'result', id, tag, result: { code, matchedDn: result.text(), message: result.text() } },
    size,
  };
}
