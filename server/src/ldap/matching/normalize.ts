import { type MatchKind, NAME } from '../schema/rules.ts';
import { normalizeDn } from './dn.ts';
import type { Scratch } from './scratch.ts';
import { normalizeSimple } from './simple.ts';

/**
 * Brings a value into the form in which equal values have equal bytes.
 *
 * @returns the length written from the scratch's start, or -1 when the value does not have the syntax.
 */
export function normalize(kind: MatchKind, bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  return kind === NAME ? normalizeDn(bytes, start, end, out) : normalizeSimple(kind, bytes, start, end, out);
}
