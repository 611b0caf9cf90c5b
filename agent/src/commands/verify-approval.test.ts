import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CHAIN_START, eventHash } from '#shared/events.ts';
import { identree } from '../testing/cli.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';

const OPTIONS = { timeout: 120_000, concurrency: 3 };

describe('identree verify-approval', OPTIONS, () => {
  async function exported() {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server);
    const running = identree([
      'try',
      '--config',
      host.paths.config,
      '--state',
      host.paths.state,
      '--user',
      'sam',
      'id',
      '-u',
    ]);
    const challenge = await server.challenge();
    await server.approve(challenge);
    await running;
    const event = {
      seq: 1,
      at: 1,
      event: 'challenge_approved',
      username: 'sam',
      hostId: null,
      hostname: null,
      challengeId: challenge.id,
      code: null,
      actor: 'dana',
      reason: null,
      remoteAddr: null,
      data: {},
      salt: null,
      payloadHash: null,
      prevHash: CHAIN_START,
    };
    const bundle = {
      v: 1,
      challengeId: challenge.id,
      record: challenge.record,
      verdict: challenge.verdict,
      approverKeys: await server.keySet(1, [server.passkey.key]),
      events: [{ ...event, hash: eventHash(event) }],
      claimed: {
        serverId: server.serverId,
        trustRoot: server.trustRoot.public,
        verificationKeys: [server.verdictKey.public],
      },
    };
    const check = async (change: object = {}, trust?: string) => {
      const file = join(host.dir, 'approval.json');
      await writeFile(file, JSON.stringify({ ...bundle, ...change }));
      return identree(['verify-approval', file, '--trust', trust ?? join(host.paths.state, 'trust.json')]);
    };
    return {
      server,
      host,
      bundle,
      check,
      async [Symbol.asyncDispose]() {
        await server.close();
        await host.remove();
      },
    };
  }

  it('believes what was approved and says what and by whom', async () => {
    await using w = await exported();
    const ended = await w.check();
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    for (const words of ['VALID: approved, class passkey', 'sam as root', 'id -u', 'dana'])
      assert.ok(ended.stdout.includes(words), words);
  });

  it('does not believe anything that was changed, nor keys that the file brings along', async () => {
    await using w = await exported();
    const { bundle } = w;
    const other = await createFakeServer();
    const trust = {
      serverId: other.serverId,
      trustRoot: other.trustRoot.public,
      verificationKeys: [other.verdictKey.public],
    };
    await writeFile(join(w.host.dir, 'other.json'), JSON.stringify(trust));
    await other.close();
    for (const [name, change] of Object.entries({
      'the command': { record: { ...bundle.record, argv: ['id'] } },
      'the user': { record: { ...bundle.record, user: 'root' } },
      'the challenge': { challengeId: 'f'.repeat(32) },
      'an event': { events: [{ ...bundle.events[0], actor: 'somebody' }] },
      'the key set': { approverKeys: await w.server.keySet(1, []) },
      'the verdict': { verdict: bundle.verdict!.slice(0, -4).concat('AAAA') },
    })) {
      const ended = await w.check(change);
      assert.equal(ended.code, 1, name);
      assert.match(ended.stdout, /^NOT VALID: /);
    }
    assert.equal((await w.check({}, join(w.host.dir, 'other.json'))).code, 1);
  });

  it('a file that is none, and no trust file, are explained', async () => {
    await using w = await exported();
    const none = await identree(['verify-approval', '/nonexistent', '--trust', '/nonexistent']);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /cannot be read/);
    assert.match((await w.check({}, '/nonexistent')).stderr, /cannot be read/);
    assert.match((await w.check({ v: 3 })).stderr, /not an exported approval/);
  });
});
