import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openHost, serveGate } from '../app.ts';
import type { Log } from '../platform/log.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import type { Keeper } from './keepers.ts';
import { agentAnswers } from './socket-server.ts';

async function world() {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server);
  const logged: string[] = [];
  const note = (message: string) => void logged.push(message);
  const log: Log = { info: note, warn: note, error: note };
  const host = await openHost(enrolled.paths, { log });
  const { paths } = enrolled;
  return {
    logged,
    answers: () => agentAnswers(paths.socket),
    serve: (keepers: readonly Keeper[], signal = new AbortController().signal) =>
      serveGate(host, paths, { keepers, log }, signal),
    async [Symbol.asyncDispose]() {
      await server.close();
      await enrolled.remove();
    },
  };
}

/** Runs until it is stopped, and tells when it was. */
function patient(): Keeper & { stopped: boolean } {
  const keeper = {
    name: 'patient',
    stopped: false,
    run: (stopping: AbortSignal) =>
      new Promise<void>((resolve) => {
        stopping.addEventListener('abort', () => {
          keeper.stopped = true;
          resolve();
        });
      }),
  };
  return keeper;
}

describe('what the agent looks after beside the gate', () => {
  const broken: [string, () => Promise<void>, string][] = [
    ['throws', async () => assert.fail('disk on fire'), 'heartbeat broke: disk on fire'],
    ['ends by itself', async () => undefined, 'heartbeat broke: it ended by itself'],
  ];
  for (const [what, end, words] of broken) {
    it(`one that ${what} is told by its name and ends the agent, the others and the socket in order`, async () => {
      await using w = await world();
      const other = patient();
      let answered = false;
      const run = async () => {
        answered = await w.answers();
        await end();
      };
      await assert.rejects(w.serve([other, { name: 'heartbeat', run }]), {
        message: 'heartbeat broke, and the agent ends with it.',
      });
      assert.equal(answered, true, 'the gate was open before');
      assert.ok(w.logged.includes(words), w.logged.join('\n'));
      assert.equal(other.stopped, true);
      assert.equal(await w.answers(), false);
    });
  }

  it('one that throws while the agent stops is told, and the agent ends as it was told to', async () => {
    await using w = await world();
    const stop = new AbortController();
    const other = patient();
    const run = async () => {
      stop.abort();
      throw new Error('too late');
    };
    await w.serve([other, { name: 'heartbeat', run }], stop.signal);
    assert.ok(w.logged.includes('heartbeat broke: too late'));
    assert.equal(other.stopped, true);
    assert.equal(await w.answers(), false);
  });
});
