import { ERRORS, type ErrorCode } from '#shared/errors.ts';
import { durationText } from '#shared/relative-time.ts';
import type { ChallengeView, RunView } from '../challenges/view.ts';
import { type Html, html } from '../pages/html.ts';
import { shownText } from '../pages/shown-text.ts';
import type { Locale, Strings } from '../pages/strings.ts';
import { needsConfirmation } from './command-block.ts';
import type { ApprovalPageModel } from './model.ts';
import { approversText, createNames, moment } from './parts.ts';

/** How long after an approval a host may stay silent before the page says so, milliseconds. */
const SILENT_AFTER_MS = 45_000;
/** How long after the last news the page goes on asking, milliseconds: a shell can stay open for days. */
const NEWS_FOR_MS = 30 * 60_000;

/** Will the host tell more about it? Only the plugin sees what becomes of a command. */
function isOpen({ record, outcome, run }: ChallengeView): boolean {
  if (record.gate === 'try') return outcome === null;
  if (run !== null) return run.state === 'started';
  return outcome === null || (outcome === 'granted' && record.gate === 'plugin');
}

/** Until when the page asks how the request stands, milliseconds of the server's clock; null when nothing follows. */
export function newsUntil(view: ChallengeView): number | null {
  if (view.status === 'pending') return view.expiresAt + NEWS_FOR_MS;
  if (view.status !== 'approved' || !isOpen(view)) return null;
  const started = view.run?.state === 'started' ? view.run.startedAt : 0;
  // Of a use of a grant it was told later than all of that.
  return Math.max(view.decidedAt ?? view.now, view.createdAt, view.outcomeAt ?? 0, started) + NEWS_FOR_MS;
}

/** Has the viewer a passkey that may sign this request? */
export function hasPasskey(model: ApprovalPageModel): boolean {
  return (model.passkey?.options.allowCredentials ?? []).length > 0;
}

function cannotText(view: ChallengeView, s: Strings): Html {
  const code = view.approveRefusal ?? 'forbidden';
  if (code === 'not_an_approver' && view.policy.approvers.length > 0) {
    return s.cannot.not_an_approver(approversText(view, s, createNames()));
  }
  if (code === 'session_kind' || code === 'policy_broken' || code === 'binding_held') return html`${s.cannot[code]}`;
  return html`${s.locale === 'en' && code in ERRORS ? ERRORS[code as ErrorCode][1] : s.cannot.other}`;
}

function createBox(s: Strings): Html {
  return html`<div class="create"><strong>${s.createTitle}</strong><p>${s.createText}</p>
<div class="recovery" id="recovery" hidden><label for="recovery-code">${s.recoveryLabel}</label><input id="recovery-code" class="field" autocomplete="off" autocapitalize="characters" spellcheck="false" aria-describedby="recovery-hint"><p id="recovery-hint" class="hint">${s.recoveryHint}</p></div></div>`;
}

function denyForm(view: ChallengeView, s: Strings): Html {
  return html`<form class="deny-form" id="deny-form" hidden><label for="deny-reason">${s.denyLabel}</label><input id="deny-reason" class="field" maxlength="500" autocomplete="off" aria-describedby="deny-hint"><p id="deny-hint" class="hint">${s.denyHint(shownText(view.user).text)}</p>
<div class="buttons"><button type="button" class="button" id="deny-back">${s.back}</button><button type="submit" class="button deny solid" id="deny-confirm">${s.denyConfirm}</button></div></form>`;
}

/** The bar with the buttons. They are enabled by the page's script, so that none is dead without it. */
export function answerBar(model: ApprovalPageModel, s: Strings): Html {
  const { view } = model;
  const mustCreate = view.can.approve && model.passkey !== null && !hasPasskey(model);
  const confirm = needsConfirmation(view) && !mustCreate;
  const approve = html`<button type="button" class="button primary" id="approve" disabled ${confirm && html`aria-describedby="confirm-hint"`}>${s.approve}</button>`;
  return html`<div class="actions">
<noscript><p class="problem">${s.noScript}</p></noscript>
<p id="problem" class="problem" role="alert"></p>
${mustCreate && createBox(s)}
${!view.can.approve && html`<div class="create"><strong>${s.cannotTitle}</strong><p>${cannotText(view, s)}</p></div>`}
${view.can.deny && denyForm(view, s)}
<div class="buttons" id="buttons">${view.can.deny && html`<button type="button" class="button deny" id="deny" disabled>${s.deny}</button>`}${
    mustCreate
      ? html`<button type="button" class="button primary" id="create" disabled>${s.create}</button>`
      : view.can.approve && approve
  }</div>
${confirm && html`<p class="hint" id="confirm-hint"><a href="#confirm">${s.confirmHint}</a></p>`}
</div>`;
}

function runText(run: RunView, view: ChallengeView, s: Strings, locale: Locale): Html {
  if (run.state === 'started') return s.outcome.running(moment(run.startedAt, view.now, locale));
  if (run.state === 'refused')
    return s.outcome.sudoRefused(run.reason ? shownText(run.reason).html : s.outcome.details.none);
  const { status, signal, unknown } = s.outcome.ended;
  const time = durationText(locale, run.durationMs);
  if (run.signal !== null) return signal(shownText(run.signal).html, time);
  return html`${run.exitStatus === null ? unknown(time) : status(run.exitStatus, time)}`;
}

/** What happened after the answer, in one sentence: what was seen, and never more. */
export function outcomeText(view: ChallengeView, s: Strings, locale: Locale): Html | null {
  const host = html`<strong>${shownText(view.host.name).html}</strong>`;
  const { gate } = view.record;
  if (view.status === 'denied') return gate === 'ssh' ? null : s.deniedText(host);
  if (view.status === 'expired') return html`${gate === 'ssh' ? s.expiredLogin : s.expiredText}`;
  if (view.status === 'cancelled') return s.cancelledText(host);
  if (view.run !== null && gate !== 'try') return runText(view.run, view, s, locale);
  if (view.outcome === 'granted') {
    return html`${gate === 'try' ? s.outcome.grantedTry : gate === 'ssh' ? s.outcome.grantedLogin : s.outcome.released}`;
  }
  if (view.outcome === 'refused') {
    const { details } = s.outcome;
    const code = view.outcomeDetail ?? 'none';
    const known = Object.hasOwn(details, code) ? details[code as keyof typeof details] : null;
    return s.outcome.refused(known ?? shownText(code).html);
  }
  if (view.now - (view.decidedAt ?? view.now) > SILENT_AFTER_MS) return s.outcome.silent(host);
  const { waiting, waitingLogin, waitingTry } = s.outcome;
  return (gate === 'ssh' ? waitingLogin : gate === 'try' ? waitingTry : waiting)(host);
}

const ICONS: Record<'yes' | 'no' | 'late', Html> = {
  yes: html`<path d="m7 12.4 3.4 3.4 6.8-7.4"/>`,
  no: html`<path d="m8.3 8.3 7.4 7.4m0-7.4-7.4 7.4"/>`,
  late: html`<path d="M12 7v5.3l3.3 2"/>`,
};

function resultTitle({ view }: ApprovalPageModel, s: Strings): Html {
  const by = view.decidedBy === null ? null : view.decidedByViewer ? html`${s.you}` : shownText(view.decidedBy).html;
  switch (view.status) {
    case 'approved':
      if (view.offline?.problem) return html`${s.result.notAsGranted}`;
      if (view.class === 'policy') return html`${s.result.approvedByPolicy}`;
      if (view.class === 'grace') return html`${s.result.approvedByGrace}`;
      return s.result.approved(by);
    case 'denied':
      return s.result.denied(by);
    case 'expired':
      return html`${s.result.expired}`;
    default:
      return html`${s.result.cancelled}`;
  }
}

/** How the request ended and what the host made of it. */
export function result(model: ApprovalPageModel, s: Strings, locale: Locale): Html {
  const { view } = model;
  const notDone = view.status === 'denied' || view.outcome === 'refused' || view.run?.state === 'refused';
  const bad = notDone || (view.offline !== null && view.offline.problem !== null);
  const kind = bad ? 'no' : view.status === 'approved' ? 'yes' : 'late';
  const waiting = newsUntil(view) !== null;
  const outcome = outcomeText(view, s, locale);
  return html`<div class="result ${kind}"><svg class="result-icon" viewBox="0 0 24 24" width="44" height="44" aria-hidden="true" focusable="false"><circle cx="12" cy="12" r="12"/>${ICONS[kind]}</svg>
<div><h1 id="title" tabindex="-1">${resultTitle(model, s)}</h1>
${outcome && html`<p class="outcome${waiting && ' waiting'}" id="outcome">${outcome}</p>`}
${view.offline && html`<p class="hint">${s.outcome.offline(moment(view.offline.grantedAt, view.now, locale), moment(view.offline.usedAt, view.now, locale), moment(view.createdAt, view.now, locale))}</p>`}
${view.offline?.problem && html`<p class="hint"><strong>${s.outcome.notAsGranted[view.offline.problem]}</strong></p>`}
${waiting && html`<p class="hint" id="stopped" hidden>${s.outcome.stopped}</p>`}
${view.reason && html`<p class="quote"><q>${shownText(view.reason).html}</q></p>`}
${view.decidedAt !== null && html`<p class="when">${moment(view.decidedAt, view.now, locale)}</p>`}</div></div>`;
}
