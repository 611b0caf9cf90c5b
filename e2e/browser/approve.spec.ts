import type { Page } from '@playwright/test';
import { sampleResolved } from '#shared/testing/request-record.ts';
import { chooseAtProvider, expect, overflow, test } from './world.ts';

const title = (page: Page) => page.getByRole('heading', { level: 1 });
const approve = (page: Page) => page.getByRole('button', { name: 'Approve', exact: true });
const deny = (page: Page) => page.getByRole('button', { name: 'Deny', exact: true });

test('sign in, make a passkey on the page, come straight back, approve, see that the command was released', async ({
  site,
  open,
}) => {
  const person = await open({ viewport: { width: 360, height: 740 } });
  const { page, username } = person;
  const { id, code } = await site.do('ask', { user: username });
  await page.goto(`/approve/${code}`);
  await chooseAtProvider(page, username);
  await expect(page).toHaveURL(`/approve/${code}`);
  await expect(title(page)).toContainText(`${username} wants to run a command as root on web1.example.com`);
  await expect(page.getByText('sudo systemctl restart nginx')).toBeVisible();
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await approve(page).click();
  await expect(title(page)).toHaveText('Approved by you');
  expect(await site.do('look', { id })).toMatchObject({
    status: 'approved',
    class: 'passkey',
    hasVerdict: true,
    events: ['challenge_created', 'challenge_shown', 'challenge_approved'],
  });
  await expect(page.locator('#outcome')).toHaveText('Waiting for web1.example.com to start the command.');
  await site.do('outcome', { id, outcome: 'granted' });
  await expect(page.locator('#outcome')).toHaveText('Released to sudo.');
});

test('what a host tells while the page is still busy with the answer is not lost', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  await signIn();
  const { id, code } = await site.do('ask', { user: username, host: 'lab1.example.com' });
  await page.goto(`/approve/${code}`);
  // The page that is fetched after the answer shows what was so then, and arrives when more has happened.
  const happened = Promise.withResolvers<void>();
  const fetched = Promise.withResolvers<void>();
  await page.route(
    `**/approve/${code}`,
    async (route) => {
      const response = await route.fetch();
      fetched.resolve();
      await happened.promise;
      await route.fulfill({ response });
    },
    { times: 1 },
  );
  const told = page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const stream = new EventSource('/api/events');
        stream.addEventListener('message', ({ data }) => {
          if (JSON.parse(data).event !== 'challenge_outcome') return;
          stream.close();
          resolve();
        });
        stream.addEventListener('open', () => document.body.setAttribute('data-listening', ''));
      }),
  );
  await page.locator('body[data-listening]').waitFor();
  await approve(page).click();
  await fetched.promise;
  await site.do('outcome', { id, outcome: 'granted' });
  await told;
  happened.resolve();
  await expect(page.locator('#outcome')).toHaveText('Released to sudo.');
});

test('what becomes of the command is told while the page stays open, and nobody is moved away from what they read', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  await signIn();
  const { id, code } = await site.do('ask', {
    user: username,
    host: 'lab1.example.com',
    record: { gate: 'plugin', argv: ['tail', '-f', '/var/log/syslog'], resolved: sampleResolved('/usr/bin/tail') },
  });
  await call('challenges.approve', { challengeId: id });
  await page.goto(`/approve/${code}`);
  const outcome = page.locator('#outcome');
  await site.do('outcome', { id, outcome: 'granted' });
  await expect(outcome).toHaveText('Released to sudo.');
  const summary = page.getByText('What is signed');
  await summary.click();
  await site.do('run', { id, run: { state: 'started' } });
  await expect(outcome).toHaveText('Running, started now.');
  await expect(page.locator('#announce')).toHaveText('Running, started now.');
  await expect(page.locator('#details')).toHaveAttribute('open');
  await site.do('run', { id, run: { state: 'ended', exitStatus: null, signal: 'SIGINT', durationMs: 64_000 } });
  await expect(outcome).toHaveText('Ended by SIGINT after 1 min 4 s.');
});

test('a page that watched a command for too long says that it has stopped, and looks again when somebody comes back', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  await signIn();
  const { id, code } = await site.do('ask', {
    user: username,
    host: 'lab1.example.com',
    record: { gate: 'plugin', argv: ['-bash'], mode: 'login-shell', resolved: sampleResolved('/bin/bash') },
  });
  await call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'granted' });
  await site.do('run', { id, run: { state: 'started' } });
  await page.clock.install();
  await page.goto(`/approve/${code}`);
  await expect(page.locator('#outcome')).toHaveText('Running, started now.');
  await expect(page.locator('#stopped')).toBeHidden();
  await page.clock.fastForward('31:00');
  await expect(page.locator('#stopped')).toBeVisible();
  await site.do('run', { id, run: { state: 'ended', exitStatus: 1, signal: null, durationMs: 1_860_000 } });
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await expect(page.locator('#outcome')).toHaveText('Ended with status 1 after 31 min.');
});

test('what the host made of an approval is told, also when it refused', async ({ site, open }) => {
  const { page, username, signIn, call } = await open();
  await signIn();
  const { id, code } = await site.do('ask', { user: username, host: 'lab1.example.com' });
  await page.goto(`/approve/${code}`);
  await call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'refused', detail: 'target_changed' });
  await expect(page.locator('#outcome')).toHaveText(
    'The host refused: the command, its folder or its program changed after it was approved.',
  );
});

test('deny, with a reason that the host is told', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  await signIn();
  const { id, code } = await site.do('ask', { user: username });
  await page.goto(`/approve/${code}`);
  await deny(page).click();
  await page.getByLabel('Reason (optional)').fill('not on a Friday');
  await page.getByRole('button', { name: 'Deny request' }).click();
  await expect(title(page)).toHaveText('Denied by you');
  await expect(page.getByText('not on a Friday', { exact: true })).toBeVisible();
  expect(await site.do('look', { id })).toMatchObject({ status: 'denied', reason: 'not on a Friday' });
});

test('a policy that asks for a session only takes a click, one that asks for a passkey does not', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  await signIn();
  const lab = await site.do('ask', { user: username, host: 'lab1.example.com' });
  await page.goto(`/approve/${lab.code}`);
  await approve(page).click();
  await expect(title(page)).toHaveText('Approved by you');
  expect(await site.do('look', { id: lab.id })).toMatchObject({ status: 'approved', class: 'session' });

  const web = await site.do('ask', { user: username });
  const answer = await call('challenges.approve', { challengeId: web.id });
  expect(answer).toMatchObject({ status: 403, reason: 'passkey_required' });
  expect(await site.do('look', { id: web.id })).toMatchObject({ status: 'pending' });
});

test.describe('the wrong person', () => {
  test('sees what they would see for a code that never was', async ({ site, open, allow }) => {
    allow(/404/);
    const { page, signIn, call } = await open();
    await signIn();
    const { id, code } = await site.do('ask', { user: 'alice' });
    await page.goto(`/approve/${code}`);
    const theirs = await page.locator('main').innerHTML();
    await page.goto('/approve/ZZZZZZ-999999');
    expect(await page.locator('main').innerHTML()).toBe(theirs);
    await expect(title(page)).toHaveText('There is nothing here');
    for (const name of ['challenges.approve', 'challenges.deny']) {
      expect(await call(name, { challengeId: id })).toMatchObject({ status: 404, reason: 'not_found' });
    }
    expect(await call('challenges.get', { code }, { method: 'GET' })).toMatchObject({ reason: 'not_found' });
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending', hasVerdict: false });
  });

  test('whose account asks may not approve where only administrators may', async ({ site, open }) => {
    const { page, username, signIn, addPasskey, call } = await open();
    await signIn();
    await addPasskey();
    const { id, code } = await site.do('ask', { user: username, host: 'db1.example.com' });
    await page.goto(`/approve/${code}`);
    await expect(page.getByText('Only an administrator may approve it.')).toBeVisible();
    await expect(approve(page)).toHaveCount(0);
    await expect(deny(page)).toBeEnabled();
    expect(await call('challenges.approve', { challengeId: id })).toMatchObject({ reason: 'not_an_approver' });
  });
});

test.describe('too late', () => {
  test('a request whose time is over cannot be approved', async ({ site, open }) => {
    const { page, username, signIn, addPasskey } = await open();
    await signIn();
    await addPasskey();
    const { id, code } = await site.do('ask', { user: username });
    await page.goto(`/approve/${code}`);
    await expect(approve(page)).toBeEnabled();
    await site.do('expire', { id });
    await page.reload();
    await expect(title(page)).toHaveText('Nobody answered in time');
    await expect(approve(page)).toHaveCount(0);
    expect((await site.do('look', { id })).status).not.toBe('approved');
  });

  test('a page that is open learns of an answer given elsewhere, without being touched', async ({ site, open }) => {
    const person = await open();
    await person.signIn();
    const admin = await open({ admin: true });
    await admin.signIn();
    const { id, code } = await site.do('ask', { user: person.username });
    await person.page.goto(`/approve/${code}`);
    await expect(deny(person.page)).toBeEnabled();
    await admin.call('challenges.deny', { challengeId: id, reason: 'spoken to' });
    await expect(title(person.page)).toHaveText(`Denied by ${admin.username}`);
    await expect(person.page.locator('#announce')).toHaveText('web1.example.com does not run the command.');
  });

  test('a command that was cancelled on the host is withdrawn here', async ({ site, open }) => {
    const { page, username, signIn } = await open();
    await signIn();
    const { id, code } = await site.do('ask', { user: username });
    await page.goto(`/approve/${code}`);
    await expect(deny(page)).toBeEnabled();
    await site.do('cancel', { id });
    await expect(title(page)).toHaveText('The request was withdrawn');
  });

  test('of two who click at once one decides and the other is told', async ({ site, open, allow }) => {
    allow(/status of 409/);
    const person = await open();
    await person.signIn();
    const { id, code } = await site.do('ask', { user: person.username });
    await person.page.route('**/api/events', (route) => route.abort());
    allow(/ERR_FAILED/);
    await person.page.goto(`/approve/${code}`);
    await expect(deny(person.page)).toBeEnabled();
    await person.call('challenges.deny', { challengeId: id, reason: 'first' });
    await deny(person.page).click();
    await person.page.getByRole('button', { name: 'Deny request' }).click();
    await expect(title(person.page)).toHaveText('Denied by you');
    await expect(person.page.getByText('first', { exact: true })).toBeVisible();
  });
});

test.describe('an assertion', () => {
  test('cannot be used twice, nor for another request', async ({ site, open }) => {
    const { page, username, signIn, addPasskey, call } = await open();
    await signIn();
    await addPasskey();
    const first = await site.do('ask', { user: username });
    await page.goto(`/approve/${first.code}`);
    const sent = page.waitForRequest('**/trpc/challenges.approve');
    await approve(page).click();
    const { assertion } = (await sent).postDataJSON() as { assertion: unknown };
    await expect(title(page)).toHaveText('Approved by you');

    const again = await call('challenges.approve', { challengeId: first.id, assertion });
    expect(again.status).toBeGreaterThanOrEqual(400);
    // The same command of the same person on the same host: still another request.
    const second = await site.do('ask', { user: username });
    const replayed = await call('challenges.approve', { challengeId: second.id, assertion });
    expect(replayed).toMatchObject({ status: 403, reason: 'passkey_rejected' });
    expect(await site.do('look', { id: second.id })).toMatchObject({
      status: 'pending',
      hasVerdict: false,
      events: ['challenge_created', 'decision_refused'],
    });
  });

  test('of somebody else counts for nothing, even when both may approve', async ({ site, open }) => {
    const person = await open();
    await person.signIn();
    await person.addPasskey();
    const admin = await open({ admin: true });
    await admin.signIn();
    await admin.addPasskey();
    const { id, code } = await site.do('ask', { user: person.username });
    await admin.page.route('**/trpc/challenges.approve', (route) => route.abort());
    const sent = admin.page.waitForRequest('**/trpc/challenges.approve');
    await admin.page.goto(`/approve/${code}`);
    await approve(admin.page).click();
    const { assertion } = (await sent).postDataJSON() as { assertion: unknown };
    const answer = await person.call('challenges.approve', { challengeId: id, assertion });
    expect(answer).toMatchObject({ status: 403, reason: 'passkey_rejected' });
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending', hasVerdict: false });
    test.info().annotations.push({ type: 'allowed', description: 'ERR_FAILED' });
  });

  test('that was changed on the way is refused', async ({ site, open, allow }) => {
    allow(/status of 403/);
    const { page, username, signIn, addPasskey } = await open();
    await signIn();
    await addPasskey();
    const { id, code } = await site.do('ask', { user: username });
    await page.route('**/trpc/challenges.approve', async (route) => {
      const body = route.request().postDataJSON() as { assertion: { response: { signature: string } } };
      const bytes = Buffer.from(body.assertion.response.signature, 'base64url');
      bytes[bytes.length - 1]! ^= 1;
      body.assertion.response.signature = bytes.toString('base64url');
      await route.continue({ postData: JSON.stringify(body) });
    });
    await page.goto(`/approve/${code}`);
    await approve(page).click();
    await expect(page.getByRole('alert')).toHaveText('The passkey could not be verified.');
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending', hasVerdict: false });
  });

  test('that the person broke off changes nothing, and they can try again', async ({ site, open }) => {
    const { page, cdp, authenticatorId, username, signIn, addPasskey } = await open();
    await signIn();
    await addPasskey();
    const { id, code } = await site.do('ask', { user: username });
    await page.goto(`/approve/${code}`);
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    await approve(page).click();
    await expect(page.getByRole('alert')).toContainText('Nothing was approved.');
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending' });
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
    await approve(page).click();
    await expect(title(page)).toHaveText('Approved by you');
  });
});

test.describe('another site', () => {
  const ATTACKERS = ['http://evil.test/', 'http://localhost:1/'];

  for (const attacker of ATTACKERS) {
    test(`${attacker} cannot decide in the person's name`, async ({ site, open }) => {
      const { page, username, signIn } = await open();
      await signIn();
      const { id } = await site.do('ask', { user: username, host: 'lab1.example.com' });
      await page.route(`${attacker}**`, (route) =>
        route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Win a prize</title>' }),
      );
      await page.goto(attacker);
      const outcome = await page.evaluate(
        async ([url, challengeId]) => {
          const tries = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'].flatMap((type) =>
            ['challenges.approve', 'challenges.deny'].map((name) =>
              fetch(`${url}/trpc/${name}`, {
                method: 'POST',
                mode: type === 'application/json' ? 'cors' : 'no-cors',
                credentials: 'include',
                headers: { 'content-type': type },
                body: JSON.stringify({ challengeId }),
              }).then(
                (answer) => answer.status,
                () => -1,
              ),
            ),
          );
          return Promise.all(tries);
        },
        [site.url, id] as const,
      );
      // Nothing was readable, and nothing happened.
      expect(outcome.every((status) => status <= 0)).toBe(true);
      expect(await site.do('look', { id })).toMatchObject({ status: 'pending', hasVerdict: false });
    });
  }

  test('cannot show the page in a frame', async ({ site, open, allow }) => {
    allow(/frame-ancestors|X-Frame-Options|ERR_BLOCKED_BY_RESPONSE/i);
    const { page, username, signIn } = await open();
    await signIn();
    const { code } = await site.do('ask', { user: username });
    await page.route('http://evil.test/**', (route) =>
      route.fulfill({ contentType: 'text/html', body: `<iframe src="${site.url}/approve/${code}"></iframe>` }),
    );
    await page.goto('http://evil.test/');
    const framed = () => page.frames().find((frame) => frame !== page.mainFrame());
    // The browser's own page about what it refused to show.
    await expect.poll(() => framed()?.url()).toMatch(/^chrome-error:/);
    expect(await framed()?.locator('#request').count()).toBe(0);
  });

  test('our own pages need their token', async ({ site, open }) => {
    const { username, signIn, call } = await open();
    await signIn();
    const { id } = await site.do('ask', { user: username, host: 'lab1.example.com' });
    for (const csrf of [null, 'wrong', 'A'.repeat(43)]) {
      const answer = await call('challenges.approve', { challengeId: id }, { csrf });
      expect(answer).toMatchObject({ status: 403, reason: 'csrf' });
    }
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending' });
  });
});

test('script that gets into the page does not run', async ({ site, open, allow }) => {
  allow(/Content Security Policy/);
  const { page, username, signIn } = await open();
  await signIn();
  const { code } = await site.do('ask', { user: username, record: { reason: '<script>window.hacked = 1</script>' } });
  await page.goto(`/approve/${code}`);
  allow(/nothing/);
  const refused = await page.evaluate(async () => {
    const directives: string[] = [];
    document.addEventListener('securitypolicyviolation', (event) => directives.push(event.effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'window.hacked = 2';
    document.body.append(script);
    const div = document.createElement('div');
    div.innerHTML = '<img src="/nothing" onerror="window.hacked = 3">';
    const failed = new Promise((resolve) => div.firstElementChild?.addEventListener('error', resolve));
    document.body.append(div);
    await failed;
    while (directives.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    return directives.sort();
  });
  expect(refused).toEqual(['script-src-attr', 'script-src-elem']);
  expect(await page.evaluate(() => (window as { hacked?: number }).hacked)).toBeUndefined();
});

test.describe('what cannot be seen', () => {
  test('control, direction and invalid characters are marked and explained', async ({ site, open }) => {
    const { page, username, signIn } = await open();
    await signIn();
    const { code } = await site.do('ask', {
      user: username,
      record: { argv: ['sudo', 'cat', 'a\\u{202e}txt.exe', '\\u{1b}[2J', '\\xff', 'b\\\\x', '/usr/bin/\u0430pt'] },
    });
    await page.goto(`/approve/${code}`);
    const command = page.locator('#command-text code');
    await expect(command).toHaveText("sudo cat 'a\\u{202e}txt.exe' '\\u{1b}[2J' '\\xff' 'b\\x' '/usr/bin/\u0430pt'");
    await expect(command.locator('mark')).toHaveText(['\\u{202e}', '\\u{1b}', '\\xff', '\u0430']);
    const legend = page.locator('.legend').first();
    for (const words of [
      'direction in which text reads',
      'controls a terminal',
      'not valid text',
      'not a Latin letter',
    ]) {
      await expect(legend).toContainText(words);
    }
    expect(await page.locator('body').innerText()).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u001b]/);
  });

  test('the part of a command that is not shown needs a second yes', async ({ site, open }) => {
    const { page, username, signIn, addPasskey, call } = await open();
    await signIn();
    await addPasskey();
    const { id, code } = await site.do('ask', {
      user: username,
      record: { argv: ['sudo', 'tar', 'x'.repeat(4000)], argvTruncated: true },
    });
    await page.goto(`/approve/${code}`);
    await expect(page.getByText('The command goes on.')).toBeVisible();
    // Denying is possible once the page has settled, approving still is not.
    await expect(deny(page)).toBeEnabled();
    await expect(approve(page)).toBeDisabled();

    const sent = page.waitForRequest('**/trpc/challenges.approve');
    await page.route('**/trpc/challenges.approve', (route) => route.abort(), { times: 1 });
    await page.getByLabel('I approve the part that is not shown as well.').check();
    await approve(page).click();
    const { assertion } = (await sent).postDataJSON() as { assertion: unknown };
    test.info().annotations.push({ type: 'allowed', description: 'ERR_FAILED' });
    // The server does not take the page's word for it.
    const answer = await call('challenges.approve', { challengeId: id, assertion });
    expect(answer).toMatchObject({ status: 409, reason: 'confirm_truncated' });

    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(title(page)).toHaveText('Approved by you');
  });
});

test.describe('for everybody', () => {
  test('by keyboard alone: approve', async ({ site, open }) => {
    const { page, username, signIn, addPasskey } = await open();
    await signIn();
    await addPasskey();
    const runAs = { user: 'root', group: null, assurance: 'resolved' } as const;
    const argv = ['systemctl', 'restart', 'nginx'];
    const resolved = sampleResolved('/usr/bin/systemctl');
    const { id, code } = await site.do('ask', { user: username, record: { gate: 'plugin', argv, runAs, resolved } });
    await page.goto(`/approve/${code}`);
    await expect(approve(page)).toBeEnabled();
    for (let i = 0; i < 12 && !(await approve(page).evaluate((b) => b === document.activeElement)); i++) {
      await page.keyboard.press('Tab');
    }
    await expect(approve(page)).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(title(page)).toHaveText('Approved by you');
    // What the screen reader stands on next is the result, and stays when the page shows what became of the command.
    await expect(title(page)).toBeFocused();
    await site.do('outcome', { id, outcome: 'granted' });
    await site.do('run', { id, run: { state: 'started' } });
    await expect(page.locator('#outcome')).toContainText('Running');
    await expect(title(page)).toBeFocused();
  });

  test('by keyboard alone: change one’s mind about denying, then deny', async ({ site, open }) => {
    const { page, username, signIn } = await open();
    await signIn();
    const { id, code } = await site.do('ask', { user: username });
    await page.goto(`/approve/${code}`);
    await expect(deny(page)).toBeEnabled();
    await deny(page).focus();
    await page.keyboard.press('Enter');
    await expect(page.getByLabel('Reason (optional)')).toBeFocused();
    await page.keyboard.press('Escape');
    await expect(deny(page)).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(page.getByLabel('Reason (optional)')).toBeFocused();
    await page.keyboard.type('no');
    await page.keyboard.press('Enter');
    await expect(title(page)).toHaveText('Denied by you');
    expect(await site.do('look', { id })).toMatchObject({ status: 'denied', reason: 'no' });
  });

  test('at 320 pixels, which is 400 % zoom, nothing is cut off', async ({ site, open }) => {
    const { page, username, signIn, addPasskey } = await open({ viewport: { width: 320, height: 256 } });
    await signIn();
    await addPasskey();
    const { code } = await site.do('ask', {
      user: username,
      record: { argv: ['sudo', '/usr/local/sbin/a-very-long-program-name-without-any-break-in-it', 'x'.repeat(200)] },
    });
    await page.goto(`/approve/${code}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    // In a window this low the buttons do not cover what they are about.
    expect(await page.locator('.actions').evaluate((bar) => getComputedStyle(bar).position)).toBe('static');
    await approve(page).click();
    await expect(title(page)).toHaveText('Approved by you');
  });

  test('in the language of the browser', async ({ site, open }) => {
    const { page, username, signIn } = await open({ locale: 'de-DE' });
    await signIn();
    const { code } = await site.do('ask', { user: username });
    await page.goto(`/approve/${code}`);
    await expect(page.locator('html')).toHaveAttribute('lang', 'de');
    await expect(title(page)).toContainText('will auf web1.example.com einen Befehl als root ausführen');
    await expect(page.getByRole('button', { name: 'Ablehnen' })).toBeVisible();
  });

  test('the code as people type it', async ({ site, open }) => {
    const { page, username, signIn } = await open();
    await signIn();
    const { code } = await site.do('ask', { user: username });
    await page.goto('/approve');
    await page.getByLabel('Code').fill(code.toLowerCase().replace('-', ' '));
    await page.getByLabel('Code').press('Enter');
    await expect(page).toHaveURL(`/approve/${code}`);
    await page.goto('/approve?code=what');
    await expect(page.getByRole('alert')).toContainText('This is not a code.');
    await expect(page.getByLabel('Code')).toHaveAttribute('aria-invalid', 'true');
    test.info().annotations.push({ type: 'allowed', description: 'status of 400' });
  });

  test('without a connection: the answer is kept back, not lost', async ({ site, open, allow }) => {
    allow(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK/);
    const { page, context, username, signIn } = await open();
    await signIn();
    const { id, code } = await site.do('ask', { user: username, host: 'lab1.example.com' });
    await page.goto(`/approve/${code}`);
    await expect(approve(page)).toBeEnabled();
    await context.setOffline(true);
    await approve(page).click();
    await expect(page.getByRole('alert')).toContainText('Your answer was not sent.');
    expect(await site.do('look', { id })).toMatchObject({ status: 'pending' });
    await context.setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(title(page)).toHaveText('Approved by you');
  });
});
