import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

// The trust root is carried away, and the authority of hosts changes.
test.use({ town: 'off-line-root' });

test('a passkey that waits for a signature says so, and who signs for it', async ({ open }) => {
  const person = await open({ as: 'alice' });
  const { page } = person;
  await person.signIn('/passkeys');
  await person.addPasskey('Pixel 9');
  await page.reload();
  const waits = page.getByText('Waits for a signature');
  await inspect(page, 'passkeys-unsigned', () => waits.waitFor());
  await waits.hover();
  await expect(page.getByRole('tooltip')).toContainText('An operator signs for it with the trust root');
});

test('an authority that takes the place of another is told with the hosts, step by step', async ({ site, open }) => {
  const { page, signIn } = await open({ as: 'olga' });
  await signIn('/hosts');
  await expect(page.getByText(/^The authority for certificates of hosts ends on \d{4}-\d\d-\d\d\.$/)).toBeVisible();

  await page.route('**/trpc/hosts.list*', async (route) => {
    const answer = await route.fetch();
    const text = (await answer.text()).replace('"state":"good"', '"state":"ends_soon"');
    await route.fulfill({ response: answer, body: text });
  });
  await page.reload();
  await inspect(page, 'hosts-authority-ends', () => page.getByText('identree-server ca rotate').waitFor());
  await page.unroute('**/trpc/hosts.list*');

  await site.do('authority', { step: ['rotate'] });
  await page.reload();
  await inspect(page, 'hosts-authority-begun', () => page.getByText('The old one signs still').waitFor());

  await site.do('authority', { step: ['activate', '--force'] });
  await page.reload();
  await inspect(page, 'hosts-authority-new', () => page.getByText('the old one counts still').waitFor());
});
