import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { FileUser } from './directory-file.ts';
import { createTestApp, type TestApp } from './test-app.ts';
import { createTestProvider, signInTestPerson, type TestPerson, type TestProvider } from './test-person.ts';

/** The whole server with a directory from a file, and people who sign in at it. */
export interface DirectorySite extends TestApp {
  provider: TestProvider;
  /** What the source says from now on; resolves when it is served, or held. */
  serve(users: readonly FileUser[]): Promise<void>;
  signIn(username: string, options?: Parameters<typeof signInTestPerson>[4]): Promise<TestPerson>;
  /** Lets everything through that waits for an administrator under Directory, in the order of what it is about. */
  confirmHolds(): Promise<void>;
}

/** Ends with the test. */
export async function openDirectorySite(
  t: Pick<TestContext, 'after'>,
  users: readonly FileUser[],
  options: { env?: Record<string, string>; driver?: 'sqlite' | 'postgres' } = {},
): Promise<DirectorySite> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-people-'));
  const file = join(folder, 'directory.json');
  const write = (now: readonly FileUser[]) =>
    writeFile(file, JSON.stringify({ users: now, groups: [] }), { mode: 0o600 });
  await write(users);
  const provider = createTestProvider();
  const site = await createTestApp({
    env: {
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: file,
      IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_SYNC_MAX_DELETE_PCT: '0',
      ...options.env,
    },
    app: { provider },
    ...(options.driver ? { driver: options.driver } : {}),
    now: Date.now(),
  });
  t.after(async () => {
    await site.close();
    await rm(folder, { recursive: true, force: true });
  });
  await site.app.start();
  const { directory } = site.app.directory!;
  await directory.settled();
  const actor = { username: 'an operator', remoteAddr: null };
  return {
    ...site,
    provider,
    async serve(now) {
      await write(now);
      directory.refresh('console');
      await directory.settled();
    },
    signIn: (username, more) => signInTestPerson(site.app, provider, site.clock, username, more),
    async confirmHolds() {
      const open = (await directory.holds()).filter(({ state }) => state === 'open');
      open.sort((a, b) => (a.subject < b.subject ? -1 : 1));
      for (const { id, digest } of open) await directory.confirm({ id, digest }, actor);
      await directory.settled();
    },
  };
}
