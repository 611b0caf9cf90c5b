export const BLOCK_BEGIN = '# identree begin (managed; do not edit inside)';
export const BLOCK_END = '# identree end';

/** The markers in a file are not a pair: they were edited, so nothing is touched. */
export class BrokenBlock extends Error {}

/** Where the block stands, end exclusive and with its newline; null when there is none. @throws BrokenBlock */
export function findBlock(text: string): { start: number; end: number } | null {
  const begins = [...text.matchAll(/^# identree begin.*\n?/gm)];
  const ends = [...text.matchAll(/^# identree end.*\n?/gm)];
  if (begins.length === 0 && ends.length === 0) return null;
  const [begin, end] = [begins[0], ends[0]];
  if (begins.length !== 1 || ends.length !== 1 || !begin || !end || end.index < begin.index) {
    throw new BrokenBlock('the lines "identree begin" and "identree end" are not a pair');
  }
  return { start: begin.index, end: end.index + end[0].length };
}

/** The file without the block: byte for byte what it was before, plus whatever was edited outside. */
export function withoutBlock(text: string): string {
  const block = findBlock(text);
  return block === null ? text : text.slice(0, block.start) + text.slice(block.end);
}

/** Puts the block at the top. A pure insertion of whole lines, as {@link withBlock} does it. */
export function withBlockOnTop(text: string, lines: readonly string[]): string {
  return blockOf(lines) + withoutBlock(text);
}

const blockOf = (lines: readonly string[]): string =>
  [BLOCK_BEGIN, ...lines, BLOCK_END].map((line) => `${line}\n`).join('');

/**
 * Puts the block before the first line that can authenticate (`auth`, `-auth`, `@include`), or at the top. A pure
 * insertion of whole lines, so that taking it out again is exact. Replaces an earlier block.
 */
export function withBlock(text: string, lines: readonly string[]): string {
  const bare = withoutBlock(text);
  const at = /^[ \t]*(-?auth[ \t]|@include[ \t])/m.exec(bare)?.index ?? 0;
  return bare.slice(0, at) + blockOf(lines) + bare.slice(at);
}
