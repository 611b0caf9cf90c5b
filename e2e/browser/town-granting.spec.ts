import { inspect } from './inspect.ts';
import { expect, test } from './world.ts';

// Hosts here run again by themselves, for an hour, what the policy answered by itself.
test.use({ town: 'granting' });

const ENDED = { state: 'ended', exitStatus: 0, signal: null, durationMs: 3000 } as const;

test('a command that ran by an offline grant: how it ended, and what is wrong with it', async ({ site, open }) => {
  const asGranted = await site.do('useGrant', { run: ENDED });
  const another = await site.do('useGrant', {
    other: { cwd: '/elsewhere' },
    run: { ...ENDED, exitStatus: null, signal: 'SIGKILL' },
  });
  const { page, signIn } = await open({ as: 'olga' });
  await signIn(`/approve/${asGranted.code}`);
  await inspect(page, 'approval-by-grant', () =>
    expect(page.locator('#outcome')).toHaveText('Ended with status 0 after 3 s.'),
  );
  await expect(page.getByText('another command, account or environment')).toHaveCount(0);
  await page.goto(`/approve/${another.code}`);
  await inspect(page, 'approval-by-grant-not-as-granted', () =>
    expect(page.getByText('What the host says it ran is another command, account or environment')).toBeVisible(),
  );

  await expect(page.getByRole('heading', { name: 'Not what the policy approved' })).toBeVisible();

  await page.goto(`/history?request=${asGranted.code}`);
  await expect(page.getByText('Ended with status 0 after 3 s')).not.toHaveCount(0);
  await expect(page.getByText('Not as granted')).toHaveCount(0);
  await page.goto(`/history?request=${another.code}`);
  await inspect(page, 'history-not-as-granted', () => expect(page.getByText('Not as granted')).toBeVisible());
  await expect(page.getByText('Ended by SIGKILL after 3 s')).not.toHaveCount(0);

  // The journal of this host begins anew with each use.
  await page.goto(`/history?view=events&event=${another.seq}`);
  await inspect(page, 'event-not-as-granted', () =>
    expect(
      page.getByText('What it says it ran is not what was granted. Of what it wrote down before').first(),
    ).toBeVisible(),
  );
});
