import type { Page } from '@playwright/test';
import { httpReceiver } from '../../server/src/audit/testing/http-receiver.ts';
import { subscriber } from '../../server/src/notify/testing/channel-kit.ts';
import { decryptPush } from '../../server/src/notify/testing/push-decryption.ts';
import { WHOLE_CHROMIUM } from '../harness/chromium-program.ts';
import { inspect } from './inspect.ts';
import { launchOptions } from './launch-options.ts';
import { test as base, expect, type Person } from './world.ts';

// Channels may lead to receivers of this machine. The shell of Chromium has no notifications.
base.use({ town: 'notified', launchOptions: launchOptions(WHOLE_CHROMIUM) });

/** Stands in for somebody's phone, chat or push service. */
const test = base.extend<{ receiver: (status?: () => number) => ReturnType<typeof httpReceiver> }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter.
  receiver: async ({}, use) => {
    const closing: (() => unknown)[] = [];
    const after = (run: unknown) => void closing.push(run as () => unknown);
    await use((status = () => 200) => httpReceiver({ after } as never, () => ({ status: status() })));
    for (const close of closing) await close();
  },
});

/** The newest: another may still be going. */
const dialogOf = (page: Page) => page.getByRole('dialog').last();

/** Sets up ntfy as the page offers it, but for the server. */
async function setUpNtfy(page: Page, server: string): Promise<string> {
  await page.getByRole('button', { name: /^Add (your first|a) channel$/ }).click();
  const dialog = dialogOf(page);
  await dialog.getByLabel('Server').fill(server);
  const topic = await dialog.getByLabel('Topic').inputValue();
  await dialog.getByRole('button', { name: 'Set up and test' }).click();
  return topic;
}

test('[N-20] somebody who has never been here sets up a channel, and the next request reaches it', async ({
  site,
  open,
  receiver,
}) => {
  const { url, received } = await receiver();
  const { page, username, signIn } = await open();
  await signIn('/');
  await page.getByRole('link', { name: 'My notifications' }).click();
  const topic = await setUpNtfy(page, url);
  await expect(dialogOf(page).getByText('It was delivered. Look whether it is there.')).toBeVisible();
  // The exchange as it was: what was asked of whom, how long that took, and what came back.
  const seen = dialogOf(page).getByLabel('Attempts');
  await expect(seen).toContainText(/taken after [0-9,]+ ms/);
  await expect(seen).toContainText(`POST ${url}/`);
  await expect(seen.getByText('200', { exact: true })).toBeVisible();
  const bodies = () => received.map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Record<string, unknown>);
  expect(bodies()).toMatchObject([{ topic, title: 'Test notification' }]);
  await dialogOf(page).getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('Works', { exact: true })).toBeVisible();

  const { code } = await site.do('ask', { user: username });
  await expect.poll(() => bodies().length, { timeout: 60_000 }).toBe(2);
  expect(bodies()[1]).toMatchObject({ topic, title: 'Approval needed', click: `${site.url}/approve/${code}` });
  await page.reload();
  const week = page.getByRole('region', { name: 'What would have reached you last week' });
  await expect(week.getByRole('link', { name: 'Approval needed' })).toBeVisible();
  await expect(week).toContainText(`${username}-ntfy`);
});

test('[N-20] a test shows the exchange as it was: refused, and what was paused waits until it goes on', async ({
  site,
  open,
  receiver,
}) => {
  let status = 403;
  const { url, received } = await receiver(() => status);
  const { page, username, signIn } = await open();
  await signIn('/my-notifications');
  await setUpNtfy(page, url);
  await expect(dialogOf(page).getByText('It was not delivered.')).toBeVisible();
  await expect(dialogOf(page)).toContainText('refused after');
  await expect(dialogOf(page)).toContainText('the receiver answers 403');
  await dialogOf(page).getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('Failing', { exact: true })).toBeVisible();

  status = 200;
  const name = `${username}-ntfy`;
  await page.getByRole('button', { name: `Send a test on ${name}` }).click();
  await expect(dialogOf(page).getByText('It was delivered.')).toBeVisible();
  await dialogOf(page).getByRole('button', { name: 'Done' }).click();
  const before = received.length;
  await page.getByRole('button', { name: `Pause ${name}` }).click();
  await expect(page.getByText('Paused', { exact: true })).toBeVisible();
  await site.do('ask', { user: username });
  await page.getByRole('button', { name: `Send a test on ${name}` }).click();
  await expect(dialogOf(page).getByText('On a channel that is paused it waits.')).toBeVisible();
  await dialogOf(page).getByRole('button', { name: 'Done' }).click();
  expect(received.length).toBe(before);
  await page.getByRole('button', { name: `Resume ${name}` }).click();
  await expect.poll(() => received.length).toBe(before + 2);
  await page.getByRole('button', { name: `Remove ${name}` }).click();
  await dialogOf(page).getByRole('button', { name: 'Remove channel' }).click();
  await expect(page.getByText('You are told nowhere yet')).toBeVisible();
});

test('what is wrong with an address is said where it was typed, and each kind that is offered is one for a person', async ({
  open,
  receiver,
}) => {
  const { url } = await receiver();
  const { page, signIn, call } = await open();
  await signIn('/my-notifications');
  await page.getByRole('button', { name: 'Add your first channel' }).click();
  const dialog = dialogOf(page);
  await dialog.getByLabel('Server').fill(`${url}/a/path`);
  await dialog.getByRole('button', { name: 'Set up and test' }).click();
  await expect(dialog.getByRole('alert')).toContainText('Its address has a path');
  await dialog.getByRole('combobox', { name: 'How' }).click();
  const kinds = await page.getByRole('option').allTextContents();
  await page.keyboard.press('Escape');
  expect(kinds.length).toBeGreaterThan(3);
  for (const [index, kind] of kinds.entries()) {
    await dialog.getByRole('combobox', { name: 'How' }).click();
    await page.getByRole('option', { name: kind }).click();
    const fill: [string, string][] = [
      ['Server', url],
      ['Topic', 'topic'],
      ['Address', url],
      ['Address of the webhook', url],
      ['To', 'somebody@example.com'],
      ['From', 'identree@example.com'],
      ['Mail server', '127.0.0.1'],
      ['Port', '9'],
    ];
    for (const [label, value] of fill) {
      const field = dialog.getByLabel(label, { exact: true });
      if ((await field.count()) > 0) await field.fill(value);
    }
    await dialog.getByRole('button', { name: 'Set up and test' }).click();
    await expect(dialog.getByText(/It was (not )?delivered/)).toBeVisible();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await expect(page.getByRole('list', { name: 'Your channels' }).getByRole('listitem')).toHaveCount(index + 1);
    if (index + 1 < kinds.length) await page.getByRole('button', { name: 'Add a channel' }).click();
  }
  const { data } = await call('notify.channels.list', undefined, { method: 'GET' });
  expect((data as { shared: boolean }[]).every(({ shared }) => !shared)).toBe(true);
});

/** Notifications of pages, noted instead of shown. */
async function noteNotifications(page: Page): Promise<() => Promise<string[]>> {
  await page.addInitScript(() => {
    const seen: string[] = [];
    const closed: string[] = [];
    class FakeNotification {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      onclick: unknown;
      body: string;
      constructor(_title: string, { body }: { body: string }) {
        this.body = body;
        seen.push(body);
      }
      close() {
        closed.push(this.body);
      }
    }
    Object.assign(window, { Notification: FakeNotification, told: { seen, closed } });
  });
  return () =>
    page.evaluate(() => {
      const { seen, closed } = (window as unknown as { told: { seen: string[]; closed: string[] } }).told;
      return [...seen, ...closed.map((body) => `closed: ${body}`)];
    });
}

test('[N-13] open consoles follow what was chosen, and take back what was decided elsewhere', async ({
  site,
  open,
}) => {
  const { page, username, signIn, call } = await open();
  const told = await noteNotifications(page);
  const following = page.waitForResponse((response) => response.url().endsWith('/api/events'));
  await signIn('/my-notifications');
  await following;
  const first = await site.do('ask', { user: username });
  await expect.poll(told).toEqual([`Code ${first.code}`]);
  await call('challenges.deny', { challengeId: first.id });
  await expect.poll(told).toEqual([`Code ${first.code}`, `closed: Code ${first.code}`]);

  const onScreen = page.getByRole('switch', { name: 'Also on screen, where I am signed in' });
  await onScreen.uncheck();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved. It counts from the next event on.')).toBeVisible();
  const answered = page.waitForResponse((response) => response.url().includes('/trpc/notify.onScreen'));
  await site.do('ask', { user: username });
  await answered;
  await onScreen.check();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Not saved yet')).toHaveCount(0);
  const third = await site.do('ask', { user: username });
  await expect.poll(told).toContain(`Code ${third.code}`);
  expect((await told()).filter((one) => !one.startsWith('closed'))).toEqual([
    `Code ${first.code}`,
    `Code ${third.code}`,
  ]);

  // Decided while the server is being asked whether to tell of it.
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asked = page.waitForRequest((request) => request.url().includes('/trpc/notify.onScreen'));
  await page.route('**/trpc/notify.onScreen*', async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole('link', { name: 'History' }).click();
  const row = page.getByRole('row').filter({ hasText: 'the fourth' });
  const fourth = await site.do('ask', { user: username, record: { argv: ['sudo', 'echo', 'the fourth'] } });
  await asked;
  await call('challenges.deny', { challengeId: fourth.id });
  // By then the page has heard of it.
  await expect(row).toContainText('Denied');
  const freed = page.waitForResponse((response) => response.url().includes('/trpc/notify.onScreen'));
  release();
  await freed;
  const fifth = await site.do('ask', { user: username });
  await expect.poll(told).toContain(`Code ${fifth.code}`);
  expect(await told()).not.toContain(`Code ${fourth.code}`);
});

/** A browser that may be told, and whose push service is the receiver: everything else of it is real. */
async function withPushService(
  { context }: Person,
  origin: string,
  endpoint: string,
  keys: { p256dh: string; auth: string },
) {
  await context.grantPermissions(['notifications'], { origin });
  await context.addInitScript(
    ([address, given]) => {
      const KEPT = 'push-service-of-the-test';
      const made = () => ({
        endpoint: address,
        toJSON: () => ({ endpoint: address, keys: given }),
        async unsubscribe() {
          localStorage.removeItem(KEPT);
          return true;
        },
      });
      Object.assign(PushManager.prototype, {
        getSubscription: async () => (localStorage.getItem(KEPT) === null ? null : made()),
        async subscribe(options: PushSubscriptionOptionsInit) {
          localStorage.setItem(KEPT, String(options.applicationServerKey));
          return made();
        },
      });
    },
    [endpoint, keys] as const,
  );
}

/** Hands a message to the service worker as the browser's own push client does. */
async function pusher({ context, page }: Person, origin: string): Promise<(data: string) => Promise<void>> {
  const cdp = await context.newCDPSession(page);
  const found = new Promise<string>((resolve) => {
    cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      for (const { registrationId, scopeURL } of registrations) if (scopeURL === `${origin}/`) resolve(registrationId);
    });
  });
  await cdp.send('ServiceWorker.enable');
  return async (data) => {
    await cdp.send('ServiceWorker.deliverPushMessage', { origin, registrationId: await found, data });
  };
}

/** A message that the browser loses on its way comes again, as from a push service; what comes twice is shown once. */
const pushUntil = (push: () => Promise<void>, shown: () => Promise<unknown>, wanted: unknown[]) =>
  expect(async () => {
    await push();
    await expect.poll(shown, { timeout: 5000 }).toMatchObject(wanted);
  }).toPass({ timeout: 30_000 });

const shownOn = (page: Page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration('/');
    const all = (await registration?.getNotifications()) ?? [];
    return all.map(({ title, body, tag, data }) => ({
      title,
      body,
      tag,
      path: (data as { path: string }).path,
    }));
  });

test('[N-06] this browser is told while nobody looks: encrypted, shown by the worker, replaced, withdrawn, ended', async ({
  site,
  open,
  receiver,
  allow,
}) => {
  allow(/Content Security Policy/);
  const { url, received } = await receiver(() => 201);
  const browser = subscriber();
  const person = await open();
  const { page, context, username, signIn, call } = person;
  await withPushService(person, site.url, `${url}/push/1`, browser.keys);
  await signIn('/my-notifications');
  await page.getByRole('button', { name: 'Turn on' }).click();
  await expect(page.getByRole('list', { name: 'Your channels' })).toContainText('This browser');
  const push = await pusher(person, site.url);

  const { id, code } = await site.do('ask', { user: username });
  await expect.poll(() => received.length).toBe(1);
  const sent = decryptPush(received[0]!.bytes, browser).toString('utf8');
  const path = `/approve/${code}`;
  const onPage = () => shownOn(page);
  const twice = async () => {
    await push(sent);
    await push(sent);
  };
  // The console is open and tells of it too: it is one notification.
  await pushUntil(twice, onPage, [{ title: 'Approval needed', path }]);

  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  expect(new URL(worker.url()).pathname).toBe('/push-worker.js');
  const click = () =>
    worker.evaluate(async () => {
      const scope = self as unknown as {
        registration: { getNotifications(): Promise<unknown[]> };
        clients: object;
        NotificationEvent: new (type: string, init: object) => Event;
      };
      const opened: unknown[] = [];
      // Without a hand on the mouse a browser opens no window.
      Object.assign(scope.clients, { openWindow: async (to: unknown) => void opened.push(to) });
      const [notification] = await scope.registration.getNotifications();
      const event = new scope.NotificationEvent('notificationclick', { notification });
      let work: unknown;
      Object.assign(event, {
        waitUntil(given: unknown) {
          work = given;
        },
      });
      dispatchEvent(event);
      await work;
      return opened;
    });
  expect(await click()).toEqual([path]);
  await expect.poll(onPage).toEqual([]);

  // Whatever a push says, it leads to a page of requests here or to the inbox.
  for (const address of ['https://evil.example/approve/ABCDEF-123456', `${site.url}/trpc/challenges.approve`]) {
    const made = { ...JSON.parse(sent), id: address, url: address, actions: [{ action: 'approve' }] };
    await pushUntil(() => push(JSON.stringify(made)), onPage, [{ path: '/' }]);
    expect(await click()).toEqual(['/']);
  }
  // And nothing in the worker can decide: it may not ask for anything at all.
  const asked = worker.evaluate(
    async (challengeId) =>
      fetch('/trpc/challenges.approve', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ challengeId }),
      }).then(({ status }) => `answered ${status}`),
    id,
  );
  await expect(asked).rejects.toThrow(/fetch/i);
  expect((await site.do('look', { id })).status).toBe('pending');

  await pushUntil(() => push(sent), onPage, [{ path }]);
  await call('challenges.deny', { challengeId: id });
  await expect.poll(() => shownOn(page)).toEqual([]);

  await page.getByRole('button', { name: 'Turn off' }).click();
  await expect(page.getByRole('button', { name: 'Turn on' })).toBeVisible();
  expect(await page.evaluate(() => localStorage.getItem('push-service-of-the-test'))).toBeNull();
  expect((await call('notify.channels.list', undefined, { method: 'GET' })).data).toEqual([]);
});

test('[N-06] with the console closed, what somebody else decided takes the place of its announcement', async ({
  site,
  open,
  receiver,
}) => {
  const { url, received } = await receiver(() => 201);
  const browser = subscriber();
  const asking = await open();
  await asking.signIn();
  const person = await open({ admin: true });
  const { page, context, signIn } = person;
  await withPushService(person, site.url, `${url}/push/3`, browser.keys);
  await signIn('/my-notifications');
  await page.getByRole('button', { name: 'Turn on' }).click();
  await expect(page.getByRole('list', { name: 'Your channels' })).toContainText('This browser');
  const push = await pusher(person, site.url);
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  await page.goto('/approve');

  const { id, code } = await site.do('ask', { user: asking.username, host: 'db1.example.com' });
  const about = (text: string) => text.includes(code) || text.includes('waits no more');
  const pushed = () => received.map(({ bytes }) => decryptPush(bytes, browser).toString('utf8')).filter(about);
  await expect.poll(() => pushed().length).toBe(1);
  const shown = () =>
    worker.evaluate(async () => {
      const { registration } = self as unknown as { registration: ServiceWorkerRegistration };
      return (await registration.getNotifications()).map(({ title, data }) => [title, (data as { path: string }).path]);
    });
  await pushUntil(() => push(pushed()[0]!), shown, [['Approval needed', `/approve/${code}`]]);
  await asking.call('challenges.deny', { challengeId: id, reason: 'a secret reason' });
  await expect.poll(() => pushed().length).toBe(2);
  expect(pushed()[1]).not.toContain('secret');
  await pushUntil(() => push(pushed()[1]!), shown, [['This request waits no more', `/approve/${code}`]]);
});

test('[N-06] a browser that takes its permission away loses its channel', async ({ site, open, receiver }) => {
  const { url } = await receiver(() => 201);
  const person = await open();
  const { page, context, signIn, call } = person;
  await withPushService(person, site.url, `${url}/push/2`, subscriber().keys);
  await signIn('/my-notifications');
  await page.getByRole('button', { name: 'Turn on' }).click();
  await expect(page.getByRole('list', { name: 'Your channels' })).toContainText('This browser');
  await context.clearPermissions();
  await page.reload();
  await expect(page.getByText('You are told nowhere yet')).toBeVisible();
  expect((await call('notify.channels.list', undefined, { method: 'GET' })).data).toEqual([]);
});

test('[N-06] who signs out is told nothing more in this browser, and no channel to it is left', async ({
  site,
  open,
  receiver,
}) => {
  const { url } = await receiver(() => 201);
  const person = await open();
  const { page, signIn, call } = person;
  await withPushService(person, site.url, `${url}/push/4`, subscriber().keys);
  await signIn('/my-notifications');
  for (const leave of [
    async () => {
      await page.getByRole('button', { name: /account menu/ }).click();
      await page.getByRole('menuitem', { name: 'Sign out' }).click();
    },
    async () => {
      await page.goto('/sessions');
      await page.getByRole('button', { name: 'Sign out' }).click();
    },
  ]) {
    await page.getByRole('button', { name: 'Turn on' }).click();
    await expect(page.getByRole('list', { name: 'Your channels' })).toContainText('This browser');
    await leave();
    await expect(page).toHaveURL('/signed-out');
    expect(await page.evaluate(() => localStorage.getItem('push-service-of-the-test'))).toBeNull();
    await signIn('/my-notifications');
    expect((await call('notify.channels.list', undefined, { method: 'GET' })).data).toEqual([]);
  }
});

test('in the desktop app everything is seen and nothing changed', async ({ open, receiver }) => {
  const { url } = await receiver();
  const { page, username, signIn, call } = await open();
  await signIn('/my-notifications');
  const name = `${username}-pager`;
  await call('notify.channels.add', { name, kind: 'webhook', personal: true, settings: { url } });
  await page.route('**/trpc/me.get*', async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { result: { data: object } };
    Object.assign(body.result.data, { sessionKind: 'desktop' });
    await route.fulfill({ response: answer, json: body });
  });
  await page.reload();
  await expect(page.getByRole('list', { name: 'Your channels' })).toContainText(name);
  await expect(page.getByText('Channels and choices are changed in the browser')).toBeVisible();
  await expect(page.getByRole('main')).toContainText(
    'A request waits, Request approved, Request denied and Request expired',
  );
  expect(await page.getByRole('switch').count()).toBe(0);
  const buttons = page.getByRole('main').getByRole('button');
  expect(await buttons.filter({ hasText: /Test|Pause|Remove|Add|Turn|Save/ }).count()).toBe(0);
  await inspect(page, 'my-notifications-in-app', () => page.getByText('Not told:').waitFor());
});

test('my notifications, as people see them', async ({ site, open, receiver }) => {
  test.setTimeout(240_000);
  const { url } = await receiver();
  const { url: refusing } = await receiver(() => 403);
  const person = await open({ admin: true });
  const { page, username, signIn, call } = person;
  await signIn('/my-notifications');
  await inspect(page, 'my-notifications-empty', () => page.getByText('You are told nowhere yet').waitFor());
  await page.getByRole('button', { name: 'Add your first channel' }).click();
  await inspect(page, 'my-notifications-add', () => dialogOf(page).getByLabel('Topic').waitFor());
  await page.keyboard.press('Escape');
  const add = (name: string, address: string) =>
    call('notify.channels.add', { name, kind: 'webhook', personal: true, settings: { url: address } });
  await add(`${username}-pager`, url);
  await add(`${username}-chat`, refusing);
  await call('notify.preferences.set', { quiet: { from: '22:00', to: '07:00', timeZone: 'Europe/Zurich' } });
  const { id } = await site.do('ask', { user: 'alice', record: { reason: 'Certificate was renewed, ticket 4711' } });
  await site.do('cancel', { id });
  await site.do('ask', { user: 'bob' });
  await page.reload();
  await page.getByRole('button', { name: `Send a test on ${username}-chat` }).click();
  await inspect(page, 'my-notifications-test', () => dialogOf(page).getByText('It was not delivered.').waitFor());
  await page.keyboard.press('Escape');
  await inspect(page, 'my-notifications', () => page.getByText('Failing', { exact: true }).waitFor());
  const into = (name: string) => async () => {
    const region = page.getByRole('region', { name });
    await region.evaluate((element) => element.scrollIntoView());
  };
  await inspect(page, 'my-notifications-choices', into('What you are told'));
  await page.getByText('Not told:').waitFor();
  await inspect(page, 'my-notifications-week', into('What would have reached you last week'));
  await page.getByRole('button', { name: `Remove ${username}-chat` }).click();
  await inspect(page, 'my-notifications-remove', () => dialogOf(page).getByText('Remove channel?').waitFor());
});
