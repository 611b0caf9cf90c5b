import { html } from './html.ts';
import { documentOf } from './layout.ts';
import { shownText } from './shown-text.ts';
import { type Locale, type Strings, stringsOf } from './strings.ts';

export interface SmallPageOptions {
  nonce: string;
  locale: Locale;
  personName?: string | null;
}

/** `/approve`: where a code is typed. `typed` is what was typed before when it was no code. */
export function renderEnterCode(options: SmallPageOptions, typed: string | null = null): string {
  const s = stringsOf(options.locale);
  const invalid = typed !== null;
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.enterTitle, personName: options.personName },
    html`<article class="small"><h1>${s.enterTitle}</h1><p id="code-hint">${s.enterText}</p>
<form method="get" action="/approve" class="code-form"><label class="sr-only" for="code">${s.enterLabel}</label><input class="field code-field" id="code" name="code" value="${typed ? shownText(typed.slice(0, 40)).text : ''}" placeholder="ABCDEF-123456" required autofocus autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="40" aria-describedby="${invalid ? 'code-problem ' : ''}code-hint" ${invalid && html`aria-invalid="true"`}>
${invalid && html`<p class="problem" id="code-problem" role="alert">${s.enterInvalid}</p>`}
<button class="button primary" type="submit">${s.enterButton}</button></form></article>`,
  );
}

/** The same for a code that never was and for a request that is another person's. */
export function renderNotFound(options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.notFoundTitle, personName: options.personName },
    html`<article class="small"><h1>${s.notFoundTitle}</h1><p>${s.notFoundText}</p><p class="after"><a class="button" href="/approve">${s.notFoundCode}</a> <a class="button" href="/">${s.inbox}</a></p></article>`,
  );
}

/** Any other refusal that a person meets on their way: too many tries, a server that cannot decide. */
export function renderProblem(model: { message: string; retry: string }, options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.problemTitle, personName: options.personName },
    html`<article class="small"><h1>${s.problemTitle}</h1><p>${shownText(model.message).html}</p>
<p class="after"><a class="button primary" href="${model.retry}">${s.signInAgain}</a></p></article>`,
  );
}

/** A sign-in that failed. `retry` is where to try again. */
export function renderSignInError(model: { message: string; retry: string }, options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.signInTitle },
    html`<article class="small"><h1>${s.signInTitle}</h1><p>${shownText(model.message).html}</p>
<p class="after"><a class="button primary" href="${model.retry}">${s.signInAgain}</a></p></article>`,
  );
}

/** Signed in, but no administrator any more, because the identity provider did not say which groups the person is in. */
export function renderRoleLost(
  model: { why: keyof Strings['roleLostWhy']; next: string },
  options: SmallPageOptions,
): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.roleLostTitle },
    html`<article class="small"><h1>${s.roleLostTitle}</h1><p>${s.roleLostWhy[model.why]}</p><p>${s.roleLostText}</p>
<p class="after"><a class="button primary" href="${model.next}">${s.roleLostNext}</a></p></article>`,
  );
}

/** After signing out: a page that does not sign in again by itself. */
export function renderSignedOut(options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.signedOutTitle },
    html`<article class="small"><h1>${s.signedOutTitle}</h1><p>${s.signedOutText}</p>
<p class="after"><a class="button primary" href="/sessions/login">${s.signIn}</a></p></article>`,
  );
}

/** On the way to the identity provider, whose session ends as well. */
export function renderSigningOut(model: { next: string }, options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.signedOutTitle },
    html`<meta http-equiv="refresh" content="0; url=${model.next}"><article class="small"><h1>${s.signedOutTitle}</h1><p>${s.signingOutText}</p>
<p class="after"><a class="button primary" href="${model.next}">${s.roleLostNext}</a></p></article>`,
  );
}

export interface DesktopConsentModel {
  /** `XXXX-XXXX`, see compare-code.ts. */
  compareCode: string;
  personName: string;
  /** Where the form goes (POST, application/x-www-form-urlencoded). */
  action: string;
  /** Hidden fields, the CSRF token among them. */
  fields: Readonly<Record<string, string>>;
  /** Where "Stop" leads. */
  stop: string;
}

/** Explicit consent before a desktop session is made: a page opened by another person's sign-in shows another code. */
export function renderDesktopConsent(model: DesktopConsentModel, options: SmallPageOptions): string {
  const s = stringsOf(options.locale);
  const name = html`<strong>${shownText(model.personName).html}</strong>`;
  const hidden = Object.entries(model.fields).map(
    ([field, value]) => html`<input type="hidden" name="${field}" value="${value}">`,
  );
  return documentOf(
    { strings: s, nonce: options.nonce, title: s.consentTitle, personName: model.personName },
    html`<article class="small"><h1>${s.consentTitle}</h1><p>${s.consentText}</p>
<div class="compare"><h2>${s.consentCode}</h2><p class="compare-code" translate="no">${model.compareCode}</p></div>
<p>${s.consentCheck}</p><p class="hint">${s.consentAs(name)}</p>
<form method="post" action="${model.action}">${hidden}<div class="buttons"><a class="button" href="${model.stop}">${s.consentStop}</a><button class="button primary" type="submit">${s.consentAllow}</button></div></form></article>`,
  );
}
