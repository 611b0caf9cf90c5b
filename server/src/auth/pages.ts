import type { FastifyReply } from 'fastify';
import { type Html, html, render } from '../approval-page/html.ts';
import { CSRF_FIELD } from './csrf.ts';

/**
 * Sends one of the plain pages around the sign-in. They carry no script, load nothing but the style sheet and cannot be
 * framed, so that nobody can put them under another page and collect clicks.
 *
 * @param formTargets origins besides our own that a form may end up at; browsers check redirects of forms too.
 */
export function sendPage(
  reply: FastifyReply,
  page: { status: number; title: string; body: Html; formTargets?: readonly string[] },
): FastifyReply {
  const csp = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    `form-action ${["'self'", ...(page.formTargets ?? [])].join(' ')}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · identree</title>
<link rel="stylesheet" href="/assets/page.css">
</head>
<body>
<main>
<h1>${page.title}</h1>
${page.body}
</main>
</body>
</html>
`;
  return reply
    .code(page.status)
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', csp.join('; '))
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('x-content-type-options', 'nosniff')
    .send(render(document));
}

export function signedOutBody(): Html {
  return html`<p>You are signed out of identree on this device.</p>
<p><a class="button" href="/sessions/login?return_to=%2F">Sign in again</a></p>`;
}

/** What went wrong with a sign-in, in words for the person in front of it. */
export function signInFailedBody(words: string, retry: string): Html {
  return html`<p>${words}</p>
<p><a class="button" href="${retry}">Try again</a></p>`;
}

/** Asks whether the desktop app may have a session. */
export function desktopConsentBody(input: {
  displayName: string;
  username: string;
  compareCode: string;
  csrfToken: string;
  fields: Record<string, string>;
}): Html {
  const hidden = Object.entries({ ...input.fields, [CSRF_FIELD]: input.csrfToken }).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<p>The identree desktop app on this computer asks to be signed in as <strong>${input.displayName}</strong> (${input.username}).</p>
<p>The app shows a code. Allow only if it is this one:</p>
<p class="compare-code"><strong><code>${input.compareCode}</code></strong></p>
<p>The app will be able to see requests and deny them. Approving stays in the browser.</p>
<form method="post" action="/desktop/sign-in">
${hidden}
<p><button type="submit" class="primary" name="answer" value="allow">Allow</button>
<button type="submit" name="answer" value="cancel">Cancel</button></p>
</form>`;
}
