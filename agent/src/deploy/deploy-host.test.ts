import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { type DeployDeps, deployHost } from './deploy-host.ts';
import { confirmScript } from './remote.ts';

const ONE = '0b9d7c9e-4a52-4a0b-9a3e-6d1f0c2b7a11';
const OTHER = '5f1a2b3c-0000-4000-8000-000000000000';

/** An address, and what the host behind it says to one connection after the other. */
async function deploy(...connections: string[][]) {
  const scripts: string[] = [];
  const deps: DeployDeps = {
    open() {
      const said = connections.shift()!;
      return {
        lines: (async function* () {
          yield* said;
        })(),
        asides: (async function* () {})(),
        write: (bytes) => void scripts.push(String(bytes)),
        end: () => undefined,
        ended: Promise.resolve(0),
        kill: () => undefined,
      };
    },
    token: async () => ({ ok: true, token: 'idt1' }),
    release: { script: Buffer.from('x'), sha256: 'x', manifestSha256: 'x' } as DeployDeps['release'],
    server: 'https://identree.example.com',
    words: [],
    isDryRun: false,
    confirms: true,
  };
  const outcome = await deployHost(deps, { name: 'web1', destination: 'pool.example.com' }, () => undefined);
  return { outcome, scripts, left: connections.length };
}

describe('an address behind which there are several hosts', () => {
  const installed = ['identree-deploy new', `identree-deploy end 0 ${ONE}`];

  it('is done where the second connection reaches the host that was installed', async () => {
    const { outcome, scripts } = await deploy(installed, [`identree-deploy end 0 ${ONE}`]);
    assert.deepEqual(outcome, { kind: 'done' });
    assert.ok(scripts.at(-1)!.includes(ONE));
  });

  it('is not done where it reaches another one, whatever that one says', async () => {
    for (const said of ['identree-deploy other', `identree-deploy end 0 ${OTHER}`, 'identree-deploy end 0']) {
      const { outcome } = await deploy(installed, [said]);
      assert.equal(outcome.kind, 'failed', said);
    }
    const { outcome } = await deploy(installed, ['identree-deploy other']);
    assert.equal(outcome.kind === 'failed' && outcome.reason, 'other_host');
    assert.match(outcome.kind === 'failed' ? outcome.message : '', /^pool\.example\.com led to another host/);
  });

  it('nothing that a host calls its identity becomes a part of a script', async () => {
    const { scripts } = await deploy(['identree-deploy new', "identree-deploy end 0 ';reboot;'"], []);
    assert.doesNotMatch(scripts.at(-1)!, /reboot/);
  });

  it('another host changes nothing', () => {
    const { stdout } = spawnSync('sh', ['-c', confirmScript(ONE)], { encoding: 'utf8' });
    assert.equal(stdout, 'identree-deploy other\n');
  });
});
