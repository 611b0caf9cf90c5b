import type { Page } from '@playwright/test';
import { createFakeInbox } from '../../../apps/desktop/src/main/testing/fake-inbox.ts';
import { startFakeServer } from '../../../apps/desktop/src/main/testing/fake-server.ts';
import { until } from '../../harness/run.ts';
import type { Driven } from './world.ts';

/** A server that is not there but for the desktop: who is signed in and what waits there is made up. */
export type StandIn = Awaited<ReturnType<typeof startFakeServer>> & { inbox: ReturnType<typeof createFakeInbox> };

/**
 * @param options.tls its certificate; plain HTTP without
 * @param options.newest version of the desktop console that the server says it offers
 */
export async function startStandIn(
  options: { tls?: { cert: string; key: string }; newest?: string } = {},
): Promise<StandIn> {
  const inbox = createFakeInbox();
  const me = {
    person: { username: 'alice', displayName: 'Alice Ahlberg', issuer: 'https://id.example.com', subject: 'alice' },
    role: 'user',
    sessionKind: 'desktop',
    csrfToken: 'x',
    accounts: ['alice'],
    passkeys: 1,
    authTime: 0,
    desktopVersion: options.newest ?? null,
  };
  const answer: typeof inbox.answer = (seen, response) => {
    if (!seen.url.startsWith('/trpc/me.get')) return inbox.answer(seen, response);
    // Of every server of this name, whatever its port, if anybody kept it.
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'kept=there; Path=/' });
    response.end(JSON.stringify({ result: { data: { ...me, now: Date.now() } } }));
  };
  return { ...(await startFakeServer(answer, options.tls)), inbox };
}

/** From the page where somebody signs in to the console of a stand-in, whose consent is given. */
export async function agree(shell: Driven, page: Page, server: StandIn): Promise<void> {
  const before = shell.opened().length;
  await page.getByRole('button', { name: 'Open the browser' }).click();
  const asked = new URL(await until('the browser', () => shell.opened()[before])).searchParams;
  const code = server.consent(asked.get('code_challenge')!);
  await fetch(`${asked.get('redirect_uri')}?${new URLSearchParams({ code, state: asked.get('state')! })}`);
}
