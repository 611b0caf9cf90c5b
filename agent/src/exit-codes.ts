/** Exit codes of `identree`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  config: 6,
  notRoot: 7,
  busy: 8,
} as const;

/** What they mean to a script. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done',
  failed: 'failed; standard error says why',
  usage: 'wrong use, or an operand that cannot be read',
  config: 'the configuration or the state of this host is not in order',
  notRoot: 'root is needed',
  busy: 'there is one already: an enrolment, or an agent that runs',
};

/** Exit codes of `identree try`: of the answer, not of the program. */
export const TRY_EXIT = { approved: 0, denied: 1, expired: 2, error: 3 } as const;

/** An end that was expected: the message goes to standard error, the code to the caller. */
export class CommandError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
