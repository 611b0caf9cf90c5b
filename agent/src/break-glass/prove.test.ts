import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openHost } from '../app.ts';
import type { Clock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { MAIN } from '../testing/cli.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { writeHashFile } from './hash-file.ts';
import { proveBreakGlass } from './prove.ts';
import { createDenial } from './verify.ts';

const HASH = `$2b$10$${'a'.repeat(53)}`;

async function world(conf = '') {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server, conf);
  const host = await openHost(enrolled.paths, { log: silentLog });
  const file = join(enrolled.dir, 'identree-breakglass');
  const putHash = () =>
    writeHashFile(file, 'web1', { hash: HASH, createdAt: Date.now(), type: 'random', escrowId: null, sealedTo: null });
  let now = 0;
  /** Runs while the proof waits. */
  let meanwhile = async () => {};
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms) {
      now += ms;
      await meanwhile();
    },
  };
  const args = ['--config', enrolled.paths.config, '--state', enrolled.paths.state];
  const denial = createDenial([process.execPath, MAIN], args, systemRandom);
  return {
    server,
    file,
    putHash,
    denial,
    waiting: (work: () => Promise<void>) => {
      meanwhile = work;
    },
    prove: (saysNo: () => Promise<boolean> = async () => true) =>
      proveBreakGlass({ conf: host.conf.breakGlass, client: host.client, saysNo, clock }),
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
}

describe('before a host comes to depend on its server', () => {
  it('its password is there, and what checks it refuses a wrong one', async () => {
    await using w = await world();
    await w.putHash();
    assert.deepEqual(await w.prove(w.denial), { problem: null, note: null });
    assert.match((await w.prove(async () => false)).problem ?? '', /does not work/);
  });

  it('what says nothing, or says yes, checks nothing', async () => {
    await using w = await world();
    assert.equal(await w.denial(), false, 'without a password');
    for (const program of [['/bin/true'], ['/bin/false'], ['/nonexistent']])
      assert.equal(await createDenial(program, [], systemRandom)(), false, program[0]);
  });

  it('a password that the server would keep is waited for, and then required', async () => {
    await using w = await world();
    w.server.breakGlass.escrow = true;
    assert.match((await w.prove()).problem ?? '', /no break-glass password yet\. Run: identree rotate-breakglass/);
    w.waiting(w.putHash);
    assert.deepEqual(await w.prove(), { problem: null, note: null });
  });

  it('where the server keeps none, or it is turned off, that is said', async () => {
    await using w = await world();
    w.server.breakGlass.escrow = false;
    assert.match((await w.prove()).note ?? '', /nobody gets in\. To make one: {2}identree rotate-breakglass --local/);
    await using off = await world('IDENTREE_BREAKGLASS_ENABLED=false\n');
    assert.match((await off.prove()).note ?? '', /turned off/);
  });

  it('a hash that others can change is none', async () => {
    await using w = await world();
    await writeFile(w.file, 'x');
    await chmod(w.file, 0o666);
    await assert.rejects(w.prove(), /mode 0666/);
  });
});
