/**
 * The hook protocol, seen from the agent. One frame: type (1 byte), payload length (2 bytes, big endian, at most
 * MAX_PAYLOAD), payload. agent/native/README.md is the normative page.
 */
export const MAX_PAYLOAD = 8192;

export type HookFrame = { type: 'H'; payload: Buffer } | { type: 'C'; reason: string };

/** Not this protocol: the connection is closed and nothing is granted. */
export class ProtocolViolation extends Error {}

const MAX_CANCEL = 64;

/** Cuts a byte stream into frames. The returned function takes chunks and throws ProtocolViolation. */
export function createFrameReader(onFrame: (frame: HookFrame) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      const type = String.fromCharCode(pending[0]!);
      if (type !== 'H' && type !== 'C') throw new ProtocolViolation('unknown frame type');
      if (pending.length < 3) return;
      const length = pending.readUInt16BE(1);
      if (length > (type === 'H' ? MAX_PAYLOAD : MAX_CANCEL)) throw new ProtocolViolation('frame too long');
      if (pending.length < 3 + length) return;
      const payload = Buffer.from(pending.subarray(3, 3 + length));
      pending = pending.subarray(3 + length);
      onFrame(type === 'H' ? { type, payload } : { type, reason: payload.toString('latin1') });
    }
  };
}

function frame(type: string, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(3 + payload.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt16BE(payload.length, 1);
  bytes.set(payload, 3);
  return bytes;
}

/** Accepted, or still alive. */
export const aliveFrame = (): Buffer => frame('A', Buffer.alloc(0));

/** One line of text; what does not fit is cut at a character. */
export function textFrame(line: string): Buffer {
  let bytes = Buffer.from(line);
  if (bytes.length > MAX_PAYLOAD) {
    let end = MAX_PAYLOAD;
    while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
    bytes = bytes.subarray(0, end);
  }
  return frame('T', bytes);
}

/** The last frame: go on, or not. */
export const verdictFrame = (granted: boolean): Buffer => frame('V', Buffer.from(granted ? '0' : '1'));
