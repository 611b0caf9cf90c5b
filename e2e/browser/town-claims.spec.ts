import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

// Rules come from claims only.
test.use({ town: 'claims' });

test('rules from claims are shown with where they come from, and cannot be changed here', async ({ open }) => {
  const { page, signIn } = await open({ as: 'olga' });
  await signIn('/sudo-rules');
  await inspect(page, 'rules-claims-only', () => page.getByText('From claims of groups').waitFor());
  const rule = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'operators' }) });
  await expect(rule).toContainText('For alice');
  await expect(rule).toContainText('/usr/bin/systemctl restart nginx');
  await expect(rule).toContainText('web1.example.com');
  await expect(page.getByText('as customClaims of its group in the directory file')).toBeVisible();
  await expect(page.getByRole('button', { name: /New rule|Edit|Delete|Import/ })).toHaveCount(0);
});
