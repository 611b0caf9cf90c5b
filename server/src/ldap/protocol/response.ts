import { ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { element, integerElement, type Output, reserve } from '../ber/writer.ts';
import { OID, OP, RESULT, type ResultCode } from './operation.ts';

/** What an answer says beyond its code. */
export interface ResultDetails {
  /** RFC 4511 4.1.9: the last entry that exists on the way to the one named. */
  matchedDn?: string | Uint8Array;
  text?: string;
  /** Elements behind the three fields every result has: SASL credentials, response name and value. */
  extra?: readonly Uint8Array[];
  /** Whole Control elements. */
  controls?: readonly Uint8Array[];
}

/** Appends a message with a result (RFC 4511 4.1.9). */
export function writeResult(
  output: Output,
  messageId: number,
  tag: number,
  code: ResultCode,
  details?: ResultDetails,
): void {
  const message = resultMessage(messageId, tag, code, details);
  reserve(output, message.length);
  output.bytes.set(message, output.length);
  output.length += message.length;
}

/** A whole LDAPMessage with a result. */
export function resultMessage(
  messageId: number,
  tag: number,
  code: ResultCode,
  { matchedDn = '', text = '', extra = [], controls = [] }: ResultDetails = {},
): Buffer {
  const operation = element(
    tag,
    integerElement(ENUMERATED, code),
    element(OCTET_STRING, matchedDn),
    element(OCTET_STRING, text),
    ...extra,
  );
  const attached = controls.length === 0 ? [] : [element(0xa0, ...controls)];
  return element(SEQUENCE, integerElement(INTEGER, messageId), operation, ...attached);
}

/** Appends a result that says success and nothing else, without creating anything. */
export function writeSuccess(output: Output, messageId: number, tag: number): void {
  reserve(output, 20);
  const { bytes } = output;
  let i = output.length;
  const idLength = messageId < 0x80 ? 1 : messageId < 0x8000 ? 2 : messageId < 0x800000 ? 3 : 4;
  bytes[i++] = SEQUENCE;
  bytes[i++] = 2 + idLength + 9;
  bytes[i++] = INTEGER;
  bytes[i++] = idLength;
  for (let shift = (idLength - 1) * 8; shift >= 0; shift -= 8) bytes[i++] = (messageId >>> shift) & 0xff;
  bytes[i++] = tag;
  bytes[i++] = 7;
  bytes[i++] = ENUMERATED;
  bytes[i++] = 1;
  bytes[i++] = RESULT.success;
  bytes[i++] = OCTET_STRING;
  bytes[i++] = 0;
  bytes[i++] = OCTET_STRING;
  bytes[i++] = 0;
  output.length = i;
}

/** The paging control of an answer (RFC 2696 2): an estimate of the whole and the cookie for the next page. */
export function pagingControl(estimate: number, cookie: Uint8Array): Buffer {
  const value = element(SEQUENCE, integerElement(INTEGER, estimate), element(OCTET_STRING, cookie));
  return element(SEQUENCE, element(OCTET_STRING, OID.paging), element(OCTET_STRING, value));
}

/** Notice of Disconnection (RFC 4511 4.4.1): the last thing a client hears. */
export function disconnectionNotice(code: ResultCode, text: string): Buffer {
  return resultMessage(0, OP.extendedResponse, code, { text, extra: [element(0x8a, OID.noticeOfDisconnection)] });
}
