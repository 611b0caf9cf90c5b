import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Browser, chromium, type Page } from '@playwright/test';
import { sha256 } from '#shared/digest.ts';
import { type App, createApp } from '../../server/src/app/app.ts';
import { BACKCHANNEL_PATH } from '../../server/src/auth/addresses.ts';
import { createOidc } from '../../server/src/auth/oidc.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { createLogger } from '../../server/src/platform/logger.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import type { Me } from '../../server/src/testing/test-browser.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { whyNoChromium } from '../harness/chromium.ts';
import { CHROMIUM } from '../harness/chromium-program.ts';
import { type Keycloak, type Realm, skip as skipKeycloak, startKeycloak } from '../harness/keycloak.ts';
import { until } from '../harness/run.ts';

const skip = skipKeycloak || (whyNoChromium() ?? false);
const PASSWORD = 'the password of everybody here';

describe('signing in with a real Keycloak, in a real browser', () => {
  let keycloak: Keycloak;
  let realm: Realm;
  let client: { id: string; clientSecret: string };
  let olga: string;
  let app: App;
  let url: string;
  let folder: string;
  let browser: Browser;
  const logged: Record<string, unknown>[] = [];
  const loggedSince = (at: number) =>
    logged
      .slice(at)
      .map((line) => JSON.stringify(line))
      .join('\n');

  before(async () => {
    if (skip) return;
    keycloak = await startKeycloak();
    realm = await keycloak.createRealm('shop');
    const port = await freePort();
    url = `http://localhost:${port}`;
    client = await realm.createClient('identree', {
      redirectUris: [`${url}/callback`],
      attributes: {
        'post.logout.redirect.uris': `${url}/signed-out`,
        'backchannel.logout.url': `${url}${BACKCHANNEL_PATH}`,
      },
    });
    await realm.createGroup('admins');
    olga = await realm.createUser('olga', PASSWORD, ['admins']);
    folder = await mkdtemp(join(tmpdir(), 'identree-with-keycloak-'));
    const config = testConfig(folder, {
      IDENTREE_EXTERNAL_URL: url,
      IDENTREE_LISTEN_ADDR: `127.0.0.1:${port}`,
      IDENTREE_OIDC_ISSUER_URL: realm.issuer,
      IDENTREE_OIDC_CLIENT_ID: 'identree',
      IDENTREE_OIDC_CLIENT_SECRET: client.clientSecret,
      IDENTREE_ADMIN_GROUPS: 'admins',
    });
    const log = createLogger('info', { write: (line) => void logged.push(JSON.parse(line)) });
    app = await createApp(config, { log });
    await app.listen();
    browser = await chromium.launch({ executablePath: CHROMIUM });
  });
  after(async () => {
    await browser?.close();
    await app?.close();
    await keycloak?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  const meIn = async (page: Page): Promise<Me | null> =>
    (await (await page.context().request.get(`${url}/trpc/me.get`)).json()).result.data;

  /** Types the password into Keycloak's form. */
  async function typePassword(page: Page, username: string | null): Promise<void> {
    await page.waitForURL((at) => at.href.startsWith(realm.issuer));
    if (username !== null) await page.fill('#username', username);
    await page.fill('#password', PASSWORD);
    await page.click('[type=submit]');
    await page.waitForURL((at) => at.href.startsWith(url));
  }

  /** A browser of its own in which somebody has signed in. It ends on a page of ours that needs no built console. */
  async function signIn(username: string): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${url}/sessions/login?return_to=/approve`);
    await typePassword(page, username);
    return page;
  }

  /** As the button does: a form of our own page. */
  async function submitSignOut(page: Page): Promise<void> {
    const csrf = (await meIn(page))!.csrfToken;
    await page.goto(`${url}/approve`);
    const fields = JSON.stringify({ csrf_token: csrf });
    await page.evaluate(`(() => {
      const form = document.createElement('form');
      form.method = 'post';
      form.action = '/signout';
      for (const [name, value] of Object.entries(${fields})) {
        const field = document.createElement('input');
        Object.assign(field, { name, value });
        form.append(field);
      }
      document.body.append(form);
      form.submit();
    })()`);
  }

  test('a realm as it comes lets people in, and says that it sent no groups', { skip }, async () => {
    const at = logged.length;
    const page = await signIn('olga');
    const me = await meIn(page);
    assert.deepEqual([me?.person.username, me?.role, new URL(page.url()).pathname], ['olga', 'user', '/approve']);
    assert.match(loggedSince(at), /signed in without groups: the provider has no scope for them/);
    const event = (await app.events.read(0, 1000)).findLast((one) => one.event === 'user_logged_in');
    assert.equal(event?.data.groupsUnknown, 'scope_missing');
    await page.context().close();
  });

  test('a scope that the realm does not have is refused with a reason, which reaches the log', { skip }, async () => {
    const oidc = createOidc({
      config: { externalUrl: url, oidc: { ...app.config.oidc, scopes: ['openid', 'groups'] } },
      clock: systemClock,
      log: { warn: (detail) => assert.fail(JSON.stringify(detail)) },
    });
    const secrets = { state: 'plain.state', nonce: 'nonce', codeVerifier: 'v'.repeat(43) };
    const begun = await oidc.authorizationUrl(secrets, { fresh: false });
    assert.ok(begun.ok);
    const answer = await fetch(begun.url, { redirect: 'manual' });
    const back = new URL(answer.headers.get('location')!);
    const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
    assert.ok(!result.ok);
    assert.equal(result.problem, 'provider_misconfigured');
    assert.match(result.detail, /invalid_scope "Invalid scopes: openid groups"/);
  });

  test('another redirect URI or client is refused on a page of Keycloak itself, in the words that the docs quote', {
    skip,
  }, async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/providers.md'), 'utf8');
    for (const [words, externalUrl, clientId] of [
      ['Invalid parameter: redirect_uri', 'http://127.0.0.1:1', 'identree'],
      ['Client not found', url, 'another'],
    ] as const) {
      const oidc = createOidc({
        config: { externalUrl, oidc: { ...app.config.oidc, clientId } },
        clock: systemClock,
        log: { warn: (detail) => assert.fail(JSON.stringify(detail)) },
      });
      const secrets = { state: 'plain.state', nonce: 'nonce', codeVerifier: 'v'.repeat(43) };
      const begun = await oidc.authorizationUrl(secrets, { fresh: false });
      assert.ok(begun.ok);
      const answer = await fetch(begun.url, { redirect: 'manual' });
      assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], words);
      assert.ok((await answer.text()).includes(words), words);
      assert.ok(page.includes(words), words);
    }
  });

  test('another secret is a matter of settings, and the log has the words of Keycloak', { skip }, async () => {
    const oidc = createOidc({
      config: { externalUrl: url, oidc: { ...app.config.oidc, clientSecret: 'another' } },
      clock: systemClock,
      log: { warn: (detail) => assert.fail(JSON.stringify(detail)) },
    });
    const back = new URL(
      `${url}/callback?${new URLSearchParams({ code: 'x', state: 'plain.state', iss: realm.issuer })}`,
    );
    const secrets = { state: 'plain.state', nonce: 'nonce', codeVerifier: 'v'.repeat(43) };
    const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
    assert.ok(!result.ok);
    assert.equal(result.problem, 'provider_misconfigured');
    assert.match(result.detail, /unauthorized_client "Invalid client or Invalid client credentials"/);
  });

  test('a mapper with full paths sends /admins: no power by likeness, and the log has both names', {
    skip,
  }, async () => {
    const mapper = await realm.addGroupMapper(client, { fullPath: true });
    const at = logged.length;
    const page = await signIn('olga');
    assert.equal((await meIn(page))?.role, 'user');
    const line = logged.slice(at).find((one) => 'lookedFor' in one);
    assert.deepEqual([line?.level, line?.came, line?.lookedFor], [40, ['/admins'], ['admins']]);
    await page.context().close();
    await mapper.remove();
  });

  test('a mapper with names makes an operator, and a step-up asks for the password again', { skip }, async () => {
    await realm.addGroupMapper(client, { fullPath: false });
    const page = await signIn('olga');
    const before = (await meIn(page))!;
    assert.equal(before.role, 'admin');
    // Keycloak counts whole seconds.
    await until('the next second', () => Date.now() > before.authTime + 2000);
    await page.goto(`${url}/sessions/login?step_up=1&return_to=/approve`);
    await typePassword(page, null);
    const now = (await meIn(page))!;
    assert.ok(now.authTime > before.authTime, `${now.authTime} is after ${before.authTime}`);
    assert.deepEqual(
      (await app.events.read(0, 1000)).filter((one) => one.event === 'login_failed'),
      [],
    );

    // Who is known to Keycloak is asked nothing when it is no step-up.
    await page.context().clearCookies({ domain: 'localhost', name: 'identree_session' });
    await page.goto(`${url}/sessions/login?return_to=/approve`);
    assert.equal((await meIn(page))?.person.username, 'olga');
    await page.context().close();
  });

  test('signing out here signs out there, and there signs out the desktop app', { skip }, async () => {
    const page = await signIn('olga');
    const verifier = 'v'.repeat(64);
    const asked = {
      code_challenge: sha256(verifier),
      code_challenge_method: 'S256',
      redirect_uri: 'http://127.0.0.1:43210/callback',
      state: 's'.repeat(43),
    };
    const consent = await page.context().request.post(`${url}/desktop/sign-in`, {
      form: { ...asked, csrf_token: (await meIn(page))!.csrfToken },
      headers: { origin: url, 'sec-fetch-site': 'same-origin' },
      maxRedirects: 0,
    });
    const code = new URL(consent.headers().location!).searchParams.get('code')!;
    const exchanged = await fetch(`${url}/api/desktop/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code, code_verifier: verifier }),
    });
    const { credential } = (await exchanged.json()) as { credential: string };
    const desktopMe = async () => {
      const answer = await fetch(`${url}/trpc/me.get`, { headers: { authorization: `Bearer ${credential}` } });
      return ((await answer.json()) as { result: { data: Me | null } }).result.data;
    };
    assert.equal((await desktopMe())?.sessionKind, 'desktop');

    await submitSignOut(page);
    await page.waitForURL(`${url}/signed-out`);
    assert.equal(await meIn(page), null);
    await until('Keycloak has told it', async () => (await desktopMe()) === null);
    await page.goto(`${url}/sessions/login?return_to=/approve`);
    assert.ok(page.url().startsWith(realm.issuer), 'it asks for the password again');
    await page.context().close();
  });

  test('an administrator who signs somebody out at Keycloak ends their sessions here', { skip }, async () => {
    const [one, other] = [await signIn('olga'), await signIn('olga')];
    await realm.signOut(olga);
    for (const page of [one, other]) {
      await until('the session has ended', async () => (await meIn(page)) === null);
      await page.context().close();
    }
    const events = (await app.events.read(0, 1000)).filter((event) => event.event === 'session_revoked');
    assert.equal(events.at(-1)?.reason, 'signed out at the identity provider');
  });
});
