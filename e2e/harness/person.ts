import { type AssertionJson, createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import { SERVER_NAME } from './lab.ts';
import { until } from './run.ts';
import type { Server } from './server.ts';
import type { Web } from './web.ts';

/** An answer of the server's API: data, or the code of the error table. */
export type ApiResult<T = unknown> =
  | { ok: true; data: T }
  | { ok: false; status: number; reason: string; message: string };

export interface ApprovalPage {
  view: {
    id: string;
    userCode: string;
    status: string;
    command: string;
    record: Record<string, unknown>;
    can: { approve: boolean; deny: boolean };
  };
  passkey: { document: Record<string, unknown>; options: { challenge: string; rpId: string } } | null;
}

/** Somebody signed in in a browser of their own, with a passkey of their own. */
export interface Person {
  readonly username: string;
  readonly web: Web;
  readonly authenticator: TestAuthenticator;
  query<T = unknown>(procedure: string, input?: unknown): Promise<ApiResult<T>>;
  mutate<T = unknown>(procedure: string, input?: unknown, headers?: Record<string, string>): Promise<ApiResult<T>>;
  signIn(): Promise<void>;
  /** Signs in once more, as whoever is about to do what needs a fresh sign-in. */
  stepUp(): Promise<void>;
  addPasskey(): Promise<void>;
  /** Opens the approval page of a code. @throws when this person may not see it. */
  open(code: string): Promise<ApprovalPage>;
  assert(page: ApprovalPage): AssertionJson;
  /** Opens, checks nothing, approves with the passkey. */
  approve(code: string, options?: { confirmTruncated?: boolean }): Promise<ApiResult>;
  deny(code: string, reason?: string | null): Promise<ApiResult>;
}

/** @throws unless the call was answered with data. */
export function granted<T>(result: ApiResult<T>): T {
  if (result.ok) return result.data;
  throw new Error(`refused: ${result.status} ${result.reason}: ${result.message}`);
}

export function createPerson(server: Server, username: string): Person {
  const web = server.web();
  const authenticator = createTestAuthenticator();
  let csrfToken = '';
  // A passkey's signature counter must reach the server in the order in which it was counted.
  let turn: Promise<unknown> = Promise.resolve();

  async function call<T>(
    url: string,
    init: { method: string; headers: Record<string, string>; body?: string },
  ): Promise<ApiResult<T>> {
    const answer = await web.send(url, init);
    const body = JSON.parse(answer.text) as {
      result?: { data: T };
      error?: { message: string; data?: { reason?: string } };
    };
    if (body.result) return { ok: true, data: body.result.data };
    const reason = body.error?.data?.reason ?? (body.error as { code?: string } | undefined)?.code ?? 'unknown';
    return { ok: false, status: answer.status, reason, message: body.error?.message ?? answer.text };
  }

  async function signInBy(path: string): Promise<void> {
    let page = await web.visit(`${server.url}${path}`);
    if (page.url.includes('/interaction/')) {
      const choice = new URL(`?login=${username}`, page.url).href;
      page = await web.visit(choice);
    }
    const me = await person.query<{ csrfToken: string; username: string }>('me.get');
    if (!me.ok)
      throw new Error(`sign-in of ${username} ended at ${page.url}: ${page.status} ${page.text.slice(0, 500)}`);
    csrfToken = me.data.csrfToken;
  }

  const person: Person = {
    username,
    web,
    authenticator,
    query: (procedure, input) => {
      const search = input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
      return call(`${server.url}/trpc/${procedure}${search}`, { method: 'GET', headers: {} });
    },
    mutate: (procedure, input, headers = {}) =>
      call(`${server.url}/trpc/${procedure}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: server.url, 'x-csrf-token': csrfToken, ...headers },
        body: JSON.stringify(input ?? {}),
      }),
    signIn: () => signInBy('/sessions/login'),
    stepUp: () => signInBy('/sessions/login?step_up=1'),
    async addPasskey() {
      const options = granted(
        await person.mutate<{ challenge: string; rp: { id?: string } }>('passkeys.registrationOptions', {}),
      );
      const response = authenticator.register({
        challenge: options.challenge,
        rpId: options.rp.id ?? SERVER_NAME,
        origin: server.url,
      });
      granted(await person.mutate('passkeys.register', { name: `${username}'s key`, response }));
    },
    async open(code) {
      return granted(await person.query<ApprovalPage>('challenges.get', { code }));
    },
    assert(page) {
      if (!page.passkey) throw new Error(`${username} is not asked for a passkey: ${JSON.stringify(page.view)}`);
      const { challenge, rpId } = page.passkey.options;
      return authenticator.assert({ challenge, rpId, origin: server.url });
    },
    approve(code, options = {}) {
      const result = turn.then(async () => {
        const page = await person.open(code);
        return person.mutate('challenges.approve', {
          challengeId: page.view.id,
          assertion: person.assert(page),
          confirmTruncated: options.confirmTruncated ?? false,
        });
      });
      turn = result.catch(() => undefined);
      return result;
    },
    async deny(code, reason = null) {
      const page = await person.open(code);
      return person.mutate('challenges.deny', { challengeId: page.view.id, reason });
    },
  };
  return person;
}

/** Signs somebody in and gives them a passkey. */
export async function newApprover(server: Server, username: string): Promise<Person> {
  const person = createPerson(server, username);
  await person.signIn();
  await person.addPasskey();
  return person;
}

/** The code that a person reads on their terminal. */
export const CODE = /\b[A-HJ-NP-Z]{6}-[0-9]{6}\b/;

/** Waits until the server knows a pending request of a user whose record mentions `what`, and gives its code. */
export async function pendingCode(server: Server, username: string, what = ''): Promise<string> {
  return until(`a request of ${username}`, () => {
    const found = server.data
      .challenges()
      .findLast((row) => row.username === username && row.status === 'pending' && row.record.includes(what));
    return found?.user_code;
  });
}
