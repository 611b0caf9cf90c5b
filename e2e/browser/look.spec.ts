import type { Page } from '@playwright/test';
import type { RunRequest } from '#shared/host-run.ts';
import { sampleResolved } from '#shared/testing/request-record.ts';
import { samples } from './fixture/sample-requests.ts';
import { heading, inspect } from './inspect.ts';
import { FIRST_DIRECTORY, type SiteCommands } from './site-commands.ts';
import { expect, type Person, type Site, test } from './world.ts';

// Every page as people see it. Nobody else leaves requests in these pictures.
test.use({ town: 'quiet' });

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

test('approval page, what sudo resolved with an environment that changes what runs', async ({ site, open }) => {
  const person = await open();
  await person.signIn();
  await person.addPasskey();
  const { record } = samples()['resolved-environment']!;
  const { hostId, user, uid, nonce, createdAt, ...fields } = record;
  const { code } = await site.do('ask', { user: person.username, record: fields });
  await person.page.goto(`/approve/${code}`);
  await inspect(person.page, 'approval-resolved', answerable(person.page));
  await person.page.goto(`/?request=${code}`);
  await inspect(person.page, 'inbox-resolved', () => person.page.getByText('/srv/jail').waitFor());
});

test('approval page, what becomes of a command', async ({ site, open }) => {
  const person = await open();
  await person.signIn();
  const argv = ['systemctl', 'restart', 'nginx'];
  const runAs = { user: 'root', group: null, assurance: 'resolved' } as const;
  const runs: [string, RunRequest | null, string][] = [
    ['released', null, 'Released to sudo.'],
    ['running', { state: 'started' }, 'Running, started'],
    ['ended', { state: 'ended', exitStatus: 0, signal: null, durationMs: 3000 }, 'Ended with status 0 after 3 s.'],
    ['killed', { state: 'ended', exitStatus: null, signal: 'SIGKILL', durationMs: 125_000 }, 'Ended by SIGKILL'],
    [
      'refused',
      { state: 'refused', reason: 'unable to execute /usr/bin/systemctl: Exec format error' },
      'sudo refused it',
    ],
  ];
  for (const [name, run, text] of runs) {
    const { id, code } = await site.do('ask', {
      user: person.username,
      host: 'lab1.example.com',
      record: { gate: 'plugin', argv, runAs, resolved: sampleResolved('/usr/bin/systemctl') },
    });
    await person.call('challenges.approve', { challengeId: id });
    await site.do('outcome', { id, outcome: 'granted' });
    if (run !== null) await site.do('run', { id, run });
    await person.page.goto(`/approve/${code}`);
    await inspect(person.page, `approval-${name}`, () => expect(person.page.locator('#outcome')).toContainText(text));
  }
  await person.page.goto('/history');
  await inspect(person.page, 'history-runs', () => person.page.getByText('systemctl').first().waitFor());
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
  const promote = ['pg_ctl', 'promote', '-D', '/var/lib/postgresql/17/main'];
  const runAs = { user: 'postgres', group: null, assurance: 'resolved' } as const;
  const resolved = sampleResolved('/usr/lib/postgresql/17/bin/pg_ctl');
  await site.do('ask', {
    user: 'bob',
    host: 'db1.example.com',
    record: { argv: promote, runAs, gate: 'plugin', resolved },
  });
  await page.goto('/');
  await inspect(page, 'inbox', () => page.getByText('pg_ctl').first().waitFor());
  await page.goto('/history');
  await inspect(page, 'history', () => page.getByText('tcpdump').first().waitFor());
  await page.getByText('rm -rf /srv/backups').first().click();
  await inspect(page, 'history-detail', () => page.getByText('“Not on a Friday”').waitFor());
});

test('console, events, one of them, and where they go', async ({ site, open }) => {
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn();
  const reason = 'Certificate was renewed, ticket 4711';
  const { id } = await site.do('ask', { user: 'alice', host: 'lab1.example.com', record: { reason } });
  await olga.call('challenges.approve', { challengeId: id });
  await site.do('outcome', { id, outcome: 'granted' });
  await site.do('run', { id, run: { state: 'started' } });
  await site.do('run', { id, run: { state: 'ended', exitStatus: 0, signal: null, durationMs: 3000 } });
  await page.goto('/history?view=events');
  await inspect(page, 'events', () => page.getByText('olga approved the request').first().waitFor());
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByRole('button', { name: 'Filters' }).click();
  await inspect(page, 'events-filters', () => page.getByLabel('User', { exact: true }).waitFor());
  await page
    .getByRole('link', { name: /^olga approved the request/ })
    .first()
    .click();
  await page.getByText('Raw JSON').click();
  await inspect(page, 'event', () => page.getByText('The hash is that of the record').waitFor());
  const refused = 'the receiver says 400: event is larger than 1 MiB';
  for (const seq of [2, 5]) await site.do('refuse', { seq, reason: refused });
  await page.goto('/audit-sinks');
  await page.getByText('Failing').waitFor();
  await inspect(page, 'audit-sinks', () => page.getByText(refused).first().waitFor());
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

/** Whatever the directory was, it is this from now on: what waits is let through. */
async function becomes(site: Site, olga: Person, content: Parameters<SiteCommands['directory']>[0]): Promise<void> {
  // What one answer lets through may be what the next question is about.
  for (;;) {
    await site.do('directory', content);
    const holds = (await olga.call('directory.holds', undefined, { method: 'GET' })).data as {
      id: string;
      digest: string;
      state: string;
    }[];
    const open = holds.filter(({ state }) => state === 'open');
    if (open.length === 0) return;
    for (const { id, digest } of open) await olga.call('directory.confirm', { id, digest });
  }
}

/** A directory in which much waits, and much is to be said about. */
async function eventfulDirectory(site: Site, olga: Person): Promise<void> {
  const { users, groups } = FIRST_DIRECTORY;
  const [operators, web] = groups as [(typeof groups)[number], (typeof groups)[number]];
  const staff = Array.from({ length: 30 }, (_, n) => ({ username: `staff${n + 1}` }));
  const databases = {
    name: 'databases',
    members: ['carol'],
    claims: {
      sudoCommands: '/usr/bin/psql',
      sudoHosts: 'db*, archive1',
      sudoRunAsUser: 'postgres',
      sudoOptions: 'setenv',
    },
  };
  await becomes(site, olga, { users: [...users, ...staff], groups: [operators, web, databases] });
  await site.do('directory', {
    users: [
      ...users.filter(({ username }) => username !== 'dave'),
      { username: 'dave.the.second', id: 'sub-dave' },
      { username: 'root', id: '5f1c0f1e-7c0a-4a6e-9a55-1d5d2c0f6b11' },
      { username: 'Grace@example.com', claims: { loginShell: 'zsh', sshPublicKey: 'ssh-dss AAAA' } },
      ...staff,
    ],
    groups: [
      { ...operators, members: ['alice', 'bob', 'Grace@example.com'], claims: { ...operators.claims, sudoHosts: '' } },
      { ...web, members: ['bob', 'carol', 'alice'] },
      {
        ...databases,
        members: ['carol', 'bob'],
        claims: { sudoCommands: '/usr/bin/psql, /bin/bash', sudoRunAsUser: 'postgres', sudoOptions: 'setenv' },
      },
    ],
  });
}

test('console, directory', async ({ site, open }) => {
  test.setTimeout(120_000);
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn('/directory');
  await inspect(page, 'directory-quiet', () => page.getByText('Nothing waits for you.').waitFor());
  await eventfulDirectory(site, olga);
  await inspect(page, 'directory', () => page.getByText('would be renamed').first().waitFor());
  await page.getByRole('button', { name: 'Decide about several' }).click();
  await inspect(page, 'directory-several', () => page.getByRole('dialog').waitFor());
  await page.keyboard.press('Escape');
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await inspect(page, 'directory-below', () => page.getByText('Base DN').first().waitFor());
  await page
    .getByRole('button', { name: /^Let it through: The sudo rule of databases/ })
    .first()
    .click();
  await inspect(page, 'directory-let-through', () => page.getByRole('dialog').waitFor());
  await page.keyboard.press('Escape');
  const rename = /dave would be renamed/;
  await page.getByRole('article', { name: rename }).getByRole('button', { name: 'Keep out' }).click();
  await inspect(page, 'directory-keep-out', () => page.getByRole('dialog').waitFor());
  await page.getByRole('dialog').getByRole('button', { name: 'Keep out' }).click();
  await page.getByText('Kept out by').waitFor();
  await page.getByRole('alert').filter({ hasText: 'Kept out.' }).getByRole('button', { name: 'Close' }).click();
  await page.getByRole('article', { name: rename }).scrollIntoViewIfNeeded();
  await inspect(page, 'directory-kept-out', () => page.getByText('Kept out by').waitFor());
});

test('console, accounts, findings and SCIM clients', async ({ site, open }) => {
  test.setTimeout(120_000);
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn('/directory');
  await eventfulDirectory(site, olga);
  await page.getByRole('tab', { name: 'Accounts' }).click();
  await inspect(page, 'directory-accounts', () => page.getByText('Withheld').first().waitFor());
  await page.getByRole('tab', { name: 'Findings' }).click();
  await inspect(page, 'directory-findings', () => page.getByText('Name of the system').waitFor());
  await page.getByRole('tab', { name: 'SCIM' }).click();
  await inspect(page, 'scim-empty', () => page.getByText('No clients yet.').waitFor());
  await page.getByRole('button', { name: 'New client' }).click();
  await page.getByLabel('Name').fill('Entra ID');
  await page.getByRole('switch', { name: 'May also write' }).check();
  await inspect(page, 'scim-create', () => page.getByText('can make root').waitFor());
  await page.getByRole('button', { name: 'Create token' }).click();
  await inspect(page, 'scim-token', () => page.getByText('The token is shown only now.').waitFor());
  await page.getByRole('button', { name: 'Done' }).click();
  await inspect(page, 'scim', () => page.getByText('never used').waitFor());
  await page.getByRole('button', { name: 'Revoke Entra ID' }).click();
  await inspect(page, 'scim-revoke', () => page.getByRole('dialog').waitFor());
});

test('console, directory without its source, and after a disaster there', async ({ site, open }) => {
  test.setTimeout(60_000);
  const { page, signIn } = await open({ as: 'olga' });
  await site.do('directory', FIRST_DIRECTORY);
  await site.do('directory', { users: [], groups: [] });
  await signIn('/directory');
  await inspect(page, 'directory-mass-change', () => page.getByText('would vanish at once').first().waitFor());
  await site.do('directory', { raw: '{"users": [{"id": "sub-alice", "username": 7}], "groups": []}' });
  await page.getByRole('button', { name: 'Fetch now' }).click();
  await inspect(page, 'directory-failed', () => page.getByRole('heading', { name: 'The last fetch failed' }).waitFor());
  await site.do('directory', FIRST_DIRECTORY);
});

test('console, sudo rules', async ({ site, open }) => {
  test.setTimeout(120_000);
  await site.do('directory', FIRST_DIRECTORY);
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn('/sudo-rules');
  await inspect(page, 'rules-none', () => page.getByText('No rules yet.').waitFor());
  const create = async (rule: object) => {
    const result = await olga.call('sudoRules.create', { rule, acknowledged: true });
    expect(result.data).toMatchObject({ ok: true });
  };
  await create({
    group: 'web',
    description: 'Restarts after a deployment',
    hosts: ['web1.example.com', 'web2.example.com'],
    commands: ['/usr/bin/systemctl restart nginx', '/usr/bin/systemctl reload nginx'],
    options: ['use_pty'],
  });
  await create({ name: 'backups', users: ['dave'], commands: ['/usr/bin/rsync'], hosts: ['archive*'], order: 20 });
  await create({
    name: 'migration',
    users: ['alice', 'carol'],
    commands: ['/usr/bin/psql'],
    runAsUser: ['postgres'],
    notBefore: Date.UTC(2030, 0, 5, 20),
    notAfter: Date.UTC(2030, 0, 6, 4),
  });
  await create({ name: 'old', netgroup: 'contractors', commands: ['/usr/bin/id'], enabled: false });
  await page.reload();
  await inspect(page, 'rules', () => page.getByText('Restarts after a deployment').waitFor());
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await inspect(page, 'rules-claims', () => page.getByText('From claims of groups').waitFor());
  await page.getByRole('button', { name: 'Edit backups' }).click();
  const dialog = page.getByRole('dialog');
  await inspect(page, 'rules-edit', () => dialog.getByText('Rule backups').waitFor());
  await dialog.getByLabel('Commands').fill('/usr/bin/rsync\napt update\n/usr/bin/tar ../x');
  await dialog.getByLabel('Group', { exact: true }).fill('docker');
  await dialog.getByText('Line 2: Not an absolute path.').waitFor();
  await inspect(page, 'rules-problems', () => dialog.getByText('This group belongs to the system.').waitFor());
  await dialog.getByLabel('Group', { exact: true }).fill('');
  await dialog.getByLabel('Commands').fill('/usr/bin/rsync\n/usr/bin/ls *');
  await dialog.getByText('Is this what you want?').scrollIntoViewIfNeeded();
  await inspect(page, 'rules-warnings', () => dialog.getByText('Is this what you want?').waitFor());
  const [rule] = (await olga.call('sudoRules.list', undefined, { method: 'GET' })).data as {
    id: string;
    name: string;
    rule: object;
  }[];
  expect(rule?.name).toBe('backups');
  await olga.call('sudoRules.update', {
    id: rule!.id,
    revision: 1,
    rule: { ...rule!.rule, hosts: ['web1.example.com'], description: 'Nightly' },
    acknowledged: true,
  });
  await dialog.getByLabel('Yes, this is what I want.').check();
  await dialog.getByRole('button', { name: 'Save rule' }).click();
  await inspect(page, 'rules-conflict', () => dialog.getByText('Somebody else changed this rule').waitFor());
  await page.keyboard.press('Escape');
  await dialog.getByText('Discard what you typed?').scrollIntoViewIfNeeded();
  await inspect(page, 'rules-discard', () => dialog.getByText('Discard what you typed?').waitFor());
  await dialog.getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('button', { name: 'Delete web' }).click();
  await inspect(page, 'rules-delete', () => page.getByRole('dialog').getByText('Delete this rule?').waitFor());
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Import and export' }).click();
  await page.getByRole('menuitem', { name: 'Import rules' }).click();
  await page
    .getByLabel('Or paste it here')
    .fill('[{"group":"web","commands":"ALL"},{"group":"ops","commands":"/bin/sh"}]');
  await page.getByRole('dialog').getByRole('button', { name: 'Import rules' }).click();
  await inspect(page, 'rules-import', () => page.getByText('2 rules. Is this what you want?').waitFor());
});

test('console, trying a command', async ({ site, open }) => {
  test.setTimeout(60_000);
  const olga = await open({ as: 'olga' });
  const { page } = olga;
  await olga.signIn('/sudo-rules?tab=try');
  await becomes(site, olga, FIRST_DIRECTORY);
  await inspect(page, 'try', () => page.getByRole('button', { name: 'Try it' }).waitFor());
  await olga.call('sudoRules.create', {
    rule: { name: 'all-operators', users: ['alice'], commands: ['/usr/bin/apt'], order: 900_000 },
    acknowledged: true,
  });
  await page.getByLabel('User', { exact: true }).fill('alice');
  await page.getByRole('combobox', { name: 'Host' }).fill('web1.example.com');
  await page.getByRole('textbox', { name: 'Command' }).fill('/usr/bin/systemctl restart nginx');
  await page.keyboard.press('Enter');
  await inspect(page, 'try-allowed', () => page.getByText('Allowed by operators').waitFor());
  await page.getByRole('combobox', { name: 'Host' }).fill('db1.example.com');
  await page.getByRole('button', { name: 'More details' }).click();
  await page.getByRole('button', { name: 'Try it' }).click();
  await inspect(page, 'try-denied', () => page.getByText('no rule allows it').waitFor());
});

test('console, signed out', async ({ open }) => {
  const person = await open();
  await person.page.goto('/');
  await inspect(person.page, 'sign-in', heading(person.page, 'Sign in to identree'));
});
