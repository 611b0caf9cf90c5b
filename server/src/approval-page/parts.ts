import { relativeTime } from '#shared/relative-time.ts';
import { distinctMarks, type Mark } from '#shared/text-marks.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { type Html, html } from '../pages/html.ts';
import { type Shown, shownText } from '../pages/shown-text.ts';
import { type Locale, markName, type Strings } from '../pages/strings.ts';

/** One line of a list of facts. */
export interface Fact {
  label: string;
  value: Html | string;
}

/** A description list; facts that do not apply are left out. */
export function factList(facts: readonly (Fact | null | false)[]): Html {
  return html`<dl class="facts">${facts.map(
    (fact) => fact && html`<div><dt>${fact.label}</dt><dd>${fact.value}</dd></div>`,
  )}</dl>`;
}

/** A moment, relative now and kept up to date by the page's script. */
export function moment(at: number, now: number, locale: Locale): Html {
  return html`<time datetime="${new Date(at).toISOString()}" data-relative>${relativeTime(locale, at, now)}</time>`;
}

/** A remark beside a fact. */
export function note(text: Html | string): Html {
  return html`<span class="note">${text}</span>`;
}

/** Shows names and texts from outside and remembers the marks of all of them, for one legend. */
export interface Names {
  readonly marks: Mark[];
  text(text: string, form?: 'bytes' | 'text'): Html;
  strong(text: string): Html;
  code(text: string, form?: 'bytes' | 'text'): Html;
}

export function createNames(): Names {
  const marks: Mark[] = [];
  const keep = (shown: Shown): Html => {
    marks.push(...shown.marks);
    return shown.html;
  };
  return {
    marks,
    text: (text, form) => keep(shownText(text, form)),
    strong: (text) => html`<strong>${keep(shownText(text))}</strong>`,
    code: (text, form) => html`<code>${keep(shownText(text, form))}</code>`,
  };
}

/** `alice or an administrator`. */
export function approversText(view: ChallengeView, s: Strings, names: Names): Html {
  const list = view.policy.approvers.map((kind) => (kind === 'self' ? names.strong(view.user) : html`${s.admins}`));
  return list.length === 2 ? html`${list[0]} ${s.or} ${list[1]}` : html`${list}`;
}

/** Explains every mark once; nothing when there is none. */
export function legend(marks: readonly Mark[], s: Strings, text: string): Html | null {
  const list = distinctMarks(marks);
  if (list.length === 0) return null;
  const value = ({ kind, code }: Mark) =>
    kind === 'byte' ? `0x${code.toString(16)}` : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const items = list.map(
    (mark) => html`<li>${markHtml(mark)} <span>${value(mark)}, ${markName(s, mark.kind, mark.code)}</span></li>`,
  );
  return html`<div class="legend"><h3>${s.legend}</h3><p>${text}</p><ul>${items}</ul></div>`;
}

function markHtml(mark: Mark): Html {
  return html`<mark class="${mark.kind === 'lookalike' ? 'lookalike' : 'escape'}">${mark.shown}</mark>`;
}
