import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

test.use({ town: 'undirected' });

test('without a directory its pages say how to get one', async ({ open }) => {
  const { page, signIn } = await open({ as: 'olga' });
  await signIn('/directory');
  await inspect(page, 'directory-none', () => page.getByText('This server serves no directory').waitFor());
  await expect(page.getByText('IDENTREE_LDAP_BASE_DN')).toBeVisible();
  await page.getByRole('link', { name: 'Sudo rules' }).click();
  await expect(page.getByText('This server serves no directory')).toBeVisible();
  await expect(page.getByRole('button', { name: 'New rule' })).toHaveCount(0);
});
