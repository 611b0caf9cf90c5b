import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { approveByPolicy } from '../testing/approve-by-policy.ts';
import { createTestGate, type TestGate } from '../testing/test-gate.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const CONNECTION = '192.0.2.7 50000 192.0.2.1 22';
const SSH = {
  mode: 'ssh',
  service: 'sshd',
  user: 'bob',
  uid: 7,
  ruser: null,
  ruid: null,
  tty: null,
  cols: null,
  rows: null,
  rhost: '192.0.2.7',
  ssh_connection: CONNECTION,
};
const login = (gate: TestGate, change: Record<string, string | number | null> = {}) => gate.sudo({ ...SSH, ...change });
const OPTIONS = { timeout: 120_000, concurrency: 6 };
const PROMPT = 'Press Enter here once it is approved: ';

/** What ssh does by itself after a failure: sshd has another process for each try, and ends the one before. */
async function tryAgain(gate: TestGate, change: Record<string, string> = {}) {
  await gate.parent.setStartTime(String(Number(gate.parent.startTime) + 1));
  return login(gate, { pstart: gate.parent.startTime, ...change });
}

describe('ssh, in one conversation', OPTIONS, () => {
  it('link and code come with a prompt of our own, and an approval lets in once Enter is pressed', async () => {
    await using gate = await createTestGate();
    const ssh = login(gate);
    await ssh.says(PROMPT);
    const challenge = await gate.server.challenge();
    const { record } = challenge;
    assert.deepEqual([record.gate, record.mode, record.user, record.origin], ['ssh', 'login', 'bob', '192.0.2.7']);
    await gate.server.approve(challenge);
    await until(() => challenge.polls > 0);
    assert.deepEqual(challenge.outcomes, [], 'nobody has been let in yet');
    ssh.type('hunter2');
    const { granted, text } = await ssh.result;
    assert.equal(granted, true);
    assert.match(text, /ABCDEF-123456/);
    assert.doesNotMatch(text, /[Pp]assword/);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);
  });

  it('who presses Enter first waits on, and what was typed is no approval', async () => {
    await using gate = await createTestGate();
    const ssh = login(gate);
    await ssh.says(PROMPT);
    ssh.type('approved');
    const challenge = await gate.server.challenge();
    await until(() => challenge.polls > 0);
    await gate.server.deny(challenge, 'who are you');
    const { granted, text } = await ssh.result;
    assert.equal(granted, false);
    assert.ok(text.endsWith('  Denied by dana: who are you\n'));
  });

  it('an approval that expires before Enter lets nobody in', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_TIMEOUT=5\n' });
    const ssh = login(gate);
    await ssh.says(PROMPT);
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    const { granted, text } = await ssh.result;
    assert.equal(granted, false);
    assert.match(text, /Expired: nobody answered in time/);
    await until(() => challenge.outcomes.length > 0);
    assert.equal(challenge.outcomes[0]!.outcome, 'refused');
  });

  it('an approval by policy asks for no Enter', async () => {
    await using gate = await createTestGate();
    approveByPolicy(gate.server);
    const { granted, text } = await login(gate).result;
    assert.equal(granted, true);
    assert.doesNotMatch(text, /Enter/);
  });

  it('a denial is final for the connection: ssh trying again makes no request and says nothing', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    const ssh = login(gate);
    await ssh.says(PROMPT);
    await gate.server.deny(await gate.server.challenge(), 'who are you');
    assert.ok((await ssh.result).text.endsWith('  Denied by dana: who are you. Help: ops@example.com\n'));
    for (let tries = 0; tries < 2; tries += 1) {
      const again = await (await tryAgain(gate)).result;
      assert.deepEqual([again.granted, again.text], [false, '']);
    }
    assert.equal(gate.server.challenges.length, 1);
    const elsewhere = await tryAgain(gate, { ssh_connection: '192.0.2.7 50001 192.0.2.1 22' });
    await elsewhere.says(PROMPT);
    elsewhere.hangUp();
  });

  for (const [name, leave] of Object.entries<(ssh: ReturnType<typeof login>) => void>({
    'that goes away': (ssh) => ssh.hangUp(),
    'without anybody to ask': (ssh) => ssh.cancel('noprompt'),
  })) {
    it(`a hook ${name} withdraws the request`, async () => {
      await using gate = await createTestGate();
      const ssh = login(gate);
      await ssh.says(PROMPT);
      leave(ssh);
      const challenge = await gate.server.challenge();
      await until(() => challenge.cancelled);
      assert.notEqual((await ssh.result).granted, true);
    });
  }

  it('another process with the number of the one that asked is not let in', async () => {
    await using gate = await createTestGate();
    const ssh = login(gate);
    await ssh.says(PROMPT);
    const challenge = await gate.server.challenge();
    await gate.parent.setStartTime('999');
    await gate.server.approve(challenge);
    ssh.type('');
    assert.equal((await ssh.result).granted, false);
  });

  it('a line that nobody asked for ends the conversation', async () => {
    await using gate = await createTestGate();
    const ssh = login(gate);
    ssh.type('x');
    assert.equal((await ssh.result).granted, null);
  });
});
