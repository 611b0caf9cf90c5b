import { desktop } from './bridge.ts';
import { leaveHere } from './push/push.ts';

/** So long it waits until this browser is told nothing any more: signing out does not depend on anybody's answer. */
const LEAVES_WITHIN_MS = 3000;

/** Ends this session, and what this browser is told by it. A browser leaves the console for the page that says so. */
export async function signOut(csrfToken: string): Promise<void> {
  if (desktop) return desktop.signOut();
  const late = new Promise<void>((resolve) => setTimeout(resolve, LEAVES_WITHIN_MS));
  await Promise.race([leaveHere().catch(() => {}), late]);
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/signout';
  const token = document.createElement('input');
  token.type = 'hidden';
  token.name = 'csrf_token';
  token.value = csrfToken;
  form.append(token);
  document.body.append(form);
  form.submit();
}
