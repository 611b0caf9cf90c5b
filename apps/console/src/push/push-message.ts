/** What a push shows, and the one page that it leads to. */
export interface PushMessage {
  /** The same when it comes again. */
  readonly id: string;
  readonly title: string;
  readonly body: string;
  /** What is about the same request has the same: one takes the place of the other. */
  readonly tag: string;
  /** A page of this console. It decides nothing by being opened. */
  readonly path: string;
  /** Somebody waits for an answer. */
  readonly waits: boolean;
  /** It only takes the place of what is shown: whoever has put that away is not told of it again. */
  readonly takesBack: boolean;
}

const MOST_TITLE = 200;
const MOST_BODY = 2000;
const INBOX = '/';
/** What a page shows when something came that it cannot read: a push that shows nothing is told by the browser in its words. */
const UNREADABLE: PushMessage = {
  id: '',
  title: 'identree',
  body: 'There is something new. Open the console to see it.',
  tag: 'identree',
  path: INBOX,
  waits: false,
  takesBack: false,
};

/** The page of a request, as it stands in links; anything else leads to the inbox. */
const REQUEST = /^\/approve\/[A-HJ-NP-Z]{6}-[0-9]{6}$/;

/**
 * Where a click leads: to the page of a request on the console's own origin, and else to its inbox. What is behind the path
 * is dropped: a page that is opened from here begins with nothing but the request.
 */
export function pathOf(url: unknown, origin: string): string {
  if (typeof url !== 'string' || !URL.canParse(url)) return INBOX;
  const { origin: theirs, pathname } = new URL(url);
  return theirs === origin && REQUEST.test(pathname) ? pathname : INBOX;
}

/** Reads what the push service brought. Whoever sent it, nothing of it but text and the page of a request is used. */
export function readPush(text: string | undefined, origin: string): PushMessage {
  let given: Record<string, unknown>;
  try {
    given = Object(JSON.parse(text ?? '')) as Record<string, unknown>;
  } catch {
    return UNREADABLE;
  }
  const { id, title, body, tag, url, takesBack } = given;
  if (typeof title !== 'string' || title === '' || typeof tag !== 'string' || tag === '') return UNREADABLE;
  const path = pathOf(url, origin);
  return {
    id: typeof id === 'string' ? id : '',
    title: title.slice(0, MOST_TITLE),
    body: typeof body === 'string' ? body.slice(0, MOST_BODY) : '',
    tag,
    path,
    waits: path !== INBOX,
    takesBack: takesBack === true,
  };
}

/** What pushes about a request are called, here as on the server. */
export async function tagOfCode(code: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(code)));
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .slice(0, 32);
}
