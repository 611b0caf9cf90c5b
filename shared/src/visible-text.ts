/**
 * Characters that change what a person sees without being seen: C0, DEL, C1, bidirectional controls, zero-width
 * characters, line and paragraph separators, soft hyphen, variation selectors, tags, interlinear annotation and
 * other default-ignorable code points. An approver must never be shown a command that reads differently from what runs.
 */
const INVISIBLE =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each of them is meant on its own, combining or not.
  /[\u034f\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/** Makes every invisible or direction-changing character visible as an escape: `\x1b`, `\u{202e}`. Idempotent. */
export function visibleText(text: string): string {
  return text.toWellFormed().replace(INVISIBLE, (char) => {
    const code = char.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** For one line on a terminal: CR, LF and TAB become spaces, everything else that is invisible is dropped. */
export function terminalLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\r\n\t]+/g, ' ')
    .replace(INVISIBLE, '');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Length of the valid UTF-8 sequence at `offset`, or 0. */
function sequenceLength(bytes: Uint8Array, offset: number): number {
  const lead = bytes[offset]!;
  const length =
    lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || (lead >= 0x80 && lead < 0xc2) || offset + length > bytes.length) return 0;
  try {
    decoder.decode(bytes.subarray(offset, offset + length));
    return length;
  } catch {
    return 0;
  }
}

/** What nearly every path, argument and name is made of. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/;

/** The text of bytes that need no escape; null for all that have to be looked at one by one. */
function asItIs(bytes: Uint8Array): string | null {
  try {
    const text = decoder.decode(bytes);
    return PLAIN.test(text) ? text : null;
  } catch {
    return null;
  }
}

/**
 * Exact bytes as text that can be turned back: `\` becomes `\\`, a byte that is not valid UTF-8 becomes `\xHH` and an
 * invisible character becomes `\u{H}`. Nothing in the result is invisible.
 */
export function escapeBytes(bytes: Uint8Array): string {
  const whole = asItIs(bytes);
  if (whole !== null) return whole;
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i);
    if (length === 0) {
      out += `\\x${bytes[i]!.toString(16).padStart(2, '0')}`;
      i += 1;
      continue;
    }
    const char = decoder.decode(bytes.subarray(i, i + length));
    if (char === '\\') out += '\\\\';
    else {
      INVISIBLE.lastIndex = 0;
      out += INVISIBLE.test(char) ? `\\u{${char.codePointAt(0)!.toString(16)}}` : char;
    }
    i += length;
  }
  return out;
}

/** Turns the text made by {@link escapeBytes} back into the exact bytes. @throws SyntaxError on an unknown escape. */
export function unescapeBytes(text: string): Uint8Array {
  const parts: Buffer[] = [];
  const pattern = /\\(?:\\|x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\})|[^\\]+/gy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length;
    if (match[1]) parts.push(Buffer.from([Number.parseInt(match[1], 16)]));
    else if (match[2]) parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(match[2], 16))));
    else parts.push(Buffer.from(match[0] === '\\\\' ? '\\' : match[0]));
  }
  if (end !== text.length) throw new SyntaxError('unknown escape');
  return Buffer.concat(parts);
}

/** One argument as a person would type it in a shell, for display only: quoted when it holds anything unusual. */
export function shellQuote(argument: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
