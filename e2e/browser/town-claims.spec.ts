import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

// Rules come from claims only, and a break-glass password takes two administrators.
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

test('a break-glass password that takes two administrators is shown to one once another has agreed', async ({
  site,
  open,
}) => {
  await site.do('keepPassword', { hostname: 'web1.example.com', password: 'otter-maple-violin-cactus' });
  const [first, second] = [await open({ admin: true }), await open({ admin: true })];
  for (const { signIn, addPasskey } of [first, second]) {
    await signIn('/hosts');
    await addPasskey();
  }
  await first.page.getByRole('button', { name: 'More for web1.example.com' }).click();
  await first.page.getByRole('menuitem', { name: 'Break-glass password' }).click();
  const asking = first.page.getByRole('dialog');
  await asking.getByLabel('Why do you need it?').fill('the network is down');
  await asking.getByRole('button', { name: 'Ask a second administrator' }).click();
  await expect(asking).toContainText('Another administrator has to confirm this');
  await inspect(first.page, 'break-glass-asked', () => asking.getByText('Another administrator').waitFor());
  await expect(asking.getByRole('button', { name: 'Show the password' })).toBeDisabled();

  const page = second.page.getByRole('main');
  await expect(page).toContainText(`${first.username} waits for a second administrator`);
  await page.getByRole('button', { name: 'Look at it' }).click();
  const agreeing = second.page.getByRole('dialog');
  // What is agreed to is power on one host, for one reason.
  await expect(agreeing.getByRole('alert')).toContainText('web1.example.com: “the network is down”');
  await inspect(second.page, 'break-glass-second', () => agreeing.getByText('the network is down').waitFor());
  await agreeing.getByRole('button', { name: `Let ${first.username} see it` }).click();
  await expect(agreeing).toContainText(`${second.username} has confirmed it.`);
  await expect(second.page.getByText('otter-maple-violin-cactus')).toHaveCount(0);

  await expect(asking).toContainText(`${second.username} has confirmed it.`);
  await asking.getByRole('button', { name: 'Show the password' }).click();
  await expect(asking).toContainText('otter-maple-violin-cactus');
});
