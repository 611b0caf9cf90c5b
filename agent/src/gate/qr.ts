// Not the whole of it, which also writes pictures.
import { create } from 'qrcode/lib/core/qrcode.js';

/** Light modules around the code. Scanners read two; the four of the standard would not fit on 24 rows. */
const QUIET = 2;

/** Black on white whatever the terminal's colours: many scanners do not read an inverted code. */
const COLOURS = '\u001b[30;107m';
const RESET = '\u001b[0m';

/** Terminals that would show escape sequences as text. */
const PLAIN = new Set(['', 'dumb', 'unknown']);

/** True for a TERM that names no terminal that shows more than text. */
export const isPlain = (term: string): boolean => PLAIN.has(term);

/** A code as terminal lines; `width` is how many columns each takes. */
export interface QrCode {
  lines: string[];
  width: number;
}

/** A link as QR code in half blocks, two rows of modules per line. Null when TERM cannot show colours. */
export function qrCode(link: string, term: string): QrCode | null {
  if (isPlain(term)) return null;
  let modules: { size: number; get(row: number, col: number): number | boolean };
  try {
    modules = create(link, { errorCorrectionLevel: 'L' }).modules;
  } catch {
    return null;
  }
  const width = modules.size + 2 * QUIET;
  const dark = (row: number, col: number) => {
    const [r, c] = [row - QUIET, col - QUIET];
    return r >= 0 && c >= 0 && r < modules.size && c < modules.size && Boolean(modules.get(r, c));
  };
  const lines = Array.from({ length: Math.ceil(width / 2) }, (_, line) => {
    let text = '';
    for (let col = 0; col < width; col += 1) {
      const top = dark(line * 2, col);
      const bottom = dark(line * 2 + 1, col);
      text += top ? (bottom ? '█' : '▀') : bottom ? '▄' : ' ';
    }
    return `${COLOURS}${text}${RESET}`;
  });
  return { lines, width };
}
