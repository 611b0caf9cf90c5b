import { commandWords } from '#shared/command-words.ts';
import { notableVariables } from '#shared/request-risk.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { type Html, html } from '../pages/html.ts';
import { type Shown, shownCommand, shownText } from '../pages/shown-text.ts';
import type { Strings } from '../pages/strings.ts';
import { createNames, legend } from './parts.ts';

/** Commands longer than this many characters are confirmed as read before they can be approved. */
export const LONG_COMMAND = 800;

/** The command as it is shown, from the record that is hashed. */
export function commandOf(view: ChallengeView): Shown {
  const { record } = view;
  const { words } = commandWords(record);
  return record.gate === 'ssh' || words.length === 0 ? shownText(view.command) : shownCommand(words);
}

/** Must the approver confirm that they read it, or that they approve what is not shown? */
export function needsConfirmation(view: ChallengeView): boolean {
  return view.can.approve && (view.record.argvTruncated || commandOf(view).text.length > LONG_COMMAND);
}

/** Why the request must be read as "anything at all"; empty when it need not be. */
function unrestrictedReasons(view: ChallengeView, s: Strings): string[] {
  const { record } = view;
  if (record.gate === 'ssh') return [];
  const reasons = new Set(record.unrestricted);
  // The mode says it even when a host forgot to.
  if (record.mode === 'shell' || record.mode === 'login-shell') reasons.add('shell');
  if (record.mode === 'unparsed') reasons.add('unparsed');
  if (record.mode === 'edit') reasons.add('editor');
  const user = shownText(view.user).text;
  return [...reasons].map((reason) => s.unrestricted.because[reason](user));
}

const WARNING = html`<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false"><path d="M12 3.5 2.5 20h19L12 3.5Zm0 6v4.5m0 2.8v.2" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

/** Variables that can make the command run something else, each with what it does. */
function environmentBlock(view: ChallengeView, s: Strings): Html | null {
  const variables = notableVariables(view.record);
  if (variables.length === 0) return null;
  const names = createNames();
  const items = variables.map(
    ({ name, value, kind }) =>
      html`<li>${names.code(`${name}=${value}`, 'bytes')} <span>${s.environment.kinds[kind]}</span></li>`,
  );
  return html`<div class="environment"><h3>${s.environment.title}</h3><ul>${items}</ul>
${view.record.resolved?.environment.truncated && html`<p>${s.environment.truncated}</p>`}</div>
${legend(names.marks, s, s.legendElsewhere)}`;
}

/** The command: whole, wrapped, with every deceptive character marked, and what it amounts to. */
export function commandBlock(view: ChallengeView, s: Strings): Html {
  const { record } = view;
  const shown = commandOf(view);
  const size = shown.text.length > 240 ? 'long' : shown.text.length > 80 ? 'medium' : 'short';
  const because = unrestrictedReasons(view, s);
  const environment = environmentBlock(view, s);
  const danger = because.length > 0 || environment !== null;
  const title =
    because.length > 0
      ? s.unrestricted.title(record.runAs.user === 'root', shownText(record.runAs.user).text)
      : s.environment.danger;
  const { calledAs } = commandWords(record);
  const shownBytes = s.bytes(Buffer.byteLength(record.argv.join('\0')));
  return html`<section class="command${danger && ' unrestricted'}" aria-labelledby="command-title">
${danger && html`<p class="danger-title">${WARNING}<strong>${title}</strong></p>`}
<div class="command-head"><h2 id="command-title">${s.command}${record.resolved && html` <span class="assurance">${s.assurance.resolved}</span>`}</h2><button type="button" class="quiet" id="copy" hidden>${s.copy}</button></div>
<pre class="${size}" id="command-text"><code>${shown.html}</code>${record.argvTruncated && html`<span class="cut" aria-hidden="true"> …</span>`}</pre>
${calledAs !== null && html`<p class="aside">${s.calledAs(html`<code>${shownText(calledAs, 'bytes').html}</code>`)}</p>`}
${record.resolved?.intercepted && html`<p class="aside">${s.intercepted}</p>`}
${because.length > 0 && html`<ul class="because">${because.map((text) => html`<li>${text}</li>`)}</ul>`}
${record.argvTruncated && html`<p class="cut-note">${s.truncated(shownBytes)}</p>`}
${legend([...shown.marks, ...(calledAs === null ? [] : shownText(calledAs, 'bytes').marks)], s, s.legendNote)}
${environment}
${
  needsConfirmation(view) &&
  html`<label class="confirm"><input type="checkbox" id="confirm"> <span>${record.argvTruncated ? s.confirmTruncated : s.confirmLong}</span></label>`
}
</section>`;
}
