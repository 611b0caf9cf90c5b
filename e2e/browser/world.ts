import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  type BrowserContext,
  type BrowserContextOptions,
  test as base,
  type CDPSession,
  expect,
  type Page,
} from '@playwright/test';
import { type CommandName, FRESH, FRESH_ADMINS, type SiteCommands, type SiteMessage } from './site-commands.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The server, and how to be everything around it. */
export interface Site {
  url: string;
  do<Name extends CommandName>(
    name: Name,
    input: Parameters<SiteCommands[Name]>[0],
  ): Promise<ReturnType<SiteCommands[Name]>>;
}

/** Somebody in front of a browser with a passkey device of their own. */
export interface Person {
  username: string;
  context: BrowserContext;
  page: Page;
  cdp: CDPSession;
  authenticatorId: string;
  /** Goes through the identity provider, ending at a page of the server. */
  signIn(returnTo?: string): Promise<void>;
  /** Registers a passkey through the console's own calls. */
  addPasskey(name?: string): Promise<void>;
  /** Calls a procedure as the pages do. */
  call(name: string, input?: unknown, options?: { csrf?: string | null; method?: 'GET' | 'POST' }): Promise<Answer>;
  csrf(): Promise<string>;
}

export interface Answer {
  status: number;
  data: unknown;
  reason: string | null;
}

export interface OpenOptions extends BrowserContextOptions {
  admin?: boolean;
  /** One of the named people instead of a fresh one. */
  as?: string;
}

interface WorkerFixtures {
  /** Tests that name another town get another server. */
  town: string;
  site: Site;
}

interface TestFixtures {
  /** A browser for somebody new. */
  open(options?: OpenOptions): Promise<Person>;
  /** Complaints of the browser that this test provokes on purpose. */
  allow(...patterns: RegExp[]): void;
}

let freshUsers = 0;
let freshAdmins = 0;
let addresses = 0;

async function withAuthenticator(page: Page): Promise<{ cdp: CDPSession; authenticatorId: string }> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable', { enableUI: false });
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return { cdp, authenticatorId };
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  town: ['any', { scope: 'worker', option: true }],

  site: [
    async ({ town }, use) => {
      const child = fork(join(import.meta.dirname, 'site.ts'), [town], {
        execArgv: ['--disable-warning=ExperimentalWarning'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
      let calls = 0;
      const url = await new Promise<string>((resolve, reject) => {
        child.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
        child.on('message', (message: SiteMessage) => {
          if (message.kind === 'ready') resolve(message.url);
          else if (message.kind === 'failed') reject(new Error(message.message));
          else {
            const call = waiting.get(message.id);
            waiting.delete(message.id);
            if (message.kind === 'done') call?.resolve(message.result as never);
            else call?.reject(new Error(message.message));
          }
        });
      });
      await use({
        url,
        do: (name, input) =>
          new Promise((resolve, reject) => {
            const id = ++calls;
            waiting.set(id, { resolve, reject });
            child.send({ id, name, input });
          }),
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
    },
    { scope: 'worker', timeout: 120_000 },
  ],

  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the fixtures from the pattern.
  allow: async ({}, use, testInfo) => {
    await use((...patterns) => {
      for (const pattern of patterns) testInfo.annotations.push({ type: 'allowed', description: pattern.source });
    });
  },

  open: async ({ browser, site }, use, testInfo) => {
    const contexts: BrowserContext[] = [];
    const complaints: string[] = [];
    const purposeful = new Set<string>();
    await use(async ({ admin = false, as, ...options } = {}) => {
      const username = as ?? (admin ? FRESH_ADMINS[freshAdmins++] : FRESH[freshUsers++]);
      if (username === undefined) throw new Error('no fresh person is left: add some to site-commands.ts');
      const context = await browser.newContext({
        baseURL: site.url,
        viewport: { width: 1280, height: 900 },
        extraHTTPHeaders: { 'x-forwarded-for': `198.51.100.${(addresses++ % 250) + 1}` },
        ...options,
      });
      contexts.push(context);
      const page = await context.newPage();
      // The identity provider's pages are not ours.
      const ours = () => page.url().startsWith(site.url);
      page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.stack ?? error.message}`));
      page.on('console', (message) => {
        if (!ours()) return;
        if (message.type() === 'error' || message.type() === 'warning') {
          complaints.push(`${page.url()}: ${message.text()} ${message.location().url}`);
        }
      });
      const { cdp, authenticatorId } = await withAuthenticator(page);
      const refusedOnPurpose = (path: string) => void purposeful.add(`${site.url}/trpc/${path}`);
      return createPerson({ username, context, page, cdp, authenticatorId }, refusedOnPurpose);
    });
    for (const context of contexts) await context.close();
    const allowed = testInfo.annotations
      .filter(({ type }) => type === 'allowed')
      .map(({ description }) => new RegExp(description ?? '(?!)'));
    const unexpected = complaints.filter((text) => {
      const onPurpose = /status of 4\d\d/.test(text) && [...purposeful].some((url) => text.includes(` ${url}`));
      return !onPurpose && !allowed.some((pattern) => pattern.test(text));
    });
    expect(unexpected, 'errors, warnings and policy violations in the browser').toEqual([]);
  },
});

export { expect } from '@playwright/test';

function createPerson(
  parts: Pick<Person, 'username' | 'context' | 'page' | 'cdp' | 'authenticatorId'>,
  refusedOnPurpose: (path: string) => void,
): Person {
  const { username, page } = parts;
  const person: Person = {
    ...parts,
    async signIn(returnTo = '/passkeys') {
      await page.goto(`/sessions/login?return_to=${encodeURIComponent(returnTo)}`);
      await chooseAtProvider(page, username);
      await page.waitForURL((url) => url.pathname + url.search === returnTo);
    },
    async addPasskey(name = `${username}'s key`) {
      const result = await page.evaluate(async (label) => {
        const decode = (text: string) =>
          Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
        const encode = (buffer: ArrayBuffer) =>
          btoa(String.fromCharCode(...new Uint8Array(buffer)))
            .replace(/\+/g, '-')
            .replace(/\//g, '_')
            .replace(/=+$/, '');
        const me = (await (await fetch('/trpc/me.get')).json()).result.data;
        const post = async (path: string, body: unknown) => {
          const answer = await fetch(`/trpc/${path}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-csrf-token': me.csrfToken },
            body: JSON.stringify(body),
          });
          return answer.json();
        };
        const { result } = await post('passkeys.registrationOptions', {});
        const options = result.data;
        const credential = (await navigator.credentials.create({
          publicKey: {
            ...options,
            challenge: decode(options.challenge),
            user: { ...options.user, id: decode(options.user.id) },
            excludeCredentials: [],
          },
        })) as PublicKeyCredential & { response: AuthenticatorAttestationResponse };
        return post('passkeys.register', {
          name: label,
          response: {
            id: credential.id,
            rawId: encode(credential.rawId),
            type: 'public-key',
            response: {
              clientDataJSON: encode(credential.response.clientDataJSON),
              attestationObject: encode(credential.response.attestationObject),
              transports: credential.response.getTransports(),
            },
          },
        });
      }, name);
      expect(result.error, 'registration').toBeUndefined();
    },
    async csrf() {
      const { data } = await person.call('me.get', undefined, { method: 'GET' });
      return (data as { csrfToken: string }).csrfToken;
    },
    async call(name, input, { csrf, method = 'POST' } = {}) {
      const token = method === 'POST' && csrf === undefined ? await person.csrf() : csrf;
      const answer = await page.evaluate(
        async ([path, body, header, verb]) => {
          const query = verb === 'GET' && body !== null ? `?input=${encodeURIComponent(body)}` : '';
          const answer = await fetch(`/trpc/${path}${query}`, {
            method: verb,
            headers:
              verb === 'POST'
                ? { 'content-type': 'application/json', ...(header === null ? {} : { 'x-csrf-token': header }) }
                : {},
            ...(verb === 'POST' ? { body: body ?? '{}' } : {}),
          });
          const parsed = await answer.json();
          return {
            status: answer.status,
            data: parsed.result?.data ?? null,
            reason: parsed.error?.data?.reason ?? parsed.error?.code ?? null,
          };
        },
        [name, input === undefined ? null : JSON.stringify(input), token ?? null, method] as const,
      );
      if (answer.status >= 400) refusedOnPurpose(name);
      return answer;
    },
  };
  return person;
}

/** The page of the identity provider: a list of names. */
export async function chooseAtProvider(page: Page, username: string): Promise<void> {
  // Whoever is signed in at the provider already is not asked again.
  if (!page.url().includes('/interaction/')) return;
  await page.goto(`${page.url()}?login=${username}`);
}

/** WCAG 2.0 to 2.2, levels A and AA, and axe's own best practices. */
export async function axe(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const engine = (window as unknown as { axe: { run(context: Document, options: object): Promise<AxeResult> } }).axe;
    interface AxeResult {
      violations: { id: string; help: string; nodes: { target: unknown[]; failureSummary?: string }[] }[];
    }
    const { violations } = await engine.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help} at ${String(target)}: ${failureSummary ?? ''}`),
    );
  });
}

/** Nothing may be wider than the window. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
