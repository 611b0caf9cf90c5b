import { visibleText } from '#shared/visible-text.ts';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * Safe to show in one line, and no longer than `length` characters; what is left out can be told by its mark. No mark
 * is parted from the letter that it stands on, or the end would read as something else. What is far longer costs no more
 * than what is not.
 */
export function shortened(text: string, length: number): string {
  // A character takes two units at most, and making one visible makes it no shorter.
  const chars = [...visibleText(text.slice(0, 2 * (length + 1)))];
  if (chars.length <= length) return chars.join('');
  const end = chars.slice(0, length - 1).join('').length;
  const { index = end } = graphemes.segment(chars.join('')).containing(end) ?? {};
  // Of one letter with more marks than there is room for, as much as there is room for.
  return `${chars.join('').slice(0, index === 0 ? end : index)}…`;
}
