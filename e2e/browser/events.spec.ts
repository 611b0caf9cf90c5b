import { readFile } from 'node:fs/promises';
import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

test('events: what somebody did is found by the address, read as one sentence, and led back to its beginning', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  await signIn('/history');
  await page.getByText('Events', { exact: true }).click();
  await expect(page).toHaveURL('/history?view=events');
  await expect(page.getByRole('link', { name: `${username} signed in with a browser.` })).toBeVisible();

  const { id, code } = await site.do('ask', {
    user: username,
    host: 'lab1.example.com',
    record: { reason: 'ticket 4711' },
  });
  // The list is live.
  await expect(page.getByRole('link', { name: new RegExp(`^${username} asked for an approval`) })).toBeVisible();
  await call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'granted' });

  await page.getByRole('combobox', { name: 'Event' }).click();
  await page.getByRole('option', { name: 'challenge_outcome' }).click();
  await expect(page).toHaveURL('/history?view=events&type=challenge_outcome');
  const released = page.getByRole('link', { name: /^The host lab1\.example\.com released what/ });
  await expect(released).toHaveCount(1);
  await released.click();
  await expect(page).toHaveURL(/\/history\?view=events&type=challenge_outcome&event=[0-9]+$/);
  const together = page.getByRole('region', { name: 'What belongs together' });
  await expect(together.getByRole('listitem')).toHaveCount(3);
  await together.getByRole('link', { name: /asked for an approval .*“ticket 4711”/ }).click();
  await expect(together.locator('[aria-current]')).toContainText('asked for an approval');
  // The record holds what is for administrators.
  await expect(page.getByText('The record as signed')).toHaveCount(0);
  await page.getByRole('link', { name: code, exact: true }).click();
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText('Released to sudo');
  await page.goBack();
  await page.getByRole('link', { name: 'All events' }).click();
  await expect(page).toHaveURL('/history?view=events&type=challenge_outcome');
});

test('events: every one is reached page by page, and the file has what is shown', async ({ open }) => {
  const { page, signIn, call } = await open({ admin: true });
  await signIn('/history?view=events&outcome=success');
  await expect(page.getByRole('row').first()).toBeVisible();
  await page.getByRole('button', { name: 'Export' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'CSV, for spreadsheets' }).click();
  const file = await download;
  expect(file.suggestedFilename()).toMatch(/^identree-history-[0-9-]+\.csv$/);
  const [head, ...rows] = (await readFile(await file.path(), 'utf8')).trimEnd().split('\r\n');
  const outcome = head!.split(',').indexOf('outcome');
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row.split(',')[outcome]).toBe('success');

  const input = { outcome: 'success', limit: 200 };
  const { data } = await call('audit.events.list', input, { method: 'GET' });
  const { events } = data as { events: { seq: number; sentence: string; at: number }[] };
  expect(rows.length).toBeGreaterThanOrEqual(Math.min(events.length, 200) - 1);
  // On a phone as well, the list can be read from its other end.
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByRole('button', { name: 'Newest first; change to: Oldest first' }).click();
  await expect(page).toHaveURL('/history?view=events&outcome=success&sort=when');
  await expect(page.getByRole('button', { name: 'Oldest first; change to: Newest first' })).toBeVisible();
  await expect(page.locator('.cards > li').first()).toContainText('The event log began.');
  await page.setViewportSize({ width: 1280, height: 800 });
  const oldest = events.at(-1)!;
  const minute = `${new Date(oldest.at).toISOString().slice(0, 16)}Z`;
  await page.goto(`/history?view=events&from=${minute}&to=${minute}&user=no-such-user`);
  await expect(page.getByText('Nothing matches.')).toBeVisible();
  await page.getByLabel('User', { exact: true }).fill('');
  await expect(page.getByRole('row').nth(1)).toBeVisible();
});

test('events: what was done with a break-glass password: which command, when by the clock of the host, from where', async ({
  site,
  open,
}) => {
  const { page, signIn } = await open({ admin: true });
  const record = { user: 'alice', argv: ['sudo', 'systemctl', 'restart', 'network'], cwd: '/srv', origin: '192.0.2.7' };
  await site.do('useBreakGlass', { hostname: 'db1.example.com', record });
  await signIn('/history?view=events&host=db1.example.com');
  await page.getByRole('link', { name: /^alice got in on the host db1.* something was never told\.$/ }).click();
  const told = page.getByRole('region', { name: 'What the host told' });
  await inspect(page, 'event-break-glass', () => told.getByText('sudo systemctl restart network').waitFor());
  await expect(told).toContainText(/by its clock; it told of it later/);
  await expect(told).toContainText(/Directory\s*\/srv/);
  await expect(told).toContainText(/Logged in from\s*192\.0\.2\.7/);
  const [done, reported] = await page
    .locator('main time')
    .evaluateAll((all) => [
      all.find((time) => time.closest('section'))!.getAttribute('datetime')!,
      all.find((time) => !time.closest('section'))!.getAttribute('datetime')!,
    ]);
  expect(Date.parse(reported!) - Date.parse(done!)).toBeGreaterThan(1_700_000);
});

test('events: on a phone the filters are behind a button that says how many are set', async ({ open }) => {
  const { page, username, signIn } = await open({ viewport: { width: 360, height: 740 } });
  await signIn(`/history?view=events&user=${username}`);
  const first = page.getByRole('link', { name: `${username} signed in with a browser.` });
  await expect(first).toBeInViewport();
  const user = page.getByLabel('User', { exact: true });
  await expect(user).toBeHidden();
  const button = page.getByRole('button', { name: 'Filters, 1 set' });
  await expect(button).toHaveAttribute('aria-expanded', 'false');
  await button.click();
  await expect(user).toHaveValue(username);
  await page.getByRole('combobox', { name: 'Outcome' }).click();
  await page.getByRole('option', { name: 'Succeeded' }).click();
  await expect(page).toHaveURL(/outcome=success/);
  const more = page.getByRole('button', { name: 'Filters, 2 set' });
  await more.click();
  await expect(user).toBeHidden();
  await expect(first).toBeVisible();
  // Where there is room they all stand there, and there is no button.
  await page.setViewportSize({ width: 1280, height: 800 });
  await expect(user).toBeVisible();
  await expect(more).toBeHidden();
});

test('events: on a phone, that the record is intact is said in full', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn('/history?view=events&event=1');
  await page.setViewportSize({ width: 360, height: 740 });
  const said = page.getByText('The hash is that of the record');
  await expect(said).toBeVisible();
  // A card cuts off what is wider than itself.
  const room = await said.evaluate((label) => {
    const card = label.closest('.mantine-Card-root')!;
    return card.getBoundingClientRect().right - label.getBoundingClientRect().left - label.scrollWidth;
  });
  expect(room).toBeGreaterThan(0);
});

test('sinks: one that is no longer configured says how far it was sent', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  const fared = { behindMs: 0, lastSuccessAt: 1, lastErrorAt: null, lastError: null, deadLetters: 0 };
  const data = [{ name: 'syslog_2', state: 'removed', seq: 54, behind: 3, ...fared }];
  await page.route(/\/trpc\/audit\.sinks\.list/, (route) => route.fulfill({ json: { result: { data } } }));
  await signIn('/audit-sinks');
  const sink = page.getByRole('listitem').filter({ hasText: 'Syslog 2' });
  await expect(sink).toContainText('Not configured');
  await expect(sink).toContainText(/Sent up to\s*event number 54\s*Since then\s*3 events/);
});

test('sinks: what was refused is sent again', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn('/audit-sinks');
  await expect(page.getByRole('listitem').filter({ hasText: 'JSON lines' })).toContainText('Delivering');
  await expect(page.getByText('No receiver has refused an event.')).toBeVisible();
  await site.do('refuse', { seq: 1, reason: 'too large' });
  await page.reload();
  const row = page.getByRole('row').filter({ hasText: 'server_initialized' });
  await expect(row).toContainText('too large');
  const sink = page.getByRole('listitem').filter({ hasText: 'JSON lines' });
  await expect(sink).toContainText('It goes on without the events that its receiver refused for good.');
  await page.getByRole('button', { name: 'Try again: number 1 at JSON lines' }).click();
  // The event that says so is the next one that is delivered, and takes this one along.
  await expect(page.getByText('1 event will be tried again.')).toBeVisible();
  await expect(page.getByText('No receiver has refused an event.')).toBeVisible();
});
