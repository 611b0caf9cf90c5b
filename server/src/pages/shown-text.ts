import { type Mark, type Piece, pieces } from '#shared/text-marks.ts';
import { type Html, html } from './html.ts';

/** Text with its marks, and the marks themselves for the legend. */
export interface Shown {
  html: Html;
  /** The same as plain text, for the clipboard and for titles. */
  text: string;
  marks: Mark[];
}

/** Long paths break after a folder's name rather than in the middle of one. */
function withBreaks(text: string): Html {
  return html`${text.split(/(?<=[^/.'"]\/)(?=[^/])/).map((part, i) => (i === 0 ? html`${part}` : html`<wbr>${part}`))}`;
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
