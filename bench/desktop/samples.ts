/** What is measured, and how often. */
export interface Sizes {
  /** Starts of the program. */
  starts: number;
  /** Requests that are waited for. */
  requests: number;
  /** How long it is watched while nothing happens, milliseconds, and how long it is left alone before. */
  idleMs: number;
  settleMs: number;
}

export interface Samples {
  windowMs: number[];
  idleMb: number[];
  idleCpuPercent: number;
  notificationMs: number[];
  processes: number;
}

/** Among the results of a run inside. */
export const RESULT_FILE = 'bench-desktop.json';
