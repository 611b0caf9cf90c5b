import { type Html, html } from '../pages/html.ts';
import { documentOf } from '../pages/layout.ts';
import { en } from '../pages/strings-en.ts';
import type { SamplePeople, SamplePerson } from './people.ts';

/** Where the pages of the evaluation's sign-in get their own few rules from. */
export const PICKER_CSS = '/evaluation/picker.css';

function pageOf(title: string, nonce: string, content: Html): string {
  return documentOf({ strings: en, nonce, title }, html`<link rel="stylesheet" href="${PICKER_CSS}">${content}`);
}

/** Asks for the code that was printed at start. */
export function renderCodePage(options: {
  nonce: string;
  action: string;
  problem: 'wrong' | 'too_many' | null;
}): string {
  const { problem } = options;
  const words =
    problem === 'wrong'
      ? 'That is not the code. Check the terminal and try again.'
      : 'Too many wrong codes. Wait ten minutes and try again.';
  return pageOf(
    'Sign-in code',
    options.nonce,
    html`<article class="small"><h1>Enter the sign-in code</h1>
<p id="code-hint">It is shown in the terminal where you ran <code>npm start</code>. This browser is asked only once.</p>
<form method="post" action="${options.action}" class="code-form"><label class="sr-only" for="code">Sign-in code</label><input class="field code-field" id="code" name="code" placeholder="XXXX-XXXX" required autofocus autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="20" aria-describedby="${problem && 'code-problem '}code-hint" ${problem && html`aria-invalid="true"`}>
${problem && html`<p class="problem" id="code-problem" role="alert">${words}</p>`}
<button class="button primary" type="submit">Continue</button></form></article>`,
  );
}

/** Lists the sample people. `current`: who is signed in and has to confirm it. */
export function renderPicker(options: {
  nonce: string;
  action: string;
  sample: SamplePeople;
  current: string | null;
}): string {
  const { sample, current } = options;
  const signedIn = sample.people.find(({ username }) => username === current);
  const ordered = signedIn ? [signedIn, ...sample.people.filter((person) => person !== signedIn)] : sample.people;
  return pageOf(
    'Choose a person',
    options.nonce,
    html`<article class="picker"><div><h1>${signedIn ? 'Sign in again' : 'Who are you today?'}</h1>
<p class="note">${signedIn ? 'What you are about to do needs a fresh sign-in.' : 'These are sample people. No passwords needed.'}</p></div>
<form method="post" action="${options.action}"><ul class="people">${ordered.map((person) => html`<li>${card(person, sample.adminGroup, person === signedIn)}</li>`)}</ul></form>
<p class="hint">To change who is listed, edit <code>server/src/evaluation/people.json</code> and start again.</p></article>`,
  );
}

function card(person: SamplePerson, adminGroup: string, current: boolean): Html {
  const initials = person.name
    .split(/\s+/)
    .map((word) => word[0])
    .slice(0, 2)
    .join('');
  const tag = person.groups.includes(adminGroup) ? 'Administrator' : null;
  const id = `about-${person.username}`;
  return html`<button class="person-card" name="person" value="${person.username}" aria-describedby="${id}"><span class="avatar" aria-hidden="true">${initials}</span><span class="who"><span class="name">${person.name}</span> <span class="username">${person.username}</span>${tag && html` <span class="tag">${tag}</span>`}${current && html` <span class="tag quiet">Signed in</span>`}</span><span class="about" id="${id}">${person.about}</span></button>`;
}

/** A sign-in that cannot go on: it took too long, or was begun in another browser. */
export function renderEnded(options: { nonce: string }): string {
  return pageOf(
    'Sign-in ended',
    options.nonce,
    html`<article class="small"><h1>This sign-in has ended</h1><p>It took too long, or it was begun in another browser.</p><p class="after"><a class="button primary" href="/">Start again</a></p></article>`,
  );
}
