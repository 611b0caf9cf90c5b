import type { ServerProblem, SetupState, SignInNotice } from '../setup-state.ts';

interface SetupBridge {
  state(): Promise<SetupState>;
  onChange(callback: (state: SetupState) => void): void;
  saveServer(address: string): Promise<void>;
  changeServer(): Promise<void>;
  startSignIn(): Promise<void>;
  cancelSignIn(): Promise<void>;
}

const bridge = (window as unknown as { identreeSetup: SetupBridge }).identreeSetup;
const main = document.getElementById('main')!;

const SERVER_PROBLEMS: Record<ServerProblem, string> = {
  empty: 'Enter the address of your server.',
  not_an_address: 'This is not the address of a server.',
  not_https: 'The address has to begin with https://.',
  user_in_address: 'Leave out the part before the @.',
  not_saved: 'The address could not be saved on this computer.',
};

const NOTICES: Record<SignInNotice, string> = {
  session_ended: 'Your session has ended. Sign in again.',
  signed_out: 'You are signed out.',
  refused: 'The sign-in was refused in the browser.',
  timed_out: 'Nobody signed in within two minutes. Try again.',
  cancelled: 'The sign-in was cancelled.',
  listener_failed: 'This computer did not let identree wait for the browser. Try again.',
  browser_failed: 'Your browser could not be opened.',
  server_unreachable: 'The server did not answer. Check your connection and try again.',
  server_refused: 'The server did not accept this sign-in. Try again.',
};

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

/** The host without the scheme that everybody expects; `http` and a port stay visible. */
const shown = (origin: string) => element('strong', {}, origin.replace(/^https:\/\//, ''));

function keychainNote(keychain: boolean): Node[] {
  if (keychain) return [];
  const words = 'This computer has no keychain, so you will sign in again each time you start identree.';
  return [element('p', { className: 'quiet' }, words)];
}

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
  const form = element('form', { noValidate: true }, element('label', { htmlFor: 'server' }, 'Server address'), input);
  if (state.problem) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', 'problem');
    form.append(element('p', { id: 'problem', className: 'problem', role: 'alert' }, SERVER_PROBLEMS[state.problem]));
  }
  form.append(element('button', { type: 'submit', className: 'primary' }, 'Continue'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void bridge.saveServer(input.value);
  });
  return [title('Connect to your server'), text('Your administrator can tell you its address.'), form];
}

function signInStep(state: Extract<SetupState, { step: 'sign-in' }>): Node[] {
  return [
    title('Sign in'),
    ...(state.notice ? [element('p', { className: 'note', role: 'alert' }, NOTICES[state.notice])] : []),
    text('You sign in at ', shown(state.origin), ' in your browser.'),
    button('primary', 'Open the browser', () => void bridge.startSignIn()),
    button('link', 'Use another server', () => void bridge.changeServer()),
    ...keychainNote(state.keychain),
  ];
}

function waitingStep(state: Extract<SetupState, { step: 'waiting' }>): Node[] {
  return [
    title('Continue in your browser'),
    text(shown(state.origin), ' asks there whether this computer may sign in. Agree only if it shows this code:'),
    element('p', { id: 'compare-code', className: 'code' }, state.compareCode),
    button('secondary', 'Cancel', () => void bridge.cancelSignIn()),
    ...keychainNote(state.keychain),
  ];
}

function draw(state: SetupState): void {
  const step =
    state.step === 'server' ? serverStep(state) : state.step === 'sign-in' ? signInStep(state) : waitingStep(state);
  const logo = element('img', { src: 'icon.svg', alt: '', width: 28, height: 28 });
  main.replaceChildren(element('p', { className: 'brand' }, logo, 'identree'), ...step);
  // The keyboard starts where the person has to act; a screen reader starts at the heading otherwise.
  (main.querySelector('input') ?? main.querySelector('h1'))?.focus();
}

bridge.onChange(draw);
void bridge.state().then(draw);
