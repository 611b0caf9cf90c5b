import type { Page } from '@playwright/test';
import { inspect, picture } from './inspect.ts';
import { axe, expect, overflow, type Person, test } from './world.ts';

/** Lists of a fleet: what is shown is found, sorted and cut into pages, and the address says what is shown. */

interface HostEntry {
  id: string;
  hostname: string;
  state: string;
  group: string | null;
  osInfo: string | null;
  agentVersion: string | null;
  lastSeenAt: number | null;
}

/** Answers of the server with other entries in them. */
async function changeAnswer<T>(page: Page, procedure: string, change: (data: T) => unknown): Promise<void> {
  await page.route(`**/trpc/${procedure}*`, async (route) => {
    const response = await route.fetch();
    const answer = (await response.json()) as { result?: { data: T } };
    if (!answer.result) return route.fulfill({ response });
    await route.fulfill({ response, json: { result: { data: change(answer.result.data) } } });
  });
}

/** 200 machines of three kinds. One has the longest name that there can be, one waits for an operator. */
async function fleet(page: Page, more: object[] = []): Promise<void> {
  await changeAnswer<{ now: number; hosts: HostEntry[] }>(page, 'hosts.list', ({ now, hosts, ...rest }) => ({
    ...rest,
    now,
    hosts: [
      ...more,
      ...Array.from({ length: 200 }, (_, n) => ({
        ...hosts[0]!,
        id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
        hostname:
          n === 42 ? `${'long-label-'.repeat(5)}x.building-seven.datacenter.example.com` : `web${n}.example.com`,
        state: n === 150 ? 'waiting' : 'active',
        group: ['production', 'staging', null][n % 3]!,
        osInfo: 'Debian GNU/Linux 13 (trixie)',
        agentVersion: `0.${n % 12}.0`,
        lastSeenAt: n === 7 ? null : now - n * 60_000,
      })),
    ],
  }));
}

const rows = (page: Page) => page.getByRole('row').filter({ has: page.getByRole('cell') });
const firstRow = (page: Page) => rows(page).first();
const status = (page: Page) => page.getByRole('region', { name: 'hosts' }).getByRole('status');

async function hostsPage(open: (options: { admin: true }) => Promise<Person>, address = '/hosts'): Promise<Page> {
  const { page, signIn } = await open({ admin: true });
  await fleet(page);
  await signIn(address);
  return page;
}

test('200 hosts are pages of 25; the back button turns them back', async ({ open }) => {
  const page = await hostsPage(open);
  await expect(rows(page)).toHaveCount(25);
  await expect(status(page)).toHaveText('1 to 25 of 200 hosts');
  expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBeLessThan(2500);
  // Whoever waits for an operator is on the first page, whatever the name.
  await expect(firstRow(page)).toContainText('web150.example.com');

  await page.getByRole('button', { name: 'Next page' }).click();
  await expect(page).toHaveURL('/hosts?page=2');
  await expect(status(page)).toHaveText('26 to 50 of 200 hosts');
  await expect(page.getByRole('button', { name: 'Page 2', exact: true })).toHaveAttribute('aria-current', 'page');
  await expect(page.getByRole('region', { name: 'hosts' })).toBeFocused();
  expect(await page.evaluate(() => scrollY)).toBe(0);
  await page.goBack();
  await expect(page).toHaveURL('/hosts');
  await expect(status(page)).toHaveText('1 to 25 of 200 hosts');

  await page.goto('/hosts?page=99');
  await expect(status(page)).toHaveText('176 to 200 of 200 hosts');
});

test('hosts are sorted by the head of a column, with the keyboard as well, and told how', async ({ open }) => {
  const page = await hostsPage(open);
  const head = (name: string) => page.getByRole('columnheader', { name });
  await expect(head('State')).toHaveAttribute('aria-sort', 'ascending');
  await page.getByRole('button', { name: 'Host', exact: true }).focus();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL('/hosts?sort=host');
  await expect(head('Host')).toHaveAttribute('aria-sort', 'ascending');
  await expect(head('State')).toHaveAttribute('aria-sort', 'none');
  await expect(firstRow(page)).toContainText('long-label-');
  // As people count: 2 comes before 10.
  await expect(rows(page).nth(3)).toContainText('web2.example.com');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL('/hosts?sort=-host');
  await expect(head('Host')).toHaveAttribute('aria-sort', 'descending');
  await expect(firstRow(page)).toContainText('web199.example.com');

  await page.getByRole('button', { name: 'Last seen' }).click();
  await expect(firstRow(page)).toContainText('web7.example.com');
  await page.goBack();
  await page.goBack();
  await page.goBack();
  await expect(head('State')).toHaveAttribute('aria-sort', 'ascending');
});

test('a host says what gives power on it and what is odd at its gate, with file and line', async ({ open }) => {
  const page = await hostsPage(open);
  const report = {
    at: Date.now(),
    grants: [{ type: 'group', name: 'fleet', gives: 'any command as any user', file: '/etc/sudoers.d/image', line: 2 }],
    count: 1,
    unread: 1,
    drift: ['/etc/pam.d/sudo does not name identree-pam'],
    cut: false,
  };
  await changeAnswer<{ now: number; hosts: object[] }>(page, 'hosts.list', ({ now, hosts, ...rest }) => ({
    ...rest,
    now,
    hosts: [{ ...hosts[0]!, hostname: 'db1.example.com', state: 'active', reportDue: 0, report }],
  }));
  await page.goto('/hosts');
  await expect(firstRow(page)).toContainText('1 finding at its sudo gate');
  await page.getByRole('button', { name: 'More for db1.example.com' }).click();
  await page.getByRole('menuitem', { name: 'What it says of itself' }).click();
  const dialog = page.getByRole('dialog', { name: 'What this host says of itself' });
  for (const fact of ['group fleet', '/etc/sudoers.d/image:2', 'does not name identree-pam', 'could not be read'])
    await expect(dialog).toContainText(fact);
  // The menu that led here fades.
  await expect(page.getByRole('menu')).toHaveCount(0);
  await inspect(page, 'host-report', () => dialog.getByText('group fleet').waitFor());
});

test('a host whose certificate was not renewed is told before it ends, and after', async ({ open }) => {
  const page = await hostsPage(open);
  const certificates = [
    { until: Date.UTC(2031, 4, 6), state: 'good' },
    { until: Date.UTC(2031, 4, 6), state: 'ends_soon' },
    { until: Date.UTC(2031, 4, 6), state: 'ended' },
    null,
  ];
  await changeAnswer<{ now: number; hosts: object[] }>(page, 'hosts.list', ({ now, hosts, ...rest }) => ({
    ...rest,
    now,
    hosts: certificates.map((certificate, n) => ({
      ...hosts[0]!,
      id: `00000000-0000-4000-8000-00000000000${n}`,
      hostname: `cert${n}.example.com`,
      state: 'active',
      reportDue: 0,
      report: null,
      certificate,
    })),
  }));
  await page.goto('/hosts?sort=host');
  await expect(rows(page)).toHaveCount(4);
  const told = page.getByText(/Its certificate/);
  await expect(told).toHaveText([
    'Its certificate ends on 2031-05-06, and was not renewed',
    'Its certificate has ended: the directory refuses it',
  ]);
});

test('hosts are found by any words about them; one step back leads to all of them', async ({ open }) => {
  const page = await hostsPage(open, '/hosts?page=3');
  await page.getByLabel('Search').pressSequentially('production web19', { delay: 20 });
  await expect(status(page)).toHaveText('3 hosts of 200');
  await expect(page).toHaveURL('/hosts?search=production+web19');
  await expect(rows(page)).toHaveCount(3);
  await page.getByLabel('Search').fill('web19 nowhere');
  await expect(page.getByText('Nothing matches. Try fewer words.')).toBeVisible();
  await page.goBack();
  await expect(page.getByLabel('Search')).toHaveValue('');
  await expect(page).toHaveURL('/hosts?page=3');
  await expect(status(page)).toHaveText('51 to 75 of 200 hosts');

  await page.goto('/hosts?search=0.11.0&sort=-host');
  await expect(page.getByLabel('Search')).toHaveValue('0.11.0');
  await expect(firstRow(page)).toContainText('web191.example.com');
});

test('on a phone hosts are cards, sorted just the same', async ({ open }) => {
  const page = await hostsPage(open);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.getByRole('table')).toHaveCount(0);
  await page.getByRole('combobox', { name: 'Sort by' }).click();
  await page.getByRole('option', { name: 'Sort by host' }).click();
  await expect(page).toHaveURL('/hosts?sort=host');
  await page.getByRole('button', { name: 'Ascending; sort descending' }).click();
  await expect(page).toHaveURL('/hosts?sort=-host');
  await expect(page.getByRole('article').first()).toContainText('web199.example.com');
  expect(await axe(page)).toEqual([]);
});

test('people are found, sorted and a page at a time', async ({ open }) => {
  const { page, username, signIn } = await open({ admin: true });
  await changeAnswer<object[]>(page, 'people.list', (people) => [
    ...people,
    ...Array.from({ length: 60 }, (_, n) => ({
      ...people[0],
      id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
      subject: `extra-${n}`,
      username: `extra${n}`,
      displayName: `Zelda ${n}`,
      accounts: [`zelda${n}`],
      claims: [],
      passkeys: n,
    })),
  ]);
  await signIn('/people');
  await expect(rows(page)).toHaveCount(25);
  await page.getByRole('button', { name: 'Passkeys' }).click();
  await page.getByRole('button', { name: 'Passkeys' }).click();
  await expect(page).toHaveURL('/people?sort=-passkeys');
  await expect(firstRow(page)).toContainText('Zelda 59');
  await page.getByRole('button', { name: 'Page 3' }).click();
  await expect(page).toHaveURL('/people?sort=-passkeys&page=3');
  await page.getByLabel('Search').fill('zelda17');
  await expect(rows(page)).toHaveCount(1);
  await expect(page).toHaveURL('/people?sort=-passkeys&search=zelda17');
  await page.getByLabel('Search').fill(username);
  await expect(firstRow(page)).toContainText('You');
});

test('history: what is looked for is in the address, and older requests are a page of their own', async ({
  site,
  open,
}) => {
  const { page, username, signIn } = await open();
  await signIn('/passkeys');
  for (let n = 1; n <= 53; n++) {
    const { id } = await site.do('ask', { user: username, record: { argv: ['sudo', `step-${n}`] } });
    await site.do('cancel', { id });
  }
  await page.goto('/history');
  await expect(rows(page)).toHaveCount(50);
  await expect(firstRow(page)).toContainText('sudo step-53');
  await page.getByRole('button', { name: 'Older' }).click();
  await expect(page).toHaveURL(/\/history\?before=\d+-[0-9a-f]+$/);
  await expect(rows(page)).toHaveCount(3);
  await expect(firstRow(page)).toContainText('sudo step-3');
  await expect(page.getByRole('button', { name: 'Older' })).toBeDisabled();
  await page.reload();
  await expect(rows(page)).toHaveCount(3);
  await page.goBack();
  await expect(rows(page)).toHaveCount(50);

  // The oldest first, from the first page on, and so is what comes after it.
  await page.getByRole('button', { name: 'When' }).click();
  await expect(page).toHaveURL('/history?sort=when');
  await expect(page.getByRole('columnheader', { name: 'When' })).toHaveAttribute('aria-sort', 'ascending');
  await expect(firstRow(page)).toContainText('sudo step-1');
  await page.getByRole('button', { name: 'Newer' }).click();
  await expect(page).toHaveURL(/\/history\?sort=when&after=\d+-[0-9a-f]+$/);
  await expect(firstRow(page)).toContainText('sudo step-51');
  await expect(page.getByRole('button', { name: 'Newer' })).toBeDisabled();
  await page.reload();
  await expect(rows(page)).toHaveCount(3);
  await page.getByRole('button', { name: 'Oldest' }).click();
  await expect(page).toHaveURL('/history?sort=when');
  await expect(firstRow(page)).toContainText('sudo step-1');
  await page.getByRole('button', { name: 'When' }).click();
  await expect(page).toHaveURL('/history');
  await expect(firstRow(page)).toContainText('sudo step-53');

  await page.goto('/history?status=denied');
  await expect(page.getByText('Nothing matches.')).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Result' })).toHaveValue('Denied');
  await page.goto('/history?status=cancelled&search=step-5');
  await expect(page.getByLabel('Search')).toHaveValue('step-5');
  await expect(rows(page)).toHaveCount(5);
  await page.getByRole('combobox', { name: 'Result' }).click();
  await page.getByRole('option', { name: 'Approved' }).click();
  await expect(page).toHaveURL('/history?status=approved&search=step-5');
  await expect(page.getByText('Nothing matches.')).toBeVisible();
});

test('an entry that the server cannot read is shown as such, beside all others', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  await fleet(page, [{ unreadable: true, id: 'broken', errorId: '7F3K-22QX' }]);
  await signIn('/hosts?search=web19');
  await expect(firstRow(page)).toContainText('This entry cannot be shown.');
  await expect(firstRow(page)).toContainText('7F3K-22QX');
  await expect(rows(page)).toHaveCount(12);
  expect(await axe(page)).toEqual([]);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.getByRole('listitem').filter({ hasText: '7F3K-22QX' })).toBeVisible();
});

/** What of the page is beyond the right edge of what it lies in, or of the window. */
const cutOff = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    for (const element of document.querySelectorAll('main td, main th, main button, main .badge, main li')) {
      const { right, width } = element.getBoundingClientRect();
      const box = element.closest('.mantine-Card-root')?.getBoundingClientRect().right ?? innerWidth;
      if (width > 1 && right > Math.min(box, innerWidth) + 1) found.push(element.textContent ?? element.tagName);
    }
    return found;
  });

/** Lines that the bold name of each entry takes. */
const linesOfNames = (page: Page): Promise<number[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll('tbody td:first-child > p:first-child')].map((name) =>
      Math.round(name.getBoundingClientRect().height / Number.parseFloat(getComputedStyle(name).lineHeight)),
    ),
  );

for (const [width, height] of [
  [390, 844],
  [768, 1024],
  [1024, 768],
  [1180, 820],
  [1440, 900],
] as const) {
  test(`at ${width} × ${height} nothing is squeezed or cut off`, async ({ site, open }) => {
    const person = await open({ admin: true, viewport: { width, height } });
    const { page, username, signIn } = person;
    await fleet(page);
    await signIn('/hosts?search=web1');
    await expect(page.getByText('web150.example.com')).toBeVisible();
    await picture(page, `fleet-hosts-${width}`);
    expect(await cutOff(page)).toEqual([]);
    expect(Math.max(1, ...(await linesOfNames(page)))).toBe(1);
    await page.goto('/hosts?search=long-label');
    await expect(page.getByText('long-label-')).toBeVisible();
    expect(await cutOff(page)).toEqual([]);

    await page.goto('/people');
    await expect(page.getByText('Administrator', { exact: true }).first()).toBeVisible();
    await picture(page, `fleet-people-${width}`);
    expect(await cutOff(page)).toEqual([]);

    const { id } = await site.do('ask', {
      user: username,
      record: { argv: ['sudo', 'rsync', '-a', '--delete', '/srv/'.repeat(30), 'backup:/srv/'] },
    });
    await person.call('challenges.deny', { challengeId: id, reason: 'no' });
    await page.goto('/history');
    const entry = page.getByRole(width < 1000 ? 'listitem' : 'row').filter({ hasText: username });
    await expect(entry.getByText('Denied')).toBeInViewport();
    await picture(page, `fleet-history-${width}`);
    if (width >= 1000) await expect(entry.getByRole('cell', { name: username, exact: true })).toBeInViewport();
    expect(await cutOff(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
  });
}
