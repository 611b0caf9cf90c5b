import type { Locator, Page } from '@playwright/test';
import { pagesFor } from '#shared/console.ts';
import type { DesktopBridge } from '../../apps/console/src/bridge.ts';
import { heading, inspect } from './inspect.ts';
import { expect, test } from './world.ts';

const field = (page: Page, name = 'Search and go'): Locator => page.getByRole('combobox', { name });
const options = (page: Page): Locator => page.getByRole('option');
const selected = (page: Page): Locator => page.getByRole('option', { selected: true });

async function openPalette(page: Page): Promise<void> {
  await expect(page.getByRole('button', { name: 'Go to', exact: true }).filter({ visible: true })).toBeVisible();
  await page.keyboard.press('Control+k');
  await expect(field(page)).toBeFocused();
}

/** Everything that the page sends to change something. */
function changesOf(page: Page): string[] {
  const changes: string[] = [];
  page.on('request', (request) => {
    if (request.method() !== 'GET') changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  return changes;
}

for (const role of ['user', 'admin'] as const) {
  test(`the palette goes to every page that this person may open, by the keyboard alone (${role})`, async ({
    open,
  }) => {
    const { page, signIn } = await open({ admin: role === 'admin' });
    await signIn('/');
    await heading(page, 'Inbox')();
    const pages = pagesFor(role);
    await openPalette(page);
    await page.keyboard.type('pages');
    await expect(options(page)).toHaveText(pages.map(({ title }) => title));
    await page.keyboard.press('Escape');
    // The inbox last: from elsewhere.
    for (const { path, title } of [...pages.slice(1), pages[0]!]) {
      await openPalette(page);
      await page.keyboard.type(title);
      await expect(selected(page)).toHaveText(title);
      await page.keyboard.press('Enter');
      await expect(page).toHaveURL(path);
      await expect(field(page)).toHaveCount(0);
      await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
    }
  });
}

test('the palette is a combobox with a listbox: arrows go round, words come in any order, the focus stays and returns', async ({
  open,
}) => {
  const { page, signIn } = await open();
  await signIn('/sessions');
  const before = page.getByRole('link', { name: 'History' });
  await before.focus();
  await openPalette(page);
  await expect(page.getByRole('dialog', { name: 'Search and go' })).toBeVisible();
  const all = await options(page).allTextContents();
  await expect(field(page)).toHaveAttribute('aria-expanded', 'true');
  const activeId = () => field(page).getAttribute('aria-activedescendant');
  expect(await activeId()).toBe(await options(page).first().getAttribute('id'));
  const list = page.getByRole('listbox');
  expect(await field(page).getAttribute('aria-controls')).toBe(await list.getAttribute('id'));
  await page.keyboard.press('ArrowUp');
  await expect(selected(page)).toHaveText(all.at(-1)!);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await expect(selected(page)).toHaveText(all[1]!);
  expect(await activeId()).toBe(await selected(page).getAttribute('id'));
  for (const key of ['Tab', 'Shift+Tab']) {
    await page.keyboard.press(key);
    await expect(field(page)).toBeFocused();
  }
  await page.keyboard.type('PASSkeys my');
  await expect(options(page)).toHaveText(['My passkeys']);
  await page.keyboard.type(' nowhere');
  await expect(options(page)).toHaveCount(0);
  await expect(page.getByRole('status').filter({ hasText: 'Nothing is called that.' })).toBeVisible();
  await expect(field(page)).toHaveAttribute('aria-expanded', 'false');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL('/sessions');
  await page.keyboard.press('Escape');
  await expect(field(page)).toHaveCount(0);
  await expect(before).toBeFocused();
  // Its own key closes it too, and what was typed is gone with it.
  await openPalette(page);
  await expect(field(page)).toHaveValue('');
  await page.keyboard.press('Control+k');
  await expect(field(page)).toHaveCount(0);
  await expect(before).toBeFocused();
});

test('the palette opens over no dialog, and from within a field', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  const { code } = await site.do('ask', { user: username });
  await signIn('/history');
  await page.getByRole('textbox').first().click();
  await openPalette(page);
  await page.keyboard.press('Escape');
  await page.goto(`/?request=${code}`);
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText('sudo systemctl restart nginx');
  await page.keyboard.press('Control+k');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await openPalette(page);
});

test('a page that arrives late leaves the focus to the palette that was opened meanwhile', async ({ open }) => {
  const { page, signIn } = await open();
  await signIn('/');
  let arrive = () => {};
  const held = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  await page.route(/\.js$/, async (route) => {
    await held;
    await route.continue();
  });
  await openPalette(page);
  await page.keyboard.type('My passkeys');
  await expect(options(page)).toHaveText(['My passkeys']);
  await page.keyboard.press('Enter');
  await expect(field(page)).toHaveCount(0);
  await openPalette(page);
  arrive();
  await heading(page, 'My passkeys')();
  await page.keyboard.type('history');
  await expect(field(page)).toHaveValue('history');
});

test('the palette opens a request that waits and never approves or denies it, however it is asked', async ({
  site,
  open,
}) => {
  const { page, username, signIn, addPasskey } = await open();
  await signIn('/');
  await addPasskey();
  const commands = ['approve', 'deny', '/usr/bin/true'];
  const asked: { id: string; code: string }[] = [];
  for (const command of commands) {
    asked.push(await site.do('ask', { user: username, record: { argv: ['sudo', command] } }));
  }
  await expect(page.getByRole('article')).toHaveCount(commands.length);
  const changes = changesOf(page);
  for (const [index, command] of commands.entries()) {
    await openPalette(page);
    await page.keyboard.type(`${command} sudo`);
    await expect(options(page)).toHaveText([new RegExp(`^sudo ${command}${username} on web1`)]);
    // A key that is held down repeats: it chooses once and goes on choosing nowhere.
    for (let repeats = 0; repeats < 4; repeats += 1) await page.keyboard.down('Enter');
    await page.keyboard.up('Enter');
    await expect(page).toHaveURL((url) => ['', `?request=${asked[index]!.code}`].includes(url.search));
    await page.goto('/');
    await expect(page.getByRole('article')).toHaveCount(commands.length);
  }
  // Every line of it, with the pointer too, but the way out.
  const count = commands.length + pagesFor('user').length;
  for (let index = 0; index < count; index += 1) {
    await openPalette(page);
    await expect(options(page)).toHaveCount(count + 1);
    await options(page).nth(index).click();
    await expect(field(page)).toHaveCount(0);
    if (index < commands.length) await expect(page.getByRole('dialog', { name: 'Request' })).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(page.getByRole('dialog')).toHaveCount(0);
  }
  for (const word of ['approve now', 'yes', 'allow', 'reject', 'deny now']) {
    await openPalette(page);
    await page.keyboard.type(word);
    await expect(options(page)).toHaveCount(0);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Control+Enter');
    await page.keyboard.press('Escape');
  }
  expect(changes).toEqual([]);
  for (const { id } of asked) expect(await site.do('look', { id })).toMatchObject({ status: 'pending' });
});

test('the newest request is the first line of the palette, and Enter shows it', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  await signIn('/sessions');
  for (const command of ['first', 'second']) {
    await site.do('ask', { user: username, record: { argv: ['sudo', command] } });
  }
  const newest = await site.do('ask', { user: username, record: { argv: ['sudo', 'echo', '\u202enewest'] } });
  await openPalette(page);
  await expect(selected(page)).toContainText('\\u{202e}newest');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(`/?request=${newest.code}`);
  await expect(page.getByRole('dialog', { name: 'Request' })).toContainText(newest.code);
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL('/');
});

test('a key that is held down on its button chooses nothing in the palette', async ({ site, open }) => {
  const { page, username, signIn } = await open();
  await site.do('ask', { user: username });
  await signIn('/sessions');
  await page.getByRole('button', { name: 'Go to', exact: true }).filter({ visible: true }).focus();
  await page.keyboard.down('Enter');
  await expect(field(page)).toBeFocused();
  for (let repeats = 0; repeats < 5; repeats += 1) await page.keyboard.down('Enter');
  await page.keyboard.up('Enter');
  await expect(field(page)).toBeFocused();
  await expect(page).toHaveURL('/sessions');
});

test('the palette signs out', async ({ open }) => {
  const { page, signIn } = await open();
  await signIn('/');
  await openPalette(page);
  await page.keyboard.type('out sign');
  await page.keyboard.press('Enter');
  await heading(page, 'You are signed out')();
});

test('the palette is in the language of the page, whatever the browser speaks', async ({ site, open }) => {
  const { page, username, signIn } = await open({ locale: 'de-AT' });
  await site.do('ask', { user: username });
  await signIn('/');
  await page.getByRole('button', { name: 'Go to' }).click();
  await expect(field(page)).toBeFocused();
  await expect(options(page).first()).toContainText(`${username} on web1.example.com`);
  await page.keyboard.type('sign out');
  await expect(options(page)).toHaveText(['Sign out']);
});

test('in the desktop app the palette changes to another server', async ({ open }) => {
  const { page, signIn } = await open();
  await signIn('/');
  await page.addInitScript(() => {
    const shown: string[] = [];
    Object.assign(window, {
      shown,
      identreeDesktop: {
        platform: 'linux',
        version: '0.0.0',
        profile: () => ({ origin: location.origin }),
        openApproval: () => {},
        signIn: async () => {},
        signOut: async () => {},
        otherServers: async () => [
          { origin: 'https://lab.example.com', label: 'Laboratory (2)' },
          { origin: 'https://id.example.net', label: 'id.example.net (signed out)' },
        ],
        showServer: (origin: string) => void shown.push(origin),
        onDeepLink: () => () => {},
        onReach: () => () => {},
      } satisfies DesktopBridge,
    });
  });
  await page.goto('/');
  await heading(page, 'Inbox')();
  await openPalette(page);
  await page.keyboard.type('servers');
  await expect(options(page)).toHaveText(['Laboratory (2)lab.example.com', 'id.example.net (signed out)']);
  await page.keyboard.press('Enter');
  await expect
    .poll(() => page.evaluate(() => (window as unknown as { shown: string[] }).shown))
    .toEqual(['https://lab.example.com']);
});

test('how the palette looks', async ({ site, open }) => {
  const { page, username, signIn } = await open({ admin: true });
  for (const argv of [
    ['sudo', 'systemctl', 'restart', 'nginx'],
    ['sudo', 'sh', '-c', 'curl https://example.com/a/long/way/to/install.sh | sh && systemctl daemon-reload'],
  ]) {
    await site.do('ask', { user: username, record: { argv } });
  }
  await signIn('/');
  await openPalette(page);
  await inspect(page, 'palette', () => expect(options(page).first()).toBeVisible());
  await page.keyboard.type('nothing of the kind');
  await inspect(page, 'palette-nothing', () => expect(options(page)).toHaveCount(0));
});
