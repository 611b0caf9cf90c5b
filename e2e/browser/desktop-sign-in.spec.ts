import { WHOLE_CHROMIUM } from '../harness/chromium-program.ts';
import { launchOptions } from './launch-options.ts';
import { expect, test } from './world.ts';

// The shell of Chromium does not follow a form to another port of this computer.
test.use({ launchOptions: launchOptions(WHOLE_CHROMIUM) });

test('connecting the desktop app: the code is compared, then the browser goes back to this computer', async ({
  open,
}) => {
  const { page, signIn } = await open();
  await signIn('/passkeys');
  const back: URL[] = [];
  await page.route('http://127.0.0.1:45678/**', (route) => {
    back.push(new URL(route.request().url()));
    return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Done</title>' });
  });
  const query = new URLSearchParams({
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    redirect_uri: 'http://127.0.0.1:45678/callback',
    state: 'a-state-of-the-desktop-app',
  });
  await page.goto(`/desktop/sign-in?${query}`);
  await expect(page.getByText('BUUZ-WHVV')).toBeVisible();
  await page.getByRole('button', { name: 'Codes match, connect' }).click();
  await expect(page).toHaveTitle('Done');
  expect(back[0]?.searchParams.get('state')).toBe('a-state-of-the-desktop-app');
  expect(back[0]?.searchParams.get('code')).toMatch(/^[\w-]{43}$/);
});
