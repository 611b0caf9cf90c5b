import { COLOUR_VALUES, COLOURS } from '../colours.ts';
import { newName, shownAddress } from '../main/server-origin.ts';
import type { CertificateFacts, KeychainProblem, ServerProblem, SetupState } from '../setup-state.ts';
import { languageOf, wordsFor } from '../words/words.ts';

interface SetupBridge {
  state(): Promise<SetupState>;
  onChange(callback: (state: SetupState) => void): void;
  saveServer(address: string): Promise<void>;
  changeServer(): Promise<void>;
  startSignIn(): Promise<void>;
  cancelSignIn(): Promise<void>;
  trustCertificate(fingerprint: string): void;
  chooseAuthority(): Promise<void>;
  goBack(): Promise<void>;
  saveProfile(profile: { name: string; colour: string }): Promise<void>;
  removeProfile(): Promise<void>;
}

const bridge = (window as unknown as { identreeSetup: SetupBridge }).identreeSetup;
const main = document.getElementById('main')!;

const words = wordsFor(navigator.language).setup;

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const title = (text: string) => element('h1', { tabIndex: -1 }, text);
const text = (...children: (Node | string)[]) => element('p', {}, ...children);
const button = (className: string, label: string, onclick: () => void) =>
  element('button', { type: 'button', className, onclick }, label);

/** A sentence around something that stands out. */
const around = ([before = '', after = '']: readonly string[], ...nodes: (Node | string)[]) =>
  text(before, ...nodes, after);

const shown = (origin: string) => element('strong', {}, shownAddress(origin));

/** What the person calls the server, and its address: the latter alone while it is called so. */
const server = ({ origin, name }: { origin: string; name: string }): (Node | string)[] =>
  name === newName(origin) ? [shown(origin)] : [element('strong', {}, name), ' (', shownAddress(origin), ')'];

const banner = ([what = '', why = '']: readonly string[]) =>
  element('p', { className: 'banner', role: 'status' }, element('strong', {}, what), ' ', why);

function keychainNote(problem: KeychainProblem | null): Node[] {
  if (problem === null) return [];
  return [banner(words.noKeychain[problem])];
}

const problemText = (problem: ServerProblem) =>
  typeof problem === 'string' ? words.problems[problem] : words.errorAnswer(problem.status);

function serverStep(state: Extract<SetupState, { step: 'server' }>): Node[] {
  const input = element('input', {
    id: 'server',
    type: 'text',
    inputMode: 'url',
    autocomplete: 'off',
    spellcheck: false,
    maxLength: 300,
    placeholder: 'identree.example.com',
    value: state.origin ?? '',
  });
  input.setAttribute('autocapitalize', 'none');
  const form = element('form', { noValidate: true }, element('label', { htmlFor: 'server' }, words.address), input);
  if (state.problem) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', 'problem');
    form.append(element('p', { id: 'problem', className: 'problem', role: 'alert' }, problemText(state.problem)));
  }
  const go = element('button', { type: 'submit', className: 'primary' }, words.continue);
  form.append(go);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    // The server is asked for its certificate first, and may take its time; the page is drawn anew afterwards.
    go.disabled = true;
    void bridge.saveServer(input.value);
  });
  return [
    title(state.canGoBack ? words.connectAnother : words.connect),
    ...(state.unreadable === null ? [] : [banner(words.unreadable(state.unreadable))]),
    text(words.administrator),
    form,
    ...(state.canGoBack ? [button('link', words.back, () => void bridge.goBack())] : []),
  ];
}

function signInStep(state: Extract<SetupState, { step: 'sign-in' }>): Node[] {
  return [
    title(words.signIn),
    ...(state.notice ? [element('p', { className: 'note', role: 'alert' }, words.notices[state.notice])] : []),
    around(words.signInAt, ...server(state)),
    button('primary', words.openBrowser, () => void bridge.startSignIn()),
    button('link', words.anotherServer, () => void bridge.changeServer()),
    ...keychainNote(state.keychain),
    ...(state.certificate ? [certificateDetails(state.certificate, state.isPinned)] : []),
  ];
}

const day = new Intl.DateTimeFormat(languageOf(navigator.language), { dateStyle: 'medium' });

function factsList(facts: CertificateFacts): Node {
  const { certificate: said } = words;
  const names = [...new Set(facts.names)];
  const rows: [string, string][] = [
    // Usually it is one of the names.
    [said.subject, names.includes(facts.subject) ? '' : facts.subject],
    [said.names, names.join(', ')],
    [said.issuer, facts.issuedByItself ? said.itself : facts.issuer],
    [said.validity, said.until(day.format(facts.validFrom), day.format(facts.validTo))],
  ];
  const list = element('dl', { className: 'facts' });
  for (const [name, value] of rows) if (value !== '') list.append(element('dt', {}, name), element('dd', {}, value));
  // Eight bytes a line: that is how people compare it.
  const lines = facts.fingerprint.match(/.{1,24}/g) ?? [];
  const parts = lines.flatMap((line) => [line, element('wbr', {})]);
  list.append(element('dt', {}, said.fingerprint), element('dd', { className: 'fingerprint' }, ...parts));
  return list;
}

const details = (summary: string, ...children: Node[]) =>
  element('details', {}, element('summary', {}, summary), ...children);

/** Of a server that is trusted: there for who wants to look. */
function certificateDetails(facts: CertificateFacts, isPinned: boolean): Node {
  const { agreed, certificate, chooseOnly } = words.certificate;
  const only = isPinned ? [] : [button('link', chooseOnly, () => void bridge.chooseAuthority())];
  return details(isPinned ? agreed : certificate, factsList(facts), ...only);
}

function certificateStep(state: Extract<SetupState, { step: 'certificate' }>): Node[] {
  const { certificate: said } = words;
  const { certificate, authority, fault, notice } = state;
  const about = fault ? said.refused : authority ? said.authority : state.isTrusted ? said.trusted : said.notTrusted;
  const { fingerprint } = authority ?? certificate;
  const trust = () => bridge.trustCertificate(fingerprint);
  const problem = fault ? said.faults[fault] : notice ? said.notices[notice] : null;
  return [
    title(said.title),
    around(about, shown(state.origin)),
    ...(problem === null ? [] : [element('p', { className: 'refusal', role: 'alert' }, problem)]),
    factsList(authority ?? certificate),
    ...(fault ? [] : [button('primary', authority ? said.trustAuthority : said.trust, trust)]),
    ...(fault ? [] : [button('secondary', said.choose, () => void bridge.chooseAuthority())]),
    ...(authority ? [details(said.certificate, factsList(certificate))] : []),
    button('link', words.anotherServer, () => void bridge.changeServer()),
    ...(fault || state.isTrusted ? [] : [element('p', { className: 'quiet' }, said.browser)]),
  ];
}

function waitingStep(state: Extract<SetupState, { step: 'waiting' }>): Node[] {
  return [
    title(words.inBrowser),
    around(words.compare, ...server(state)),
    element('p', { id: 'compare-code', className: 'code' }, state.compareCode),
    button('secondary', words.cancel, () => void bridge.cancelSignIn()),
  ];
}

function profileStep(state: Extract<SetupState, { step: 'profile' }>): Node[] {
  const name = element('input', { id: 'name', type: 'text', maxLength: 40, value: state.name, autocomplete: 'off' });
  const colours = COLOURS.map((colour) => {
    const radio = element('input', { type: 'radio', name: 'colour', value: colour, checked: colour === state.colour });
    radio.setAttribute('aria-label', words.colours[colour]);
    const circle = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    circle.setAttribute('viewBox', '0 0 2 2');
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    for (const [key, value] of Object.entries({ cx: '1', cy: '1', r: '1', fill: COLOUR_VALUES[colour] })) {
      shape.setAttribute(key, value);
    }
    circle.append(shape);
    return element('label', { className: 'colour', title: words.colours[colour] }, radio, circle);
  });
  const form = element(
    'form',
    { noValidate: true },
    element('label', { htmlFor: 'name' }, words.name),
    name,
    element('fieldset', {}, element('legend', {}, words.colour), ...colours),
    element('button', { type: 'submit', className: 'primary' }, words.save),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const colour = String(new FormData(form).get('colour'));
    void bridge.saveProfile({ name: name.value, colour }).catch(() => refuse(name));
  });
  return [
    title(words.nameAndColour),
    text(shown(state.origin)),
    form,
    ...(state.pin ? [certificateDetails(state.pin, true)] : []),
    button('link', words.back, () => void bridge.goBack()),
    element('hr', {}),
    element('p', { className: 'quiet' }, words.removeNote),
    button('secondary', words.remove, () => void bridge.removeProfile()),
  ];
}

function refuse(input: HTMLInputElement): void {
  if (input.getAttribute('aria-invalid')) return;
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', 'problem');
  input.after(element('p', { id: 'problem', className: 'problem', role: 'alert' }, words.nameProblem));
}

const STEPS: { [S in SetupState['step']]: (state: Extract<SetupState, { step: S }>) => Node[] } = {
  server: serverStep,
  certificate: certificateStep,
  'sign-in': signInStep,
  waiting: waitingStep,
  profile: profileStep,
};

function draw(state: SetupState): void {
  const step = (STEPS[state.step] as (state: SetupState) => Node[])(state);
  const logo = element('img', { src: 'icon.svg', alt: '', width: 28, height: 28 });
  main.replaceChildren(element('p', { className: 'brand' }, logo, 'identree'), ...step);
  // The keyboard starts where the person has to act; a screen reader starts at the heading otherwise.
  (main.querySelector('input') ?? main.querySelector('h1'))?.focus();
}

document.documentElement.lang = languageOf(navigator.language);
bridge.onChange(draw);
void bridge.state().then(draw);
