import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_FOLDER } from '../../../server/src/db/test-postgres.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import { TEST_EXTERNAL_URL } from '../../../server/src/testing/test-config.ts';
import { startTestIdp } from '../../../server/src/testing/test-idp.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  decisionsIn,
  directorySettings,
  PAUSE_MS,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
  waitsOn,
  wordsOf,
} from '../../observe.ts';

const CALLBACK = `${TEST_EXTERNAL_URL}/callback`;

export const fault: Fault = {
  title: 'the identity provider takes connections and answers nothing',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-provider-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const idp = await startTestIdp(scope, { redirectUris: [CALLBACK] });
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const env = {
      ...(await directorySettings(load.folder)),
      IDENTREE_OIDC_ISSUER_URL: idp.issuer,
      IDENTREE_OIDC_CLIENT_ID: idp.clientId,
      IDENTREE_OIDC_CLIENT_SECRET: idp.clientSecret,
    };
    const server = await load.start('first', { env, pauseMs: PAUSE_MS });
    const servers = [server];
    await untilWell(server);
    const at = `http://127.0.0.1:${server.ports.http}`;
    const visit = (path: string, cookie = '') =>
      fetch(`${at}${path}`, { redirect: 'manual', headers: { accept: 'text/html', ...(cookie ? { cookie } : {}) } });

    /** Begins a sign-in as a browser does, up to where the provider has sent it back. */
    async function beginSignIn(): Promise<{ back: string; cookie: string }> {
      const begun = await visit('/sessions/login?return_to=%2F');
      assert.equal(begun.status, 302);
      const cookie = begun.headers
        .getSetCookie()
        .map((line) => line.split(';')[0]!)
        .join('; ');
      const { pathname, search } = await idp.browser().visit(begun.headers.get('location')!);
      return { back: `${pathname}${search}`, cookie };
    }
    await until(() => server.told().some(({ kind }) => kind === 'waited'));
    const signIn = await beginSignIn();
    const takenAt = Date.now();
    idp.instead = () => true;
    const times = keepTimes();
    const asked = performance.now();
    const refused = await visit(signIn.back, signIn.cookie);
    times.note('who signs in was told', 15, performance.now() - asked);
    const words = await wordsOf(refused);
    // What was found when it was well is good for half a minute.
    let health = '';
    await until(async () => {
      const before = performance.now();
      health = await seeHealth(server, { provider: true });
      times.note('health says so', 2, performance.now() - before);
      return health !== '200';
    });
    const ldap = await seeDirectory(server);
    const page = await seePage(server);
    await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > takenAt));
    await until(() => toldBetween(servers, takenAt, Date.now()).some(({ kind }) => kind === 'created'));
    const told = toldBetween(servers, takenAt, Date.now());
    idp.instead = null;
    const back = performance.now();
    await until(async () => (await visit('/sessions/login?return_to=%2F')).status === 302);
    const again = await beginSignIn();
    assert.equal((await visit(again.back, again.cookie)).status, 303, 'people sign in again');
    times.note('all went on', 30, performance.now() - back);
    const on = waitsOn(servers, takenAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: decisionsIn(told),
        ldap,
        console: `${page}; who signs in: ${words}`,
        hosts: on,
        health,
        recovery: within(30),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
