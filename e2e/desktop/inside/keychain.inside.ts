import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../harness/run.ts';
import { openWorld, signedIn } from './world.ts';

const DAEMON = '/usr/bin/gnome-keyring-daemon';
const skip = existsSync(DAEMON) ? false : 'there is no keychain: apt-get install -y gnome-keyring';

test('with a keychain the next start is signed in, and the file on the disk is encrypted', { skip }, async () => {
  // Reads the password of the keychain from its input; the D-Bus session is this test run's own.
  execFileSync(DAEMON, ['--unlock', '--components=secrets', '--daemonize'], { input: 'test\n', timeout: 60_000 });
  const world = await openWorld();
  after(() => world.close());
  const args = ['--password-store=gnome-libsecret'];
  const shell = await signedIn(world, { args });
  const file = join(shell.dataFolder, 'credential.json');
  await until('the file', () => existsSync(file));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const sealed = Buffer.from(JSON.parse(readFileSync(file, 'utf8')).sealed, 'base64').toString('latin1');
  assert.doesNotMatch(sealed, /secret|origin|identree/);
  await shell.close();

  const again = await world.launch({ dataFolder: shell.dataFolder, args });
  const page = await again.pageAt('console');
  await page.getByText('Alice Ahlberg').first().waitFor();
  assert.equal(again.opened().length, 0);
  await again.close();
});
