/** One thing that `identree doctor` says. */
export interface Line {
  what: string;
  value: string;
  /** What to do about it; null when all is well. */
  problem: string | null;
}
