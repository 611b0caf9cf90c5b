import { expect, type Person, test } from './world.ts';

const item = (person: Person, name: string) => person.page.getByRole('listitem').filter({ hasText: name });

/** A second device, so that one person can have two passkeys. */
async function plugIn(person: Person): Promise<string> {
  const { authenticatorId } = await person.cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'usb',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return authenticatorId;
}

test('the first passkey, after a fresh sign-in', async ({ site, open }) => {
  const person = await open();
  await person.signIn('/passkeys');
  const { page } = person;
  await page.getByRole('button', { name: 'Add your first passkey' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Work laptop');
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await expect(item(person, 'Work laptop')).toBeVisible();
  await expect(item(person, 'Work laptop')).toContainText('One device');
  const events = await site.do('events', { last: 3 });
  expect(events.map(({ event }) => event)).toContain('passkey_added');
});

test('an old sign-in is not enough for the first one', async ({ site, open }) => {
  const person = await open();
  await person.signIn('/passkeys');
  await site.do('ageSignIn', { username: person.username, ms: 6 * 60_000 });
  const { page } = person;
  await page.reload();
  const again = page.getByRole('link', { name: 'Sign in again to add one' });
  await expect(again).toBeVisible();
  expect(await person.call('passkeys.registrationOptions', {})).toMatchObject({
    status: 403,
    reason: 'fresh_sign_in_required',
  });
});

test('a session alone can neither add nor remove a passkey', async ({ open }) => {
  const person = await open();
  await person.signIn('/passkeys');
  await person.addPasskey('Only one');
  expect(await person.call('passkeys.registrationOptions', {})).toMatchObject({
    status: 403,
    reason: 'passkey_required',
  });
  const list = (await person.call('passkeys.list', undefined, { method: 'GET' })).data as {
    passkeys: { credentialId: string }[];
  };
  const { credentialId } = list.passkeys[0]!;
  // Even before anybody is asked: the last one stays.
  expect(await person.call('passkeys.removalOptions', { credentialId })).toMatchObject({ reason: 'passkey_last' });
  const forged = {
    id: credentialId,
    rawId: credentialId,
    type: 'public-key',
    response: { clientDataJSON: 'e30', authenticatorData: 'AA', signature: 'AA' },
    clientExtensionResults: {},
  };
  expect(await person.call('passkeys.remove', { credentialId, assertion: forged })).toMatchObject({
    status: 403,
    reason: 'passkey_rejected',
  });
  expect(await person.call('passkeys.registrationOptions', { assertion: forged })).toMatchObject({
    reason: 'passkey_rejected',
  });
  await person.page.reload();
  await expect(item(person, 'Only one')).toBeVisible();
  await expect(person.page.getByRole('button', { name: 'Remove Only one' })).toHaveCount(0);
});

test('a second one, a new name, and the first one removed', async ({ site, open }) => {
  const person = await open();
  const { page } = person;
  await person.signIn('/passkeys');
  await person.addPasskey('Laptop');
  await page.reload();
  await plugIn(person);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Security key');
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await expect(item(person, 'Security key')).toBeVisible();

  await page.getByRole('button', { name: 'Rename Security key' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Blue key');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(item(person, 'Blue key')).toBeVisible();

  await page.getByRole('button', { name: 'Remove Laptop' }).click();
  await page.getByRole('button', { name: 'Remove passkey' }).click();
  await expect(item(person, 'Laptop')).toHaveCount(0);
  await expect(item(person, 'Blue key')).toBeVisible();
  const events = (await site.do('events', { last: 12 })).filter(({ username }) => username === person.username);
  expect(events.map(({ event }) => event).filter((name) => name.startsWith('passkey_'))).toEqual([
    'passkey_added',
    'passkey_added',
    'passkey_renamed',
    'passkey_removed',
  ]);
});

test('breaking off leaves everything as it was', async ({ open }) => {
  const person = await open();
  const { page, cdp, authenticatorId } = person;
  await person.signIn('/passkeys');
  await person.addPasskey('Laptop');
  await page.reload();
  await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await expect(page.getByRole('alert')).toContainText('Nothing has changed.');
  await page.getByRole('button', { name: 'Back' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('listitem')).toHaveCount(1);
});

test('after losing the last one: a code from an administrator, once', async ({ site, open, allow }) => {
  const person = await open();
  await person.signIn('/passkeys');
  await person.addPasskey('Lost phone');
  const admin = await open({ admin: true });
  // Everybody who has signed in is more than a page by now.
  await admin.signIn(`/people?search=${person.username}`);
  await admin.page.getByRole('button', { name: new RegExp(`Recovery code for ${person.username} `, 'i') }).click();
  await admin.page.getByRole('button', { name: 'Make a code' }).click();
  const code = (await admin.page.getByRole('dialog').locator('.copy-line code').textContent()) ?? '';
  expect(code).toMatch(/^[0-9A-Z]{5}(-[0-9A-Z]{5}){3}$/);

  const { page, cdp, authenticatorId } = person;
  await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
  await plugIn(person);
  await page.reload();
  await page.getByRole('button', { name: 'I lost my passkeys' }).click();
  const field = page.getByRole('dialog').getByLabel('Code from an administrator');
  await field.fill('AAAAA-AAAAA-AAAAA-AAAAA');
  allow(/status of 403/);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await expect(page.getByRole('alert')).toContainText('This recovery code is not valid.');
  await field.fill(code.toLowerCase());
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(item(person, 'Lost phone')).toHaveCount(0);
  await expect(page.getByRole('listitem')).toHaveCount(1);
  expect(await person.call('passkeys.registrationOptions', { recoveryCode: code })).toMatchObject({
    reason: 'recovery_code_wrong',
  });
  const events = (await site.do('events', { last: 6 })).map(({ event }) => event);
  expect(events).toContain('passkey_removed');
});

test('an administrator makes no code for themselves', async ({ open }) => {
  const admin = await open({ admin: true });
  await admin.signIn('/people');
  const people = (await admin.call('people.list', undefined, { method: 'GET' })).data as {
    id: string;
    username: string;
  }[];
  const me = people.find(({ username }) => username === admin.username)!;
  expect(await admin.call('people.createRecoveryCode', { personId: me.id })).toMatchObject({ reason: 'forbidden' });
  await expect(
    admin.page.getByRole('button', { name: new RegExp(`Recovery code for ${admin.username} `, 'i') }),
  ).toHaveCount(0);
});
