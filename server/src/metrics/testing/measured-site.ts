import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createTestAuthenticator } from '#shared/testing/authenticator.ts';
import type { App } from '../../app/app.ts';
import { httpReceiver } from '../../audit/testing/http-receiver.ts';
import { FAKE_API_KEY, startFakePocketId } from '../../directory/pocketid/test-pocketid.ts';
import type { Http } from '../../escrow/http.ts';
import { createTestChannels } from '../../notify/testing/test-channels.ts';
import { createLogger } from '../../platform/logger.ts';
import { createTestApp, TEST_EXTERNAL_URL } from '../../testing/test-app.ts';
import { createTestBrowser } from '../../testing/test-browser.ts';
import { startTestIdp } from '../../testing/test-idp.ts';
import { createTestProvider } from '../../testing/test-provider.ts';

/** Name of the account with which programs read the directory, and its password. */
export const READER = { dn: 'cn=sssd,dc=example,dc=com', password: 'not a secret of anybody' };
export const WEBHOOK_SECRET = 'b7e0f19c5a2d4836b7e0f19c5a2d4836';
/** Nobody takes an event that says this. */
export const UNSPEAKABLE = 'unspeakable';

/** What the provider and the directory know people by. */
const ID_OF = { alice: 'a1', olga: 'b1' } as const;
/** Somebody whom the provider calls as nobody can be called here. */
const NOBODY = 'f1';

/** Series by name and labels, as a page of metrics shows them. */
export type Page = ReadonlyMap<string, number>;

/** What a server shows of its own metrics. */
export async function pageOf(server: Pick<App, 'http'>): Promise<Page> {
  const { body } = await server.http.inject('/metrics');
  const lines = body.split('\n').filter((line) => line.startsWith('identree_'));
  return new Map(lines.map((line) => [line.slice(9, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

/** Servers on one database with everything switched on that is measured, and stand-ins for what is around them. */
export async function openMeasuredSite(t: Pick<TestContext, 'after'>, count: number) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-measured-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const policiesFile = join(folder, 'policies.json');
  const policies = [
    { name: 'robots', match_users: ['robot'], approval: 'none' },
    { name: 'easy', match_hosts: ['easy*'], approval: 'session' },
  ];
  await writeFile(policiesFile, JSON.stringify({ policies }), { mode: 0o600 });

  const idp = await startTestIdp(t, {
    redirectUris: [`${TEST_EXTERNAL_URL}/callback`],
    accounts: {
      [ID_OF.alice]: { preferred_username: 'alice', groups: [] },
      [NOBODY]: { preferred_username: 'no body', groups: [] },
      [ID_OF.olga]: { preferred_username: 'olga', groups: ['admins'] },
    },
  });
  const pocketId = await startFakePocketId(t);
  pocketId.content = {
    users: Object.entries(ID_OF).map(([username, id]) => ({ id, username })),
    groups: [],
  };
  /** How the receiver of events answers what it would take. */
  const receiver = { status: 204 };
  const loki = await httpReceiver(t, ({ body }) => ({
    status: receiver.status === 204 && body.includes(UNSPEAKABLE) ? 400 : receiver.status,
  }));
  /** A vault of one version of each secret. */
  const vault = { away: false, kept: new Map<string, unknown>() };
  const escrowHttp: Http = async ({ method, url, body }) => {
    if (vault.away) return { status: 503, body: '' };
    const { origin, pathname } = new URL(url);
    const at = `${origin}${pathname}`;
    if (method === 'POST') vault.kept.set(at, (JSON.parse(body ?? '') as { data: unknown }).data);
    return { status: 200, body: JSON.stringify({ data: { version: 1, data: vault.kept.get(at) } }) };
  };
  const channels = createTestChannels();

  const site = await createTestApp({
    driver: count === 1 ? 'sqlite' : 'postgres',
    now: Date.now(),
    env: {
      IDENTREE_APPROVAL_POLICIES_FILE: policiesFile,
      IDENTREE_OIDC_ISSUER_URL: idp.issuer,
      IDENTREE_OIDC_CLIENT_ID: idp.clientId,
      IDENTREE_OIDC_CLIENT_SECRET: idp.clientSecret,
      IDENTREE_DIRECTORY_SOURCE: 'pocketid',
      IDENTREE_POCKETID_API_KEY: FAKE_API_KEY,
      IDENTREE_POCKETID_API_URL: pocketId.url,
      IDENTREE_WEBHOOK_SECRET: WEBHOOK_SECRET,
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
      IDENTREE_LDAP_BIND_DN: READER.dn,
      IDENTREE_LDAP_BIND_PASSWORD: READER.password,
      // Nobody is asked again by himself while this is looked at.
      IDENTREE_LDAP_REFRESH_INTERVAL: '1h',
      IDENTREE_LDAP_SYNC_MAX_DELETE_PCT: '0',
      IDENTREE_AUDIT_LOKI_URL: loki.url,
      IDENTREE_ESCROW_BACKEND: 'vault',
      IDENTREE_ESCROW_URL: 'http://127.0.0.1:1',
      IDENTREE_ESCROW_AUTH_SECRET: 'a-token-of-the-vault',
      IDENTREE_ESCROW_PATH: 'secret/identree',
    },
    app: {
      log: createLogger('error', { write: () => {} }),
      escrowHttp,
      notify: { createChannel: channels.createChannel },
    },
  });
  t.after(() => site.close());
  const servers: App[] = [site.app];
  while (servers.length < count) servers.push(await site.replica());
  for (const server of servers) {
    await server.start();
    await server.directory!.directory.settled();
  }

  /** A browser in which somebody signs in at the provider. @returns it, and how the server answered in the end */
  async function comeBack(username: keyof typeof ID_OF | 'nobody', server: App) {
    idp.person = username === 'nobody' ? NOBODY : ID_OF[username];
    site.clock.set(Math.max(Date.now(), site.clock.now()));
    const browser = createTestBrowser({ app: server, provider: createTestProvider(), clock: site.clock });
    const begun = await browser.get('/sessions/login');
    const back = await idp.browser().visit(String(begun.headers.location));
    return { browser, answer: await browser.get(`${back.pathname}${back.search}`) };
  }

  return {
    ...site,
    servers,
    idp,
    pocketId,
    receiver,
    vault,
    channels,
    comeBack,
    /** Somebody who has signed in, with a passkey. */
    async signIn(username: keyof typeof ID_OF, server: App) {
      const { browser, answer } = await comeBack(username, server);
      if (answer.statusCode !== 303) throw new Error(`sign-in failed: ${answer.statusCode} ${answer.body}`);
      const passkey = await browser.firstPasskey(createTestAuthenticator({ origin: TEST_EXTERNAL_URL }));
      return { browser, passkey };
    },
    /** Begins to listen. @returns where a server is asked */
    async listen(server: App): Promise<string> {
      await server.http.listen({ host: '127.0.0.1', port: 0 });
      return `http://127.0.0.1:${(server.http.server.address() as AddressInfo).port}`;
    },
  };
}

export type MeasuredSite = Awaited<ReturnType<typeof openMeasuredSite>>;
