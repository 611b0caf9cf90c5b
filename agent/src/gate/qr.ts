import QRCode from 'qrcode';

/** Light modules around the code. Scanners read two; four would not fit beside the text on 24 rows. */
const QUIET = 2;

/** Black on white whatever the terminal's colours: many scanners do not read an inverted code. */
const COLOURS = '\u001b[30;107m';
const RESET = '\u001b[0m';

/** Terminals that would show escape sequences as text. */
const PLAIN = new Set(['', 'dumb', 'unknown']);

/**
 * A link as QR code in half blocks, one text line per two rows of modules. Empty when the terminal is too small, or
 * cannot show colours.
 *
 * @param terminal.usedRows lines of text that must stay visible with the code.
 */
export function qrLines(
  link: string,
  terminal: { cols: number | null; rows: number | null; term: string; usedRows: number },
): string[] {
  if (terminal.cols === null || terminal.rows === null || PLAIN.has(terminal.term)) return [];
  let modules: { size: number; get(row: number, col: number): number | boolean };
  try {
    modules = QRCode.create(link, { errorCorrectionLevel: 'L' }).modules;
  } catch {
    return [];
  }
  const size = modules.size + 2 * QUIET;
  const height = Math.ceil(size / 2);
  if (terminal.cols < size + 4 || terminal.rows < height + terminal.usedRows + 1) return [];
  const dark = (row: number, col: number) => {
    const [r, c] = [row - QUIET, col - QUIET];
    return r >= 0 && c >= 0 && r < modules.size && c < modules.size && Boolean(modules.get(r, c));
  };
  return Array.from({ length: height }, (_, line) => {
    let text = '';
    for (let col = 0; col < size; col += 1) {
      const top = dark(line * 2, col);
      const bottom = dark(line * 2 + 1, col);
      text += top ? (bottom ? '█' : '▀') : bottom ? '▄' : ' ';
    }
    return `${COLOURS}${text}${RESET}`;
  });
}
