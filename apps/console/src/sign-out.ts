import { desktop } from './bridge.ts';

/** Ends this session. A browser leaves the console for the page that says so. */
export function signOut(csrfToken: string): void {
  if (desktop) return void desktop.signOut();
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
