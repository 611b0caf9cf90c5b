import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startFront } from '../harness/front.ts';
import { granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { SERVER_PORT } from '../harness/server.ts';
import { agentReady, ask, eventsBecome, mark, openWorld, skip, type World } from '../harness/world.ts';

const STAGE = '/usr/lib/identree/identree-pam';
const FRONT_PORT = 9443;
/** A server that hangs is one only after the longest time that an answer may take. */
const LONG = process.env.IDENTREE_LONG === '1';

/** One after the other: each takes something away from the host. */
describe('sudo on a real host: parts that are missing', () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld({ people: ['alice'] });
  });
  after(() => world?.close());

  const agentUp = (): Promise<string> =>
    world
      .host()
      .sh(
        'systemctl reset-failed identree-agent; systemctl start identree-agent; until test -S /run/identree/agent.sock; do sleep 0.05; done',
      );

  const signal = (name: string): Promise<string> =>
    world.host().sh(`kill -${name} "$(systemctl show -p MainPID --value identree-agent)"`);

  /** A sudo that must end in a refusal by itself. */
  async function refusedBy(words: RegExp): Promise<string> {
    const file = mark();
    const before = world.server.data.lastSeq();
    const terminal = world.host().terminal('alice', ['bash', '-c', `stty -g; sudo touch ${file}; echo rc=$?; stty -g`]);
    await terminal.see(/rc=\d+/);
    await terminal.exit;
    const text = terminal.text();
    assert.match(text, /rc=1/);
    assert.match(text, words);
    assert.equal(world.host().exists(file), false);
    const modes = text.match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm);
    assert.equal(modes?.[0], modes?.[1], 'the terminal is as it was');
    assert.ok(!world.server.data.events({ after: before }).some(({ event }) => event === 'challenge_approved'));
    return text;
  }

  test('the agent is confined, as systemd counts it', { skip }, async () => {
    const { code, stdout } = await world
      .host()
      .exec(['systemd-analyze', 'security', '--no-pager', '--threshold=23', 'identree-agent.service']);
    assert.equal(code, 0, stdout);
  });

  test('one of two addresses of the server is dead: the other one is asked, in either order', { skip }, async () => {
    const host = world.host();
    const conf = await host.read('/etc/identree/client.conf');
    const dead = new URL(world.server.url);
    dead.port = '1';
    const addresses = [world.server.url, dead.origin];
    for (const urls of [addresses, addresses.toReversed()]) {
      await host.write('/etc/identree/client.conf', `IDENTREE_SERVER_URL=${urls.join(',')}\n`, 0o600);
      await host.sh('systemctl restart identree-agent');
      await agentReady(host);
      const file = mark();
      const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
      assert.equal(host.exists(file), true);
      const { stdout } = await host.exec(['identree', 'status']);
      assert.match(stdout, new RegExp(`${world.server.url}, answers`));
      assert.match(stdout, new RegExp(`${dead.origin}, does not serve: ECONNREFUSED`));
    }
    await host.write('/etc/identree/client.conf', conf, 0o600);
    await host.sh('systemctl restart identree-agent');
    await agentReady(host);
  });

  test(`of two living servers one ${LONG ? 'hangs' : 'dies'} while somebody waits: the other one goes on, and no password is asked for`, {
    skip,
  }, async () => {
    const host = world.host();
    const conf = await host.read('/etc/identree/client.conf');
    const front = await startFront(world.lab.serverAddress, FRONT_PORT, SERVER_PORT);
    const first = Object.assign(new URL(world.server.url), { port: String(FRONT_PORT) });
    try {
      // There is one, so that it is not for lack of it.
      const { stdout } = await host.exec(['identree', 'rotate-breakglass', '--local', '--force']);
      assert.notEqual(stdout, '');
      const urls = `${first.origin},${world.server.url}`;
      await host.write('/etc/identree/client.conf', `IDENTREE_SERVER_URL=${urls}\n`, 0o600);
      await host.sh('systemctl restart identree-agent');
      await agentReady(host);
      const file = mark();
      const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
      assert.ok(front.made() > 0, 'by way of the first');
      if (LONG) front.hang();
      else await front.die();
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
      assert.equal(host.exists(file), true);
      assert.doesNotMatch(request.terminal.text(), /password/i);
      // So does the next one, whatever of this host still waits at the other one, such as a heartbeat.
      const next = await ask(world, host, 'alice', ['sudo', 'true']);
      granted(await world.person('alice').approve(next.code));
      assert.equal(await next.terminal.exit, 0, next.terminal.text());
      assert.doesNotMatch(next.terminal.text(), /password/i);
    } finally {
      await front.die();
      await host.write('/etc/identree/client.conf', conf, 0o600);
      await host.sh('rm -f /etc/identree-breakglass; systemctl restart identree-agent');
      await agentReady(host);
    }
  });

  test('agent dead: the slow path asks and runs all the same', { skip }, async () => {
    await world.host().sh('systemctl stop identree-agent');
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(world.host().exists(file), true);
    await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    await agentUp();
  });

  test('agent dead: Ctrl-C and denial work on the slow path too', { skip }, async () => {
    await world.host().sh('systemctl stop identree-agent');
    const file = mark();
    const cancelled = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    cancelled.terminal.type('\x03');
    assert.equal(await cancelled.terminal.exit, 1);
    await eventsBecome(cancelled, ['challenge_created', 'challenge_cancelled']);
    const denied = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    granted(await world.person('alice').deny(denied.code, 'no'));
    assert.equal(await denied.terminal.exit, 1);
    assert.match(denied.terminal.text(), /Denied/);
    assert.equal(world.host().exists(file), false);
    await agentUp();
  });

  test('agent killed while sudo waits: refused, not granted', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    await signal('KILL');
    assert.equal(await request.terminal.exit, 1);
    assert.equal(world.host().exists(file), false);
    assert.match(request.terminal.text(), /refused/);
    await until(
      'the agent to be started again',
      async () => (await world.host().exec(['systemctl', 'is-active', 'identree-agent'])).code === 0,
    );
    await agentUp();
  });

  test('server stopped: refused with clear words, and it works again afterwards', { skip }, async () => {
    await world.server.stop();
    const text = await refusedBy(/cannot be reached|could not be reached|not reachable|unreachable/i);
    assert.match(text, /identree\.example\.com/);
    await world.server.start();
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
  });

  test('server restarted while sudo waits: the request survives', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    await world.server.stop();
    await world.server.start();
    assert.equal(request.row().status, 'pending');
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(world.host().exists(file), true);
  });

  test('server killed while sudo waits: the request survives', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    await world.server.stop('SIGKILL');
    await world.server.start();
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(world.host().exists(file), true);
  });

  test('hook missing: refused', { skip }, async () => {
    const host = world.host();
    await host.sh(`mv ${STAGE} ${STAGE}.away`);
    await refusedBy(/sudo/);
    await host.sh(`mv ${STAGE}.away ${STAGE}`);
  });

  test('hook not executable: refused', { skip }, async () => {
    const host = world.host();
    await host.sh(`chmod 644 ${STAGE}`);
    await refusedBy(/sudo/);
    await host.sh(`chmod 755 ${STAGE}`);
  });

  test('hook killed while it waits: refused', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    await host.sh('pkill -KILL -x identree-pam');
    assert.equal(await request.terminal.exit, 1);
    assert.equal(host.exists(file), false);
    await eventsBecome(request, ['challenge_created', 'challenge_cancelled']);
  });

  test('hook crashing: refused', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['bash', '-c', `stty -g; sudo touch ${file}; stty -g`]);
    await host.sh('pkill -SEGV -x identree-pam');
    await request.terminal.exit;
    assert.equal(host.exists(file), false);
    const modes = request.terminal.text().match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm);
    assert.equal(modes?.[0], modes?.[1], 'a crash gives the terminal back');
    await eventsBecome(request, ['challenge_created', 'challenge_cancelled']);
    await host.sh(`mv ${STAGE} ${STAGE}.away; printf '#!/bin/sh\\nkill -SEGV $$\\n' > ${STAGE}; chmod 755 ${STAGE}`);
    await refusedBy(/sudo/);
    await host.sh(`mv ${STAGE}.away ${STAGE}`);
  });

  test('hook and agent both away: refused with a way on', { skip }, async () => {
    const host = world.host();
    await host.sh('systemctl stop identree-agent; mv /usr/bin/identree /usr/bin/identree.away');
    await refusedBy(/identree: .*refused/);
    await host.sh('mv /usr/bin/identree.away /usr/bin/identree');
    await agentUp();
  });

  test('agent stopped (SIGSTOP): refused or asked another way, never granted', { skip }, async () => {
    const host = world.host();
    // Not in the middle of a report, when it alone may speak for the host: it keeps what came of it afterwards.
    const health = '/var/lib/identree/health.json';
    await host.sh(`systemctl stop identree-agent; rm -f ${health}; systemctl start identree-agent`);
    await until('the first report of the agent', () => host.exists(health));
    await signal('STOP');
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    assert.equal(host.exists(file), false);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    await signal('CONT');
    await agentUp();
  });

  test('socket folder open to others: not trusted', { skip }, async () => {
    const host = world.host();
    await host.sh('chmod 777 /run/identree');
    await refusedBy(/identree: .*refused/);
    await host.sh('chmod 700 /run/identree; systemctl restart identree-agent');
    await agentUp();
  });
});
