import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { axe, expect, overflow, type Person, type Site, test } from './world.ts';

/**
 * Every page in light and dark, on a phone and on a desktop: nothing wider than the window, nothing that axe finds, no
 * complaint of the browser; and a screenshot in test-results/screenshots for people to look at.
 */

const FOLDER = process.env.SCREENSHOTS ?? join(import.meta.dirname, '../../test-results/screenshots');
mkdirSync(FOLDER, { recursive: true });

// Nobody else leaves requests in these pictures.
test.use({ town: 'quiet' });

const SIZES = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 860 } } as const;
const SCHEMES = ['light', 'dark'] as const;

/** Waits until nothing on the page is on its way any more: fonts, colours of the other scheme, dialogs. */
async function still(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await document.fonts.ready;
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
    const finite = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(finite.map(({ finished }) => finished));
  });
}

async function inspect(page: Page, name: string, ready: () => Promise<unknown>): Promise<void> {
  for (const scheme of SCHEMES) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await page.setViewportSize(viewport);
      await ready();
      await still(page);
      const label = `${name}-${size}-${scheme}`;
      await page.screenshot({ path: join(FOLDER, `${label}.png`) });
      expect.soft(await overflow(page), `${label}: wider than the window`).toBeLessThanOrEqual(0);
      // Both schemes and both layouts, each once: colours and structure do not depend on each other.
      if ((scheme === 'light') === (size === 'phone')) expect.soft(await axe(page), `${label}: axe`).toEqual([]);
    }
  }
}

const heading = (page: Page, name: string | RegExp) => () => page.getByRole('heading', { level: 1, name }).waitFor();

/** The page has settled: its buttons count. */
const answerable = (page: Page) => () => expect(page.getByRole('button', { name: 'Approve' })).toBeEnabled();

/** Requests as a team makes them on an ordinary day. */
async function ordinaryDay(site: Site, olga: Person): Promise<void> {
  const decide = async (name: string, record: object, answer: 'approve' | 'deny' | 'cancel', more: object = {}) => {
    const { id } = await site.do('ask', { user: name, host: 'lab1.example.com', record });
    if (answer === 'cancel') return void (await site.do('cancel', { id }));
    const result = await olga.call(`challenges.${answer}`, { challengeId: id, ...more });
    expect(result.status).toBe(200);
    if (answer === 'approve') await site.do('outcome', { id, outcome: 'granted' });
  };
  await decide('alice', { argv: ['sudo', 'apt', 'update'] }, 'approve');
  await decide('bob', { argv: ['sudo', 'journalctl', '-u', 'nginx', '--since', 'today'] }, 'approve');
  await decide('bob', { argv: ['sudo', 'rm', '-rf', '/srv/backups'] }, 'deny', { reason: 'Not on a Friday' });
  await decide('alice', { argv: ['sudo', 'systemctl', 'reload', 'postgresql'] }, 'cancel');
  await decide(
    'alice',
    { argv: ['sudo', 'tcpdump', '-i', 'eth0', '-n', 'port', '443'], reason: 'Ticket 4711' },
    'approve',
  );
}

test('approval page, waiting for an answer', async ({ site, open }) => {
  const alice = await open({ as: 'alice' });
  await alice.signIn();
  await alice.addPasskey('Pixel 9');
  const { code } = await site.do('ask', {
    user: 'alice',
    record: {
      reason: 'Certificate was renewed, ticket 4711',
      origin: '192.0.2.44',
      target: { path: '/usr/bin/systemctl', assurance: 'derived', device: '2049', inode: '131586', sha256: null },
    },
  });
  await alice.page.goto(`/approve/${code}`);
  await inspect(alice.page, 'approval', answerable(alice.page));
});

test('approval page, unrestricted root and hidden characters', async ({ site, open }) => {
  const person = await open();
  await person.signIn();
  await person.addPasskey();
  const { code } = await site.do('ask', {
    user: person.username,
    record: {
      argv: ['sudo', './deploy\\u{202e}hs.txt', '--now', 'caf\\u{200b}é', '\\xff'],
      unrestricted: ['interpreter', 'user-writable-target'],
      cwd: '/home/shared/releases',
    },
  });
  await person.page.goto(`/approve/${code}`);
  await inspect(person.page, 'approval-unrestricted', answerable(person.page));
});

test('approval page, answered', async ({ site, open }) => {
  const person = await open();
  await person.signIn();
  const { id, code } = await site.do('ask', { user: person.username, host: 'lab1.example.com' });
  await person.call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'granted' });
  await person.page.goto(`/approve/${code}`);
  await inspect(person.page, 'approval-answered', heading(person.page, 'Approved by you'));
});

test('small pages: enter a code, nothing here, signed out', async ({ open, allow }) => {
  allow(/404/);
  const person = await open();
  await person.signIn();
  await person.page.goto('/approve');
  await inspect(person.page, 'enter-code', heading(person.page, 'Enter the code'));
  await person.page.goto('/approve/ZZZZZZ-000000');
  await inspect(person.page, 'not-found', heading(person.page, 'There is nothing here'));
  const query = new URLSearchParams({
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    redirect_uri: 'http://127.0.0.1:45678/callback',
    state: 'a-state-of-the-desktop-app',
  });
  await person.page.goto(`/desktop/sign-in?${query}`);
  await inspect(person.page, 'desktop-consent', heading(person.page, 'Connect the desktop app?'));
  await person.page.goto('/signed-out');
  await inspect(person.page, 'signed-out', heading(person.page, 'You are signed out'));
});

test('console, nothing there yet', async ({ open }) => {
  const { page, signIn } = await open();
  await signIn('/');
  await inspect(page, 'inbox-empty', () => page.getByText('Nobody is waiting').waitFor());
  await page.goto('/passkeys');
  await inspect(page, 'passkeys-empty', () => page.getByText('No passkey yet').waitFor());
  await page.goto('/history');
  await inspect(page, 'history-empty', () => page.getByText('No requests yet.').waitFor());
});

test('console, inbox and history', async ({ site, open }) => {
  for (const as of ['alice', 'bob']) await (await open({ as })).signIn();
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn();
  await olga.addPasskey('MacBook of Olga');
  await ordinaryDay(site, olga);
  await site.do('ask', {
    user: 'alice',
    record: { argv: ['sudo', 'systemctl', 'restart', 'nginx'], reason: 'Certificate was renewed, ticket 4711' },
  });
  await site.do('ask', { user: 'bob', record: { argv: ['sudo', '-i'], mode: 'login-shell', unrestricted: ['shell'] } });
  const promote = ['sudo', '-u', 'postgres', 'pg_ctl', 'promote', '-D', '/var/lib/postgresql/17/main'];
  const runAs = { user: 'postgres', group: null, assurance: 'resolved' } as const;
  await site.do('ask', { user: 'bob', host: 'db1.example.com', record: { argv: promote, runAs, gate: 'plugin' } });
  await page.goto('/');
  await inspect(page, 'inbox', () => page.getByText('pg_ctl').first().waitFor());
  await page.goto('/history');
  await inspect(page, 'history', () => page.getByText('tcpdump').first().waitFor());
  await page.getByText('rm -rf /srv/backups').first().click();
  await inspect(page, 'history-detail', () => page.getByText('“Not on a Friday”').waitFor());
});

test('console, hosts', async ({ site, open }) => {
  const { page, signIn } = await open({ as: 'olga' });
  await site.do('waitingHost', { hostname: 'edge7.example.com' });
  await site.do('setHost', { hostname: 'db1.example.com', set: { clock_skew_ms: -14_000, host_group: 'databases' } });
  await site.do('setHost', { hostname: 'web1.example.com', set: { clock_skew_ms: 12, host_group: 'production' } });
  await site.do('setHost', { hostname: 'lab1.example.com', set: { state: 'quarantined', clock_skew_ms: 40 } });
  await signIn('/hosts');
  await inspect(page, 'hosts', () => page.getByText('edge7.example.com').waitFor());
  await page.getByRole('button', { name: 'Look at it: lab1.example.com' }).click();
  await inspect(page, 'hosts-quarantine', () => page.getByRole('dialog').getByText('Two machines').waitFor());
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Confirm edge7.example.com' }).click();
  await inspect(page, 'hosts-confirm', () => page.getByRole('dialog').getByText('Key of this host,').waitFor());
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Enrol a host' }).click();
  await page.getByRole('dialog').getByLabel('Host name').fill('web2.example.com');
  await page.getByRole('button', { name: 'Create token' }).click();
  await inspect(page, 'hosts-token', () => page.getByText('The token is shown only now').waitFor());
  await site.do('setHost', { hostname: 'lab1.example.com', set: { state: 'active' } });
});

test('console, passkeys, sessions and people', async ({ site, open }) => {
  const bob = await open({ as: 'bob' });
  await bob.signIn();
  const phone = await open({
    as: 'olga',
    userAgent: 'Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Mobile Safari/537.36',
  });
  await phone.signIn();
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn('/passkeys');
  await inspect(page, 'passkeys', () => page.getByText('MacBook of Olga').waitFor());
  await page.getByRole('button', { name: 'Rename MacBook of Olga' }).click();
  await inspect(page, 'passkeys-rename', () => page.getByRole('dialog').getByText('Rename passkey').waitFor());
  await page.goto('/sessions');
  await inspect(page, 'sessions', () => page.getByText('This device', { exact: true }).waitFor());
  await site.do('claim', { account: 'alice', by: 'bob' });
  await page.goto('/people');
  await inspect(page, 'people', () => page.getByText('claims the account alice').waitFor());
  await page.getByRole('button', { name: 'Decide' }).click();
  await inspect(page, 'people-claim', () => page.getByRole('dialog').getByText('Claims it').waitFor());
});

test('console, signed out', async ({ open }) => {
  const person = await open();
  await person.page.goto('/');
  await inspect(person.page, 'sign-in', heading(person.page, 'Sign in to identree'));
});
