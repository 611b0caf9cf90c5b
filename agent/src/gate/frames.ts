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
  /** What a person typed at a prompt. The function that takes it wipes it after use. */
  | { type: 'S'; payload: Buffer }
  /** The plugin has said all. */
  | { type: 'E' }
  /** The plugin uses the verdict at once. */
  | { type: 'R' };

/** Not this protocol: the connection is closed and nothing is granted. */
export class ProtocolViolation extends Error {}

/** The longest payload of each type. */
const LIMITS: Record<HookFrame['type'], number> = { H: MAX_PAYLOAD, C: 64, D: MAX_PAYLOAD, S: 1024, E: 0, R: 0 };
const isType = (type: string): type is HookFrame['type'] => Object.hasOwn(LIMITS, type);

function toFrame(type: HookFrame['type'], payload: Buffer): HookFrame {
  switch (type) {
    case 'H':
    case 'D':
    case 'S':
      return { type, payload };
    case 'C':
      return { type, reason: payload.toString('latin1') };
    case 'E':
    case 'R':
      return { type };
  }
}

/**
 * Cuts a byte stream into frames. The returned function takes chunks, which are its own from then on: what a person
 * typed is wiped from them. It throws ProtocolViolation.
 */
export function createFrameReader(onFrame: (frame: HookFrame) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    if (pending.length === 0) pending = chunk;
    else {
      const pieces = [pending, chunk];
      pending = Buffer.concat(pieces);
      for (const piece of pieces) piece.fill(0);
    }
    while (pending.length > 0) {
      const type = String.fromCharCode(pending[0]!);
      if (!isType(type)) throw new ProtocolViolation('unknown frame type');
      if (pending.length < 3) return;
      const length = pending.readUInt16BE(1);
      if (length > LIMITS[type]) throw new ProtocolViolation('frame too long');
      if (pending.length < 3 + length) return;
      const payload = Buffer.from(pending.subarray(3, 3 + length));
      pending.fill(0, 0, 3 + length);
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

/** What does not fit is cut at a character. */
function cutText(text: string, max: number): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= max) return bytes;
  let end = max;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

/** One line of text; what does not fit is cut. */
export const textFrame = (line: string): Buffer => frame('T', cutText(line, MAX_PAYLOAD));

const MAX_PROMPT = 512;

/** Asks the person to type a line, which comes back as `S`. @param echo whether they see what they type */
export const promptFrame = (text: string, echo: boolean): Buffer =>
  frame('P', Buffer.concat([Buffer.from(echo ? '1' : '0'), cutText(text, MAX_PROMPT)]));

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
