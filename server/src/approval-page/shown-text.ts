import { visibleText } from '#shared/visible-text.ts';
import { type Html, html } from './html.ts';

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

/** Text with its marks, and the marks themselves for the legend. */
export interface Shown {
  html: Html;
  /** The same as plain text, for the clipboard and for titles. */
  text: string;
  marks: Mark[];
}

/** Long paths break after a slash rather than in the middle of a name. */
function withBreaks(text: string): Html {
  return html`${text.split(/(?<=\/)(?=[^/])/).map((part, i) => (i === 0 ? html`${part}` : html`<wbr>${part}`))}`;
}

function markup(list: readonly Piece[], plain: (text: string) => string): Html[] {
  return list.map((piece) =>
    piece.mark
      ? html`<mark class="${piece.mark.kind === 'lookalike' ? 'lookalike' : 'escape'}">${piece.text}</mark>`
      : withBreaks(plain(piece.text)),
  );
}

const marksOf = (list: readonly Piece[]): Mark[] => list.flatMap((piece) => (piece.mark ? [piece.mark] : []));

/** One field as the page shows it. */
export function shownText(text: string, form: 'bytes' | 'text' = 'text'): Shown {
  const list = pieces(text, form);
  return { html: html`${markup(list, (t) => t)}`, text: list.map((p) => p.text).join(''), marks: marksOf(list) };
}

const BARE = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** Arguments (made by `escapeBytes`) as a person would type them in a shell, each one told apart from the next. */
export function shownCommand(argv: readonly string[]): Shown {
  const args = argv.map((argument) => {
    const list = pieces(argument, 'bytes');
    const bare = list.every((piece) => piece.mark === null && BARE.test(piece.text)) && list.length > 0;
    const quote = bare ? '' : "'";
    const plain = (text: string) => (bare ? text : text.replaceAll("'", "'\\''"));
    return {
      html: html`<span class="arg">${quote}${markup(list, plain)}${quote}</span>`,
      text: quote + list.map((piece) => (piece.mark ? piece.text : plain(piece.text))).join('') + quote,
      marks: marksOf(list),
    };
  });
  return {
    html: html`${args.map((arg, i) => (i === 0 ? arg.html : html` ${arg.html}`))}`,
    text: args.map((arg) => arg.text).join(' '),
    marks: args.flatMap((arg) => arg.marks),
  };
}

/** Each distinct mark once, in the order in which it appears. */
export function distinctMarks(marks: readonly Mark[]): Mark[] {
  const seen = new Map<string, Mark>();
  for (const mark of marks) if (!seen.has(mark.shown)) seen.set(mark.shown, mark);
  return [...seen.values()];
}
