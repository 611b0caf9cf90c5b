/** Exit codes of `identree`. `try` has its own: 0 approved, 1 denied, 2 expired, 3 error. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  expired: 4,
  unreachable: 5,
  config: 6,
  notRoot: 7,
  busy: 8,
} as const;

/** An end that was expected: the message goes to standard error, the code to the caller. */
export class CommandError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
