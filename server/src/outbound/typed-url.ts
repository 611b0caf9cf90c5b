/** A URL as an operator types it, or what is wrong with it. What is wrong never quotes it: it may hold a secret. */
export type TypedUrl = { ok: true; url: URL } | { ok: false; problem: string; fix: string };

/**
 * Reads a URL that an operator typed. Whatever way its address is spelled (`0x7f.1`, `2130706433`, `[::ffff:7f00:1]`),
 * the URL that comes out spells it in one, so that what is judged is what is dialled.
 */
export function readTypedUrl(text: string): TypedUrl {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null)
    return { ok: false, problem: 'is not an http or https URL', fix: 'Write it like https://identree.example.com.' };
  // In logs and on pages it would be shown with the password in it, and `https://good.example@evil.example` misleads.
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#\\]*@/i.test(text))
    return { ok: false, problem: 'holds a user name or password', fix: 'Leave out what stands before the @.' };
  return { ok: true, url };
}

/** The host of a URL as a resolver or a socket takes it: an IPv6 address without its brackets. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');
