/**
 * The hook protocol, seen from the agent. One frame: type (1 byte), payload length (2 bytes, big endian, at most
 * MAX_PAYLOAD), payload. agent/native/README.md is the normative page.
 */
export const MAX_PAYLOAD = 8192;

export type HookFrame =
  | { type: 'H'; payload: Buffer }
  | { type: 'C'; reason: string }
  /** A piece of a part of what the plugin has to say; the letter of the part first. */
  | { type: 'D'; payload: Buffer }
  /** The plugin has said all. */
  | { type: 'E' }
  /** The plugin uses the verdict at once. */
  | { type: 'R' };

/** Not this protocol: the connection is closed and nothing is granted. */
export class ProtocolViolation extends Error {}

/** The longest payload of each type. */
const LIMITS: Record<HookFrame['type'], number> = { H: MAX_PAYLOAD, C: 64, D: MAX_PAYLOAD, E: 0, R: 0 };
const isType = (type: string): type is HookFrame['type'] => Object.hasOwn(LIMITS, type);

function toFrame(type: HookFrame['type'], payload: Buffer): HookFrame {
  switch (type) {
    case 'H':
    case 'D':
      return { type, payload };
    case 'C':
      return { type, reason: payload.toString('latin1') };
    case 'E':
    case 'R':
      return { type };
  }
}

/** Cuts a byte stream into frames. The returned function takes chunks and throws ProtocolViolation. */
export function createFrameReader(onFrame: (frame: HookFrame) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      const type = String.fromCharCode(pending[0]!);
      if (!isType(type)) throw new ProtocolViolation('unknown frame type');
      if (pending.length < 3) return;
      const length = pending.readUInt16BE(1);
      if (length > LIMITS[type]) throw new ProtocolViolation('frame too long');
      if (pending.length < 3 + length) return;
      const payload = Buffer.from(pending.subarray(3, 3 + length));
      pending = pending.subarray(3 + length);
      onFrame(toFrame(type, payload));
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

/** A verdict is there: will it be used at once? */
export const readyFrame = (): Buffer => frame('Q', Buffer.alloc(0));

/** By what a request is known again when another agent goes on with it: pieces, and an empty one that ends them. */
export function keepFrames(token: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < token.length; at += MAX_PAYLOAD) pieces.push(frame('K', token.subarray(at, at + MAX_PAYLOAD)));
  return Buffer.concat([...pieces, frame('K', Buffer.alloc(0))]);
}

/** The last frame: go on, or not. */
export const verdictFrame = (granted: boolean): Buffer => frame('V', Buffer.from(granted ? '0' : '1'));
