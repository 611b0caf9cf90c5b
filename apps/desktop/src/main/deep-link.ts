import { userCode } from '#shared/names.ts';

/** Everything that a link from outside can mean. */
export type DeepLink = { kind: 'approve'; code: string };

export const DEEP_LINK_SCHEME = 'identree';

/** Longer than any link that means something; a parser should not see megabytes. */
const MAX_LENGTH = 64;

/**
 * Reads `identree://approve/<CODE>`. Anybody can make a person click such a link, so nothing of it is passed on but a
 * code of the exact shape: no host, no path, no query.
 *
 * @returns null for everything else.
 */
export function parseDeepLink(text: string): DeepLink | null {
  if (text.length > MAX_LENGTH) return null;
  // Some desktops append a slash. Nothing is decoded: a code has no characters that need it.
  const match = /^identree:\/\/approve\/([A-Z0-9-]{13})\/?$/.exec(text);
  if (!match) return null;
  const code = userCode.safeParse(match[1]);
  return code.success ? { kind: 'approve', code: code.data } : null;
}

/** The link among the arguments of a process that the desktop started for it; null when there is none or it is not ours. */
export function deepLinkInArguments(argv: readonly string[]): DeepLink | null {
  // Other processes of this user choose these arguments: the first link counts, so that a second cannot override it.
  const text = argv.find((argument) => argument.startsWith(`${DEEP_LINK_SCHEME}:`));
  return text === undefined ? null : parseDeepLink(text);
}
