import { visibleText } from './visible-text.ts';

/** Why a piece of text is marked. `lookalike`: a letter of another script, or a space that is not U+0020. */
export type MarkKind = 'escape' | 'byte' | 'lookalike';

/** One marked character of the page, for the legend. */
export interface Mark {
  kind: MarkKind;
  /** What stands on the page. */
  shown: string;
  /** Code point, or the value of the raw byte. */
  code: number;
}

export type Piece = { text: string; mark: null } | { text: string; mark: Mark };

// Letters that pass for Latin ones, and blanks that pass for a space. Not invisible, so the escapes leave them alone.
const PATTERN =
  /\\(?:\\|x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\})|([\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\uff00-\uffef\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000])/gu;

/**
 * Splits text into plain and marked pieces.
 *
 * @param form `bytes`: made by `escapeBytes`, where `\\` stands for one backslash and `\xHH` for a byte that is not
 *   valid UTF-8. `text`: made by `visibleText`, where `\xHH` is a control character and nothing was doubled.
 */
export function pieces(text: string, form: 'bytes' | 'text'): Piece[] {
  // Idempotent: what the server made visible stays as it is, and what it forgot cannot reach the page.
  const safe = visibleText(text);
  const out: Piece[] = [];
  let plain = '';
  let end = 0;
  const flush = () => {
    if (plain) out.push({ text: plain, mark: null });
    plain = '';
  };
  for (const match of safe.matchAll(PATTERN)) {
    plain += safe.slice(end, match.index);
    end = match.index + match[0].length;
    const [whole, byte, point, lookalike] = match;
    if (byte === undefined && point === undefined && lookalike === undefined) {
      plain += form === 'bytes' ? '\\' : whole;
      continue;
    }
    flush();
    if (lookalike !== undefined) {
      const code = lookalike.codePointAt(0)!;
      const blank = /\s/u.test(lookalike);
      const shown = blank ? `\\u{${code.toString(16)}}` : lookalike;
      out.push({ text: shown, mark: { kind: blank ? 'escape' : 'lookalike', shown, code } });
    } else {
      const code = Number.parseInt((byte ?? point)!, 16);
      const kind: MarkKind = byte !== undefined && form === 'bytes' && code >= 0x80 ? 'byte' : 'escape';
      out.push({ text: whole, mark: { kind, shown: whole, code } });
    }
  }
  plain += safe.slice(end);
  flush();
  return out;
}

/** Each distinct mark once, in the order in which it appears. */
export function distinctMarks(marks: readonly Mark[]): Mark[] {
  const seen = new Map<string, Mark>();
  for (const mark of marks) if (!seen.has(mark.shown)) seen.set(mark.shown, mark);
  return [...seen.values()];
}
