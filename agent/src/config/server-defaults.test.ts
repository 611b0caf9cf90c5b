import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { defaultsDigest, type ToldDefaults } from '#shared/client-defaults.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { type SigningKey, signToken, type TokenType, tokenType } from '#shared/token.ts';
import type { Log } from '../platform/log.ts';
import { createServerKey } from '../testing/fake-server.ts';
import { openServerDefaults } from './server-defaults.ts';

const SERVER_ID = '8a8f1f5e-3c1b-4c47-9a37-0f2d4b8f8c11';
const HOST_ID = '5f0b7f43-58d2-4d2f-8f7e-6f9be0b4f1aa';
const NONCE = 'n'.repeat(43);
const NONE = defaultsDigest({});
const HEARD_NOTHING = canonicalSha256({ purpose: 'client-defaults', defaults: null });

async function world() {
  const key = await createServerKey();
  const dir = await mkdtemp(join(tmpdir(), 'identree-told-'));
  const file = join(dir, 'client-defaults.json');
  const logged: string[] = [];
  const note = (line: string) => void logged.push(line);
  const log: Log = { info: note, warn: note, error: note };
  const enrolment = {
    identity: { hostId: HOST_ID },
    trust: { serverId: SERVER_ID, verificationKeys: [key.public] },
  } as unknown as Parameters<typeof openServerDefaults>[0]['enrolment'];
  const open = () => openServerDefaults({ file, enrolment, log });
  return {
    key,
    file,
    logged,
    open,
    defaults: await open(),
    sign(
      defaults: ToldDefaults['defaults'],
      change: Partial<ToldDefaults> = {},
      by: SigningKey = key,
      type: TokenType = tokenType.clientDefaults,
    ) {
      return signToken(type, { v: 1, iss: SERVER_ID, aud: HOST_ID, nonce: NONCE, defaults, ...change }, by);
    },
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true });
    },
  };
}

describe('settings that the server tells', () => {
  it('[E-P19] count at once and after a restart, until it tells others', async () => {
    await using w = await world();
    assert.deepEqual([w.defaults.current(), w.defaults.heard(), w.defaults.problem()], [{}, NONE, null]);
    const told = { timeoutMs: 60_000, breakGlassPasswordType: 'passphrase' };
    await w.defaults.hear(await w.sign(told), NONCE);
    for (const defaults of [w.defaults, await w.open()]) {
      assert.deepEqual(defaults.current(), told);
      assert.equal(defaults.heard(), defaultsDigest(told));
      assert.equal(defaults.problem(), null);
    }
    assert.equal((await stat(w.file)).mode & 0o777, 0o600);
    await w.defaults.hear(await w.sign({}), NONCE);
    assert.deepEqual([(await w.open()).current(), (await w.open()).heard()], [{}, NONE]);
  });

  it('count only with the signature of the server, for this host and as the answer to its question', async () => {
    await using w = await world();
    const off = { breakGlassEnabled: false };
    const other = await createServerKey();
    const good = await w.sign(off);
    const wrong = {
      'of another key': await w.sign(off, {}, other),
      'of another key under the name of ours': await w.sign(off, {}, { ...other, kid: w.key.kid }),
      'signed for something else': await w.sign(off, {}, w.key, tokenType.offlineGrant),
      'changed on the way': good.replace(/\.[^.]+\./, `.${Buffer.from('{}').toString('base64url')}.`),
      'not signed': `${good.split('.').slice(0, 2).join('.')}.`,
      'no token at all': JSON.stringify(off),
      'of another server': await w.sign(off, { iss: HOST_ID }),
      'for another host': await w.sign(off, { aud: SERVER_ID }),
      'the answer to another question': await w.sign(off, { nonce: 'm'.repeat(43) }),
    };
    for (const [what, token] of Object.entries(wrong)) {
      w.logged.length = 0;
      await w.defaults.hear(token, NONCE);
      assert.deepEqual(w.defaults.current(), {}, what);
      assert.equal(w.defaults.heard(), NONE, what);
      assert.match(w.logged.join(), /not signed for this host and this question/, what);
      await assert.rejects(readFile(w.file), { code: 'ENOENT' }, what);
    }
    await w.defaults.hear(good, NONCE);
    assert.deepEqual(w.defaults.current(), off);
  });

  for (const [key, value] of [
    ['timeoutMs', 4999],
    ['timeoutMs', 24 * 3_600_000 + 1],
    ['timeoutMs', 60_000.5],
    ['timeoutMs', '60s'],
    ['breakGlassEnabled', 'false'],
    ['breakGlassPasswordType', 'unknown'],
    ['breakGlassRotationDays', 0],
    ['breakGlassRotationDays', 3651],
    ['serverUrls', 'https://evil.example'],
  ] as const) {
    it(`[E-P19] with ${key} ${JSON.stringify(value)}, none of them counts, and it is said`, async () => {
      await using w = await world();
      const before = { breakGlassRotationDays: 30 };
      await w.defaults.hear(await w.sign(before), NONCE);
      const told = { breakGlassEnabled: false, [key]: value };
      await w.defaults.hear(await w.sign(told), NONCE);
      for (const defaults of [w.defaults, await w.open()]) {
        assert.deepEqual(defaults.current(), before, 'those of before count');
        assert.ok(defaults.problem()?.includes(`${key} cannot be ${JSON.stringify(value)}`), defaults.problem() ?? '');
      }
      assert.equal(w.defaults.heard(), defaultsDigest(told), 'the server need not say it again and again');
      assert.equal((await w.open()).heard(), HEARD_NOTHING, 'another version may take it');
      // Told again what counts, all is well.
      await w.defaults.hear(await w.sign(before), NONCE);
      assert.deepEqual([(await w.open()).problem(), (await w.open()).current()], [null, before]);
    });
  }

  it('are forgotten by a host that is revoked', async () => {
    await using w = await world();
    await w.defaults.hear(await w.sign({ breakGlassEnabled: false }), NONCE);
    await w.defaults.forget();
    assert.deepEqual([w.defaults.current(), w.defaults.heard()], [{}, NONE]);
    assert.deepEqual((await w.open()).current(), {});
  });

  it('a file that cannot be believed counts for nothing, is a problem, and the server is asked anew', async () => {
    await using w = await world();
    const told = { timeoutMs: 60_000 };
    const other = await createServerKey();
    const kept = (token: string) => JSON.stringify({ v: 1, token, refused: null });
    for (const content of [
      'x',
      '{}',
      kept('x'),
      kept(await w.sign(told, {}, other)),
      kept(await w.sign(told, { aud: SERVER_ID })),
      kept(await w.sign({ timeoutMs: 1 })),
    ]) {
      await writeFile(w.file, content, { mode: 0o600 });
      const defaults = await w.open();
      assert.deepEqual(defaults.current(), {}, content);
      assert.match(defaults.problem() ?? '', /client-defaults\.json does not count: /, content);
      assert.ok(![NONE, defaultsDigest(told)].includes(defaults.heard()), content);
      await defaults.hear(await w.sign(told), NONCE);
      assert.deepEqual([defaults.problem(), (await w.open()).current()], [null, told]);
    }
    await chmod(w.file, 0o666);
    assert.deepEqual((await w.open()).current(), {});
  });
});
