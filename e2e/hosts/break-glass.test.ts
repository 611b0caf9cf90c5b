import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { BreakGlassUse } from '#shared/break-glass-api.ts';
import type { EventRecord } from '#shared/events.ts';
import type { LabUser } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import type { Terminal } from '../harness/pty.ts';
import { until } from '../harness/run.ts';
import { mark, openWorld, skip, type World } from '../harness/world.ts';

const PROMPT = /Break-glass password: $/;
const REASON = 'the network of the branch is down';

/** One after the other: the server dies, and comes back. */
describe('a host whose server is dead', () => {
  let world: World;
  let password = '';
  before(async () => {
    if (skip) return;
    world = await openWorld({
      sudo: 'plugin',
      people: ['olga'],
      env: {
        IDENTREE_ESCROW_BACKEND: 'local',
        IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
        IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      },
    });
  });
  after(() => world?.close());

  const host = () => world.host();
  const events = (event: EventRecord['event']) =>
    world.server.data.events().filter((one) => one.event === event && one.hostname === 'web1.example.com');
  const created = async () => /created=(\S+)/.exec(await host().read('/etc/identree-breakglass'))?.[1];

  async function reveal(): Promise<string[]> {
    const olga = world.person('olga');
    const hostId = world.server.data.host('web1.example.com')!.id;
    const asked = granted(
      await olga.mutate<{ challenge: string; rpId: string }>('breakGlass.revealOptions', { hostId, reason: REASON }),
    );
    const assertion = olga.authenticator.assert({ ...asked, origin: world.server.url });
    const kept = granted(
      await olga.mutate<{ password: string }[]>('breakGlass.reveal', { hostId, reason: REASON, assertion }),
    );
    return kept.map((one) => one.password);
  }

  /** The agent looks after it when it starts, and every three quarters of a minute. */
  const lookNow = () => host().sh('systemctl restart identree-agent');

  /** A sudo that got as far as the prompt. */
  async function atPrompt(user: LabUser, command: readonly string[]): Promise<Terminal> {
    const terminal = host().terminal(user, ['sudo', ...command]);
    await terminal.see(PROMPT);
    return terminal;
  }

  test('the agent makes a password, the server keeps it, and an administrator is shown it', { skip }, async () => {
    await until('the first password', async () => host().exists('/etc/identree-breakglass'));
    await until('the server to keep it', async () => events('rotated_breakglass').length > 0);
    [password = ''] = await reveal();
    const verified = await host().exec(['identree', 'verify-breakglass'], { input: `${password}\n` });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.equal((await host().sh('stat -c "%a %U" /etc/identree-breakglass')).trim(), '600 root');
  });

  test('what was shown is replaced, where the host hears of it', { skip }, async () => {
    const before = await created();
    await lookNow();
    await until('another password', async () => (await created()) !== before);
    assert.equal((await host().exec(['identree', 'verify-breakglass'], { input: `${password}\n` })).code, 1);
    await until('the server to hear of it', async () => events('rotated_breakglass').length > 1);
    [password = ''] = await reveal();
    // Before the host hears that this one was shown too.
    await world.server.stop();
    assert.equal((await host().exec(['identree', 'verify-breakglass'], { input: `${password}\n` })).code, 0);
  });

  test('wrong passwords let nobody in, and many at once are counted, whoever typed them', { skip }, async () => {
    const file = mark();
    const users = ['alice', 'bob', 'alice', 'bob', 'alice', 'bob', 'alice'] as const;
    const terminals = await Promise.all(users.map((user) => atPrompt(user, ['touch', file])));
    for (const terminal of terminals) terminal.type('no-such-password\r');
    assert.deepEqual(
      await Promise.all(terminals.map(({ exit }) => exit)),
      users.map(() => 1),
    );
    const said = terminals.map((terminal) => terminal.text());
    assert.ok(
      said.some((text) => /not the break-glass password/.test(text)),
      said.join('\n'),
    );
    assert.ok(
      said.some((text) => /Too many wrong break-glass passwords/.test(text)),
      said.join('\n'),
    );
    assert.equal(host().exists(file), false);
  });

  test('the right password runs sudo; it is on no screen, in no log and in no file', { skip }, async () => {
    const entered = await until(
      'the pause to be over',
      async () => {
        const terminal = host().terminal('alice', ['sudo', 'touch', '/srv/mark-break-glass']);
        const [seen] = await terminal.see(/Break-glass password: $|Too many wrong/);
        if (!seen.startsWith('Break')) {
          await terminal.exit;
          return null;
        }
        terminal.type(`${password}\r`);
        return { code: await terminal.exit, text: terminal.text() };
      },
      90_000,
    );
    assert.equal(entered.code, 0, entered.text);
    assert.equal(host().exists('/srv/mark-break-glass'), true);
    assert.match(entered.text, /identree\.example\.com:8443 cannot be reached, so nobody can approve this/);
    assert.ok(!entered.text.includes(password));
    const found = await host().exec(['grep', '-rlF', password, '/etc', '/var/lib/identree', '/var/log', '/run']);
    assert.deepEqual([found.code, found.stdout], [1, '']);
    assert.ok(!(await host().sh('journalctl --no-pager 2>/dev/null || true')).includes(password));
  });

  test('the server is back: journal and events agree, and the password that was used is replaced', {
    skip,
  }, async () => {
    const journal = (await host().read('/var/lib/identree/break-glass.journal'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as BreakGlassUse);
    const before = await created();
    await world.server.start();
    await lookNow();
    const told = () => [...events('break_glass_refused'), ...events('break_glass_used')];
    await until('all uses to be reported', async () => told().length >= journal.length, 120_000);
    const bySeq = told().sort((a, b) => a.seq - b.seq);
    assert.deepEqual(
      bySeq.map(({ data, username, event }) => [data.id, data.journalHash, username, event]),
      journal.map(({ id, hash, record, outcome }) => [
        id,
        hash,
        record.user,
        outcome === 'opened' ? 'break_glass_used' : 'break_glass_refused',
      ]),
    );
    assert.ok(bySeq.every(({ data }) => data.gap === undefined));
    assert.deepEqual(bySeq.at(-1)?.data.argv, ['touch', '/srv/mark-break-glass']);
    await until('another password', async () => (await created()) !== before, 120_000);
    assert.equal((await host().exec(['identree', 'verify-breakglass'], { input: `${password}\n` })).code, 1);
  });
});
