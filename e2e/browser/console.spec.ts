import type { Page } from '@playwright/test';
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { sampleResolved } from '#shared/testing/request-record.ts';
import type { DesktopBridge } from '../../apps/console/src/bridge.ts';
import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

interface Notified {
  title: string;
  tag: string;
}

/** Stands in for the notifications of the desktop, which a browser without a window has not. */
async function noteNotifications(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen: Notified[] = [];
    class FakeNotification {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      onclick: unknown;
      constructor(title: string, options: { tag: string }) {
        seen.push({ title, tag: options.tag });
      }
      close() {}
    }
    Object.assign(window, { Notification: FakeNotification, seen });
  });
}

const notifications = (page: Page): Promise<Notified[]> =>
  page.evaluate(() => (window as unknown as { seen: Notified[] }).seen);

test.describe('inbox', () => {
  test('is live: somebody waits, is denied with a reason, is gone', async ({ site, open }) => {
    const { page, username, signIn } = await open();
    await noteNotifications(page);
    await signIn('/');
    await expect(page.getByText('Nobody is waiting')).toBeVisible();
    await expect(page).toHaveTitle('Inbox · identree');
    const { id } = await site.do('ask', { user: username, record: { argv: ['sudo', 'reboot'] } });
    const card = page.getByRole('article');
    await expect(card).toContainText('sudo reboot');
    await expect(page).toHaveTitle('(1) Inbox · identree');
    await expect
      .poll(() => notifications(page))
      .toEqual([{ title: `${username} on web1.example.com waits for an answer`, tag: expect.any(String) }]);
    await page.getByRole('button', { name: `Deny the request of ${username} on web1.example.com` }).click();
    await page.getByLabel('Reason (optional)').fill('later');
    await page.getByRole('button', { name: 'Deny request' }).click();
    await expect(page.getByText('Nobody is waiting')).toBeVisible();
    await expect(page).toHaveTitle('Inbox · identree');
    expect(await site.do('look', { id })).toMatchObject({ status: 'denied', reason: 'later' });
  });

  test('what looks like a repeat is two requests and one notification', async ({ site, open }) => {
    const { page, username, signIn, call } = await open();
    await noteNotifications(page);
    await signIn('/');
    await expect(page.getByText('Nobody is waiting')).toBeVisible();
    const first = await site.do('ask', { user: username });
    const second = await site.do('ask', { user: username });
    await expect(page.getByRole('article')).toHaveCount(2);
    await expect.poll(async () => (await notifications(page)).length).toBe(2);
    // A browser shows one notification for each tag.
    expect(new Set((await notifications(page)).map(({ tag }) => tag))).toEqual(new Set([first.code]));
    await call('challenges.deny', { challengeId: first.id });
    await expect(page.getByRole('article')).toHaveCount(1);
    expect(await site.do('look', { id: second.id })).toMatchObject({ status: 'pending' });
  });

  test('fifty requests that come together are a few questions, and those that go are hardly any', async ({
    site,
    open,
  }) => {
    const { page, signIn } = await open({ admin: true });
    const asked: string[] = [];
    await signIn('/');
    const cards = page.getByRole('article').filter({ hasText: 'burst' });
    await expect(page.getByRole('heading', { level: 1, name: 'Inbox' })).toBeVisible();
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.startsWith('/trpc/challenges.')) asked.push(pathname);
    });
    const startedAt = performance.now();
    const ids: string[] = [];
    // One after the other: requests of one host that overtake each other look like a copy of it.
    for (let index = 0; index < 50; index += 1) ids.push((await site.do('ask', { user: `burst${index % 5}` })).id);
    await expect(cards).toHaveCount(50);
    // One a second, beside the first and the one that is under way.
    const most = (since: number): number => 2 + Math.ceil((performance.now() - since) / 1000);
    expect(asked.length, asked.join(' ')).toBeLessThanOrEqual(most(startedAt));

    asked.length = 0;
    const cancelledAt = performance.now();
    for (const id of ids) await site.do('cancel', { id });
    await expect(cards).toHaveCount(0);
    expect(asked.length, asked.join(' ')).toBeLessThanOrEqual(most(cancelledAt));
  });

  test('leads to the approval page and back', async ({ site, open }) => {
    const { page, username, signIn, addPasskey } = await open();
    await signIn('/');
    await addPasskey();
    const { code } = await site.do('ask', { user: username });
    await page.getByRole('link', { name: `Review the request of ${username} on web1.example.com` }).click();
    await expect(page).toHaveURL(`/approve/${code}`);
    await page.getByRole('button', { name: 'Approve', exact: true }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Approved by you');
    await page.getByRole('link', { name: 'Open the inbox' }).click();
    await expect(page.getByText('Nobody is waiting')).toBeVisible();
  });

  test('says when the connection is gone, and catches up', async ({ site, open, allow }) => {
    allow(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK/);
    const { page, context, username, signIn } = await open();
    await signIn('/');
    await expect(page.getByText('Nobody is waiting')).toBeVisible();
    await context.setOffline(true);
    // What is connected stays so, and whatever it still brings says that all is well.
    await expect(async () => {
      await page.evaluate(() => dispatchEvent(new Event('offline')));
      await expect(page.getByText('No live connection.')).toBeVisible({ timeout: 3000 });
    }).toPass();
    await site.do('ask', { user: username });
    await context.setOffline(false);
    await expect(page.getByText('sudo systemctl restart nginx')).toBeVisible();
    await expect(page.getByText('No live connection.')).toHaveCount(0);
  });
});

test('history: search, filter, details, and a link to them', async ({ site, open }) => {
  const { page, username, signIn, call } = await open();
  await signIn('/history');
  await expect(page.getByText('No requests yet.')).toBeVisible();
  const denied = await site.do('ask', { user: username, record: { argv: ['sudo', 'rm', '-rf', '/srv'] } });
  await call('challenges.deny', { challengeId: denied.id, reason: 'no' });
  const ran = await site.do('ask', {
    user: username,
    host: 'lab1.example.com',
    record: { argv: ['sudo', 'apt', 'install', 'my_tool'] },
  });
  await call('challenges.approve', { challengeId: ran.id });
  await site.do('outcome', { id: ran.id, outcome: 'granted' });
  await expect(page.getByRole('row')).toHaveCount(3);

  for (const part of ['apt', 'y_t']) {
    await page.getByLabel('Search').fill(part);
    await expect(page.getByRole('row')).toHaveCount(2);
  }
  await page.getByLabel('Search').fill('y%t');
  await expect(page.getByText('Nothing matches.')).toBeVisible();
  await page.getByLabel('Search').fill('');
  await page.getByRole('combobox', { name: 'Result' }).click();
  await page.getByRole('option', { name: 'Denied' }).click();
  await expect(page.getByRole('row')).toHaveCount(2);
  await page.getByRole('button', { name: 'Details of sudo rm -rf /srv' }).click();
  const drawer = page.getByRole('dialog', { name: 'Request' });
  await expect(drawer).toContainText('“no”');
  await expect(drawer).toContainText('Nothing was released');
  await expect(page).toHaveURL(`/history?status=denied&request=${denied.code}`);
  await page.keyboard.press('Escape');
  await expect(drawer).toHaveCount(0);

  await page.goto(`/history?request=${ran.code}`);
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText('Released to sudo');
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText('Signed-in session');
});

test('what becomes of a command is told in the open history and its details, without a reload', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  await signIn('/history');
  const { id, code } = await site.do('ask', {
    user: username,
    host: 'lab1.example.com',
    record: { gate: 'plugin', argv: ['-bash'], mode: 'login-shell', resolved: sampleResolved('/bin/bash') },
  });
  await call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'granted' });
  const row = page.getByRole('row').filter({ hasText: '/bin/bash (as -bash)' });
  await expect(row).toContainText('Released to sudo');
  await site.do('run', { id, run: { state: 'started' } });
  await expect(row).toContainText('Running');
  await row.click();
  await expect(page).toHaveURL(`/history?request=${code}`);
  const drawer = page.getByRole('dialog', { name: 'Request' });
  await expect(drawer).toContainText('Running');
  await drawer.getByText('2 variables').click();
  await expect(drawer.getByText('LANG')).toBeVisible();
  await site.do('run', { id, run: { state: 'ended', exitStatus: 130, signal: null, durationMs: 3_780_000 } });
  await expect(drawer).toContainText('Ended with status 130 after 1 h 3 min');
});

test.describe('hosts', () => {
  test('a token with exactly the commands to run', async ({ open, site }) => {
    const { page, signIn } = await open({ admin: true });
    await signIn('/hosts');
    await page.getByRole('button', { name: 'Enrol a host' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Host name').fill('not a name');
    await expect(dialog.getByText('Letters, digits, hyphens and dots only.')).toBeVisible();
    await expect(dialog.getByRole('button', { name: 'Create token' })).toBeDisabled();
    await dialog.getByLabel('Host name').fill('Web9.Example.com');
    await dialog.getByRole('button', { name: 'Create token' }).click();
    await expect(dialog).toContainText(`IDENTREE_SERVER_URL=${site.url}`);
    await expect(dialog).toContainText('sudo identree enroll --hostname web9.example.com');
    await expect(dialog).toContainText(/idt1\.[\w-]+\.[\w-]+\.[\w-]+/);
    // A token on a command line would be in everybody's process list.
    expect(await dialog.innerText()).not.toMatch(/enroll.*idt1/);
  });

  test('a host that waits is confirmed by its key, and only by its key', async ({ open, site }) => {
    const { fingerprint } = await site.do('waitingHost', { hostname: 'edge1.example.com' });
    const { page, signIn } = await open({ admin: true });
    await signIn('/hosts');
    await page.getByRole('button', { name: 'Confirm edge1.example.com' }).click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Confirm host' });
    const field = dialog.getByLabel('Key of this host, as the host printed it');
    await expect(confirm).toBeDisabled();
    await field.fill('x'.repeat(43));
    await expect(dialog.getByText('This is another key.')).toBeVisible();
    await expect(confirm).toBeDisabled();
    await field.fill(fingerprint.match(/.{1,4}/g)!.join(' '));
    await expect(dialog.getByText('The keys are the same.')).toBeVisible();
    await confirm.click();
    await expect(page.getByRole('row', { name: /edge1/ })).toContainText('Enrolled');
  });

  test('the break-glass password is shown for a reason and a passkey, and to nobody else', async ({
    open,
    site,
    allow,
  }) => {
    // No passkey yet, and a sign-in that is too old.
    allow(/status of 403/);
    await site.do('keepPassword', { hostname: 'web1.example.com', password: 'otter-maple-violin-cactus' });
    const { page, username, signIn, addPasskey } = await open({ admin: true });
    await signIn('/hosts');
    const dialog = page.getByRole('dialog');
    const show = dialog.getByRole('button', { name: 'Show the password' });
    const begin = async () => {
      await page.getByRole('button', { name: 'More for web1.example.com' }).click();
      await page.getByRole('menuitem', { name: 'Break-glass password' }).click();
      await expect(dialog).toContainText('It is kept and can be shown.');
      await expect(show).toBeDisabled();
      await dialog.getByLabel('Why do you need it?').fill('the network is down');
    };
    await begin();
    await show.click();
    await dialog.getByRole('link', { name: 'Add your first passkey' }).click();
    await page.getByRole('heading', { level: 1, name: 'My passkeys' }).waitFor();
    await expect(dialog).toHaveCount(0);
    await page.goto('/hosts');
    await addPasskey();
    await begin();
    await expect(page.getByRole('menu')).toHaveCount(0);
    await inspect(page, 'break-glass', () => show.waitFor());
    await show.click();
    await inspect(page, 'break-glass-shown', () => dialog.getByText('otter-maple-violin-cactus').waitFor());
    await expect(dialog).toContainText('The host replaces it');
    await dialog.getByRole('button', { name: 'Done' }).click();
    await expect(page.getByText('otter-maple-violin-cactus')).toHaveCount(0);
    const events = await site.do('events', { last: 50 });
    expect(events.some(({ event }) => event === 'revealed_breakglass')).toBe(true);
    await page.getByRole('link', { name: 'web1.example.com' }).click();
    await page.getByRole('region', { name: 'Break-glass' }).getByRole('button').click();
    await site.do('ageSignIn', { username, ms: 400_000 });
    await dialog.getByLabel('Why do you need it?').fill('the network is down again');
    await show.click();
    // One comes back to the page of this host, not to the list of all.
    await expect(dialog.getByRole('link', { name: 'Sign in again' })).toHaveAttribute('href', /=%2Fhosts%3Fhost%3D/);
  });

  test('a break-glass password that is sealed is shown as parts for people', async ({ open, site }) => {
    const recipients = await Promise.all(
      [1, 2, 3].map(async () => identityToRecipient(await generateX25519Identity())),
    );
    const parts = recipients.map(async (recipient) => {
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      return { recipient, age: armor.encode(await encrypter.encrypt('a line of several')) };
    });
    const sealed = { format: 'identree-sealed-1' as const, threshold: 2, parts: await Promise.all(parts) };
    await site.do('keepPassword', { hostname: 'web1.example.com', sealed });
    const { page, signIn, addPasskey } = await open({ admin: true });
    await signIn('/hosts');
    await addPasskey();
    await page.getByRole('button', { name: 'More for web1.example.com' }).click();
    await page.getByRole('menuitem', { name: 'Break-glass password' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Why do you need it?').fill('the network is down');
    await dialog.getByRole('button', { name: 'Show the password' }).click();
    await inspect(page, 'break-glass-sealed', () => dialog.getByText('It takes 2 of these 3 people.').waitFor());
    for (const recipient of recipients) await expect(dialog).toContainText(recipient.slice(0, 12));
    await expect(dialog.getByRole('button', { name: /^Copy part for age1/ })).toHaveCount(3);
  });

  test('one has a page, with what its doctor found and what to type against it', async ({ open, site }) => {
    const fix = 'systemctl restart sssd; journalctl -u sssd -n 20';
    await site.do('found', {
      hostname: 'web1.example.com',
      lines: [
        { what: 'Certificate', value: 'until 2027-02-03, 201 days left', problem: null },
        { what: 'sssd', value: 'failed', problem: `sssd does not know alice. Run: ${fix}` },
      ],
    });
    await site.do('ask', { user: 'alice' });
    const { page, signIn } = await open({ admin: true });
    await signIn('/hosts');
    await expect(page.getByRole('row', { name: /web1/ })).toContainText('1 problem found by its doctor');
    await page.getByRole('link', { name: 'web1.example.com' }).click();
    await page.getByRole('heading', { level: 1, name: 'web1.example.com' }).waitFor();
    const doctor = page.getByRole('region', { name: 'Doctor' });
    await expect(doctor).toContainText('201 days left');
    await expect(doctor).toContainText('sssd does not know alice.');
    await expect(doctor.locator('code').last()).toHaveText(fix);
    await expect(doctor.getByRole('button', { name: 'Copy the command for sssd' })).toBeVisible();
    await expect(page.getByRole('region', { name: 'Certificate' })).toContainText('Good until');
    await expect(page.getByRole('region', { name: 'History' })).toContainText('alice');
    const journals = page.getByRole('region', { name: 'Journals' });
    await expect(journals).toContainText('has not signed any yet');
    await site.do('journal', { hostname: 'web1.example.com', entries: 7 });
    await site.do('journal', { hostname: 'web1.example.com', entries: 4 });
    await page.reload();
    await expect(journals).toContainText('It has 4 of the 7 entries that it had.');
    await inspect(page, 'host', () => doctor.getByText('201 days left').waitFor());
    await journals.getByRole('button', { name: 'Take it as it is' }).click();
    const changed = page.getByRole('dialog');
    await inspect(page, 'host-journals', () => changed.getByText('Find out first').waitFor());
    await changed.getByRole('button', { name: 'Take it as it is' }).click();
    await expect(journals).toContainText('4 entries');
    await expect(journals).not.toContainText('of the 7');
    await page.getByRole('region', { name: 'Break-glass' }).getByRole('button').click();
    await expect(page.getByRole('dialog')).toContainText('Break-glass password of web1.example.com');
    await page.keyboard.press('Escape');
    await page.reload();
    await page.getByRole('heading', { level: 1, name: 'web1.example.com' }).waitFor();
    await page.getByRole('link', { name: 'All hosts' }).click();
    await page.getByRole('heading', { level: 1, name: 'Hosts' }).waitFor();
    await site.do('found', {
      hostname: 'web1.example.com',
      lines: [{ what: 'sssd', value: 'running', problem: null }],
    });
  });

  test('quarantine is explained and ended, revoking needs the name', async ({ open, site }) => {
    await site.do('waitingHost', { hostname: 'edge2.example.com' });
    await site.do('setHost', { hostname: 'edge2.example.com', set: { state: 'quarantined' } });
    const { page, signIn } = await open({ admin: true });
    await signIn('/hosts');
    const row = page.getByRole('row', { name: /edge2/ });
    await row.getByRole('button', { name: 'Look at it: edge2.example.com' }).click();
    await expect(page.getByRole('dialog')).toContainText('Two machines used the identity');
    await page.getByRole('button', { name: 'The copy is gone, release' }).click();
    await expect(row).toContainText('Enrolled');
    await row.getByRole('button', { name: 'More for edge2.example.com' }).click();
    await page.getByRole('menuitem', { name: 'Revoke' }).click();
    const revoke = page.getByRole('dialog').getByRole('button', { name: 'Revoke host' });
    await expect(revoke).toBeDisabled();
    await page.getByLabel('Type edge2.example.com to go on').fill('edge2.example.com');
    await revoke.click();
    await expect(row).toContainText('Revoked');
  });

  test('are for administrators', async ({ open }) => {
    const { page, signIn, call } = await open();
    await signIn('/hosts');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
    await expect(page.getByRole('link', { name: 'Hosts' })).toHaveCount(0);
    await expect(page.getByRole('link', { name: 'People' })).toHaveCount(0);
    expect(await call('hosts.list', undefined, { method: 'GET' })).toMatchObject({ status: 403, reason: 'forbidden' });
    expect(await call('hosts.createToken', { hostname: 'x.example.com' })).toMatchObject({ reason: 'forbidden' });
    expect(await call('people.list', undefined, { method: 'GET' })).toMatchObject({ reason: 'forbidden' });
  });
});

test('people: a disputed account is decided with both sides in view', async ({ open, site }) => {
  const owner = await open();
  await owner.signIn();
  const claimant = await open();
  await claimant.signIn();
  await site.do('claim', { account: owner.username, by: claimant.username });
  const { page, signIn } = await open({ admin: true });
  await signIn('/people');
  const alert = page.getByRole('alert').filter({ hasText: `claims the account ${owner.username}` });
  await alert.getByRole('button', { name: 'Decide' }).click();
  await expect(page.getByRole('dialog')).toContainText(`sub-${owner.username}`);
  await expect(page.getByRole('dialog')).toContainText(`sub-${claimant.username}`);
  await page.getByRole('button', { name: 'Leave it' }).click();
  await expect(alert).toHaveCount(0);
});

test('people: the addresses that the identity provider has to know are there to be copied', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn('/people');
  const card = page.getByRole('region', { name: 'Identity provider' });
  await expect(card).toContainText(`${new URL(page.url()).origin}/callback`);
  await expect(card.getByRole('button', { name: 'Copy the redirect URI' })).toBeVisible();
});

test.describe('sessions', () => {
  test('one ends another, and that browser is signed out at once', async ({ open, allow }) => {
    const here = await open();
    await here.signIn('/sessions');
    const there = await open({ as: here.username, userAgent: 'Mozilla/5.0 (iPhone) Mobile Safari/605.1' });
    await there.signIn('/sessions');
    await here.page.reload();
    await expect(here.page.getByText('Safari on iOS')).toBeVisible();
    await here.page.getByRole('button', { name: 'End the session Safari on iOS' }).click();
    await expect(here.page.getByText('Safari on iOS')).toHaveCount(0);
    allow(/status of 401/);
    await expect(there.page.getByRole('heading', { level: 1 })).toHaveText('Sign in to identree');
  });

  test('signing out ends here, and says so', async ({ open }) => {
    const { page, signIn } = await open();
    await signIn('/');
    await page.getByRole('button', { name: /account menu/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await expect(page).toHaveURL('/signed-out');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('You are signed out');
    await page.goto('/');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in to identree');
  });
});

test.describe('for everybody', () => {
  test('light, dark or as the device, kept for the next visit', async ({ open }) => {
    const { page, signIn } = await open({ colorScheme: 'light' });
    await signIn('/');
    const shows = (scheme: string) => expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', scheme);
    await shows('light');
    await page.locator('label', { has: page.getByText('Dark', { exact: true }) }).click();
    await shows('dark');
    await page.reload();
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await shows('dark');
  });

  test('by keyboard: past the menu, through the menu', async ({ open }) => {
    const { page, signIn } = await open();
    await signIn('/');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
    await page.keyboard.press('Tab');
    await expect(page.getByRole('link', { name: 'Skip to the page' })).toBeFocused();
    await page.getByRole('link', { name: 'History' }).focus();
    await page.keyboard.press('Enter');
    await expect(page).toHaveURL('/history');
    await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
    await page.goBack();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
  });

  test('a page whose program does not come says so, and is loaded again', async ({ open, allow }) => {
    allow(/ERR_FAILED/);
    const { page, signIn } = await open();
    await signIn('/');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
    await page.route('**/static/history-*.js', (route) => route.abort());
    await page.getByRole('link', { name: 'History' }).click();
    await expect(page.getByRole('alert')).toContainText('This could not be loaded');
    await page.unroute('**/static/history-*.js');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('History');
  });

  test('on a phone the menu opens and closes', async ({ open }) => {
    const { page, signIn } = await open({ viewport: { width: 360, height: 740 } });
    await signIn('/');
    await expect(page.getByRole('link', { name: 'Sessions' })).not.toBeInViewport();
    await page.getByRole('button', { name: 'Open the menu' }).click();
    await page.getByRole('link', { name: 'Sessions' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sessions');
    await expect(page.getByRole('link', { name: 'History' })).not.toBeInViewport();
  });
});

test('in the desktop app: review opens the browser, links lead to the request', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  await signIn('/passkeys');
  await page.addInitScript(() => {
    const opened: string[] = [];
    Object.assign(window, {
      opened,
      identreeDesktop: {
        platform: 'linux',
        version: '0.0.0',
        profile: () => ({ origin: location.origin }),
        openApproval: (code: string) => void opened.push(code),
        signIn: async () => {},
        signOut: async () => void opened.push('signed out'),
        otherServers: async () => [],
        showServer: (origin: string) => void opened.push(origin),
        onDeepLink: (callback: Parameters<DesktopBridge['onDeepLink']>[0]) => {
          Object.assign(window, { follow: callback });
          return () => {};
        },
        onReach: () => () => {},
      } satisfies DesktopBridge,
    });
  });
  const { code } = await site.do('ask', { user: username });
  await page.goto('/');
  await page.getByRole('button', { name: `Review the request of ${username} on web1.example.com` }).click();
  await expect.poll(() => page.evaluate(() => (window as unknown as { opened: string[] }).opened)).toEqual([code]);
  await expect(page.getByRole('button', { name: 'Notify me' })).toHaveCount(0);
  await page.evaluate(
    (link) => (window as unknown as { follow(link: object): void }).follow({ kind: 'approve', code: link }),
    code,
  );
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText('sudo systemctl restart nginx');
});

test('script that gets into the console does not run, nor is it styled or framed from elsewhere', async ({
  open,
  allow,
}) => {
  allow(/Content Security Policy/);
  const { page, signIn } = await open();
  await signIn('/');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
  const outcome = await page.evaluate(async () => {
    const directives = new Set<string>();
    document.addEventListener('securitypolicyviolation', (event) => directives.add(event.effectiveDirective));
    const add = (tag: string, set: Record<string, string>) => {
      const element = Object.assign(document.createElement(tag), set);
      document.body.append(element);
      return element;
    };
    add('script', { textContent: 'window.hacked = 1' });
    add('script', { src: 'https://evil.test/x.js' });
    add('style', { textContent: 'body { --hacked: 1 }' });
    add('img', { src: 'https://evil.test/?leak' });
    add('iframe', { src: 'https://evil.test/' });
    const button = add('button', {});
    button.setAttribute('onclick', 'window.hacked = 2');
    button.click();
    while (directives.size < 5) await new Promise((resolve) => setTimeout(resolve, 10));
    return {
      directives: [...directives].sort(),
      hacked: (window as { hacked?: number }).hacked,
      style: getComputedStyle(document.body).getPropertyValue('--hacked'),
    };
  });
  expect(outcome).toEqual({
    directives: ['frame-src', 'img-src', 'script-src-attr', 'script-src-elem', 'style-src-elem'],
    hacked: undefined,
    style: '',
  });
});

test('an address that does not exist shows a page to people and JSON to programs', async ({ open, allow }) => {
  allow(/status of 404/);
  const { page } = await open();
  await page.goto('/no/such/page');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('There is nothing here');
  const answer = await page.request.get('/no/such/page', { headers: { accept: 'application/json' } });
  expect(await answer.json()).toEqual({ error: { code: 'not_found', message: 'There is nothing here.' } });
});
