import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Host } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { must, until } from '../harness/run.ts';
import { ask, enrol, enroll, mark, openWorld, skip, type World } from '../harness/world.ts';

/** Every file that decides who gets in, with mode, owner and content. */
const snapshot = (host: Host): Promise<string> =>
  host.sh(
    'find /etc/pam.d /etc/sudoers /etc/sudoers.d /etc/ssh -type f -exec stat -c "%n %a %U:%G" {} + | sort; find /etc/pam.d /etc/sudoers /etc/sudoers.d /etc/ssh -type f -exec sha256sum {} + | sort -k2',
  );

describe('setup on a real host', () => {
  let world: World;
  let host: Host;
  let original: string;
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], people: ['alice', 'olga'] });
    host = await world.lab.up('web1');
    original = await snapshot(host);
  });
  after(() => world?.close());

  test('before enrolment: setup refuses and changes nothing', { skip }, async () => {
    const result = await host.exec(['identree', 'setup', '--pam', 'sudo']);
    assert.notEqual(result.code, 0);
    assert.match(result.stdout + result.stderr, /enrol/i);
    assert.equal(await snapshot(host), original);
  });

  test('setup twice gives the same bytes', { skip }, async () => {
    await enrol(host, world.server);
    const first = await host.exec(['identree', 'setup', '--pam', 'sudo,sudo-i,sshd']);
    assert.equal(first.code, 0, first.stdout + first.stderr);
    assert.match(first.stdout, /--undo/, "root's way back is printed");
    const once = await snapshot(host);
    assert.notEqual(once, original);
    const second = await host.exec(['identree', 'setup', '--pam', 'sudo,sudo-i,sshd']);
    assert.equal(second.code, 0, second.stdout + second.stderr);
    assert.equal(await snapshot(host), once);
    assert.equal((await host.exec(['visudo', '-c'])).code, 0);
    assert.equal((await host.exec(['sshd', '-t'])).code, 0);
  });

  test('after setup sudo asks', { skip }, async () => {
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.equal(host.exists(file), true);
  });

  test('--undo restores the original bytes, and sudo asks for a password again', { skip }, async () => {
    const result = await host.exec(['identree', 'setup', '--undo']);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.equal(await snapshot(host), original);
    const terminal = host.terminal('alice', ['sudo', 'id']);
    await terminal.see(/password for alice/);
    terminal.hangUp();
    const again = await host.exec(['identree', 'setup', '--undo']);
    assert.equal(again.code, 0, 'a second --undo is harmless');
    assert.equal(await snapshot(host), original);
  });

  test('as somebody else than root: refused', { skip }, async () => {
    const result = await host.as('alice', ['identree', 'setup', '--pam', 'sudo']);
    assert.notEqual(result.code, 0);
    assert.equal(await snapshot(host), original);
  });

  test('an enrolment token works once and for its own name only', { skip }, async () => {
    const token = async (name: string): Promise<string> =>
      /idt1\.\S+/.exec((await world.server.cli(['hosts', 'token', name])).stdout)?.[0] ?? '';
    const next = await world.lab.up('web2');
    const wrong = await enroll(next, world.server, await token('web3.example.com'));
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stdout + wrong.stderr, /another host name/);
    const good = await token('web2.example.com');
    const enrolled = await enroll(next, world.server, good);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const third = await world.lab.up('web3');
    const reused = await enroll(third, world.server, good);
    assert.notEqual(reused.code, 0);
    assert.match(reused.stdout + reused.stderr, /already used/);
    // A token of another installation: whoever answers in its name has another key.
    const foreign = `${(await token('web3.example.com')).slice(0, -4)}AAAA`;
    const taken = await enroll(third, world.server, foreign);
    assert.notEqual(taken.code, 0, 'the server key is not the one that the token names');
    assert.equal(third.exists('/var/lib/identree/identity.json'), false);
  });
});

const CLONED = ['etc/identree', 'var/lib/identree', 'etc/pam.d', 'etc/sudoers.d'];

/** What a cloned disk carries over. */
async function cloneState(from: Host, to: Host): Promise<void> {
  const archive = `${from.root}/../clone.tar`;
  await must('tar', ['-C', from.root, '-cpf', archive, ...CLONED]);
  await must('tar', ['-C', to.root, '-xpf', archive]);
}

describe('one image booted as two hosts', () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld({ hosts: ['gold', 'twin'], people: ['alice', 'olga'] });
  });
  after(() => world?.close());

  for (const [source, machineId] of [
    ['gold', 'its own machine id'],
    ['twin', 'the same machine id'],
  ] as const) {
    test(`with ${machineId}: both wait for an operator`, { skip }, async () => {
      const original = world.host(source);
      const clone = await world.lab.prepare(`${source}-clone`);
      await cloneState(original, clone);
      if (machineId === 'the same machine id') {
        await clone.write('/etc/machine-id', await readFile(`${original.root}/etc/machine-id`, 'utf8'));
      }
      // The original goes on working, so that what the clone knows is of the past.
      const request = await ask(world, original, 'alice', ['sudo', 'true']);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0);
      await clone.boot();
      const file = mark();
      for (const host of [clone, original]) {
        const terminal = host.terminal('alice', ['sudo', 'touch', file]);
        assert.equal(await terminal.exit, 1, terminal.text());
        assert.match(terminal.text(), /quarantin|operator/i);
        assert.equal(host.exists(file), false);
      }
      const name = `${source}.example.com`;
      assert.equal(world.server.data.host(name)?.state, 'quarantined');
      const noted = world.server.data.events({ event: 'host_quarantined' }).filter(({ hostname }) => hostname === name);
      assert.equal(noted.length, 1);

      // An operator looks and lets the original go on; the clone stays out.
      await clone.down();
      const olga = world.person('olga');
      const id = world.server.data.host(name)?.id ?? '';
      granted(await olga.mutate('hosts.release', { hostId: id }));
      const again = await ask(world, original, 'alice', ['sudo', 'touch', file]);
      granted(await world.person('alice').approve(again.code));
      assert.equal(await again.terminal.exit, 0);
      await until('the mark', () => original.exists(file));
    });
  }
});
