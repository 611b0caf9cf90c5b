import { readFile } from 'node:fs/promises';
import { FIRST_DIRECTORY } from './site-commands.ts';
import { expect, type Person, type Site, test } from './world.ts';

test.use({ town: 'rules' });

const dialogOf = ({ page }: Person) => page.getByRole('dialog');
const ruleCard = ({ page }: Person, name: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('heading', { name, exact: true }) });

async function create(person: Person, rule: object): Promise<{ id: string; revision: number }> {
  const { data } = await person.call('sudoRules.create', { rule, acknowledged: true });
  expect(data).toMatchObject({ ok: true });
  return (data as { rule: { id: string; revision: number } }).rule;
}

async function served(site: Site, cn: string): Promise<Record<string, string | string[]> | undefined> {
  const attributes = ['sudoUser', 'sudoHost', 'sudoCommand', 'sudoRunAsUser', 'sudoOption', 'sudoOrder'];
  return (await site.do('ldap', { filter: `(&(objectClass=sudoRole)(cn=${cn}))`, attributes }))[0];
}

test('a new rule: problems at their fields, warnings that have to be meant, then hosts have it', async ({
  site,
  open,
}) => {
  const admin = await open({ admin: true });
  const { page } = admin;
  await admin.signIn('/sudo-rules');
  await page.getByRole('button', { name: 'New rule' }).click();
  const dialog = dialogOf(admin);
  const field = (name: string) => dialog.getByRole('textbox', { name, exact: true });
  await expect(field('Group')).toBeFocused();
  await expect(dialog.getByText('Say for whom')).toHaveCount(0);
  await dialog.getByRole('button', { name: 'Create rule' }).click();
  await expect(dialog.getByText('Say for whom: a group, users or a netgroup.')).toBeVisible();
  await expect(dialog.getByText('Name at least one command.')).toBeVisible();
  await expect(field('Group')).toBeFocused();

  await field('Group').fill('docker');
  await field('Commands').fill('/usr/bin/systemctl restart nginx\n\nvim /etc/hosts');
  await field('Hosts').fill('web1.example.com\nweb 2');
  await field('Options of sudo').fill('!authenticate');
  await field('Order').fill('soon');
  await expect(dialog.getByText('A whole number from 0 to 2147483647.')).toBeVisible();
  await field('Order').fill('7');
  for (const problem of [
    'This group belongs to the system.',
    'Line 3: Not an absolute path.',
    'Line 2: Not a host name, address or netgroup.',
    'Commands without approval are switched off here.',
  ]) {
    await expect(dialog.getByText(problem)).toBeVisible();
  }
  await expect(field('Commands')).toHaveAttribute('aria-invalid', 'true');

  await field('Group').fill('web');
  await field('Commands').fill('/usr/bin/systemctl restart nginx\n/usr/bin/vim');
  await field('Hosts').fill('web1.example.com');
  await field('Options of sudo').fill('use_pty');
  await field('Description').fill('Deployments');
  await expect(dialog.getByText('/usr/bin/vim can start any other program')).toBeVisible();
  const save = dialog.getByRole('button', { name: 'Create rule' });
  await expect(save).toBeDisabled();
  await dialog.getByLabel('Yes, this is what I want.').check();
  // Something else to be meant takes the consent back.
  await field('Commands').fill('/usr/bin/systemctl restart nginx\n/usr/bin/vim\nALL');
  await expect(dialog.getByText('ALL is unrestricted')).toBeVisible();
  await expect(save).toBeDisabled();
  await field('Commands').fill('/usr/bin/systemctl restart nginx\n/usr/bin/vim');
  await expect(dialog.getByText('ALL is unrestricted')).toHaveCount(0);
  await expect(save).toBeEnabled();
  await save.click();
  await expect(dialog).toHaveCount(0);

  const card = ruleCard(admin, 'web');
  for (const text of ['For members of web', 'Deployments', '/usr/bin/vim', 'web1.example.com', 'use_pty'])
    await expect(card).toContainText(text);
  await expect
    .poll(() => served(site, 'web'))
    .toMatchObject({
      sudoUser: '%web',
      sudoHost: 'web1.example.com',
      sudoCommand: ['/usr/bin/systemctl restart nginx', '/usr/bin/vim'],
      sudoRunAsUser: 'root',
      sudoOption: 'use_pty',
      sudoOrder: '7',
    });
});

test('a rule that fits is saved without a question, right after the last key', async ({ site, open }) => {
  const admin = await open({ admin: true });
  await admin.signIn('/sudo-rules');
  await admin.page.getByRole('button', { name: 'New rule' }).click();
  const dialog = dialogOf(admin);
  await dialog.getByRole('textbox', { name: 'Users' }).fill('alice\nbob');
  await dialog.getByRole('textbox', { name: 'Name of the rule' }).fill('quick');
  await dialog.getByRole('textbox', { name: 'Commands' }).fill('/usr/bin/id');
  await admin.page.getByRole('textbox', { name: 'Description' }).press('Enter');
  await expect(dialog).toHaveCount(0);
  await expect.poll(() => served(site, 'quick')).toMatchObject({ sudoUser: ['alice', 'bob'] });
});

test('somebody else was faster: their version is shown, loaded or knowingly replaced', async ({ site, open }) => {
  const admin = await open({ admin: true });
  const other = await open({ admin: true });
  await other.signIn();
  const rule = { name: 'shared', group: 'web', commands: ['/usr/bin/id'] };
  const { id } = await create(other, rule);
  await admin.signIn('/sudo-rules');
  const edit = async () => {
    await admin.page.getByRole('button', { name: 'Edit shared' }).click();
    return dialogOf(admin);
  };
  const theirs = (revision: number, commands: string[]) =>
    other.call('sudoRules.update', { id, revision, rule: { ...rule, commands }, acknowledged: true });
  const commands = () => dialogOf(admin).getByRole('textbox', { name: 'Commands' });

  let dialog = await edit();
  await commands().fill('/usr/bin/whoami');
  await theirs(1, ['/usr/bin/uptime']);
  await dialog.getByRole('button', { name: 'Save rule' }).click();
  const conflict = dialog.getByRole('alert').filter({ hasText: 'Somebody else changed this rule' });
  await expect(conflict).toContainText(`${other.username} saved another version`);
  await expect(conflict).toContainText(/Theirs\s*\/usr\/bin\/uptime\s*Yours\s*\/usr\/bin\/whoami/);
  await expect(conflict).toBeInViewport();
  await expect(dialog.getByRole('button', { name: 'Save rule' })).toBeDisabled();
  await conflict.getByRole('button', { name: 'Load their version' }).click();
  await expect(commands()).toHaveValue('/usr/bin/uptime');
  await commands().fill('/usr/bin/uptime\n/usr/bin/who');
  await dialog.getByRole('button', { name: 'Save rule' }).click();
  await expect(dialog).toHaveCount(0);
  await expect
    .poll(async () => (await served(site, 'shared'))?.sudoCommand)
    .toEqual(['/usr/bin/uptime', '/usr/bin/who']);

  dialog = await edit();
  await commands().fill('/usr/bin/w');
  await theirs(3, ['/usr/bin/last']);
  await dialog.getByRole('button', { name: 'Save rule' }).click();
  await conflict.getByRole('button', { name: 'Keep mine, to replace theirs' }).click();
  await expect(commands()).toHaveValue('/usr/bin/w');
  await dialog.getByRole('button', { name: 'Save rule' }).click();
  await expect(dialog).toHaveCount(0);
  await expect.poll(async () => (await served(site, 'shared'))?.sudoCommand).toBe('/usr/bin/w');
});

test('what happens while the list is on its way is not missed', async ({ open }) => {
  const admin = await open({ admin: true });
  const other = await open({ admin: true });
  await other.signIn();
  await admin.signIn('/');
  await expect(admin.page.getByText('Nobody is waiting')).toBeVisible();
  let answered = false;
  await admin.page.route(
    '**/trpc/sudoRules.list*',
    async (route) => {
      const old = await route.fetch();
      // The event comes before the older answer does; asking for the status again shows that it has come.
      const noticed = admin.page.waitForRequest('**/trpc/directory.status*');
      await create(other, { name: 'meanwhile', group: 'web', commands: ['/usr/bin/id'] });
      await noticed;
      answered = true;
      await route.fulfill({ response: old });
    },
    { times: 1 },
  );
  await admin.page.getByRole('link', { name: 'Sudo rules' }).click();
  await expect(ruleCard(admin, 'meanwhile')).toBeVisible();
  expect(answered).toBe(true);
});

test('what was typed is not lost with one key, and is discarded on request', async ({ open }) => {
  const admin = await open({ admin: true });
  await admin.signIn('/sudo-rules');
  await admin.page.getByRole('button', { name: 'New rule' }).click();
  const dialog = dialogOf(admin);
  await dialog.getByRole('textbox', { name: 'Commands' }).fill('/usr/bin/id');
  await admin.page.keyboard.press('Escape');
  await expect(dialog.getByText('Discard what you typed?')).toBeInViewport();
  await dialog.getByRole('button', { name: 'Keep editing' }).click();
  await expect(dialog.getByRole('textbox', { name: 'Commands' })).toHaveValue('/usr/bin/id');
  await admin.page.keyboard.press('Escape');
  await dialog.getByRole('button', { name: 'Discard' }).click();
  await expect(dialog).toHaveCount(0);
  await admin.page.getByRole('button', { name: 'New rule' }).click();
  await expect(dialog.getByRole('textbox', { name: 'Commands' })).toHaveValue('');
  await admin.page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
});

test('a rule is deleted after its whole text was shown again', async ({ site, open }) => {
  const admin = await open({ admin: true });
  await admin.signIn('/sudo-rules');
  await create(admin, { name: 'short-lived', group: 'web', commands: ['/usr/bin/id'] });
  await expect.poll(() => served(site, 'short-lived')).toBeDefined();
  await admin.page.getByRole('button', { name: 'Delete short-lived' }).click();
  const dialog = dialogOf(admin);
  await expect(dialog).toContainText('short-lived allows members of web');
  await expect(dialog).toContainText('/usr/bin/id');
  await dialog.getByRole('button', { name: 'Delete rule' }).click();
  await expect(ruleCard(admin, 'short-lived')).toHaveCount(0);
  await expect.poll(() => served(site, 'short-lived')).toBeUndefined();
});

test('rules go out as a file and come back, whole or not at all', async ({ site, open }) => {
  const admin = await open({ admin: true });
  const { page } = admin;
  await admin.signIn('/sudo-rules');
  await create(admin, { name: 'exported', group: 'web', commands: ['/usr/bin/id'] });
  const menu = async (item: string) => {
    await page.getByRole('button', { name: 'Import and export' }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  const [download] = await Promise.all([page.waitForEvent('download'), menu('Export rules')]);
  expect(download.suggestedFilename()).toBe('sudorules.json');
  const exported = JSON.parse(await readFile(await download.path(), 'utf8')) as { rules: { name: string | null }[] };
  const rule = exported.rules.find(({ name }) => name === 'exported');
  expect(rule).toMatchObject({ group: 'web', commands: ['/usr/bin/id'] });

  await menu('Import rules');
  const dialog = dialogOf(admin);
  const paste = dialog.getByRole('textbox', { name: 'Or paste it here' });
  const send = dialog.getByRole('button', { name: 'Import rules' });
  await paste.fill('{');
  await expect(dialog.getByText('This is no JSON.')).toBeVisible();
  await expect(send).toBeDisabled();
  await paste.fill('[{"group":"web","commands":"apt"}]');
  await send.click();
  await expect(dialog.getByText('Rule 1 (web): commands: not an absolute path. Nothing was imported.')).toBeVisible();
  await paste.fill(JSON.stringify({ version: 2, rules: [{ ...rule, name: 'again' }, rule] }));
  await send.click();
  await expect(dialog.getByText('There is a rule "exported" already. Nothing was imported.')).toBeVisible();
  await expect(ruleCard(admin, 'again')).toHaveCount(0);

  const file = JSON.stringify([{ group: 'imported', commands: 'ALL', hosts: 'web1.example.com' }]);
  await dialog.getByLabel('File to import').setInputFiles({
    name: 'sudorules.json',
    mimeType: 'application/json',
    buffer: Buffer.from(file),
  });
  await send.click();
  await expect(dialog).toContainText('imported: ALL is unrestricted');
  await expect(send).toBeDisabled();
  await dialog.getByLabel('Yes, this is what I want.').check();
  await send.click();
  await expect(ruleCard(admin, 'imported')).toContainText('web1.example.com');
  await expect.poll(() => served(site, 'imported')).toMatchObject({ sudoCommand: 'ALL' });
});

test('the simulator answers with the rule, the options, and why the others do not fit', async ({ site, open }) => {
  await site.do('directory', FIRST_DIRECTORY);
  const admin = await open({ admin: true });
  const { page } = admin;
  await admin.signIn('/sudo-rules');
  await create(admin, { name: 'for-carol', users: ['carol'], commands: ['/usr/bin/dmesg'], options: ['use_pty'] });
  await create(admin, { name: 'as-postgres', users: ['carol'], commands: ['/usr/bin/dmesg'], runAsUser: ['postgres'] });
  await create(admin, { name: 'in-the-lab', users: ['carol'], commands: ['/usr/bin/dmesg'], hosts: ['10.0.0.0/8'] });
  await expect.poll(() => served(site, 'in-the-lab')).toBeDefined();
  await page.getByRole('tab', { name: 'Try a command' }).click();
  await page.getByRole('textbox', { name: 'User', exact: true }).fill('carol');
  await page.getByRole('combobox', { name: 'Host' }).fill('web1.example.com');
  const command = page.getByRole('textbox', { name: 'Command' });
  await command.fill('dmesg');
  await expect(page.getByText('With its whole path')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Try it' })).toBeDisabled();
  await command.fill('/usr/bin/dmesg');
  await command.press('Enter');
  const verdict = page.getByRole('heading', { name: 'Allowed by for-carol' });
  await expect(verdict).toBeFocused();
  await expect(page.getByText('somebody has to approve it')).toBeVisible();
  const answer = page.getByRole('region', { name: 'Allowed by for-carol' });
  await expect(answer).toContainText('carol and web');
  await expect(answer).toContainText('timestamp_timeout=0, use_pty');
  const row = (name: string) => answer.getByRole('listitem').filter({ hasText: name });
  await expect(row('for-carol')).toContainText('Decides.');
  await expect(row('as-postgres')).toContainText(/another user or group to run as|Comes after/);
  await expect(row('in-the-lab')).toContainText('sssd on this host would never ask for it');

  await page.getByRole('textbox', { name: 'Run as user' }).fill('nobody');
  await page.getByRole('button', { name: 'Try it' }).click();
  await expect(page.getByRole('heading', { name: 'Denied: no rule allows it' })).toBeFocused();
});

test('the address of earlier installations still leads to the rules', async ({ open }) => {
  const { page, signIn } = await open({ admin: true });
  await signIn();
  await page.goto('/admin/sudo-rules');
  await expect(page).toHaveURL('/sudo-rules');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sudo rules');
});
