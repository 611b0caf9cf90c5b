import { ARGV_SHOWN_BYTES } from '#shared/decision.ts';
import { escapeBytes } from '#shared/visible-text.ts';

const MAX_ARGUMENTS = 1024;

/** The longest beginning of an escaped text that fits and does not end inside an escape. */
function cutEscaped(text: string, limit: number): string {
  let out = '';
  let size = 0;
  for (const [piece] of text.matchAll(/\\(?:\\|x[0-9a-f]{2}|u\{[0-9a-f]{1,6}\})|[^\\]/gu)) {
    size += Buffer.byteLength(piece);
    if (size > limit) break;
    out += piece;
  }
  return out;
}

/**
 * Arguments as the record shows them: escaped, at most ARGV_SHOWN_BYTES bytes of UTF-8 in all.
 *
 * @param cmdline raw bytes, each argument ended by NUL.
 */
export function shownArgv(cmdline: Buffer): { argv: string[]; truncated: boolean } {
  const argv: string[] = [];
  let budget = ARGV_SHOWN_BYTES;
  for (const bytes of eachArgument(cmdline)) {
    if (argv.length === MAX_ARGUMENTS) return { argv, truncated: true };
    // Escaping never shortens, so more raw bytes than the budget cannot fit; the rest need not be looked at.
    const escaped = escapeBytes(bytes.subarray(0, budget + 1));
    const size = Buffer.byteLength(escaped);
    if (bytes.length > budget || size > budget) {
      const part = cutEscaped(escaped, budget);
      if (part !== '') argv.push(part);
      return { argv, truncated: true };
    }
    argv.push(escaped);
    budget -= size;
  }
  return { argv, truncated: false };
}

/** The arguments as exact bytes, one after the other: there may be a million. The last one ends with or without NUL. */
export function* eachArgument(cmdline: Buffer): Generator<Buffer, void> {
  for (let start = 0; start < cmdline.length; ) {
    const nul = cmdline.indexOf(0, start);
    const end = nul === -1 ? cmdline.length : nul;
    yield cmdline.subarray(start, end);
    start = end + 1;
  }
}

/** The value of a variable, of the first that has this name, as getenv(3) finds it; null when there is none. */
export function variable(environ: Buffer, name: string): Buffer | null {
  const wanted = Buffer.from(`\0${name}=`, 'latin1');
  const isFirst = environ.subarray(0, wanted.length - 1).equals(wanted.subarray(1));
  const at = isFirst ? -1 : environ.indexOf(wanted);
  if (at === -1 && !isFirst) return null;
  const start = at + wanted.length;
  const nul = environ.indexOf(0, start);
  return environ.subarray(start, nul === -1 ? environ.length : nul);
}

export const splitArguments = (cmdline: Buffer): Buffer[] => [...eachArgument(cmdline)];

/** So many bytes at most are a character of UTF-8. */
const LONGEST_CHARACTER = 4;

/** A path as the record shows it. */
export function shownPath(latin1: string, limit = 4096): string {
  // What cannot be shown need not be looked at: of megabytes nobody else would get an answer meanwhile.
  const escaped = escapeBytes(Buffer.from(latin1.slice(0, (limit + 1) * LONGEST_CHARACTER), 'latin1'));
  return escaped.length <= limit ? escaped : `${cutEscaped(escaped, limit - 3)}…`;
}
