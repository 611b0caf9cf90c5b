import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GATES, type Gate } from '../harness/gates.ts';
import type { Host } from '../harness/lab.ts';
import { CODE, granted, pendingCode } from '../harness/person.ts';
import type { Terminal } from '../harness/pty.ts';
import { until } from '../harness/run.ts';
import { foregroundReadsKeys, gone, SHELL, sudoPids } from '../harness/shell.ts';
import {
  placeSurroundings,
  reportOf,
  type Surroundings,
  takeSurroundings,
  unusualCaller,
} from '../harness/surroundings.ts';
import { type Asked, ask, asked, gate, mark, openWorld, skip, type World } from '../harness/world.ts';

const modesOf = (terminal: Terminal): string[] => terminal.text().match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm) ?? [];

/** The terminal on which a request was made. */
const ttyOf = (request: Asked): string => (JSON.parse(request.row().record) as { tty: string }).tty;

/** What a program finds around it, started on a terminal and without one. */
type Seen = Record<'terminal' | 'pipes', Surroundings>;

/** What a sudo makes of it that nobody has set up yet, and that asks for no password either. */
async function seenUngated(host: Host, sudo: string): Promise<Seen> {
  await placeSurroundings(host);
  await host.write('/etc/sudoers.d/ungated', 'alice ALL=(ALL:ALL) NOPASSWD: ALL\n', 0o440);
  const terminal = host.terminal('alice', unusualCaller(host, sudo));
  assert.equal(await terminal.exit, 0, terminal.text());
  const onTerminal = await takeSurroundings(host);
  const { code, stderr } = await host.as('alice', unusualCaller(host, sudo), { input: '' });
  assert.equal(code, 0, stderr);
  const onPipes = await takeSurroundings(host);
  await host.remove('/etc/sudoers.d/ungated');
  return { terminal: onTerminal, pipes: onPipes };
}

/** The plugin leaves the terminal to the person, the PAM stage takes its keys. */
describe('sudo on a real host: the person goes away or types on', { concurrency: 4 }, () => {
  let world: World;
  const ungated = new Map<Gate['name'], Seen>();
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], people: ['alice', 'bob'] });
    const ready = await Promise.allSettled(
      GATES.map(async (at) => {
        const host = await world.addHost(at.host, { suite: at.suite, pam: null });
        ungated.set(at.name, await seenUngated(host, at.sudo));
        await gate(host, undefined, at.gate);
      }),
    );
    for (const one of ready) if (one.status === 'rejected') throw one.reason;
  });
  after(() => world?.close());

  /** One line of the table, at every gate; `only` those that it is about. */
  const row = (
    what: string,
    run: (host: Host, gate: Gate) => Promise<void>,
    only: (gate: Gate) => boolean = () => true,
  ) => {
    for (const gate of GATES.filter(only))
      test(`[W-11] ${gate.name}: ${what}`, { skip }, () => run(world.host(gate.host), gate));
  };

  row('Ctrl-C: refused at once, terminal restored, request gone', async (host, { sudo }) => {
    const file = mark();
    const script = `stty -g; ${sudo} touch ${file}; echo rc=$?; stty -g`;
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    await request.terminal.see(/Waiting/);
    request.terminal.type('\x03');
    await request.terminal.see(/rc=(1|130)/);
    assert.ok(Date.now() < request.row().expires_at, 'well before the request expires');
    assert.equal(await request.terminal.exit, 0);
    const modes = modesOf(request.terminal);
    assert.deepEqual([modes.length, new Set(modes).size], [2, 1]);
    assert.match(request.terminal.text(), /Cancelled/);
    await gone(request, host, file, sudo);
    const late = await world.person('alice').mutate('challenges.deny', { challengeId: request.row().id, reason: null });
    assert.equal(late.ok, false, 'a cancelled request takes no decision');
  });

  row('an approval that comes after Ctrl-C runs nothing', async (host, { sudo }) => {
    const file = mark();
    const request = await ask(world, host, 'alice', [sudo, 'touch', file]);
    await request.terminal.see(/Waiting/);
    const alice = world.person('alice');
    const page = await alice.open(request.code);
    const assertion = alice.assert(page);
    request.terminal.type('\x03');
    assert.notEqual(await request.terminal.exit, 0);
    await gone(request, host, file, sudo);
    const late = await alice.mutate('challenges.approve', {
      challengeId: page.view.id,
      assertion,
      confirmTruncated: false,
    });
    assert.equal(late.ok, false);
    assert.equal(host.exists(file), false);
  });

  row('terminal closed, also under an interactive shell: cancelled', async (host, { sudo }) => {
    const direct = mark();
    const request = await ask(world, host, 'alice', [sudo, 'touch', direct]);
    request.terminal.hangUp();
    await gone(request, host, direct, sudo);
    const inner = mark();
    const terminal = host.terminal('alice', SHELL);
    terminal.type(`${sudo} touch ${inner}\r`);
    const [code] = await terminal.see(CODE);
    terminal.hangUp();
    await gone(asked(world, terminal, code), host, inner, sudo);
  });

  /** Ends the sudo that waits with a signal: cancelled, and the terminal is as it was. */
  async function ended(host: Host, { sudo }: Gate, signal: string, below: readonly string[] = []): Promise<void> {
    const file = mark();
    const script = `stty -g; ${sudo} touch ${file}; read -r; stty -g`;
    const request = await ask(world, host, 'alice', [...below, 'bash', '-c', script]);
    const pids = await sudoPids(host, `touch ${file}`, sudo);
    assert.equal(pids.length, 1);
    await host.sh(`kill -${signal} ${pids[0]}`);
    // The stage gives the terminal back before it tells that the request is over.
    await gone(request, host, file, sudo);
    request.terminal.type('\r');
    assert.equal(await request.terminal.exit, 0);
    const modes = modesOf(request.terminal);
    assert.deepEqual([modes.length, new Set(modes).size], [2, 1]);
  }

  row('sudo killed: cancelled, terminal restored', (host, gate) => ended(host, gate, 'KILL'));

  row('sudo killed under a subreaper: cancelled', (host, gate) =>
    ended(host, gate, 'KILL', ['/usr/local/lib/lab/labsubreaper']),
  );

  for (const signal of ['TERM', 'HUP'])
    row(
      `sudo ended by SIG${signal}: cancelled`,
      (host, gate) => ended(host, gate, signal),
      ({ gate }) => gate === 'plugin',
    );

  row(
    'sudo ended by SIGTERM: it is deaf while PAM works, and runs nothing once it is approved',
    async (host, { sudo }) => {
      const file = mark();
      const request = await ask(world, host, 'alice', [sudo, 'touch', file]);
      const [pid] = await sudoPids(host, `touch ${file}`);
      await host.sh(`kill -TERM ${pid}`);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 128 + 15);
      assert.equal(host.exists(file), false);
    },
    ({ gate, sudo }) => gate === 'pam' && sudo === 'sudo',
  );

  row('in the background it reads no keys of the foreground', async (host, { sudo }) => {
    const file = mark();
    const terminal = host.terminal('bob', SHELL);
    terminal.type(`${sudo} touch ${file} &\r`);
    const [code] = await terminal.see(CODE);
    await foregroundReadsKeys(terminal, host, 'bob');
    terminal.type('echo still-$((40+2))\r');
    await terminal.see(/still-42/);
    const request = asked(world, terminal, code);
    assert.equal(request.row().status, 'pending');
    granted(await world.person('bob').approve(code));
    await until('the command', () => host.exists(file));
    terminal.type('exit\r');
    await terminal.exit;
  });

  row('brought to the foreground, Ctrl-C cancels; the shell keeps its modes', async (host, { gate, sudo }) => {
    const file = mark();
    const terminal = host.terminal('bob', SHELL);
    terminal.type('stty -g\r');
    await terminal.see(/[0-9a-f]+(:[0-9a-f]+)+/);
    terminal.type(`${sudo} touch ${file} &\r`);
    const [code] = await terminal.see(CODE);
    const request = asked(world, terminal, code);
    const [pid] = await sudoPids(host, `touch ${file}`, sudo);
    terminal.type('fg\r');
    await until('sudo to have the keyboard', async () =>
      gate === 'pam'
        ? (await host.sh(`stty -a -F ${ttyOf(request)}`)).includes('-isig')
        : /^\s*(\d+)\s+\1\s*$/.test(await host.sh(`ps -o pgid=,tpgid= -p ${pid}`)),
    );
    terminal.type('\x03');
    await gone(request, host, file, sudo);
    terminal.type('stty -g; echo over\r');
    await terminal.see(/^over/m);
    assert.equal(new Set(modesOf(terminal)).size, 1);
    terminal.hangUp();
  });

  row(
    'Ctrl-Z gives the shell back, fg goes on, and the approval counts then',
    async (host, { sudo }) => {
      const file = mark();
      const terminal = host.terminal('bob', SHELL);
      terminal.type(`${sudo} touch ${file}\r`);
      const [code] = await terminal.see(CODE);
      terminal.type('\x1a');
      await terminal.see(/Stopped/);
      terminal.type('echo shell-$((40+2))\r');
      await terminal.see(/shell-42/);
      granted(await world.person('bob').approve(code));
      // What is approved while sudo is stopped runs nothing.
      await until('the decision', () => asked(world, terminal, code).row().status === 'approved');
      assert.equal(host.exists(file), false);
      terminal.type('fg\r');
      await until('the command', () => host.exists(file));
      terminal.hangUp();
    },
    ({ gate }) => gate === 'plugin',
  );

  row(
    'Ctrl-Z without a shell to return to (ssh -t host sudo …): Ctrl-C still ends it',
    async (host, { sudo }) => {
      const request = await ask(world, host, 'alice', [sudo, 'touch', mark()]);
      await request.terminal.see(/Waiting/);
      request.terminal.type('\x1a');
      await request.terminal.see(/\^Z/);
      request.terminal.type('\x03');
      assert.equal(await request.terminal.exit, 1);
      await until('it is withdrawn', () => request.row().status === 'cancelled');
    },
    ({ gate }) => gate === 'plugin',
  );

  row('type-ahead and paste never reach a shell, and decide nothing', async (host, { sudo }) => {
    const file = mark();
    const terminal = host.terminal('alice', SHELL);
    // Typed before sudo asks: the first command waits, the rest is in the terminal's queue until sudo comes.
    const typed = `/home/alice/typed-${file.slice('/srv/'.length)}`;
    await host.as('alice', ['mkfifo', `${typed}-go`]);
    terminal.type(`echo begun; cat ${typed}-go; ${sudo} touch ${file}\r`);
    await terminal.see(/^begun/m);
    await terminal.type(`touch ${typed}-ahead\r`);
    await host.as('alice', ['sh', '-c', `: > ${typed}-go`]);
    const [code] = await terminal.see(CODE);
    await terminal.see(/Waiting/);
    // A pasted script, while sudo waits.
    await terminal.type(`y\ryes\r\ntouch ${typed}-pasted\r`);
    assert.equal(asked(world, terminal, code).row().status, 'pending');
    granted(await world.person('alice').approve(code));
    await terminal.see(/Approved by alice\.\s+\S*\$ $/);
    assert.equal(host.exists(file), true);
    terminal.type('echo at-$((40+2))\r');
    await terminal.see(/at-42/);
    assert.equal(host.exists(`${typed}-ahead`), false);
    assert.equal(host.exists(`${typed}-pasted`), false);
    assert.doesNotMatch(terminal.text(), /command not found/);
    terminal.hangUp();
  });

  row(
    'the size of the window is what the command sees, changed while it waits and while it runs',
    async (host, gate) => {
      const script = `trap 'echo now $(stty size)' WINCH; echo first $(stty size); until test -e $0; do sleep 0.05; done`;
      const end = `${mark()}-end`;
      const request = await ask(world, host, 'alice', [gate.sudo, 'bash', '-c', script, end]);
      await request.terminal.see(/Waiting/);
      // On the terminal itself, as the window of a person does it: the kernel tells whoever is in the foreground, once. stty
      // sets rows and columns one after the other, and the shell may hear of the first only.
      const resize = (rows: number, cols: number) =>
        host.sh(`perl -e 'open my $tty, "+<", shift or die; ioctl $tty, 0x5414, pack "S4", @ARGV, 0, 0 or die' \
          ${ttyOf(request)} ${rows} ${cols}`);
      await resize(21, 71);
      granted(await world.person('alice').approve(request.code));
      await request.terminal.see(/first 21 71/);
      await resize(33, 77);
      await request.terminal.see(/now 33 77/);
      await host.sh(`touch ${end}`);
      assert.equal(await request.terminal.exit, 0);
    },
  );

  row('what was approved finds everything around it as if it had not been asked for', async (host, { name, sudo }) => {
    const before = ungated.get(name)!;
    assert.match(before.terminal.join('\n'), /^Umask: 0027$[\s\S]*^modes [0-9a-f:]+$/m, 'it is seen at all');
    const request = await ask(world, host, 'alice', unusualCaller(host, sudo));
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.deepEqual(await takeSurroundings(host), before.terminal);
    const running = host.as('alice', unusualCaller(host, sudo), { input: '' });
    granted(await world.person('alice').approve(await pendingCode(world.server, 'alice', reportOf(host))));
    const { code, stderr } = await running;
    assert.equal(code, 0, stderr);
    assert.deepEqual(await takeSurroundings(host), before.pipes);
  });
});
