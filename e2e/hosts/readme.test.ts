import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { EventName } from '#shared/events.ts';
import { settingsOf } from '../harness/examples.ts';
import { granted } from '../harness/person.ts';
import { must, until } from '../harness/run.ts';
import { openWorld, repository, skip, type World } from '../harness/world.ts';

/** Heartbeats are half a minute apart at best, and there are several. */
const LONG = process.env.IDENTREE_LONG === '1';

interface Journal {
  journal: string;
  problem: string | null;
}

/** Who has the README alone. */
if (LONG)
  describe('with the README alone', { concurrency: false, skip }, () => {
    let world: World;
    let readme: string;
    before(async () => {
      readme = await readFile(join(repository, 'README.md'), 'utf8');
      const [, settings = ''] = /(export IDENTREE_ESCROW_BACKEND[\s\S]*?)```/.exec(readme) ?? [];
      const env = await settingsOf(settings);
      assert.equal(Object.keys(env).length, 3);
      world = await openWorld({ sudo: 'plugin', people: ['olga'], env });
    });
    after(() => world?.close());

    const happened = (event: EventName) => world.server.data.events({ event });
    const doctor = () => world.host().exec(['identree', 'doctor']);
    const journals = async () => {
      const hostId = world.server.data.host('web1.example.com')!.id;
      return granted(await world.person('olga').query<Journal[]>('hosts.journals', { hostId }));
    };

    test('the server is lost, the host is entered, and the console says what happened', async () => {
      await until('a password', () => happened('rotated_breakglass').length > 0, 120_000);
      assert.match((await world.host().exec(['identree', 'status'])).stdout, /Break-glass +.*the server keeps it/);
      await world.server.stop();
      const dead = await doctor();
      assert.equal(dead.code, 1);
      assert.match(dead.stdout, /does not serve: ECONNREFUSED.*\n +As long as that is so, nobody can approve anything/);
      const [, line = ''] = /^npm run --silent server -- (reveal-breakglass .*)$/m.exec(readme) ?? [];
      const words = (await must('sh', ['-c', `printf '%s\\n' ${line}`])).trim().split('\n');
      const shown = await world.server.cli(words);
      assert.equal(shown.code, 0, shown.stderr);
      const terminal = world.host().terminal('alice', ['sudo', 'touch', '/srv/mark-readme']);
      await terminal.see(/Break-glass password: $/);
      terminal.type(`${shown.stdout.trim()}\r`);
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.ok(world.host().exists('/srv/mark-readme'));
      await world.server.start();
      await until('the server to hear of it', () => happened('break_glass_used').length > 0, 120_000);
      const [used] = happened('break_glass_used');
      assert.deepEqual([used?.username, used?.data.command], ['alice', '/usr/bin/touch /srv/mark-readme']);
      // When it was done, by the clock of the host, and not when the server heard of it.
      assert.ok(Number(used?.data.at) < used!.at);
      await world.person('olga').signIn();
      const seen = /Journals seen +1 of uses of the break-glass password/;
      await until('a heartbeat with the heads', async () => seen.test((await doctor()).stdout), 400_000);
      assert.ok((await journals()).every(({ problem }) => problem === null));
    });

    test('a journal that root takes away is told, here and in the console, until an operator takes it as it is', async () => {
      await world.host().sh('rm /var/lib/identree/break-glass.journal; systemctl restart identree-agent');
      await until('the server to notice', () => happened('host_journal_contradicted').length > 0, 400_000);
      const missing = /The journal of uses of the break-glass password: .* entries of it that are missing here/;
      await until('doctor to say so', async () => missing.test((await doctor()).stdout), 120_000);
      const wrong = (await journals()).filter(({ problem }) => problem !== null);
      assert.deepEqual(
        wrong.map(({ journal, problem }) => [journal, problem]),
        [['breakGlass', 'went_back']],
      );
      const hostId = world.server.data.host('web1.example.com')!.id;
      granted(await world.person('olga').mutate('hosts.acceptJournals', { hostId }));
      await world.host().sh('systemctl restart identree-agent');
      await until('a doctor without a complaint', async () => (await doctor()).code === 0, 400_000);
      assert.equal(happened('host_journal_contradicted').length, 1);
    });
  });
