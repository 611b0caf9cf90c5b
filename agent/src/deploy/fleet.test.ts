import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deployFleet, type FleetDeps } from './deploy.ts';
import type { Outcome } from './outcome.ts';
import { createReport } from './report.ts';
import type { Target } from './targets.ts';

const target = (name: string): Target => ({ name, destination: `ops@${name}` });
const hosts = (count: number): Target[] => Array.from({ length: count }, (_, index) => target(`web${index}`));
const done: Outcome = { kind: 'done' };
const unknown: Outcome = { kind: 'failed', reason: 'host_key_unknown', message: 'Host key verification failed.' };

function fleet(change: Partial<FleetDeps> = {}) {
  const said: string[] = [];
  const noted: [string, Outcome][] = [];
  const deps: FleetDeps = {
    deploy: async () => done,
    record: { isDone: () => false, note: async ({ name }, outcome) => void noted.push([name, outcome]) },
    report: createReport({ write: (text) => said.push(text) }, false),
    parallel: 8,
    again: false,
    ask: null,
    look: async () => null,
    stop: new AbortController().signal,
    ...change,
  };
  return { deps, noted, said: () => said.join('') };
}

describe('many hosts', () => {
  it('are done so many at a time, and never more', async () => {
    const running: (() => void)[] = [];
    let most = 0;
    let begun = 0;
    const { deps, said } = fleet({
      deploy: () =>
        new Promise((resolve) => {
          begun += 1;
          running.push(() => resolve(done));
          most = Math.max(most, running.length);
        }),
    });
    const all = deployFleet(deps, hosts(20));
    while (begun < 20 || running.length > 0) {
      // Whatever can begin has begun before one of them ends.
      await new Promise((resolve) => setImmediate(resolve));
      running.shift()?.();
    }
    assert.equal(await all, true);
    assert.equal(most, 8);
    assert.match(said(), /\n20 done\.\n$/);
  });

  it('that an earlier run has done are not asked, unless told to', async () => {
    const asked: string[] = [];
    const change: Partial<FleetDeps> = {
      deploy: async ({ name }) => {
        asked.push(name);
        return done;
      },
      record: { isDone: ({ name }) => name === 'web0', note: async () => undefined },
    };
    const first = fleet(change);
    assert.equal(await deployFleet(first.deps, hosts(2)), true);
    assert.deepEqual(asked, ['web1']);
    assert.match(first.said(), /web0: skipped[\s\S]*1 done, 1 skipped\./);
    await deployFleet(fleet({ ...change, again: true }).deps, hosts(2));
    assert.deepEqual(asked, ['web1', 'web0', 'web1']);
  });

  it('one that fails keeps no other from being done, and is named at the end', async () => {
    const failed: Outcome = { kind: 'failed', reason: 'unreachable', message: 'no route' };
    const { deps, said, noted } = fleet({ deploy: async ({ name }) => (name === 'web1' ? failed : done) });
    assert.equal(await deployFleet(deps, hosts(3)), false);
    assert.match(said(), /2 done, 1 failed\.\n {2}web1: failed: no route \[unreachable\]\n$/);
    assert.deepEqual(Object.fromEntries(noted).web1, failed);
  });

  it('told to stop: what is begun is waited for, and nothing else is begun', async () => {
    const stop = new AbortController();
    let begun = 0;
    const { deps, said } = fleet({
      parallel: 2,
      stop: stop.signal,
      deploy: async () => {
        begun += 1;
        if (begun === 2) stop.abort();
        else await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
        return done;
      },
    });
    assert.equal(await deployFleet(deps, hosts(5)), false);
    assert.match(said(), /2 done, 3 not begun\.\n$/);
  });
});

describe('a host whose key is not known', () => {
  it('is not done, and its key is shown', async () => {
    const { deps, noted } = fleet({ deploy: async () => unknown, look: async () => 'ssh-ed25519 SHA256:abc' });
    assert.equal(await deployFleet(deps, hosts(1)), false);
    const [[, outcome] = []] = noted;
    assert.match(outcome?.kind === 'failed' ? outcome.message : '', /not among the known hosts; it shows .*SHA256:abc/);
  });

  it('is done once somebody at the terminal has said that it is the right one, after all others', async () => {
    const order: string[] = [];
    let isKnown = false;
    const { deps, said } = fleet({
      deploy: async ({ name }) => {
        order.push(name);
        return name === 'web0' && !isKnown ? unknown : done;
      },
      ask: async (destination) => {
        order.push(`ask ${destination}`);
        isKnown = true;
      },
    });
    assert.equal(await deployFleet(deps, hosts(3)), true);
    assert.deepEqual(order, ['web0', 'web1', 'web2', 'ask ops@web0', 'web0']);
    assert.match(said(), /\n3 done\.\n$/);
  });

  it('stays undone when it was not accepted, and one whose key has changed is not asked about', async () => {
    const changed: Outcome = { kind: 'failed', reason: 'host_key_changed', message: 'Host key verification failed.' };
    const asked: string[] = [];
    const { deps } = fleet({
      deploy: async ({ name }) => (name === 'web0' ? unknown : changed),
      ask: async (destination) => void asked.push(destination),
    });
    assert.equal(await deployFleet(deps, hosts(2)), false);
    assert.deepEqual(asked, ['ops@web0']);
  });
});
