import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

// People live in another directory; sudo rules are all there is.
test.use({ town: 'bridge' });

test('bridge mode: the state says so, nothing is fetched, and groups are told to the simulator', async ({ open }) => {
  const { page, signIn } = await open({ as: 'olga' });
  await signIn('/directory');
  await inspect(page, 'directory-bridge', () => page.getByText('None: bridge mode, sudo rules only').waitFor());
  await expect(page.getByRole('button', { name: 'Fetch now' })).toHaveCount(0);
  await expect(page.getByText('Last heard')).toHaveCount(0);

  await page.getByRole('link', { name: 'Sudo rules' }).click();
  await page.getByRole('button', { name: 'Make the first rule' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Group', { exact: true }).fill('web');
  await dialog.getByLabel('Commands').fill('/usr/bin/id');
  await dialog.getByRole('button', { name: 'Create rule' }).click();
  await expect(page.getByRole('heading', { name: 'web', exact: true })).toBeVisible();
  await expect(page.getByText('From claims of groups')).toHaveCount(0);

  await page.getByRole('tab', { name: 'Try a command' }).click();
  await page.getByLabel('User', { exact: true }).fill('alice');
  await page.getByRole('combobox', { name: 'Host' }).fill('web1.example.com');
  await page.getByRole('textbox', { name: 'Command' }).fill('/usr/bin/id');
  await page.getByRole('button', { name: 'Try it' }).click();
  await expect(page.getByText('No rule is about this person at all.')).toBeVisible();
  await page.getByLabel('Groups').fill('staff web');
  await page.getByRole('button', { name: 'Try it' }).click();
  await expect(page.getByRole('heading', { name: 'Allowed by web' })).toBeVisible();
});
