import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import type { Host } from '../harness/lab.ts';
import { granted, pendingCode } from '../harness/person.ts';
import { ask, eventsBecome, mark, openWorld, skip, type World } from '../harness/world.ts';

const PLUGIN = '/usr/lib/identree/identree_sudo.so';

/** Both plugins of identree, as setup writes them. */
async function loadPlugin(host: Host): Promise<void> {
  const lines = [`Plugin identree_audit ${PLUGIN}`, `Plugin identree_approval ${PLUGIN}`];
  await host.write('/etc/sudo.conf', `${lines.join('\n')}\n`, 0o644);
}

describe('the plugin in sudo on a real host', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld();
    await loadPlugin(world.host());
  });
  after(() => world?.close());

  test('approved: what sudo resolved is what was signed, and it runs', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    assert.equal(host.exists(file), false, 'nothing runs before the answer');
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.equal(host.exists(file), true);
    const record = JSON.parse(request.row().record) as HostRecord;
    assert.equal(record.gate, 'plugin');
    assert.deepEqual(record.argv, ['touch', file]);
    assert.equal(record.resolved?.command, '/usr/bin/touch');
    assert.equal(record.target?.assurance, 'resolved');
    assert.match(record.tty ?? '', /^\/dev\/pts\/\d+$/);
    await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
  });

  test('without a terminal: a few plain lines on stderr, and stdout is the command’s alone', { skip }, async () => {
    const file = mark();
    const running = world.host().as('alice', ['sudo', 'sh', '-c', `touch ${file}; id -u`], { input: 'not for you\n' });
    const code = await pendingCode(world.server, 'alice', file);
    granted(await world.person('alice').approve(code));
    const result = await running;
    assert.equal(result.stdout, '0\n');
    assert.match(result.stderr, new RegExp(`approve/${code}`));
    assert.doesNotMatch(result.stderr, /\x1b|█/);
  });
});
