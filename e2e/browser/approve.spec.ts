import { expect, test } from './world.ts';

test('sign in, make a passkey on the page, come straight back, approve, see that the command ran', async ({
  site,
  open,
}) => {
  const person = await open({ viewport: { width: 360, height: 740 } });
  const { page } = person;
  const { id, code } = await site.do('ask', { user: person.username });
  await page.goto(`/approve/${code}`);
  await page.goto(`${page.url()}?login=${person.username}`);
  await expect(page).toHaveURL(`/approve/${code}`);
  await expect(page.getByRole('heading', { level: 1 })).toContainText(
    `${person.username} wants to run a command as root on web1.example.com`,
  );
  await expect(page.getByText('sudo systemctl restart nginx')).toBeVisible();
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('button', { name: 'Approve' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Approved by you');
  expect(await site.do('look', { id })).toMatchObject({ status: 'approved', class: 'passkey', hasVerdict: true });
  await expect(page.locator('#outcome')).toHaveText('Waiting for web1.example.com to start the command.');
  await site.do('outcome', { id, outcome: 'granted' });
  await expect(page.locator('#outcome')).toHaveText('The command ran.');
});
