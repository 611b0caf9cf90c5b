import { webhookReceiver } from './fixture/webhook-receiver.ts';
import { inspect } from './inspect.ts';
import { expect, type Person, test } from './world.ts';

// Channels may lead to loopback here, where the receivers of these tests are.
test.use({ town: 'told' });

/** Whatever a test left behind tells nobody of the next one. */
async function removeAll({ call }: Person): Promise<void> {
  const list = async (name: string) =>
    (await call(name, undefined, { method: 'GET' })).data as Record<string, unknown>[];
  for (const { id, revision } of await list('notify.routes.list')) await call('notify.routes.remove', { id, revision });
  for (const { name } of await list('notify.channels.list')) await call('notify.channels.remove', { name });
}

test('who never saw the product sets up a webhook and gets the next request on it', async ({ site, open }) => {
  const receiver = await webhookReceiver();
  const olga = await open({ admin: true });
  const { page } = olga;
  try {
    await olga.signIn('/');
    await removeAll(olga);
    await page.getByRole('link', { name: 'Notification channels' }).click();
    await inspect(page, 'channels-none', () => page.getByText('No channels yet').waitFor());
    await page.getByRole('button', { name: 'Set up the first channel' }).click();
    const dialog = page.getByRole('dialog');
    await inspect(page, 'channels-new', () => dialog.getByLabel('Name', { exact: true }).waitFor());
    // What is needed is said, and nothing is sent without it.
    await dialog.getByRole('button', { name: 'Set up channel' }).click();
    await expect(dialog.getByText('This is needed.')).toBeVisible();
    await dialog.getByLabel('Name', { exact: true }).fill('night-shift');
    await expect(dialog.getByText('IDENTREE_NOTIFY_CHANNEL_NIGHT_SHIFT_TOKEN')).toBeVisible();
    await dialog.getByLabel('Address').fill(receiver.url);
    await dialog.getByRole('button', { name: 'Set up channel' }).click();
    // A test follows by itself: what was typed works, or is said.
    await expect(page.getByText('The receiver took it.')).toBeVisible();
    await expect(page.getByText(/taken after [0-9,]+ ms/)).toBeVisible();
    const seen = page.getByLabel('Attempts');
    await expect(seen).toContainText(`POST ${new URL(receiver.url).origin}/…`);
    await expect(seen.getByText('200', { exact: true })).toBeVisible();
    // The receiver repeats its address, which is a secret.
    await expect(seen).toContainText('thanks for …');
    await inspect(page, 'channels-test', () => page.getByText('The receiver took it.').waitFor());
    await page.getByRole('button', { name: 'Done' }).click();
    expect(receiver.got.map(({ body }) => body.event)).toEqual(['test']);

    const { code } = await site.do('ask', { user: 'alice' });
    await expect.poll(() => receiver.got.length).toBe(2);
    const { body, headers } = receiver.got[1]!;
    expect(body).toMatchObject({ event: 'challenge_created', hostname: 'web1.example.com', username: 'alice' });
    expect(body.approval_url).toBe(`${site.url}/approve/${code}`);
    expect(headers['webhook-id']).toBeTruthy();
    const card = page.getByRole('listitem').filter({ hasText: 'night-shift' });
    await expect(card.getByText('Delivering')).toBeVisible();
    await expect(card.getByRole('link', { name: '1 route' })).toHaveAttribute('href', '/notify-routes');
    // The address is a secret: where it is, and nothing of its path.
    await expect(card).toContainText(`${new URL(receiver.url).origin}/…`);
    expect(await page.content()).not.toContain('hook-of-the-night-shift');
    const events = await site.do('events', { last: 60 });
    const changes = events.filter(({ event }) => event.startsWith('notification_')).map(({ event }) => event);
    expect(changes.slice(-2)).toEqual(['notification_channel_added', 'notification_route_added']);
  } finally {
    await receiver.close();
  }
});

test('a channel that fails says why; what was given up is tried again, and pause, change and removal say what they do', async ({
  site,
  open,
}) => {
  // Pictures of many pages.
  test.setTimeout(240_000);
  const receiver = await webhookReceiver();
  const olga = await open({ admin: true });
  const { page, call } = olga;
  try {
    await olga.signIn('/');
    await removeAll(olga);
    const settings = { url: receiver.url };
    await call('notify.channels.add', { name: 'ops', kind: 'webhook', settings, personal: false });
    const mail = { host: 'mail.example.com', from: 'id@example.com', to: ['on-call@example.com'] };
    await call('notify.channels.add', { name: 'mail', kind: 'email', settings: mail, personal: false, paused: true });
    const rule = { channels: ['ops', 'mail'], events: ['challenge_created'], hosts: ['web*'] };
    await call('notify.routes.add', { rule });
    receiver.answers(404);
    await site.do('ask', { user: 'bob' });
    await page.goto('/notify-channels');
    const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'ops' }) });
    await expect(card.getByText('the receiver answers 404')).toBeVisible();
    await expect(card.getByRole('link', { name: '1 route' })).toBeVisible();
    await inspect(page, 'channels', () => page.getByText('the receiver answers 404').first().waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });

    await card.getByRole('link', { name: '1 delivery' }).click();
    await expect(page).toHaveURL(/notify-deliveries\?channel=ops&status=dead/);
    await inspect(page, 'deliveries-dead', () => page.getByRole('button', { name: 'Details of' }).first().waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    receiver.answers(204);
    const before = receiver.got.length;
    await page.getByRole('button', { name: 'Details of challenge_created on ops' }).click();
    await inspect(page, 'delivery', () => page.getByText('refused after').waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole('dialog').getByRole('button', { name: 'Try again' }).click();
    await expect.poll(() => receiver.got.length).toBe(before + 1);
    // The same one: a receiver can fold what comes twice.
    expect(receiver.got.at(-1)!.headers['webhook-id']).toBe(receiver.got.at(-2)!.headers['webhook-id']);
    await expect(page.getByRole('dialog').getByText('Delivered')).toBeVisible();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.goto('/notify-deliveries');
    await inspect(page, 'deliveries', () => page.getByRole('button', { name: 'Details of' }).first().waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });

    // Settings that are masked stay as they are when others are changed.
    await page.goto('/notify-channels');
    await page.getByRole('button', { name: 'Edit ops' }).click();
    const dialog = page.getByRole('dialog');
    await expect(dialog.getByText('Address: kept as stored, and not shown.')).toBeVisible();
    await dialog.getByRole('combobox', { name: 'Language' }).click();
    await page.getByRole('option', { name: 'Deutsch' }).click();
    await inspect(page, 'channels-edit', () => dialog.getByText('kept as stored').waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    await dialog.getByRole('button', { name: 'Save channel' }).click();
    await expect(page.getByText('ops is saved.')).toBeVisible();
    await site.do('ask', { user: 'bob' });
    await expect.poll(() => receiver.got.length).toBe(before + 2);
    expect(receiver.got.at(-1)!.body.title).toBe('Freigabe nötig');

    await page.getByRole('button', { name: 'Pause ops' }).click();
    await expect(card.getByText('Paused', { exact: true })).toBeVisible();
    await expect(card.getByRole('button', { name: 'Test ops' })).toBeDisabled();
    await site.do('ask', { user: 'bob' });
    await expect(card.getByRole('link', { name: '1', exact: true })).toBeVisible();
    await page.getByRole('button', { name: 'Resume ops' }).click();
    await expect.poll(() => receiver.got.length).toBe(before + 3);

    await page.getByRole('button', { name: 'Remove mail' }).click();
    await expect(dialog.getByText('1 route names it beside others')).toBeVisible();
    await inspect(page, 'channels-remove', () => dialog.getByText('will be told to nobody').waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    await dialog.getByRole('button', { name: 'Remove channel' }).click();
    await expect(page.getByText('mail is removed.')).toBeVisible();

    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Import from the Go identree' }).click();
    const old = { channels: [{ name: 'old', backend: 'slack', url: 'https://hooks.example.com/x', timeout: 5 }] };
    await dialog.getByLabel('Or paste it here').fill(JSON.stringify(old));
    await dialog.getByRole('button', { name: 'Import', exact: true }).click();
    await inspect(page, 'channels-import', () => dialog.getByText('Taken over: 1 channel').waitFor());
  } finally {
    await receiver.close();
  }
});

test('a route is made, and the page says who is told of an event by it, and who is not and why', async ({
  site,
  open,
}) => {
  // Pictures of many pages.
  test.setTimeout(240_000);
  const receiver = await webhookReceiver();
  const olga = await open({ admin: true });
  const { page, call } = olga;
  try {
    await olga.signIn('/');
    await removeAll(olga);
    await page.goto('/notify-routes');
    await inspect(page, 'routes-none', () => page.getByText('No routes yet').waitFor());
    for (const name of ['ops', 'databases'])
      await call('notify.channels.add', { name, kind: 'webhook', settings: { url: receiver.url }, personal: false });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.reload();
    await page.getByRole('button', { name: 'New route' }).click();
    const dialog = page.getByRole('dialog');
    await expect(dialog.getByText('Each list below that is empty means all.')).toBeVisible();
    await dialog.getByRole('combobox', { name: 'Channels' }).click();
    await page.getByRole('option', { name: 'ops' }).click();
    await dialog.getByLabel('Hosts', { exact: true }).fill('web*');
    await expect(dialog.getByText('Sends every event with hosts web* to ops.')).toBeVisible();
    await page.keyboard.press('Tab');
    await inspect(page, 'routes-edit', () => dialog.getByText('Sends every event with hosts web* to ops.').waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    await dialog.getByRole('button', { name: 'Make route' }).click();
    await expect(page.getByText('The route is saved.')).toBeVisible();
    await call('notify.routes.add', { rule: { channels: ['databases'], hosts: ['db*'] } });
    await site.do('ask', { user: 'alice' });
    await expect.poll(() => receiver.got.length).toBe(1);

    await page.reload();
    await page.getByRole('combobox', { name: 'Event' }).click();
    await page
      .getByRole('option', { name: /challenge_created/ })
      .first()
      .click();
    await expect(page.getByRole('region', { name: 'Told', exact: true })).toContainText('ops, by route 1');
    const untold = page.getByRole('region', { name: 'Not told' });
    await expect(untold).toContainText('databases: no route that fits leads there');
    await expect(untold).toContainText('Route 2: not for this host');
    await expect(page.getByRole('region', { name: 'What was delivered' })).toContainText('Delivered');
    await expect(page).toHaveURL(/event=[0-9]+/);
    await inspect(page, 'routes', () => untold.waitFor());
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole('button', { name: 'Remove route 2' }).click();
    await expect(dialog.getByText('It sends every event with hosts db* to databases.')).toBeVisible();
    await dialog.getByRole('button', { name: 'Remove route' }).click();
    await expect(page.getByText('The route is removed.')).toBeVisible();
    await expect(page.getByRole('heading', { name: 'Route 2' })).toHaveCount(0);

    // A route whose channels are gone or switched off says that it reaches nobody.
    const route = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Route 1' }) });
    await expect(route).toContainText('web*');
    await expect(route.getByText('Reaches nobody')).toHaveCount(0);
    await call('notify.channels.change', { name: 'ops', revision: 1, enabled: false });
    await page.reload();
    await expect(route.getByText('Reaches nobody')).toBeVisible();
    await expect(route).toContainText('Switched off: ops.');
    await call('notify.channels.remove', { name: 'ops' });
    await page.reload();
    await expect(route).toContainText('Not there any more: ops.');
    await inspect(page, 'routes-nobody', () => route.getByText('Reaches nobody').waitFor());
  } finally {
    await receiver.close();
  }
});
