import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { clockTime } from '#shared/relative-time.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { html } from '../pages/html.ts';
import { documentOf } from '../pages/layout.ts';
import { type Locale, type Strings, stringsOf } from '../pages/strings.ts';
import { answerBar, hasPasskey, newsUntil, outcomeText, result } from './answer.ts';
import { commandBlock } from './command-block.ts';
import { factGroups, signedDetails } from './fact-groups.ts';
import type { ApprovalPageModel } from './model.ts';
import { createNames } from './parts.ts';

export interface PageOptions {
  nonce: string;
  csrfToken: string;
  locale: Locale;
}

/** What the page's script is told. */
export interface PageData {
  challengeId: string;
  userCode: string;
  status: ChallengeView['status'];
  outcome: ChallengeView['outcome'];
  run: NonNullable<ChallengeView['run']>['state'] | null;
  /** Until when the page asks how the request stands, by the server's clock; null when nothing follows. */
  newsUntil: number | null;
  /** Server clock and end of the request, milliseconds. */
  now: number;
  expiresAt: number;
  csrfToken: string;
  needsPasskey: boolean;
  truncated: boolean;
  /** Null when no passkey is needed, possible or registered. */
  passkey: PublicKeyCredentialRequestOptionsJSON | null;
  locale: Locale;
  strings: Strings['client'];
}

/** The approval page in any state: waiting for an answer, answered, expired or withdrawn. */
export function renderApprovalPage(model: ApprovalPageModel, options: PageOptions): string {
  const { view, viewer } = model;
  const { record } = view;
  const s = stringsOf(options.locale);
  const names = createNames();
  const pending = view.status === 'pending';
  const headline = s.headline[record.gate === 'ssh' ? 'login' : record.mode](
    names.strong(view.user),
    names.strong(record.runAs.user),
    names.strong(view.host.name),
  );

  const head = pending
    ? html`<div class="meta"><p><span>${s.code}</span> <code>${view.userCode}</code></p><p><span>${s.timeLeft}</span> <span id="countdown" role="timer" aria-live="off">${clockTime(view.expiresAt - view.now)}</span></p></div>
<h1 id="title" tabindex="-1">${headline}</h1>`
    : html`${result(model, s, options.locale)}
<h2 class="what">${headline}</h2>`;
  const foot = pending
    ? answerBar(model, s)
    : html`<p class="after"><a class="button" href="/">${s.inbox}</a></p><p class="sr-only" id="news">${outcomeText(view, s, options.locale)}</p>`;

  const content = html`<article id="request" class="${pending ? 'pending' : 'answered'}" aria-labelledby="title">
${head}
${record.gate === 'try' && html`<p class="banner">${s.rehearsal}</p>`}
${commandBlock(view, s)}
${factGroups(view, s, options.locale)}
${signedDetails(view, s)}
${foot}
</article>`;

  const data: PageData = {
    challengeId: view.id,
    userCode: view.userCode,
    status: view.status,
    outcome: view.outcome,
    run: view.run?.state ?? null,
    newsUntil: newsUntil(view),
    now: view.now,
    expiresAt: view.expiresAt,
    csrfToken: options.csrfToken,
    needsPasskey: view.policy.approval === 'passkey',
    truncated: record.argvTruncated,
    passkey: hasPasskey(model) ? model.passkey!.options : null,
    locale: options.locale,
    strings: s.client,
  };
  const title = s.documentTitle(view.user, view.host.name);
  return documentOf({ strings: s, nonce: options.nonce, title, personName: viewer.displayName, data }, content);
}
