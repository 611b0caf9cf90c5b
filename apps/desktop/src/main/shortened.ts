import { visibleText } from '#shared/visible-text.ts';

/**
 * Safe to show in one line, and no longer than `length` characters; what is left out can be told by its mark. What is far
 * longer costs no more than what is not.
 */
export function shortened(text: string, length: number): string {
  // A character takes two units at most, and making one visible makes it no shorter.
  const chars = [...visibleText(text.slice(0, 2 * (length + 1)))];
  return chars.length <= length ? chars.join('') : `${chars.slice(0, length - 1).join('')}…`;
}
