import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { describe, it } from 'node:test';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { attachHook, connectHook } from '../testing/fake-hook.ts';
import { createTestGate, type TestGate } from '../testing/test-gate.ts';
import { createGate, type GateDeps } from './gate.ts';
import { createLogin } from './login.ts';
import { createDirectLogins } from './logins.ts';
import { createProcessReader } from './proc.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const SSH = {
  mode: 'ssh-begin',
  service: 'sshd',
  user: 'bob',
  uid: 7,
  ruser: null,
  ruid: null,
  tty: null,
  cols: null,
  rows: null,
  rhost: '192.0.2.7',
};
const begin = (gate: TestGate, change: Record<string, string | number | null> = {}) => gate.sudo({ ...SSH, ...change });
const wait = (gate: TestGate, change: Record<string, string | number | null> = {}) =>
  gate.sudo({ ...SSH, mode: 'ssh-wait', ...change });
const OPTIONS = { timeout: 120_000, concurrency: 6 };

describe('ssh, both stages', OPTIONS, () => {
  it('the link is shown before the prompt, Enter waits, the approval lets in', async () => {
    await using gate = await createTestGate();
    const first = await begin(gate).result;
    assert.equal(first.granted, true, 'go on to the prompt');
    assert.match(first.text, /ABCDEF-123456/);
    assert.match(first.text.replace(/\s+/g, ' '), /press Enter/);
    const challenge = await gate.server.challenge();
    assert.deepEqual(
      [challenge.record.gate, challenge.record.mode, challenge.record.user, challenge.record.origin],
      ['ssh', 'login', 'bob', '192.0.2.7'],
    );
    const second = wait(gate);
    await gate.server.approve(challenge);
    assert.equal((await second.result).granted, true);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);
  });

  it('an approval before Enter is waiting there', async () => {
    await using gate = await createTestGate();
    await begin(gate).result;
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await until(() => challenge.polls > 0);
    assert.equal((await wait(gate).result).granted, true);
  });

  it('one approval lets one login in', async () => {
    await using gate = await createTestGate();
    await begin(gate).result;
    await gate.server.approve(await gate.server.challenge());
    assert.equal((await wait(gate).result).granted, true);
    const again = await wait(gate).result;
    assert.equal(again.granted, false);
    assert.match(again.text, /no request to wait for/);
  });

  for (const [name, change] of Object.entries<Record<string, string | number>>({
    'of another process': { ppid: 4243 },
    'of the same number, another process': { pstart: '778' },
    'for another account': { user: 'root', uid: 0 },
    'of another service': { service: 'login' },
  })) {
    it(`a second stage ${name} finds nothing`, async () => {
      await using gate = await createTestGate();
      await begin(gate).result;
      await gate.server.approve(await gate.server.challenge());
      assert.equal((await wait(gate, change).result).granted, false);
    });
  }

  it('a second stage without a first refuses and asks nobody', async () => {
    await using gate = await createTestGate();
    assert.equal((await wait(gate).result).granted, false);
    assert.equal(gate.server.challenges.length, 0);
  });

  it('the end of sshd between the stages withdraws the request', async () => {
    await using gate = await createTestGate();
    await begin(gate).result;
    const challenge = await gate.server.challenge();
    await gate.parent.end();
    await until(() => challenge.cancelled);
  });

  it('a hook that goes away while waiting withdraws the request', async () => {
    await using gate = await createTestGate();
    await begin(gate).result;
    const challenge = await gate.server.challenge();
    const second = wait(gate);
    // Before that it is no wait: the request then lasts until sshd ends.
    await until(() => second.isHeard());
    second.hangUp();
    await until(() => challenge.cancelled);
  });

  const CONNECTION = { ssh_connection: '192.0.2.7 50000 192.0.2.1 22' };
  /** What ssh does by itself after a failure: sshd has another process for each try, and ends the one before. */
  async function tryAgain(gate: TestGate, change: Record<string, string | number> = CONNECTION) {
    await gate.parent.setStartTime(String(Number(gate.parent.startTime) + 1));
    return begin(gate, { pstart: gate.parent.startTime, ...change }).result;
  }

  it('a denial is final for the connection: its words are the last, and ssh trying again makes no request', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    await begin(gate, CONNECTION).result;
    const second = wait(gate, CONNECTION);
    await gate.server.deny(await gate.server.challenge(), 'who are you');
    const answer = await second.result;
    assert.equal(answer.granted, false);
    assert.equal(answer.text, '  Denied by dana: who are you. Help: ops@example.com\n');
    for (let tries = 0; tries < 2; tries += 1) {
      const again = await tryAgain(gate);
      assert.equal(again.granted, false);
      assert.equal(again.text, '');
    }
    assert.equal(gate.server.challenges.length, 1);
  });

  it('a login that nobody answered is over as well', async () => {
    await using gate = await createTestGate();
    gate.server.ttlMs = 100;
    await begin(gate, CONNECTION).result;
    const { granted, text } = await wait(gate, CONNECTION).result;
    assert.equal(granted, false);
    assert.match(text, /^ {2}Expired: nobody answered in time\.\n$/);
    assert.equal((await tryAgain(gate)).granted, false);
    assert.equal(gate.server.challenges.length, 1);
  });

  it('who was denied may connect again and ask once more', async () => {
    await using gate = await createTestGate();
    await begin(gate, CONNECTION).result;
    await gate.server.deny(await gate.server.challenge());
    assert.equal((await wait(gate, CONNECTION).result).granted, false);
    const again = await tryAgain(gate, { ssh_connection: '192.0.2.7 50001 192.0.2.1 22' });
    assert.equal(again.granted, true);
    assert.equal(gate.server.challenges.length, 2);
    await gate.parent.end();
    const second = await gate.server.challenge(1);
    await until(() => second.cancelled);
  });

  it('a denial before Enter is said after it', async () => {
    await using gate = await createTestGate();
    await begin(gate, CONNECTION).result;
    const challenge = await gate.server.challenge();
    await gate.server.deny(challenge);
    await until(() => challenge.polls > 0);
    assert.equal((await wait(gate, CONNECTION).result).text, '  Denied by dana.\n');
    assert.equal((await tryAgain(gate)).text, '');
    assert.equal(gate.server.challenges.length, 1);
  });

  it('a new first stage of the same sshd replaces the request', async () => {
    await using gate = await createTestGate();
    await begin(gate).result;
    await begin(gate).result;
    const [one, two] = [await gate.server.challenge(0), await gate.server.challenge(1)];
    await until(() => one.cancelled);
    const second = wait(gate);
    await gate.server.approve(one);
    await gate.server.deny(two);
    assert.equal((await second.result).granted, false);
  });

  it('a refusal by the server ends before the prompt', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = ({ path, response }) => {
      if (path !== '/challenges') return false;
      gate.server.refuse(response, 429, 'too_many_pending_user', 'Too many requests are waiting.');
      return true;
    };
    const result = await begin(gate).result;
    assert.equal(result.granted, false);
    assert.match(result.text, /Too many requests/);
  });
});

describe('ssh without the resident agent', OPTIONS, () => {
  async function direct(
    gate: TestGate,
    hello: Record<string, string | number | null>,
    plugin: GateDeps['plugin'] = null,
  ) {
    const processes = createProcessReader(gate.parent.proc);
    const direct = createGate({
      ask: gate.host.ask,
      breakGlass: gate.host.breakGlass,
      login: createLogin({ ask: gate.host.ask, breakGlass: gate.host.breakGlass, processes, clock: systemClock }),
      logins: createDirectLogins({
        ask: gate.host.ask,
        breakGlass: gate.host.breakGlass,
        processes,
        contact: gate.host.conf.contact,
        clock: systemClock,
        folder: join(gate.state, 'handover'),
      }),
      processes,
      sessionOrigin: async () => null,
      noninteractive: gate.host.conf.noninteractive,
      contact: gate.host.conf.contact,
      clock: systemClock,
      log: silentLog,
      plugin,
      reportOutcome: 'before',
    });
    const [ours, theirs] = duplexPair();
    void direct.handle(ours as Duplex);
    return attachHook(theirs as Duplex, gate.hello(hello));
  }

  it('a sudo whose plugin would look for the agent that is away is refused, and asks nobody', async () => {
    await using gate = await createTestGate();
    const loaded = '7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /usr/lib/identree/identree_sudo.so';
    await writeFile(join(gate.parent.proc, String(gate.parent.pid), 'maps'), `${loaded}\n`);
    const result = await (await direct(gate, {})).result;
    assert.equal(result.granted, false);
    assert.match(result.text.replace(/\s+/g, ' '), /agent of identree is not running/);
    assert.equal(gate.server.challenges.length, 0);
  });

  it('a sudo is let pass for a plugin that asks by a gate of its own, if it has loaded that', async () => {
    await using gate = await createTestGate();
    const none = () => assert.fail();
    const sudo = { open: none, check: none, report: none, asksByItself: async () => false };
    const plugin = { registered: null, sudo };
    const loaded = '7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /usr/lib/identree/identree_sudo.so';
    const maps = join(gate.parent.proc, String(gate.parent.pid), 'maps');
    await writeFile(maps, `${loaded}\n`);
    assert.equal((await (await direct(gate, {}, plugin)).result).granted, true);
    await writeFile(maps, `${loaded} (deleted)\n`);
    assert.equal((await (await direct(gate, {}, plugin)).result).granted, true, 'also where it was replaced since');
    assert.equal(gate.server.challenges.length, 0);
    await writeFile(maps, `${loaded}.so\n`);
    const asked = await direct(gate, {}, plugin);
    await gate.server.deny(await gate.server.challenge());
    assert.equal((await asked.result).granted, false, 'and is asked if it has not');
  });

  it('names whom to call where there is nothing to wait for', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    const help = /Connect again\. Help: ops@example\.com/;
    const { text } = await (await direct(gate, { ...SSH, mode: 'ssh-wait' })).result;
    assert.match(text.replace(/\s+/g, ' '), help);
    const resident = await connectHook(gate.socket, gate.hello({ ...SSH, mode: 'ssh-wait' })).result;
    assert.match(resident.text.replace(/\s+/g, ' '), help);
  });

  it('hands the request from one process to the next, once', async () => {
    await using gate = await createTestGate();
    const first = await (await direct(gate, SSH)).result;
    assert.equal(first.granted, true);
    assert.match(first.text, /ABCDEF-123456/);
    const challenge = await gate.server.challenge();
    const second = await direct(gate, { ...SSH, mode: 'ssh-wait' });
    await gate.server.approve(challenge);
    assert.equal((await second.result).granted, true);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }], 'reported before the process ends');
    const third = await (await direct(gate, { ...SSH, mode: 'ssh-wait' })).result;
    assert.equal(third.granted, false);
  });

  it('does not take the request of another process', async () => {
    await using gate = await createTestGate();
    await (await direct(gate, SSH)).result;
    await gate.server.approve(await gate.server.challenge());
    assert.equal((await (await direct(gate, { ...SSH, mode: 'ssh-wait', pstart: '778' })).result).granted, false);
    assert.equal((await (await direct(gate, { ...SSH, mode: 'ssh-wait', user: 'eve' })).result).granted, false);
  });

  it('sudo works the same way', async () => {
    await using gate = await createTestGate();
    const hook = await direct(gate, {});
    await gate.server.approve(await gate.server.challenge());
    assert.equal((await hook.result).granted, true);
  });
});
