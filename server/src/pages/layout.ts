import { type Html, html, jsonBlock, render } from './html.ts';
import type { Strings } from './strings.ts';

/** What every page needs beside its content. */
export interface Chrome {
  strings: Strings;
  /** Value for `nonce` attributes; the same as in the Content-Security-Policy of this answer. */
  nonce: string;
  title: string;
  /** Who is signed in, if anybody. */
  personName?: string | null;
  /** Loads the page's script and hands it this data. */
  data?: unknown;
}

/** Content-Security-Policy of the server-rendered pages: nothing but our own style sheet and one script. */
export function pagePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The mark: one trunk, three leaves. */
export const LOGO = html`<svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d="M12 21V9m0 8-5-4.5M12 14l5-4.5" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"/><circle cx="12" cy="5.5" r="3.25"/><circle cx="5.25" cy="11" r="2.5"/><circle cx="18.75" cy="8.5" r="2.5"/></svg>`;

/** A whole document around the content of one page. */
export function documentOf(chrome: Chrome, content: Html): string {
  const { strings, nonce, data } = chrome;
  return render(html`<!doctype html>
<html lang="${strings.locale}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${chrome.title} · ${strings.brand}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
${data !== undefined && html`<script type="module" src="/assets/approve.js" nonce="${nonce}"></script>`}
</head>
<body>
<header class="bar">
<a class="brand" href="/" aria-label="${strings.home}">${LOGO}<span>${strings.brand}</span></a>
${chrome.personName && html`<span class="person">${chrome.personName}</span>`}
</header>
<main>
${content}
</main>
<p id="announce" class="sr-only" role="status" aria-live="polite"></p>
${data !== undefined && html`<script type="application/json" id="page-data">${jsonBlock(data)}</script>`}
</body>
</html>
`);
}
