import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hashPassword } from '../break-glass/bcrypt.ts';
import { writeHashFile } from '../break-glass/hash-file.ts';
import { createTestGate } from '../testing/test-gate.ts';

const PASSWORD = 'otter-maple-violin-cactus';
const PROMPT = 'Break-glass password: ';

/** A host whose client.conf names two ways to the server, and that can be entered without it. */
async function twoWays() {
  const gate = await createTestGate({ replica: true });
  await writeHashFile(join(gate.dir, 'identree-breakglass'), 'web1', {
    hash: await hashPassword(Buffer.from(PASSWORD), 10),
    createdAt: Date.now(),
    type: 'passphrase',
    escrowId: null,
    sealedTo: null,
  });
  return { gate, replica: gate.replica! };
}

// Some wait for a server that does not answer, so they wait together.
describe('a host that knows two servers', { timeout: 120_000, concurrency: 4 }, () => {
  it('is answered by the second while the first is dead, and asks for no password', async () => {
    const { gate } = await twoWays();
    await using _ = gate;
    await gate.server.close();
    const hook = gate.sudo();
    await gate.server.approve(await gate.server.challenge());
    const { granted, text } = await hook.result;
    assert.equal(granted, true, text);
    assert.doesNotMatch(text, /break-glass|cannot be reached/i);
  });

  it('a request that waits goes on at the second when the first dies', async () => {
    const { gate } = await twoWays();
    await using _ = gate;
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    while (challenge.polls === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await gate.server.close();
    await gate.server.approve(challenge);
    const { granted, text } = await hook.result;
    assert.equal(granted, true, text);
    assert.equal(gate.server.challenges.length, 1, 'nobody is asked twice');
  });

  it('a refusal of the second counts while the first is dead: it is no reason for a password', async () => {
    const { gate } = await twoWays();
    await using _ = gate;
    await gate.server.close();
    gate.server.intercept = ({ path, response }) => {
      if (path !== '/challenges') return false;
      gate.server.refuse(response, 503, 'policy_broken', 'The policy cannot be read.');
      return true;
    };
    const { granted, text } = await gate.sudo().result;
    assert.equal(granted, false);
    assert.match(text, /The policy cannot be read/);
    assert.doesNotMatch(text, /break-glass/i);
  });

  it('one dead and one that is silent are not two dead ones', async () => {
    const { gate } = await twoWays();
    await using _ = gate;
    await gate.server.close();
    gate.server.intercept = ({ path, response }) => {
      if (path === '/challenges') response.destroy();
      return path === '/challenges';
    };
    const { granted, text } = await gate.sudo().result;
    assert.equal(granted, false);
    assert.doesNotMatch(text, /break-glass/i);
  });

  it('both dead: it can be entered', async () => {
    const { gate, replica } = await twoWays();
    await using _ = gate;
    await gate.server.close();
    await replica.close();
    const hook = gate.sudo();
    await hook.says(PROMPT);
    hook.type(PASSWORD);
    assert.equal((await hook.result).granted, true);
  });
});
