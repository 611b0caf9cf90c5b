import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { ERRORS, type ErrorCode } from '#shared/errors.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { type Html, html } from './html.ts';
import { documentOf } from './layout.ts';
import { clockTime, relativeTime } from './relative-time.ts';
import { distinctMarks, type Mark, type Shown, shownCommand, shownText } from './shown-text.ts';
import { type Locale, markName, type Strings, stringsOf } from './strings.ts';

/** Commands longer than this many characters are confirmed as read before they can be approved. */
export const LONG_COMMAND = 800;

/** How long after an approval a host may stay silent before the page says so, milliseconds. */
const SILENT_AFTER_MS = 45_000;

/** Everything that the approval page shows. */
export interface ApprovalPageModel {
  view: ChallengeView;
  /** Present when the viewer may approve now and the policy asks for a passkey. */
  passkey: { options: PublicKeyCredentialRequestOptionsJSON } | null;
  viewer: { username: string; displayName: string };
}

export interface PageOptions {
  nonce: string;
  csrfToken: string;
  locale: Locale;
}

/** What the page's script is told. The same shape is read by client.ts. */
export interface PageData {
  challengeId: string;
  userCode: string;
  status: ChallengeView['status'];
  outcome: ChallengeView['outcome'];
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

interface Row {
  label: string;
  value: Html;
}

const facts = (rows: readonly (Row | null | false)[]): Html =>
  html`<dl class="facts">${rows.map((row) => row && html`<div><dt>${row.label}</dt><dd>${row.value}</dd></div>`)}</dl>`;

const time = (at: number, now: number, locale: Locale): Html =>
  html`<time datetime="${new Date(at).toISOString()}" data-relative>${relativeTime(locale, at, now)}</time>`;

const note = (text: Html | string): Html => html`<span class="note">${text}</span>`;

/** Names people, accounts and hosts; collects the marks of everything it shows. */
function createNames() {
  const marks: Mark[] = [];
  const keep = (shown: Shown): Html => {
    marks.push(...shown.marks);
    return shown.html;
  };
  return {
    marks,
    text: (text: string, form: 'bytes' | 'text' = 'text') => keep(shownText(text, form)),
    strong: (text: string) => html`<strong>${keep(shownText(text))}</strong>`,
    code: (text: string, form: 'bytes' | 'text' = 'text') => html`<code>${keep(shownText(text, form))}</code>`,
  };
}
type Names = ReturnType<typeof createNames>;

function approversText(view: ChallengeView, s: Strings, names: Names): Html {
  const list = view.policy.approvers.map((kind) => (kind === 'self' ? names.strong(view.user) : html`${s.admins}`));
  return list.length === 2 ? html`${list[0]} ${s.or} ${list[1]}` : html`${list}`;
}

function legend(marks: readonly Mark[], s: Strings, text: string): Html | null {
  const list = distinctMarks(marks);
  if (list.length === 0) return null;
  const codePoint = (mark: Mark) =>
    mark.kind === 'byte' ? `0x${mark.code.toString(16)}` : `U+${mark.code.toString(16).toUpperCase().padStart(4, '0')}`;
  return html`<div class="legend"><h3>${s.legend}</h3><p>${text}</p><ul>${list.map(
    (mark) =>
      html`<li><mark class="${mark.kind === 'lookalike' ? 'lookalike' : 'escape'}">${mark.shown}</mark> <span>${codePoint(mark)}, ${markName(s, mark.kind, mark.code)}</span></li>`,
  )}</ul></div>`;
}

function unrestrictedBanner(view: ChallengeView, s: Strings): Html | null {
  const { record } = view;
  const reasons = new Set(record.unrestricted);
  if (record.mode === 'shell' || record.mode === 'login-shell') reasons.add('shell');
  if (record.mode === 'unparsed') reasons.add('unparsed');
  if (record.mode === 'edit') reasons.add('editor');
  if (reasons.size === 0 || record.gate === 'ssh') return null;
  const because = [...reasons].map((reason) => s.unrestricted.because[reason](view.user));
  return html`<div class="banner danger" role="note"><svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d="M12 3 2.5 20h19L12 3Zm0 6.5v5m0 2.6v.4" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg><div><strong>${s.unrestricted.title(record.runAs.user === 'root', record.runAs.user)}</strong>${
    because.length === 1 ? html`<p>${because[0]}</p>` : html`<ul>${because.map((text) => html`<li>${text}</li>`)}</ul>`
  }</div></div>`;
}

function commandBlock(view: ChallengeView, s: Strings): { html: Html; long: boolean } {
  const { record } = view;
  const shown = record.gate === 'ssh' || record.argv.length === 0 ? shownText(view.command) : shownCommand(record.argv);
  const long = shown.text.length > LONG_COMMAND;
  const size = shown.text.length > 240 ? 'long' : shown.text.length > 80 ? 'medium' : 'short';
  const needsConfirm = view.can.approve && (long || record.argvTruncated);
  return {
    long,
    html: html`<section class="command" aria-labelledby="command-title"><div class="command-head"><h2 id="command-title">${s.command}</h2><button type="button" class="quiet" id="copy" hidden>${s.copy}</button></div><pre class="${size}" id="command-text"><code>${shown.html}</code>${
      record.argvTruncated && html`<span class="cut" aria-hidden="true"> …</span>`
    }</pre>${record.argvTruncated && html`<p class="cut-note">${s.truncated(s.bytes(Buffer.byteLength(record.argv.join('\0'))))}</p>`}${legend(
      shown.marks,
      s,
      s.legendNote,
    )}${
      needsConfirm &&
      html`<label class="confirm"><input type="checkbox" id="confirm"> <span>${record.argvTruncated ? s.confirmTruncated : s.confirmLong}</span></label>`
    }</section>`,
  };
}

function factGroups(view: ChallengeView, s: Strings, locale: Locale, names: Names): Html {
  const { record } = view;
  const told = (text: string | null, form: 'bytes' | 'text' = 'text'): Html =>
    text === null || text === '' ? note(s.notGiven) : names.code(text, form);
  const unknown = note(s.unknown);
  const known = facts([
    {
      label: s.person,
      value: view.userDisplayName === null ? note(s.noPerson) : names.text(view.userDisplayName),
    },
    {
      label: s.host,
      value: html`${names.strong(view.host.name)} ${view.host.group !== null && note(s.hostGroup(view.host.group))}${
        view.host.lastSeenAt !== null &&
        note(html`${s.lastSeen} ${time(Math.min(view.host.lastSeenAt, view.now), view.now, locale)}`)
      }`,
    },
    { label: s.asked, value: time(view.createdAt, view.now, locale) },
    {
      label: s.approval,
      value: s.rule(names.code(view.policy.rule), s.needs[view.policy.approval], approversText(view, s, names)),
    },
  ]);
  const runAsGroup = record.runAs.group;
  const reported = facts([
    { label: s.reason, value: record.reason ? html`<q>${names.text(record.reason)}</q>` : note(s.notGiven) },
    { label: s.account, value: html`${names.strong(view.user)} ${note(s.uid(record.uid))}` },
    record.gate !== 'ssh' && {
      label: s.runAs,
      value: html`${names.strong(record.runAs.user)} ${runAsGroup !== null && note(s.group(names.text(runAsGroup)))}${note(
        s.assurance[record.runAs.assurance],
      )}`,
    },
    record.target && {
      label: s.program,
      value: html`${names.code(record.target.path, 'bytes')} ${note(s.assurance[record.target.assurance])}`,
    },
    record.gate !== 'ssh' && { label: s.directory, value: record.cwd ? told(record.cwd, 'bytes') : unknown },
    record.tty !== null && { label: s.terminal, value: told(record.tty) },
    record.origin !== null && { label: s.origin, value: told(record.origin) },
  ]);
  return html`<div class="groups"><section><h2>${s.checked}</h2>${known}</section><section><h2>${s.reported(
    names.text(view.host.name),
  )}</h2>${reported}</section></div>${legend(names.marks, s, s.legendElsewhere)}`;
}

function signedDetails(view: ChallengeView, s: Strings): Html {
  const { record } = view;
  const id = (text: string) => html`<code class="id">${text}</code>`;
  return html`<details class="details" id="details"><summary>${s.details}</summary><p>${s.detailsNote}</p>${facts([
    { label: s.requestId, value: id(view.id) },
    { label: s.hostId, value: id(view.host.id) },
    { label: s.argvHash, value: id(record.argvSha256) },
    record.target && { label: s.programFile, value: id(s.deviceInode(record.target.device, record.target.inode)) },
    record.target?.sha256 ? { label: s.programHash, value: id(record.target.sha256) } : null,
    { label: s.policyVersion, value: id(view.policy.version) },
  ])}</details>`;
}

function cannotText(view: ChallengeView, s: Strings): Html {
  const code = view.approveRefusal ?? 'other';
  const names = createNames();
  if (code === 'not_an_approver' && view.policy.approvers.length > 0) {
    return s.cannot.not_an_approver(approversText(view, s, names));
  }
  if (code === 'session_kind' || code === 'policy_broken' || code === 'binding_held') return html`${s.cannot[code]}`;
  return html`${s.locale === 'en' && code in ERRORS ? ERRORS[code as ErrorCode][1] : s.cannot.other}`;
}

function actions(model: ApprovalPageModel, s: Strings, needsConfirm: boolean): Html {
  const { view } = model;
  const create = view.can.approve && model.passkey !== null && !hasPasskey(model);
  const deny = html`<button type="button" class="button deny" id="deny" disabled>${s.deny}</button>`;
  const approve = html`<button type="button" class="button primary" id="approve" disabled ${
    needsConfirm && html`aria-describedby="confirm-hint"`
  }>${s.approve}</button>`;
  return html`<div class="actions">
<noscript><p class="problem">${s.noScript}</p></noscript>
<p id="problem" class="problem" role="alert"></p>
${
  create &&
  html`<div class="create"><div><strong>${s.createTitle}</strong><p>${s.createText}</p></div><div class="recovery" id="recovery" hidden><label for="recovery-code">${s.recoveryLabel}</label><input id="recovery-code" class="field" autocomplete="off" autocapitalize="characters" spellcheck="false" aria-describedby="recovery-hint"><p id="recovery-hint" class="hint">${s.recoveryHint}</p></div></div>`
}${
  !view.can.approve &&
  html`<div class="create"><div><strong>${s.cannotTitle}</strong><p>${cannotText(view, s)}</p></div></div>`
}<form class="deny-form" id="deny-form" hidden><label for="deny-reason">${s.denyLabel}</label><input id="deny-reason" class="field" maxlength="500" autocomplete="off" aria-describedby="deny-hint"><p id="deny-hint" class="hint">${s.denyHint(view.user)}</p><div class="buttons"><button type="button" class="button" id="deny-back">${s.back}</button><button type="submit" class="button deny solid" id="deny-confirm">${s.denyConfirm}</button></div></form>
<div class="buttons" id="buttons">${view.can.deny && deny}${
    create
      ? html`<button type="button" class="button primary" id="create" disabled>${s.create}</button>`
      : view.can.approve && approve
  }</div>
${needsConfirm && !create && html`<p class="hint" id="confirm-hint"><a href="#confirm">${s.confirmHint}</a></p>`}
</div>`;
}

const hasPasskey = (model: ApprovalPageModel): boolean => (model.passkey?.options.allowCredentials ?? []).length > 0;

function byWhom(model: ApprovalPageModel, s: Strings): Html | null {
  const { decidedBy } = model.view;
  if (decidedBy === null) return null;
  return decidedBy === model.viewer.username ? html`${s.you}` : shownText(decidedBy).html;
}

function outcomeText(view: ChallengeView, s: Strings): Html | null {
  const host = html`<strong>${shownText(view.host.name).html}</strong>`;
  if (view.status === 'denied') return view.record.gate === 'ssh' ? null : s.deniedText(host);
  if (view.status === 'expired') return html`${s.expiredText}`;
  if (view.status === 'cancelled') return s.cancelledText(host);
  if (view.outcome === 'granted') {
    const { gate } = view.record;
    return html`${gate === 'try' ? s.outcome.grantedTry : gate === 'ssh' ? s.outcome.grantedLogin : s.outcome.granted}`;
  }
  if (view.outcome === 'refused') {
    const { details } = s.outcome;
    const code = view.outcomeDetail ?? 'none';
    const known = Object.hasOwn(details, code) ? details[code as keyof typeof details] : null;
    return s.outcome.refused(known ?? shownText(code).html);
  }
  return view.now - (view.decidedAt ?? view.now) > SILENT_AFTER_MS ? s.outcome.silent(host) : s.outcome.waiting(host);
}

const ICONS: Record<'yes' | 'no' | 'late', Html> = {
  yes: html`<path d="m6.5 12.5 3.5 3.5 7.5-8"/>`,
  no: html`<path d="m8 8 8 8m0-8-8 8"/>`,
  late: html`<path d="M12 7v5.5l3.5 2"/>`,
};

function result(model: ApprovalPageModel, s: Strings, locale: Locale): Html {
  const { view } = model;
  const by = byWhom(model, s);
  const title =
    view.status === 'approved'
      ? view.class === 'policy'
        ? s.result.approvedByPolicy
        : view.class === 'grace'
          ? s.result.approvedByGrace
          : s.result.approved(by)
      : view.status === 'denied'
        ? s.result.denied(by)
        : view.status === 'expired'
          ? s.result.expired
          : s.result.cancelled;
  const bad = view.status === 'denied' || view.outcome === 'refused';
  const kind = bad ? 'no' : view.status === 'approved' ? 'yes' : 'late';
  const waiting = view.status === 'approved' && view.outcome === null;
  return html`<div class="result ${kind}"><svg class="result-icon" viewBox="0 0 24 24" width="48" height="48" aria-hidden="true" focusable="false"><circle cx="12" cy="12" r="11"/>${ICONS[kind]}</svg><div><h1 id="title" tabindex="-1">${title}</h1><p class="outcome${waiting ? ' waiting' : ''}" id="outcome">${outcomeText(
    view,
    s,
  )}</p>${view.reason && html`<p class="quote"><q>${shownText(view.reason).html}</q></p>`}${
    view.decidedAt !== null && html`<p class="when">${time(view.decidedAt, view.now, locale)}</p>`
  }</div></div>`;
}

/** The words that a screen reader hears when the state changes while the page is open. */
function announcement(model: ApprovalPageModel, s: Strings): Html {
  return html`${outcomeText(model.view, s)}`;
}

/** The approval page in any state: waiting for an answer, answered, expired or withdrawn. */
export function renderApprovalPage(model: ApprovalPageModel, options: PageOptions): string {
  const { view } = model;
  const { record } = view;
  const s = stringsOf(options.locale);
  const names = createNames();
  const pending = view.status === 'pending';
  const headline = s.headline[record.gate === 'ssh' ? 'login' : record.mode](
    names.strong(view.user),
    names.strong(record.runAs.user),
    names.strong(view.host.name),
  );
  const command = commandBlock(view, s);
  const needsConfirm = view.can.approve && (command.long || record.argvTruncated);

  const head = pending
    ? html`<div class="meta"><p class="code"><span>${s.code}</span> <code>${view.userCode}</code></p><p class="left"><span>${s.timeLeft}</span> <span id="countdown" role="timer" aria-live="off">${clockTime(view.expiresAt - view.now)}</span></p></div>
<h1 id="title" tabindex="-1">${headline}</h1>`
    : html`${result(model, s, options.locale)}<h2 class="what">${headline}</h2>`;

  const content = html`<article id="request" class="${pending ? 'pending' : 'answered'}" aria-labelledby="title">
${head}
${record.gate === 'try' && html`<p class="banner info" role="note">${s.rehearsal}</p>`}
${unrestrictedBanner(view, s)}
${command.html}
${factGroups(view, s, options.locale, names)}
${signedDetails(view, s)}
${pending ? actions(model, s, needsConfirm) : html`<p class="after"><a class="button" href="/">${s.inbox}</a></p><p class="sr-only" id="news">${announcement(model, s)}</p>`}
</article>`;

  const data: PageData = {
    challengeId: view.id,
    userCode: view.userCode,
    status: view.status,
    outcome: view.outcome,
    now: view.now,
    expiresAt: view.expiresAt,
    csrfToken: options.csrfToken,
    needsPasskey: view.policy.approval === 'passkey',
    truncated: record.argvTruncated,
    passkey: hasPasskey(model) ? model.passkey!.options : null,
    locale: options.locale,
    strings: s.client,
  };
  return documentOf(
    {
      strings: s,
      nonce: options.nonce,
      title: s.documentTitle(view.user, view.host.name),
      personName: model.viewer.displayName,
      data,
    },
    content,
  );
}
