import { ReaderFailure } from '../../events/readers.ts';
import type { Answer } from '../../outbound/post.ts';

/** Somebody has to mend it; until then it is asked seldom. */
export const PAUSED = { retryMs: 60_000, paused: true } as const;

/** What a receiver says, for people and the log: without the token, should it say that back. */
export const withoutToken = (said: string, token: string | null): string =>
  token === null ? said : said.replaceAll(token, '(the token)');

/**
 * What is to be done about an answer that takes nothing and blames no event. Tokens and addresses are an operator's to mend;
 * everything else passes.
 */
export function failureOf({ status, retryMs }: Answer, said: string): ReaderFailure {
  const passes = status === 408 || status === 425 || status === 429 || status >= 500;
  const message = `the receiver answers ${status}${said === '' ? '' : `: ${said.slice(0, 200)}`}`;
  return new ReaderFailure(message, passes ? { retryMs } : PAUSED);
}
