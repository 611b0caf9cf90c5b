import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type Killed, killedAt } from '../harness/killed.ts';
import type { Host } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { must, type RunResult, until } from '../harness/run.ts';
import { agentReady, ask, enrol, enroll, gate, mark, openWorld, skip, type World } from '../harness/world.ts';

/** Every file that decides who gets in, with mode, owner and content. */
const snapshot = (host: Host): Promise<string> =>
  host.sh(
    'find /etc/pam.d /etc/sudoers /etc/sudoers.d /etc/ssh -type f -exec stat -c "%n %a %U:%G" {} + | sort; find /etc/pam.d /etc/sudoers /etc/sudoers.d /etc/ssh -type f -exec sha256sum {} + | sort -k2',
  );

/** The same of all of /etc, with every link; and what setup keeps to put things back. */
const everything = (host: Host): Promise<string> =>
  host.sh(`find /etc -printf '%y %m %U:%G %p %l\\n' | sort; find /etc -type f -exec sha256sum {} + | sort -k2
    find /var/lib/identree/backup -type f | sort`);

/** What setup says where the server, or the agent's first report, is late: on a busy machine it is tried again. */
const LATE = /has not spoken to the server lately|did not answer in time|could not be made in time/;

/** What came of it once nobody was late. */
const unlessLate = <T>(work: () => Promise<T>, said: (result: T) => string): Promise<T> =>
  until(
    'an answer in time',
    async () => {
      const result = await work();
      return LATE.test(said(result)) ? null : result;
    },
    150_000,
  );

/** As many steps as it takes, or a few of them. */
const LONG = process.env.IDENTREE_LONG === '1';

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

  test('it is confirmed by whoever comes in anew, and not by who ran it', { skip }, async () => {
    const units = (): Promise<string> => host.sh('systemctl list-unit-files --no-legend "identree-revert*" || true');
    assert.match(await units(), /identree-revert\.timer +enabled/);
    const file = mark();
    await host.exec(['identree', 'setup', '--undo']);
    const both = `identree setup --pam sudo,sudo-i,sshd >/dev/null && touch ${file}; identree setup --confirm`;
    const same = await host.exec(['bash', '-c', both]);
    assert.equal(host.exists(file), true, same.stdout + same.stderr);
    assert.notEqual(same.code, 0);
    assert.match(same.stdout, /Log in anew, by ssh or on the console/);
    const request = await ask(world, host, 'alice', ['sudo', 'identree', 'setup', '--confirm']);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(await units(), '', 'nothing is left that would put it back');
    assert.match(await host.read('/etc/pam.d/sudo'), /pam_identree/);
    await host.exec(['identree', 'setup', '--undo']);
  });

  test('nobody confirms, and the machine is off when the time comes: it starts as it was before', {
    skip,
  }, async () => {
    assert.equal(await snapshot(host), original);
    const result = await host.exec(['identree', 'setup', '--pam', 'sudo,sudo-i,sshd']);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    const armed = Date.now();
    const unit = '/etc/systemd/system/identree-revert.timer';
    const [, time = ''] = /^OnCalendar=(.*) UTC$/m.exec(await host.read(unit)) ?? [];
    assert.ok(Math.abs(Date.parse(`${time}Z`) - armed - 600_000) < 120_000, time);
    assert.match(await host.sh('systemctl show -p NextElapseUSecRealtime identree-revert.timer'), /=\S/);
    // The same disk, started once more at a time that has passed meanwhile; without server and agent.
    const started = await world.lab.prepare('web9');
    await cloneState(host, started, ['etc', 'var/lib/identree', 'var/lib/systemd/timers']);
    await started.remove('/etc/systemd/system/multi-user.target.wants/identree-agent.service');
    await until('another second', () => Date.now() > armed + 3000);
    const past = new Date().toISOString().slice(0, 19).replace('T', ' ');
    await started.write(unit, (await started.read(unit)).replace(time, past));
    await started.boot();
    await until('the timer', async () => (await snapshot(started)) === original);
    await until('its units to go', () => !started.exists(unit));
    assert.match((await started.exec(['identree', 'setup', '--confirm'])).stdout, /Nothing waits/);
    await started.down();

    // The first one is still on, and its time comes, too; setup is long gone, and so is the agent.
    await host.sh(`systemctl stop identree-agent
      sed -i 's/^OnActiveSec=.*/OnActiveSec=1/' ${unit}; systemctl daemon-reload; systemctl restart identree-revert.timer`);
    await until('the timer', async () => (await snapshot(host)) === original);
    await until('its units to go', () => !host.exists(unit));
    await host.sh('systemctl start identree-agent');
    await agentReady(host);
  });

  test('a /etc that cannot be written is left as it is, and nothing waits', { skip }, async () => {
    await host.sh('mount --bind /etc /etc; mount -o remount,bind,ro /etc');
    try {
      const result = await host.exec(['identree', 'setup', '--pam', 'sudo']);
      assert.equal(result.code, 1);
      assert.match(result.stdout, /read-only file system[\s\S]*Nothing is changed/i);
    } finally {
      await host.sh('umount /etc');
    }
    assert.equal(await snapshot(host), original);
    assert.match((await host.exec(['identree', 'setup', '--confirm'])).stdout, /Nothing waits/);
  });

  const SETUP = ['identree', 'setup', '--pam', 'sudo,sudo-i,sshd'];
  const setUp = (...more: string[]): Promise<RunResult> =>
    unlessLate(
      () => host.exec([...SETUP, ...more]),
      ({ stdout, stderr }) => stdout + stderr,
    );
  const killed = (n: number): Promise<Killed> =>
    unlessLate(
      () => killedAt(host, n, SETUP),
      ({ said }) => said,
    );
  /** Root comes through sudo and sshd reads its files; somebody else is let through by nobody. */
  const rootGetsIn = async (when: string): Promise<void> => {
    const { code, stdout, stderr } = await host.exec([
      'sh',
      '-c',
      'sudo -n true && visudo -cq && sshd -t && ! runuser -u alice -- sudo -n true 2>/dev/null',
    ]);
    assert.equal(code, 0, `${when}: ${stdout}${stderr}`);
  };

  test(`killed ${LONG ? 'before each of its steps' : 'in the middle'}: root gets in, it goes on or is put back, nothing is left`, {
    skip,
  }, async () => {
    await host.exec(['identree', 'setup', '--undo']);
    const before = await everything(host);
    const { steps, said } = await killed(0);
    assert.match(said, /^Done\./m);
    const whole = await snapshot(host);
    await host.exec(['identree', 'setup', '--undo']);
    assert.equal(await everything(host), before);
    assert.ok(steps.length > 60, `${steps.length} steps`);

    const ways = {
      revert: async (when: string) => {
        const { code, stdout, stderr } = await host.exec(['identree', 'setup', '--revert']);
        assert.equal(code, 0, `${when}: ${stdout}${stderr}`);
      },
      resume: async (when: string) => {
        const { code, stdout, stderr } = await setUp();
        assert.equal(code, 0, `${when}: ${stdout}${stderr}`);
        assert.equal(await snapshot(host), whole, when);
        await rootGetsIn(when);
        await host.exec(['identree', 'setup', '--undo']);
      },
    };
    const at = (step: RegExp): number => steps.findIndex((line) => step.test(line)) + 1;
    const each = (way: keyof typeof ways) => steps.map((_, index) => [index + 1, way] as const);
    const all = [...each('resume'), ...each('revert')];
    // Before the first file is changed, and between the gate of sudo and that of ssh.
    const some = [
      [at(/^rename .*\/sudo\.conf$/), 'resume'],
      [at(/^rename .*\/pam\.d\/sshd$/), 'revert'],
    ] as const;
    let kept = before;
    const faults: string[] = [];
    for (const [n, way] of LONG ? all : some) {
      const { wasKilled, steps: had } = await killed(n);
      const when = `killed before step ${n}, ${had.at(-1)}, then ${way}`;
      // Of so many runs one may have a step less, and come to its end.
      assert.ok(wasKilled || LONG, when);
      // All of them are told: each run takes long.
      try {
        await rootGetsIn(when);
        await ways[way](when);
      } catch (error) {
        faults.push(error instanceof Error ? error.message : String(error));
        await host.exec(['identree', 'setup', '--undo']);
      }
      const now = await everything(host);
      if (now === kept) continue;
      const known = new Set(kept.split('\n'));
      faults.push(`${when}: ${now.split('\n').filter((line) => !known.has(line))}`);
      kept = now;
    }
    assert.deepEqual(faults, []);
  });

  /** Puts a copy of a folder over it, which can be filled. */
  const cover = (folder: string): Promise<string> =>
    host.sh(
      `mount -t tmpfs -o mode=$(stat -c %a ${folder}) tmpfs /mnt; cp -a ${folder}/. /mnt/; mount --bind /mnt ${folder}`,
    );
  // Whatever is open there, as the lock of an agent that has just sent something.
  const uncover = (folder: string): Promise<string> => host.sh(`umount --lazy ${folder}; umount --lazy /mnt`);
  const fill = (): Promise<string> =>
    host.sh(`mount -o remount,size=$(($(du -s --block-size=1 /mnt | cut -f1) + 65536)) /mnt
      dd if=/dev/zero of=/mnt/fill bs=4096 2>/dev/null || true`);

  test('a disk that is full: nothing is changed, and what waits is put back all the same', { skip }, async () => {
    const before = await everything(host);
    for (const [folder, ...more] of [['/etc'], ['/etc', '--no-confirm'], ['/var/lib/identree']] as const) {
      await cover(folder);
      await fill();
      const full = await everything(host);
      const result = await setUp(...more);
      assert.equal(result.code, 1, result.stdout + result.stderr);
      assert.match(result.stdout + result.stderr, /no space left/i);
      assert.equal(await everything(host), full);
      await rootGetsIn(`${folder} is full`);
      await uncover(folder);
      assert.equal(await everything(host), before);
    }
    await cover('/etc');
    assert.equal((await setUp()).code, 0);
    await fill();
    const result = await host.exec(['identree', 'setup', '--revert']);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    await host.sh('rm /etc/fill');
    assert.equal(await everything(host), before);
    await uncover('/etc');
  });

  test('[W-25] --undo restores the original bytes, and sudo asks for a password again', { skip }, async () => {
    await gate(host, 'sudo,sudo-i,sshd');
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

  test('[E-S11] as somebody else than root: refused', { skip }, async () => {
    const result = await host.as('alice', ['identree', 'setup', '--pam', 'sudo']);
    assert.notEqual(result.code, 0);
    assert.equal(await snapshot(host), original);
  });

  test('copies of a sealed disk have no identity, and each gets one of its own', { skip }, async () => {
    const early = await host.exec(['identree', 'seal-image']);
    assert.match(early.stderr, /Nothing is removed\. The agent runs/);
    await host.sh('systemctl stop identree-agent');
    const sealed = await host.exec(['identree', 'seal-image']);
    assert.equal(sealed.code, 0, sealed.stdout + sealed.stderr);
    assert.equal(host.exists('/var/lib/identree/identity.json'), false);
    const states = ['web4', 'web5'].map(async (name) => {
      const copy = await world.lab.prepare(name);
      await cloneState(host, copy, ['etc/identree']);
      await copy.boot();
      assert.match((await copy.exec(['identree', 'status'])).stdout, /This host is not enrolled/);
      await enrol(copy, world.server);
      return world.server.data.host(`${name}.example.com`);
    });
    const [one, other] = await Promise.all(states);
    assert.deepEqual([one?.state, other?.state], ['active', 'active'], 'nobody takes one for the copy of the other');
    assert.notEqual(one?.id, other?.id);
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
async function cloneState(from: Host, to: Host, folders: readonly string[] = CLONED): Promise<void> {
  const archive = `${from.root}/../clone.tar`;
  await must('tar', ['-C', from.root, '-cpf', archive, ...folders]);
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
