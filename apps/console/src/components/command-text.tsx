import { Fragment } from 'react';
import { pieces } from '#shared/text-marks.ts';

/** A command or another text from a host: characters that cannot be seen, or pass for others, are marked. */
export function CommandText({ text, clamp = false }: { text: string; clamp?: boolean }) {
  return (
    <code className={clamp ? 'command-text clamp' : 'command-text'}>
      {pieces(text, 'text').map((piece, i) =>
        piece.mark ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: a text is shown whole or not at all.
          <mark key={i} className={piece.mark.kind === 'lookalike' ? 'lookalike' : 'escape'}>
            {piece.text}
          </mark>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: as above.
          <Fragment key={i}>{piece.text}</Fragment>
        ),
      )}
    </code>
  );
}
