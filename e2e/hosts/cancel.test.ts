import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CODE, granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { foregroundReadsKeys, gone, SHELL, sudoPids } from '../harness/shell.ts';
import { ask, asked, mark, openWorld, skip, type World } from '../harness/world.ts';

describe('sudo on a real host: the person goes away or types on', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld();
  });
  after(() => world?.close());

  test('Ctrl-C while waiting: refused at once, terminal restored, challenge gone', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const script = `stty -a; stty -g; sudo touch ${file}; echo rc=$?; stty -g`;
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    request.terminal.type('\x03');
    await request.terminal.see(/rc=1/);
    assert.ok(Date.now() < request.row().expires_at, 'well before the request expires');
    assert.equal(await request.terminal.exit, 0);
    const modes = request.terminal.text().match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm);
    assert.equal(modes?.length, 2);
    assert.equal(modes?.[0], modes?.[1]);
    assert.match(request.terminal.text(), /Cancelled/);
    await gone(request, host, file);
    const late = await world.person('alice').mutate('challenges.deny', { challengeId: request.row().id, reason: null });
    assert.equal(late.ok, false, 'a cancelled request takes no decision');
  });

  test('an approval that comes after Ctrl-C runs nothing', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    const alice = world.person('alice');
    const page = await alice.open(request.code);
    const assertion = alice.assert(page);
    request.terminal.type('\x03');
    assert.equal(await request.terminal.exit, 1);
    await gone(request, host, file);
    const late = await alice.mutate('challenges.approve', {
      challengeId: page.view.id,
      assertion,
      confirmTruncated: false,
    });
    assert.equal(late.ok, false);
    assert.equal(host.exists(file), false);
  });

  test('terminal closed: cancelled', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    request.terminal.hangUp();
    await gone(request, host, file);
  });

  test('terminal closed under an interactive shell: cancelled', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const terminal = host.terminal('alice', SHELL);
    terminal.type(`sudo touch ${file}\r`);
    const [code] = await terminal.see(CODE);
    terminal.hangUp();
    await gone(asked(world, terminal, code), host, file);
  });

  test('sudo killed: cancelled, terminal restored', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const script = `stty -g; sudo touch ${file}; read -r; stty -g`;
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    const pids = await sudoPids(host, `touch ${file}`);
    assert.equal(pids.length, 1);
    await host.sh(`kill -KILL ${pids[0]}`);
    // The stage gives the terminal back before it tells that the request is over.
    await gone(request, host, file);
    request.terminal.type('\r');
    assert.equal(await request.terminal.exit, 0);
    const modes = request.terminal.text().match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm);
    assert.equal(modes?.length, 2);
    assert.equal(modes?.[0], modes?.[1]);
  });

  test('sudo killed under a subreaper: cancelled', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const command = ['/usr/local/lib/lab/labsubreaper', 'bash', '-c', `sudo touch ${file}; read -r`];
    const request = await ask(world, host, 'alice', command);
    const [pid] = await sudoPids(host, `touch ${file}`);
    await host.sh(`kill -KILL ${pid}`);
    await gone(request, host, file);
    request.terminal.type('\r');
    await request.terminal.exit;
  });

  test('sudo ended by SIGTERM: it is deaf while PAM works, and runs nothing once it is approved', {
    skip,
  }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    const [pid] = await sudoPids(host, `touch ${file}`);
    await host.sh(`kill -TERM ${pid}`);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 128 + 15);
    assert.equal(host.exists(file), false);
  });

  test('background `sudo x &` reads no keys of the foreground', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const terminal = host.terminal('bob', SHELL);
    terminal.type(`sudo touch ${file} &\r`);
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

  test('brought to the foreground, Ctrl-C cancels; the shell keeps its modes', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const terminal = host.terminal('bob', SHELL);
    terminal.type('stty -g\r');
    await terminal.see(/[0-9a-f]+(:[0-9a-f]+)+/);
    terminal.type(`sudo touch ${file} &\r`);
    const [code] = await terminal.see(CODE);
    terminal.type('fg\r');
    await terminal.see(/fg\s+sudo touch/);
    const request = asked(world, terminal, code);
    const { tty } = JSON.parse(request.row().record) as { tty: string };
    await until('sudo to have the keyboard', async () => (await host.sh(`stty -a -F ${tty}`)).includes('-isig'));
    terminal.type('\x03');
    await gone(request, host, file);
    terminal.type('stty -g; echo over\r');
    await terminal.see(/^over/m);
    const modes = [...new Set(terminal.text().match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm))];
    assert.equal(modes.length, 1);
    terminal.hangUp();
  });

  test('type-ahead and paste never reach a shell, and decide nothing', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const terminal = host.terminal('alice', SHELL);
    const typed = `/home/alice/typed-${process.pid}`;
    // Typed before sudo asks: the first command waits, the rest is in the terminal's queue until sudo comes.
    const go = `/home/alice/go-${process.pid}`;
    await host.as('alice', ['mkfifo', go]);
    terminal.type(`echo begun; cat ${go}; sudo touch ${file}\r`);
    await terminal.see(/^begun/m);
    await terminal.type(`touch ${typed}-ahead\r`);
    await host.as('alice', ['sh', '-c', `: > ${go}`]);
    const [code] = await terminal.see(CODE);
    // A pasted script, while sudo waits.
    await terminal.type(`y\ryes\r\ntouch ${typed}-pasted\r`);
    const request = asked(world, terminal, code);
    assert.equal(request.row().status, 'pending');
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
});
