import type { Credential } from './credential-store.ts';
import type { HttpPort } from './ports.ts';
import type { SignInAttempt, SignInProblem } from './sign-in.ts';

/** What comes of a sign-in, as long as the window is about it. */
export interface SignInSteps {
  /** The browser is open; the person compares the code. */
  waiting(compareCode: string): void;
  /** @param problem null when the person cancelled it here */
  failed(problem: Exclude<SignInProblem, 'cancelled'> | null): Promise<void>;
  signedIn(credential: Credential): Promise<void>;
}

/** The server at which a person signs in, and how it is asked: as was agreed to when the sign-in began. */
export interface SignInServer {
  origin: string;
  http: HttpPort;
}

/** The sign-in that the window is about: there is one at most, and what comes of one that was left has no place any more. */
export function createSigningIn(start: (server: SignInServer) => Promise<SignInAttempt>) {
  let attempt: SignInAttempt | null = null;
  /** Stands for the sign-in that the window is about. */
  let current: symbol | null = null;

  return {
    /** Nothing happens while another one runs. */
    async begin(server: SignInServer, steps: SignInSteps): Promise<void> {
      if (current) return;
      const { origin } = server;
      const mine = Symbol(origin);
      current = mine;
      const isWanted = () => current === mine;
      try {
        const started = await start(server);
        if (!isWanted()) return started.cancel();
        attempt = started;
        steps.waiting(started.compareCode);
        const result = await started.done;
        if (!result.ok) {
          if (isWanted()) await steps.failed(result.problem === 'cancelled' ? null : result.problem);
          return;
        }
        const credential = { origin, secret: result.credential, expiresAt: result.expiresAt };
        if (!isWanted()) return void (await revoke(server.http, credential));
        await steps.signedIn(credential);
      } catch {
        if (isWanted()) await steps.failed('listener_failed');
      } finally {
        if (isWanted()) {
          attempt = null;
          current = null;
        }
      }
    },
    /** The person cancels it: it ends as one that failed. */
    cancel: () => attempt?.cancel(),
    /** The window is about something else now: nothing of it is shown any more. */
    drop(): void {
      current = null;
      attempt?.cancel();
      attempt = null;
    },
  };
}

/**
 * Has the server forget the session. When it cannot be asked, the session ends there by its own age.
 *
 * @returns whether the server knows it no more
 */
export async function revoke(http: HttpPort, credential: Credential): Promise<boolean> {
  const answer = await http
    .fetch(`${credential.origin}/trpc/sessions.signOut`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${credential.secret}` },
      body: '{}',
      signal: AbortSignal.timeout(5000),
    })
    .catch(() => null);
  void answer?.body?.cancel().catch(() => {});
  return answer?.status === 200 || answer?.status === 401;
}
