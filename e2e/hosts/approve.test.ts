import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { granted, pendingCode } from '../harness/person.ts';
import { keepTranscript } from '../harness/transcript.ts';
import { ask, eventsBecome, mark, openWorld, skip, type World } from '../harness/world.ts';

describe('sudo on a real host: answers', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld();
  });
  after(() => world?.close());

  test('approved, and the command starts without a key press', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    const { terminal, code } = request;
    await terminal.see(new RegExp(`${world.server.url}/approve/${code}`));
    assert.equal(host.exists(file), false, 'nothing runs before the answer');
    granted(await world.person('alice').approve(code));
    assert.equal(await terminal.exit, 0);
    assert.equal(host.exists(file), true);
    assert.match(terminal.text(), /Approved/);
    assert.doesNotMatch(terminal.text(), /password/i);
    await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    assert.equal(request.row().outcome, 'granted');
    assert.equal(request.row().class, 'passkey');
    const record = JSON.parse(request.row().record) as { argv: string[]; user: string; tty: string };
    assert.deepEqual(record.argv, ['sudo', 'touch', file]);
    assert.equal(record.user, 'alice');
    assert.match(record.tty, /^\/dev\/pts\/\d+$/);
    keepTranscript('sudo', terminal.text());
  });

  test('the output of the command follows the approval at once, and its own exit status is kept', {
    skip,
  }, async () => {
    const request = await ask(world, world.host(), 'alice', ['sudo', 'sh', '-c', 'id -u; exit 7']);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 7);
    assert.match(request.terminal.text(), /^0$/m);
  });

  test('an administrator approves for somebody else', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'bob', ['sudo', 'touch', file]);
    granted(await world.person('olga').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.equal(world.host().exists(file), true);
    const approved = request.events().find(({ event }) => event === 'challenge_approved');
    assert.equal(approved?.actor, 'olga');
    assert.equal(approved?.username, 'bob');
  });

  test("somebody else's request cannot be seen, approved or denied", { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'bob', ['sudo', 'touch', file]);
    const alice = world.person('alice');
    await assert.rejects(alice.open(request.code));
    const { id } = request.row();
    const assertion = alice.authenticator.assert({
      challenge: 'AAAA',
      rpId: 'identree.example.com',
      origin: world.server.url,
    });
    for (const result of [
      await alice.mutate('challenges.approve', { challengeId: id, assertion, confirmTruncated: true }),
      await alice.mutate('challenges.deny', { challengeId: id, reason: null }),
    ]) {
      assert.equal(result.ok, false);
    }
    assert.equal(request.row().status, 'pending');
    request.terminal.type('\x03');
    assert.equal(await request.terminal.exit, 1);
    assert.equal(world.host().exists(file), false);
  });

  test('[W-23] [E-P3] denied with a reason: the person reads it, nothing runs, and one denial makes one challenge', {
    skip,
  }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    granted(await world.person('olga').deny(request.code, 'not on a Friday'));
    assert.equal(await request.terminal.exit, 1);
    assert.match(request.terminal.text(), /Denied/);
    assert.match(request.terminal.text(), /not on a Friday/);
    assert.equal(world.host().exists(file), false);
    await eventsBecome(request, ['challenge_created', 'challenge_rejected']);
    const denied = request.events()[1];
    assert.equal(denied?.reason, 'not on a Friday');
    assert.equal(denied?.actor, 'olga');
    const rows = world.server.data.challenges().filter((row) => row.record.includes(file));
    assert.equal(rows.length, 1);
  });

  test('two identical sudos and one approval: exactly one runs', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const command = ['sudo', 'sh', '-c', `echo ran >> ${file}`];
    const [first, second] = await Promise.all([ask(world, host, 'bob', command), ask(world, host, 'bob', command)]);
    assert.notEqual(first.code, second.code);
    granted(await world.person('bob').approve(second.code));
    assert.equal(await second.terminal.exit, 0);
    assert.equal(await host.read(file), 'ran\n');
    assert.equal(first.row().status, 'pending');
    assert.equal(first.terminal.code(), null);
    first.terminal.type('\x03');
    assert.equal(await first.terminal.exit, 1);
    assert.equal(await host.read(file), 'ran\n');
  });

  test('[W-21] every sudo asks again: sudo keeps no ticket', { skip }, async () => {
    const file = mark();
    const script = `sudo touch ${file}-a; echo first=$?; sudo touch ${file}-b; echo second=$?`;
    const request = await ask(world, world.host(), 'alice', ['bash', '-c', script]);
    granted(await world.person('alice').approve(request.code));
    await request.terminal.see(/first=0[\s\S]*[A-HJ-NP-Z]{6}-\d{6}/);
    assert.equal(world.host().exists(`${file}-a`), true);
    assert.equal(world.host().exists(`${file}-b`), false);
    request.terminal.type('\x03');
    await request.terminal.see(/second=1/);
    assert.equal(world.host().exists(`${file}-b`), false);
  });

  test('who has no sudo right is refused by sudo even after an approval', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'carol', ['sudo', 'touch', file]);
    granted(await world.person('olga').approve(request.code));
    assert.equal(await request.terminal.exit, 1);
    assert.match(request.terminal.text(), /not (in the sudoers|allowed)/);
    assert.equal(world.host().exists(file), false);
  });

  test('without a terminal it still asks, reads nothing and runs after the approval', { skip }, async () => {
    const file = mark();
    const running = world.host().as('alice', ['sudo', 'touch', file], { input: 'not for you\n' });
    const code = await pendingCode(world.server, 'alice', file);
    granted(await world.person('alice').approve(code));
    const result = await running;
    assert.equal(result.code, 0, result.stderr);
    assert.equal(world.host().exists(file), true);
    assert.match(result.stdout + result.stderr, new RegExp(code));
  });
});

/** With the shortest time that a server may give, which is too short for tests that mean to answer. */
describe('sudo on a real host: nobody answers', () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld({ challengeTtl: '30s', people: ['alice'] });
  });
  after(() => world?.close());

  test('[E-P13] expired: refused when nobody answers', { skip }, async () => {
    const file = mark();
    const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file]);
    await request.terminal.see(/expired|nobody answered/i);
    assert.equal(await request.terminal.exit, 1);
    assert.equal(world.host().exists(file), false);
    await eventsBecome(request, ['challenge_created', 'challenge_expired']);
    const late = await world.person('alice').mutate('challenges.deny', { challengeId: request.row().id, reason: null });
    assert.equal(late.ok, false);
  });
});
