import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { STATE_WAIT_SECONDS } from '#shared/break-glass-api.ts';
import { defaultsDigest, toldDefaults } from '#shared/client-defaults.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';

const SETTINGS = { IDENTREE_CLIENT_TIMEOUT: '90', IDENTREE_CLIENT_BREAKGLASS_ENABLED: 'false' };
const DEFAULTS = { timeoutMs: 90_000, breakGlassEnabled: false };
const NOTHING = defaultsDigest({});

/** A host that asks about its break-glass password, with what it has heard of settings. */
async function world(t: TestContext, env: Record<string, string>) {
  const { app, clock, close } = await createTestApp({ driver: 'sqlite', env });
  t.after(close);
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const other = await enrolTestHost(app, clock, 'web2.example.com');
  async function ask(query: Record<string, string>, who: TestHost = host) {
    const search = String(new URLSearchParams(query));
    const body = { enabled: true, current: null, problem: null };
    const answer = await who.send('POST', `/break-glass/state${search === '' ? '' : `?${search}`}`, body);
    clock.advance(1000);
    return answer;
  }
  /** What an answer tells, as the host that enrolled with these keys reads it. */
  async function told(query: { defaults: string; nonce?: string; wait?: string }, who: TestHost = host) {
    const nonce = randomBytes(32).toString('base64url');
    const { status, body } = await ask({ nonce, ...query }, who);
    assert.equal(status, 200);
    if (body.clientDefaults === undefined) return null;
    const keys = who.grant.verificationKeys;
    const read = await verifyToken(tokenType.clientDefaults, String(body.clientDefaults), keys, toldDefaults);
    assert.ok(read.ok, JSON.stringify(read));
    const { payload } = read;
    assert.deepEqual([payload.iss, payload.aud, payload.nonce], [who.serverId, who.id, nonce]);
    return payload.defaults;
  }
  return { host, other, ask, told };
}

test('a host that has heard others is told at once, signed for it and for its question', async (t) => {
  const w = await world(t, SETTINGS);
  const wait = String(STATE_WAIT_SECONDS);
  assert.deepEqual(await w.told({ defaults: NOTHING, wait }), DEFAULTS);
  assert.deepEqual(await w.told({ defaults: NOTHING, wait }, w.other), DEFAULTS);
  assert.deepEqual(await w.told({ defaults: defaultsDigest({ timeoutMs: 1 }), wait }), DEFAULTS);
});

test('one that has heard them is told nothing, and waits as before', async (t) => {
  const w = await world(t, SETTINGS);
  assert.equal(await w.told({ defaults: defaultsDigest(DEFAULTS) }), null);
  const began = performance.now();
  assert.equal(await w.told({ defaults: defaultsDigest(DEFAULTS), wait: '2' }), null);
  assert.ok(performance.now() - began >= 1900);
});

test('one that does not ask for settings, as one of before, is told none', async (t) => {
  const w = await world(t, SETTINGS);
  assert.deepEqual((await w.ask({})).body, { escrow: false, rotateBefore: null });
  assert.deepEqual((await w.ask({ defaults: NOTHING })).body, { escrow: false, rotateBefore: null });
  const wrongs: Record<string, string>[] = [{ defaults: 'x' }, { defaults: NOTHING, nonce: 'x' }];
  for (const wrong of wrongs) assert.equal((await w.ask(wrong)).body.error?.code, 'bad_request');
});

test('a server without such settings takes back what another one told, and tells nobody else', async (t) => {
  const w = await world(t, {});
  assert.equal(await w.told({ defaults: NOTHING }), null);
  assert.deepEqual(await w.told({ defaults: defaultsDigest(DEFAULTS) }), {});
});
