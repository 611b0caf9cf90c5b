import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hasBegunSince, momentOf, sameSession, sessionOf } from './session.ts';

interface Fake {
  name: string;
  parent: number;
  /** The kernel's number of the login. */
  audit?: string;
}

/** A machine with these processes. */
async function machine(processes: Record<number, Fake>, boot = 'boot-1') {
  const proc = await mkdtemp(join(tmpdir(), 'identree-proc-'));
  await mkdir(join(proc, 'sys/kernel/random'), { recursive: true });
  await writeFile(join(proc, 'sys/kernel/random/boot_id'), `${boot}\n`);
  for (const [pid, { name, parent, audit = '4294967295' }] of Object.entries(processes)) {
    await mkdir(join(proc, pid));
    await writeFile(
      join(proc, pid, 'stat'),
      `${pid} (${name}) S ${parent} ${'0 '.repeat(17)}${1000 + Number(pid)} 0\n`,
    );
    await writeFile(join(proc, pid, 'sessionid'), audit);
  }
  return {
    async same(one: number, other: number) {
      return sameSession(await sessionOf(one, proc), await sessionOf(other, proc));
    },
    of: (pid: number) => sessionOf(pid, proc),
    /** Whether this login began after all these did. */
    since: async (pid: number, then: { audit: number; start: number }) =>
      hasBegunSince(await sessionOf(pid, proc), { boot, ...then }),
    moment: () => momentOf(proc),
    [Symbol.asyncDispose]: () => rm(proc, { recursive: true }),
  };
}

const TWO_LOGINS: Record<number, Fake> = {
  1: { name: 'systemd', parent: 0 },
  10: { name: 'sshd', parent: 1 },
  // One login, where setup runs as 14; a shell of su in it, and a terminal multiplexer that left it.
  11: { name: 'sshd', parent: 10 },
  12: { name: 'bash', parent: 11 },
  13: { name: 'sudo', parent: 12 },
  14: { name: 'identree', parent: 13 },
  15: { name: 'su', parent: 12 },
  16: { name: 'identree', parent: 15 },
  // Another login.
  21: { name: 'sshd) S 12 (', parent: 10 },
  22: { name: 'bash', parent: 21 },
  23: { name: 'identree', parent: 22 },
  // On the console.
  31: { name: 'login', parent: 1 },
  32: { name: 'bash', parent: 31 },
};

/** The same with the kernel's numbers; a multiplexer that was started in the first login, below nobody but systemd. */
const NUMBERED: Record<number, Fake> = {
  ...Object.fromEntries(
    Object.entries(TWO_LOGINS).map(([pid, fake]) => {
      const audit = Number(pid) < 11 ? undefined : { 1: '7', 2: '8', 3: '9' }[pid[0]!];
      return [pid, { ...fake, ...(audit ? { audit } : {}) }];
    }),
  ),
  40: { name: 'tmux: server', parent: 1, audit: '7' },
  41: { name: 'bash', parent: 40, audit: '7' },
};

describe('a login is told from another', () => {
  for (const [words, processes] of [
    ['by the numbers of the kernel', NUMBERED],
    ['by what started what, where the kernel keeps no numbers', TWO_LOGINS],
  ] as const) {
    it(words, async () => {
      await using m = await machine(processes);
      assert.equal(await m.same(14, 14), true);
      assert.equal(await m.same(14, 12), true, 'the shell that setup was started from');
      assert.equal(await m.same(14, 16), true, 'su in the same login');
      assert.equal(await m.same(14, 23), false, 'another connection to the same sshd');
      assert.equal(await m.same(14, 32), false, 'the console');
    });
  }

  it('a window of a multiplexer that the first login started belongs to it', async () => {
    await using m = await machine(NUMBERED);
    assert.equal(await m.same(14, 41), true);
  });

  it('a number that the whole container has is none', async () => {
    const audit = '7';
    const all = Object.fromEntries(Object.entries(TWO_LOGINS).map(([pid, fake]) => [pid, { ...fake, audit }]));
    await using m = await machine(all);
    assert.equal(await m.same(14, 23), false);
    assert.equal(await m.same(14, 16), true);
  });

  it('after a restart every login is a new one, whatever its numbers', async () => {
    await using before = await machine(NUMBERED);
    await using after = await machine(NUMBERED, 'boot-2');
    assert.equal(sameSession(await before.of(14), await after.of(14)), false);
  });

  it('that was open already from one that began later', async () => {
    for (const [numbers, began] of [
      [NUMBERED, { audit: 8, start: 1099 }],
      [TWO_LOGINS, { audit: 0, start: 1029 }],
    ] as const) {
      await using m = await machine(numbers);
      assert.equal(await m.since(32, began), true, 'the console, though what asks for a name there is old');
      assert.equal(await m.since(14, began), false, 'the login that ran setup');
      assert.equal(await m.since(23, began), false, 'another that was open');
      assert.equal(await m.since(32, await m.moment()), false, 'everything that runs has begun');
    }
    await using next = await machine(NUMBERED, 'boot-2');
    assert.equal(hasBegunSince(await next.of(14), { boot: 'boot-1', audit: 99, start: 9999 }), true);
    assert.deepEqual(await next.moment(), { audit: 9, start: 1041 });
  });

  it('this very process is of its own session', async () => {
    const own = await sessionOf(process.pid);
    assert.equal(sameSession(own, own), true);
    assert.match(own.boot, /^[0-9a-f-]{36}$/);
  });
});
