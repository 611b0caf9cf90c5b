import { type Piece, pieces } from '#shared/text-marks.ts';

/** Splits pieces at spaces, so that a line breaks between words and never inside an option. */
function wordsOf(list: readonly Piece[]): (Piece[] | string)[] {
  const out: (Piece[] | string)[] = [];
  let word: Piece[] = [];
  const flush = () => {
    if (word.length > 0) out.push(word);
    word = [];
  };
  for (const piece of list) {
    if (piece.mark) {
      word.push(piece);
      continue;
    }
    for (const part of piece.text.split(/( +)/)) {
      if (part === '') continue;
      if (part.startsWith(' ')) {
        flush();
        out.push(part);
      } else word.push({ text: part, mark: null });
    }
  }
  flush();
  return out;
}

/** A text from elsewhere within a sentence: characters that cannot be seen, or pass for others, are marked. */
export function MarkedText({ text }: { text: string }) {
  return wordsOf(pieces(text, 'text')).map((word, i) =>
    typeof word === 'string' ? (
      word
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a text is shown whole or not at all.
      <span key={i} className="word">
        {word.map((piece, j) =>
          piece.mark ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: as above.
            <mark key={j} className={piece.mark.kind === 'lookalike' ? 'lookalike' : 'escape'}>
              {piece.text}
            </mark>
          ) : (
            piece.text
          ),
        )}
      </span>
    ),
  );
}

/** A command or another text from a host, in the type of a terminal. */
export function CommandText({ text, clamp = false }: { text: string; clamp?: boolean }) {
  return (
    <code className={clamp ? 'command-text clamp' : 'command-text'}>
      <MarkedText text={text} />
    </code>
  );
}
