/**
 * Is `offered` a newer release than `running`? Only the three numbers count. What is not a version is none: an old
 * server says nothing, and a sentence about it would be wrong.
 */
export function isNewer(offered: unknown, running: string): boolean {
  const [theirs, ours] = [numbersOf(offered), numbersOf(running)];
  if (!theirs || !ours) return false;
  const at = theirs.findIndex((number, i) => number !== ours[i]);
  return at >= 0 && theirs[at]! > ours[at]!;
}

function numbersOf(version: unknown): number[] | null {
  const found = typeof version === 'string' ? /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?![\d.])/.exec(version) : null;
  return found && found.slice(1).map(Number);
}
