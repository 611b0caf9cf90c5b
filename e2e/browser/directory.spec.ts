import { FIRST_DIRECTORY } from './site-commands.ts';
import { axe, expect, type Person, type Site, test } from './world.ts';

// Held changes of one test are not the others' business.
test.use({ town: 'directory' });

const { users, groups } = FIRST_DIRECTORY;
const [OPERATORS, WEB] = groups as [(typeof groups)[number], (typeof groups)[number]];
/** Bob would get root. */
const WITH_BOB = { users, groups: [{ ...OPERATORS, members: ['alice', 'bob'] }, WEB] };

/** Whom hosts take for somebody with the rule of the operators. */
async function operators(site: Site): Promise<string[]> {
  const [rule] = await site.do('ldap', { filter: '(&(objectClass=sudoRole)(cn=operators))', attributes: ['sudoUser'] });
  return [rule?.sudoUser ?? []].flat();
}

const badge = ({ page }: Person) => page.getByRole('link', { name: /^Directory/ });

test.beforeEach(async ({ site }) => {
  await site.do('directory', FIRST_DIRECTORY);
});

test('a change that gives root appears by itself, is kept out, and let through after all', async ({ site, open }) => {
  const admin = await open({ admin: true });
  const { page } = admin;
  await admin.signIn('/');
  await expect(badge(admin)).toHaveAccessibleName('Directory');
  await site.do('directory', WITH_BOB);
  await expect(badge(admin)).toHaveAccessibleName('Directory 1 waiting');
  await badge(admin).click();

  const card = page.getByRole('article', { name: 'bob would join operators' });
  for (const fact of ['sub-bob', '/usr/bin/systemctl restart nginx, /usr/bin/journalctl', 'web1.example.com', 'root'])
    await expect(card).toContainText(fact);
  await card.getByRole('button', { name: 'Keep out' }).click();
  const dialog = page.getByRole('dialog', { name: 'Keep this out?' });
  await expect(dialog).toContainText('bob would join operators');
  await dialog.getByRole('button', { name: 'Keep out' }).click();
  await expect(card).toContainText(`Kept out by ${admin.username}`);
  await expect(badge(admin)).toHaveAccessibleName('Directory');
  expect(await operators(site)).toEqual(['alice']);

  await card.getByRole('button', { name: 'Let it through after all' }).click();
  const again = page.getByRole('dialog', { name: 'Let this through?' });
  await expect(again).toContainText(`${admin.username} kept it out`);
  await expect(again).toContainText('sub-bob');
  await again.getByRole('button', { name: 'Let it through' }).click();
  await expect(card).toHaveCount(0);
  await expect.poll(() => operators(site)).toEqual(['alice', 'bob']);
});

test('by keyboard alone: to the page, through the question, to the answer', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await site.do('directory', WITH_BOB);
  await signIn('/');
  const tabTo = async (name: RegExp | string, role: 'link' | 'button' = 'button') => {
    const target = page.getByRole(role, { name }).first();
    await expect(target).toBeVisible();
    for (let presses = 0; presses < 60; presses += 1) {
      if (await target.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`not reached by Tab: ${String(name)}`);
  };
  await tabTo(/^Directory/, 'link');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  await tabTo('Let it through: bob would join operators');
  await page.keyboard.press('Enter');
  // What has not taken the focus yet gives none back.
  await expect(page.getByRole('dialog').locator(':focus')).toHaveCount(1);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Let it through: bob would join operators' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog')).toBeVisible();
  await tabTo(/^Let it through$/);
  await page.keyboard.press('Enter');
  await expect.poll(() => operators(site)).toEqual(['alice', 'bob']);
});

test('every kind of change says whom and what it is about', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await site.do('directory', {
    users: [
      { username: 'alicia', id: 'sub-alice' },
      { username: 'bob', id: 'somebody-new' },
      { username: 'carol' },
      { username: 'dave' },
    ],
    groups: [{ ...OPERATORS, members: ['alicia'], claims: { sudoCommands: 'ALL' } }, WEB],
  });
  await signIn('/directory');
  const rule = page.getByRole('article', { name: 'The sudo rule of operators would change' });
  await expect(rule).toContainText(
    /Before\s*\/usr\/bin\/systemctl restart nginx, \/usr\/bin\/journalctl\s*After\s*ALL/,
  );
  // The claim about hosts has vanished, which means all of them.
  await expect(rule).toContainText(/Before\s*web1\.example\.com\s*After\s*every host/);
  const renamed = page.getByRole('article', { name: 'alice would be renamed to alicia' });
  await expect(renamed).toContainText('sub-alice');
  const taken = page.getByRole('article', { name: 'bob would get the account bob' });
  await expect(taken).toContainText('The name bob belongs to bob now.');
  await expect(taken).toContainText('somebody-new');
  await expect(taken).toContainText('sub-bob');

  await site.do('directory', FIRST_DIRECTORY);
  await site.do('directory', { users: [], groups: [] });
  const all = page.getByRole('article', { name: '4 people and 2 groups would vanish at once' });
  for (const name of ['4 of 4 people', 'alice', 'dave', '2 of 2 groups', 'web']) await expect(all).toContainText(name);
  await expect(rule).toHaveCount(0);
});

test('a name that only looks like another is marked, and asks nobody: hosts would never see it', async ({
  site,
  open,
}) => {
  const { page, signIn } = await open({ admin: true });
  // The first letter is Cyrillic.
  const forged = { username: '\u0430lice', id: 'sub-mallory' };
  await site.do('directory', {
    users: [...users, forged],
    groups: [{ ...OPERATORS, members: ['alice', forged.username] }, WEB],
  });
  await signIn('/directory?tab=findings');
  await expect(page.locator('mark.lookalike').first()).toHaveText('\u0430');
  await page.getByRole('tab', { name: 'Overview' }).click();
  await expect(page.getByText('Nothing waits for you.')).toBeVisible();
  expect(await operators(site)).toEqual(['alice']);
});

test('two administrators: the slower one learns that it is decided, and decides nothing', async ({
  site,
  open,
  allow,
}) => {
  const first = await open({ admin: true });
  const second = await open({ admin: true });
  await site.do('directory', WITH_BOB);
  await first.signIn('/directory');
  await second.signIn('/directory');
  const press = (person: Person, name: string) =>
    person.page.getByRole('article', { name: /bob/ }).getByRole('button', { name }).click();
  await press(first, 'Let it through');
  await press(second, 'Keep out');
  await second.page.getByRole('dialog').getByRole('button', { name: 'Keep out' }).click();
  await expect(second.page.getByText(`Kept out by ${second.username}`)).toBeVisible();
  const dialog = first.page.getByRole('dialog');
  allow(/status of 404 .*directory\.confirm/);
  await dialog.getByRole('button', { name: 'Let it through' }).click();
  await expect(dialog).toContainText('Somebody else has answered meanwhile');
  await expect(dialog.getByRole('button', { name: 'Let it through' })).toHaveCount(0);
  expect(await operators(site)).toEqual(['alice']);
});

test('a source that fails is told in full, and fetched again on demand', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn('/directory');
  await expect(page.getByRole('heading', { name: 'Up to date' })).toBeVisible();
  await site.do('directory', { raw: '{"users": []}' });
  await page.getByRole('button', { name: 'Fetch now' }).click();
  await expect(page.getByRole('heading', { name: 'The last fetch failed' })).toBeVisible();
  await expect(page.getByText('directory.json: needs "users" and "groups"')).toBeVisible();
  await site.do('directory', FIRST_DIRECTORY);
  await page.getByRole('button', { name: 'Fetch now' }).click();
  await expect(page.getByRole('heading', { name: 'Up to date' })).toBeVisible();
});

test('findings are explained and searched, and a name is released', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await site.do('directory', {
    users: [...users, { username: 'erin' }, { username: 'root', id: 'sub-root' }],
    groups: [OPERATORS, WEB],
  });
  await site.do('directory', {
    users: [...users, { username: 'root', id: 'sub-root' }],
    groups: [OPERATORS, WEB, { name: 'erin', members: ['dave'] }],
  });
  await signIn('/directory?tab=findings');
  const kept = page.getByRole('region', { name: 'Name kept free' });
  await expect(kept).toContainText('group erin');
  await expect(kept).toContainText('Wait, or release the name');
  await expect(page.getByRole('region', { name: 'Name of the system' })).toContainText('user root');
  await page.getByLabel('Search findings').fill('root');
  await expect(kept).toHaveCount(0);
  await page.getByLabel('Search findings').fill('');
  await kept.getByRole('button', { name: 'Release the name erin' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Release the name' }).click();
  await expect(kept).toHaveCount(0);
  const members = async () =>
    (await site.do('ldap', { filter: '(&(objectClass=posixGroup)(cn=erin))', attributes: ['memberUid'] }))[0]
      ?.memberUid;
  await expect.poll(members).toBe('dave');
});

test('a SCIM token is shown once and works, until it is revoked', async ({ site, open }) => {
  const admin = await open({ admin: true });
  const { page } = admin;
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await admin.signIn('/directory?tab=scim');
  await page.getByRole('button', { name: 'New client' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Entra ID');
  await dialog.getByLabel('Valid for days').fill('1000');
  await expect(dialog.getByText('From 1 to 730.')).toBeVisible();
  await expect(dialog.getByRole('button', { name: 'Create token' })).toBeDisabled();
  await dialog.getByLabel('Valid for days').fill('30');
  await expect(dialog.getByText('Whoever has this token can make root')).toHaveCount(0);
  await dialog.getByRole('switch').check();
  await expect(dialog.getByText('Whoever has this token can make root')).toBeVisible();
  await dialog.getByRole('switch').uncheck();
  await dialog.getByRole('button', { name: 'Create token' }).click();
  await expect(dialog).toContainText(`${site.url}/scim/v2`);
  await dialog.getByRole('button', { name: 'Copy the token' }).click();
  const token = await page.evaluate(() => navigator.clipboard.readText());
  expect(token).toMatch(/^scim_[\w-]{43}$/);
  await expect(dialog).toContainText(token);
  await dialog.getByRole('button', { name: 'Done' }).click();

  const push = (userName: string) =>
    page.request.post(`${site.url}/scim/v2/Users`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
      data: { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], externalId: `sub-${userName}`, userName },
    });
  expect((await push('frank')).status()).toBe(201);
  await page.reload();
  const client = page.getByRole('listitem').filter({ hasText: 'Entra ID' });
  await expect(client).toContainText('used now');
  await expect(client).not.toContainText('May make root');
  expect(await page.content(), 'the token is nowhere any more').not.toContain(token);
  await client.getByRole('button', { name: 'Revoke Entra ID' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke client' }).click();
  await expect(client).toContainText('Revoked');
  expect((await push('grace')).status()).toBe(401);
});

test('whoever is no administrator neither sees nor reaches any of it', async ({ site, open }) => {
  const { page, signIn, call } = await open();
  await site.do('directory', WITH_BOB);
  for (const path of ['/directory', '/sudo-rules']) {
    await signIn(path);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox');
  }
  await expect(page.getByRole('link', { name: /Directory|Sudo rules/ })).toHaveCount(0);
  const id = '00000000-0000-4000-8000-000000000000';
  const views = ['status', 'lints', 'holds', 'accounts'].map((view) => `directory.${view}`);
  for (const name of [...views, 'sudoRules.list', 'sudoRules.served', 'sudoRules.export', 'scim.clients'])
    expect(await call(name, undefined, { method: 'GET' }), name).toMatchObject({ status: 403, reason: 'forbidden' });
  for (const [name, input] of [
    ['directory.refresh', undefined],
    ['directory.confirm', { id, digest: 'x' }],
    ['directory.reject', { id, digest: 'x' }],
    ['directory.releaseName', { name: 'bob' }],
    ['sudoRules.create', { rule: { group: 'web', commands: ['ALL'] }, acknowledged: true }],
    ['sudoRules.delete', { id, revision: 1 }],
    ['sudoRules.import', { content: '[]' }],
    ['scim.createClient', { name: 'x', issuer: 'https://x.example' }],
    ['scim.revokeClient', { id }],
  ] as const) {
    expect(await call(name, input), name).toMatchObject({ status: 403, reason: 'forbidden' });
  }
});

test('in the desktop app one looks, and is sent to the browser for the rest', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  await site.do('directory', WITH_BOB);
  await signIn('/');
  // What the server says to a desktop session; that it refuses one to change anything is a test of the server.
  await page.route('**/trpc/me.get*', async (route) => {
    const answer = await route.fetch();
    const body = await answer.text();
    await route.fulfill({ response: answer, body: body.replace('"sessionKind":"browser"', '"sessionKind":"desktop"') });
  });
  await page.goto('/directory');
  await expect(page.getByRole('article', { name: 'bob would join operators' })).toBeVisible();
  await expect(page.getByText('in the browser, not in the desktop app')).toBeVisible();
  await expect(page.getByRole('button', { name: /Let it through|Keep out|Fetch now/ })).toHaveCount(0);
  await page.goto('/directory?tab=scim');
  await expect(page.getByRole('heading', { name: 'SCIM clients' })).toBeVisible();
  await expect(page.getByRole('button', { name: /New client|Revoke/ })).toHaveCount(0);
  await page.goto('/sudo-rules');
  await expect(page.getByText('in the browser, not in the desktop app')).toBeVisible();
  await expect(page.getByRole('button', { name: /New rule|Make the first|Import|Edit|Delete/ })).toHaveCount(0);
  expect(await axe(page)).toEqual([]);
});

test('whose number is whose: found by name, number and identifier', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn('/directory?tab=accounts');
  const row = page.getByRole('row', { name: 'sub-carol' });
  await expect(row).toContainText('Served');
  const number = /[0-9]{6}/.exec(await row.innerText())![0];
  for (const search of ['CAROL', number, 'sub-carol']) {
    await page.getByLabel('Search accounts').fill(search);
    await expect(row).toBeVisible();
    await expect(page.getByRole('row')).toHaveCount(2);
  }
  await page.getByLabel('Search accounts').fill('nobody-like-this');
  await expect(page.getByText('Nothing matches.')).toBeVisible();
});

test('several changes are chosen, looked at and let through together', async ({ site, open }) => {
  const { page, signIn } = await open({ admin: true });
  const members = ['alice', 'bob'];
  await site.do('directory', {
    users,
    groups: [
      { ...OPERATORS, members },
      { ...WEB, members: ['bob'], claims: { sudoCommands: '/usr/bin/apt', sudoHosts: 'web1.example.com' } },
    ],
  });
  await signIn('/directory');
  await page.getByRole('button', { name: 'Decide about several' }).click();
  const dialog = page.getByRole('dialog', { name: 'Decide about several changes' });
  await expect(dialog.getByRole('button', { name: 'Nothing is chosen' })).toBeDisabled();
  await dialog.getByRole('checkbox', { name: 'All 2' }).check();
  for (const fact of ['sub-bob', '/usr/bin/apt', 'web1.example.com']) await expect(dialog).toContainText(fact);
  expect(await axe(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Let through: 2 changes' }).click();
  await expect(page.getByText('2 changes let through.')).toBeVisible();
  await expect.poll(() => operators(site)).toEqual(members);
});
