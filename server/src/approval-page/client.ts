import type { FeedEvent } from '#shared/events.ts';
import { clockTime, relativeTime } from '#shared/relative-time.ts';
import { type CreationOptionsJson, type RequestOptionsJson, suggestPasskeyName } from '#shared/webauthn-json.ts';
import { canUsePasskeys, createPasskey, getAssertion } from './client-passkey.ts';
import type { PageData } from './page.ts';

// The whole script of the approval page. The server renders every state; this script asks for the page again when the
// state changed and puts the new article in place of the old one, so there is one renderer and no markup here.

const POLL_MS = 4000;
const SETTLE_MS = 400;
const ANNOUNCE_AT = [60, 30, 10];
/** Refusals after which the page itself is out of date. */
const STALE = new Set([
  'already_decided',
  'expired',
  'superseded',
  'not_found',
  'passkey_rejected',
  'confirm_truncated',
  'csrf',
]);

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T | null;

let data = readData();
let loadedAt = Date.now();
let busy = false;
/** Something was told while an answer was under way: the page looks again when that is over. */
let missed = false;
/** Pages are asked for one after the other, but need not arrive so: what is older than what is shown is not shown. */
let asked = 0;
let shown = 0;
let stream: EventSource | null = null;
let streamWorks = false;
let announced = Number.POSITIVE_INFINITY;

function readData(): PageData {
  return JSON.parse(byId('page-data')!.textContent ?? '{}') as PageData;
}

const serverNow = () => data.now + (Date.now() - loadedAt);

function announce(text: string): void {
  const region = byId('announce');
  if (region) region.textContent = text;
}

function problem(text: string, action?: { label: string; run: () => void }): void {
  const box = byId('problem');
  if (!box) return;
  box.textContent = text;
  if (action) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = action.label;
    button.addEventListener('click', action.run);
    box.append(' ', button);
  }
}

/** A refusal by the server, with its code of the error table. */
interface Refused {
  refused: string;
  message: string;
}

const isRefused = (value: unknown): value is Refused =>
  typeof value === 'object' && value !== null && 'refused' in value;

/** Calls a procedure. Throws TypeError when there is no connection. */
async function call(name: string, input: unknown, method: 'GET' | 'POST' = 'POST'): Promise<unknown> {
  const query = method === 'GET' && input !== undefined ? `?input=${encodeURIComponent(JSON.stringify(input))}` : '';
  const answer = await fetch(`/trpc/${name}${query}`, {
    method,
    credentials: 'same-origin',
    headers: method === 'POST' ? { 'content-type': 'application/json', 'x-csrf-token': data.csrfToken } : {},
    ...(method === 'POST' ? { body: JSON.stringify(input) } : {}),
  });
  const body = (await answer.json()) as {
    result?: { data?: unknown };
    error?: { message?: string; code?: string; data?: { reason?: string } };
  };
  if (answer.ok) return body.result?.data;
  const refused = body.error?.data?.reason ?? body.error?.code ?? 'internal';
  return {
    refused,
    message: data.strings.errors[String(refused)] ?? body.error?.message ?? data.strings.failed,
  } satisfies Refused;
}

function setBusy(on: boolean, text = ''): void {
  busy = on;
  byId('request')?.setAttribute('aria-busy', String(on));
  for (const id of ['approve', 'deny', 'create', 'deny-confirm']) {
    const button = byId<HTMLButtonElement>(id);
    // aria-disabled keeps the focus where it is; `busy` is what stops a second click.
    if (button) button.toggleAttribute('aria-busy', on);
    if (button) button.setAttribute('aria-disabled', String(on));
  }
  if (text) announce(text);
}

/** Fetches the page again and shows its article. Returns false when that was not possible. */
async function refresh(): Promise<boolean> {
  asked += 1;
  const turn = asked;
  let answer: Response;
  try {
    answer = await fetch(`/approve/${data.userCode}`, { redirect: 'manual', headers: { accept: 'text/html' } });
  } catch {
    return false;
  }
  if (answer.type === 'opaqueredirect' || answer.status === 404) {
    location.reload();
    return true;
  }
  if (!answer.ok) return false;
  const text = await answer.text();
  if (turn < shown) return true;
  const next = new DOMParser().parseFromString(text, 'text/html');
  const article = next.getElementById('request');
  const block = next.getElementById('page-data');
  const old = byId('request');
  if (!article || !block || !old) return false;
  shown = turn;
  const before = data.status + data.outcome;
  const ranBefore = data.run;
  const focused = document.activeElement;
  const isInside = old.contains(focused);
  const hadFocus = isInside || focused === document.body;
  byId('page-data')!.textContent = block.textContent;
  data = readData();
  loadedAt = Date.now();
  const opened = ['details', 'environment'].filter((id) => byId<HTMLDetailsElement>(id)?.open);
  const fresh = document.importNode(article, true);
  old.replaceWith(fresh);
  for (const id of opened) byId(id)?.setAttribute('open', '');
  start();
  const answered = before !== data.status + data.outcome;
  // What becomes of the command later is said, and moves nobody away from what they read.
  if (answered && hadFocus && data.status !== 'pending') {
    byId('title')?.focus({ preventScroll: true });
    scrollTo({ top: 0, behavior: 'auto' });
  } else if (isInside && focused?.id) byId(focused.id)?.focus({ preventScroll: true });
  if (answered || ranBefore !== data.run) announce(byId('news')?.textContent ?? '');
  return true;
}

async function afterRefusal(refusal: Refused): Promise<void> {
  const { strings } = data;
  if (refusal.refused === 'not_signed_in' || refusal.refused === 'session_expired') {
    location.reload();
    return;
  }
  if (refusal.refused === 'fresh_sign_in_required') {
    const here = encodeURIComponent(location.pathname);
    problem(refusal.message, {
      label: strings.signInAgain,
      run: () => location.assign(`/sessions/login?step_up=1&return_to=${here}`),
    });
    return;
  }
  if (refusal.refused === 'recovery_code_required' || refusal.refused === 'recovery_code_wrong') {
    const box = byId('recovery');
    if (box) box.hidden = false;
    byId('recovery-code')?.focus();
  }
  if (STALE.has(refusal.refused)) await refresh();
  problem(refusal.message);
}

function ceremonyFailed(error: unknown, closed: string): void {
  const { strings } = data;
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'AbortError') problem(closed);
  else if (name === 'InvalidStateError') problem(strings.existsHere);
  else if (name === 'SecurityError' || name === 'NotSupportedError') problem(strings.unsupported);
  else problem(strings.failed);
}

/** Runs one answer from click to result. Only one at a time. */
async function answerWith(run: () => Promise<unknown>, retry: () => void): Promise<void> {
  if (busy) return;
  problem('');
  setBusy(true);
  try {
    const outcome = await run();
    if (isRefused(outcome)) await afterRefusal(outcome);
    else if (outcome !== undefined) await refresh();
  } catch {
    problem(data.strings.offline, { label: data.strings.retry, run: retry });
  } finally {
    setBusy(false);
    if (missed) void poll();
  }
}

function approve(): void {
  const confirm = byId<HTMLInputElement>('confirm');
  if (confirm && !confirm.checked) return;
  void answerWith(async () => {
    const input: Record<string, unknown> = {
      challengeId: data.challengeId,
      confirmTruncated: data.truncated && confirm?.checked === true,
    };
    if (data.needsPasskey) {
      if (!canUsePasskeys() || !data.passkey) {
        problem(data.strings.unsupported);
        return undefined;
      }
      announce(data.strings.passkey);
      try {
        input.assertion = await getAssertion(data.passkey as RequestOptionsJson);
      } catch (error) {
        ceremonyFailed(error, data.strings.closed);
        return undefined;
      }
    }
    announce(data.strings.sending);
    return call('challenges.approve', input);
  }, approve);
}

function deny(): void {
  void answerWith(() => {
    announce(data.strings.sending);
    const reason = byId<HTMLInputElement>('deny-reason')?.value.trim();
    return call('challenges.deny', { challengeId: data.challengeId, reason: reason || null });
  }, deny);
}

function create(): void {
  void answerWith(async () => {
    if (!canUsePasskeys()) {
      problem(data.strings.unsupported);
      return undefined;
    }
    const recoveryCode = byId<HTMLInputElement>('recovery-code')?.value.trim();
    // Asked before the device makes a passkey that the server would then refuse.
    const rules = await call('passkeys.list', undefined, 'GET');
    if (isRefused(rules)) return rules;
    if ((rules as { firstNeedsCode?: boolean }).firstNeedsCode && !recoveryCode) {
      return { refused: 'recovery_code_required', message: data.strings.needsCode } satisfies Refused;
    }
    const options = await call('passkeys.registrationOptions', recoveryCode ? { recoveryCode } : {});
    if (isRefused(options)) return options;
    announce(data.strings.passkey);
    let response: unknown;
    try {
      response = await createPasskey(options as CreationOptionsJson);
    } catch (error) {
      ceremonyFailed(error, data.strings.closedCreate);
      return undefined;
    }
    return call('passkeys.register', {
      response,
      name: suggestPasskeyName(navigator.userAgent),
      ...(recoveryCode ? { recoveryCode } : {}),
    });
  }, create);
}

function openDeny(open: boolean): void {
  const form = byId('deny-form');
  const buttons = byId('buttons');
  if (!form || !buttons) return;
  form.hidden = !open;
  buttons.hidden = open;
  byId(open ? 'deny-reason' : 'deny')?.focus();
}

async function copyCommand(): Promise<void> {
  const button = byId<HTMLButtonElement>('copy');
  const text = byId('command-text')?.querySelector('code')?.textContent ?? '';
  await navigator.clipboard.writeText(text);
  if (!button) return;
  const label = button.textContent;
  button.textContent = data.strings.copied;
  announce(data.strings.copied);
  setTimeout(() => {
    button.textContent = label;
  }, 2000);
}

/** Wires the article that is in the page now. */
function start(): void {
  const confirm = byId<HTMLInputElement>('confirm');
  const approveButton = byId<HTMLButtonElement>('approve');
  const update = () => {
    if (approveButton) approveButton.disabled = confirm !== null && !confirm.checked;
    const hint = byId('confirm-hint');
    if (hint) hint.hidden = confirm?.checked === true;
  };
  // Not at once: a click meant for the page before must not land on a button that has just appeared under the pointer.
  setTimeout(update, SETTLE_MS);
  confirm?.addEventListener('change', update);
  approveButton?.addEventListener('click', approve);
  for (const id of ['deny', 'create']) {
    const button = byId<HTMLButtonElement>(id);
    if (button) button.disabled = false;
  }
  byId('deny')?.addEventListener('click', () => openDeny(true));
  byId('deny-back')?.addEventListener('click', () => openDeny(false));
  byId('deny-form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    deny();
  });
  byId('deny-form')?.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') openDeny(false);
  });
  byId('create')?.addEventListener('click', create);
  const copy = byId('copy');
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener('click', () => void copyCommand());
  }
  announced = Number.POSITIVE_INFINITY;
  tick();
  listen();
}

const waitsForNews = () => data.newsUntil !== null && serverNow() < data.newsUntil;

/** Nobody watches a command for days: the page stops asking, and says so. */
function stopWatching(): void {
  if (data.newsUntil === null || waitsForNews()) return;
  const note = byId('stopped');
  if (note) note.hidden = false;
  byId('outcome')?.classList.remove('waiting');
  listen();
}

function tick(): void {
  const now = serverNow();
  for (const element of document.querySelectorAll<HTMLTimeElement>('time[data-relative]')) {
    element.textContent = relativeTime(data.locale, Math.min(Date.parse(element.dateTime), now), now);
    if (!element.title) element.title = new Date(element.dateTime).toLocaleString(data.locale);
  }
  stopWatching();
  if (data.status !== 'pending') return;
  const left = data.expiresAt - now;
  const countdown = byId('countdown');
  if (countdown) {
    countdown.textContent = clockTime(left);
    countdown.classList.toggle('soon', left < 30_000);
  }
  const seconds = Math.ceil(left / 1000);
  const mark = ANNOUNCE_AT.find((at) => seconds <= at && announced > at && seconds > at - 5);
  if (mark !== undefined) {
    announced = mark;
    announce(data.strings.secondsLeft.replace('{n}', String(mark)));
  }
  if (left <= 0 && !busy) void refresh();
}

/** Asks where the request stands; the page is fetched again only when something changed. */
async function poll(): Promise<void> {
  if (data.newsUntil === null) return;
  missed = busy;
  if (busy) return;
  try {
    const answer = await call('challenges.get', { code: data.userCode }, 'GET');
    if (!isRefused(answer)) {
      const { view } = answer as {
        view: { status: string; outcome: string | null; run: { state: string } | null; now: number };
      };
      data.now = view.now;
      loadedAt = Date.now();
      const run = view.run?.state ?? null;
      if (view.status !== data.status || view.outcome !== data.outcome || run !== data.run) await refresh();
    } else if (answer.refused === 'not_signed_in' || answer.refused === 'not_found') {
      await refresh();
    }
    if (byId('problem')?.textContent === data.strings.offlineLive) problem('');
  } catch {
    if (byId('problem')?.textContent === '') problem(data.strings.offlineLive);
  }
}

function listen(): void {
  if (!waitsForNews()) {
    stream?.close();
    stream = null;
    return;
  }
  if (stream || typeof EventSource !== 'function') return;
  stream = new EventSource('/api/events');
  stream.addEventListener('open', () => {
    streamWorks = true;
    // Whatever happened while nobody listened.
    void poll();
  });
  stream.addEventListener('error', () => {
    streamWorks = false;
    if (stream?.readyState === EventSource.CLOSED) stream = null;
  });
  stream.addEventListener('message', (message: MessageEvent<string>) => {
    const { challengeId, topic } = JSON.parse(message.data) as FeedEvent;
    if (challengeId !== data.challengeId || topic !== 'requests') return;
    if (busy) missed = true;
    else void refresh();
  });
}

start();
setInterval(tick, 1000);
setInterval(() => {
  if (!streamWorks && waitsForNews()) void poll();
}, POLL_MS);
// A host that stays silent after an approval is mentioned even when no event ever comes.
setInterval(() => {
  if (data.status === 'approved' && data.outcome === null && waitsForNews()) void refresh();
}, 50_000);
// A person who comes back to a page that no longer asks sees how it stands now.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void poll();
});
addEventListener('online', () => void poll());
addEventListener('pageshow', (event) => {
  // From the back-forward cache the article may be hours old.
  if (event.persisted) void refresh();
});
