import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { TEST_FOLDER } from '../../../server/src/db/test-postgres.ts';
import { FAKE_API_KEY, startFakePocketId } from '../../../server/src/directory/pocketid/test-pocketid.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  decisionsIn,
  LDAP_SETTINGS,
  PAUSE_MS,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
  waitsOn,
} from '../../observe.ts';

const SECRET = 'b7e0f19c5a2d4836b7e0f19c5a2d4836';

const answer = (status: number, type: string, body: string) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': type }).end(body);

/** What comes instead of people and groups. */
const GARBAGE = {
  'the page of a proxy': answer(200, 'text/html', '<!doctype html><title>Welcome</title>'),
  'JSON that breaks off': answer(200, 'application/json', '{"data":[{"id":"a1","username":"al'),
  'another shape': answer(200, 'application/json', '{"data":{"users":7},"pagination":[]}'),
  'fewer people than it counts': answer(
    200,
    'application/json',
    '{"data":[],"pagination":{"totalPages":1,"totalItems":1,"currentPage":1,"itemsPerPage":100}}',
  ),
  'its own failure': answer(500, 'application/json', '{"error":"Something went wrong"}'),
  'half an answer': (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"data":[', () => response.destroy());
  },
};

export const fault: Fault = {
  title: 'PocketID answers garbage',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-pocketid-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const pocketId = await startFakePocketId(scope);
    pocketId.content = { users: [{ id: 'a1', username: 'alice' }], groups: [] };
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const env = {
      ...LDAP_SETTINGS,
      IDENTREE_DIRECTORY_SOURCE: 'pocketid',
      IDENTREE_POCKETID_API_KEY: FAKE_API_KEY,
      IDENTREE_POCKETID_API_URL: pocketId.url,
      IDENTREE_WEBHOOK_SECRET: SECRET,
    };
    const server = await load.start('first', { env, pauseMs: PAUSE_MS });
    const servers = [server];
    await untilWell(server);
    await until(() => server.told().some(({ kind }) => kind === 'waited'));

    /** Has the directory look at once, as a script does that knows of a change. */
    async function signal(): Promise<void> {
      const signature = `sha256=${createHmac('sha256', SECRET).update('{}').digest('hex')}`;
      const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
      const url = `http://127.0.0.1:${server.ports.http}/api/webhook/pocketid`;
      assert.equal((await fetch(url, { method: 'POST', body: '{}', headers })).status, 204);
    }
    const saysOf = async () => (await server.health())?.body.checks.pocketid;
    const beganAt = Date.now();
    const times = keepTimes();
    const seen = new Set<string>();
    for (const [what, send] of Object.entries(GARBAGE)) {
      const takenAt = Date.now();
      pocketId.intercept = (_path, response) => {
        send(response);
        return true;
      };
      await signal();
      await until(async () => (await saysOf()) !== 'ok');
      const ldap = await seeDirectory(server);
      const console = await seePage(server);
      const health = await seeHealth(server);
      await until(() => toldBetween(servers, takenAt, Date.now()).some(({ kind }) => kind === 'created'));
      const decisions = decisionsIn(toldBetween(servers, takenAt, Date.now()));
      seen.add(JSON.stringify({ decisions, ldap, console, health }));
      pocketId.intercept = null;
      const back = performance.now();
      await signal();
      await until(async () => (await saysOf()) === 'ok');
      times.note('all went on', 10, performance.now() - back);
      assert.equal(await seeDirectory(server), 'answers', what);
    }
    assert.equal(seen.size, 1, [...seen].join('\n'));
    const overAt = Date.now();
    await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > overAt));
    const on = waitsOn(servers, beganAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const findings = await load.contradictions();
    return {
      facts: { ...JSON.parse([...seen][0]!), hosts: on, recovery: within(10) },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
