import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { EventRecord } from '#shared/events.ts';
import { type GrantEntry, grantEntry } from '#shared/offline-grant.ts';
import { CLASSIC_SUDOS } from '../harness/classic-sudos.ts';
import type { Host, LabUser, TerminalOptions } from '../harness/lab.ts';
import { CODE, granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import type { PolicyRuleInput } from '../harness/server.ts';
import { agentReady, mark, openWorld, skip, type World } from '../harness/world.ts';

const BY_ITSELF: PolicyRuleInput[] = [
  { name: 'robots', match_users: ['alice', 'bob'], approval: 'none' },
  { name: 'default', approval: 'passkey' },
];
const BY_PERSON: PolicyRuleInput[] = [{ name: 'default', approval: 'passkey' }];
const JOURNAL = '/var/lib/identree/offline-grants.journal';
const CLOCK = '/srv/lab-clock';
const BY_GRANT = /by a grant that this host holds/;
const NOT_REACHED = /cannot be reached|could not be reached/;
const TOLD = ['grant_used_offline', 'challenge_outcome', 'challenge_run'] as const;

/** Each takes a minute: all of them in `npm run test:long`, the last one always. */
const sampled = <T>(cases: readonly T[]): readonly T[] => (process.env.IDENTREE_LONG === '1' ? cases : cases.slice(-1));

interface Ran {
  code: number | null;
  text: string;
  did: boolean;
}

/** One after the other: each takes the server or the network away from the hosts. */
describe('a command that a grant lets run while no server can be asked, by the sudo of Debian 12 and of Debian 13', {
  concurrency: false,
}, () => {
  let world: World;
  let directory: (disabled: readonly string[]) => Promise<void>;
  before(async () => {
    if (skip) return;
    world = await openWorld({
      sudo: 'plugin',
      people: ['olga'],
      policy: BY_ITSELF,
      async env(lab) {
        const file = join(lab.dir, 'directory.json');
        directory = (disabled) => {
          const users = ['alice', 'bob', 'olga'].map((username) => ({
            ...{ id: `sub-${username}`, username, disabled: disabled.includes(username) },
          }));
          return writeFile(file, JSON.stringify({ users, groups: [] }), { mode: 0o600 });
        };
        await directory([]);
        return {
          IDENTREE_OFFLINE_GRANT: '1h',
          IDENTREE_LDAP_ENABLED: 'true',
          IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
          IDENTREE_LDAP_LISTEN_ADDR: `${lab.serverAddress}:1389`,
          IDENTREE_LDAP_TLS_LISTEN_ADDR: `${lab.serverAddress}:1636`,
          IDENTREE_LDAP_UID_MAP_FILE: join(lab.dir, 'uidmap.json'),
          IDENTREE_DIRECTORY_SOURCE: 'file',
          IDENTREE_DIRECTORY_FILE: file,
          IDENTREE_DIRECTORY_GUARD_POWER: 'publish',
          IDENTREE_DIRECTORY_GUARD_BINDINGS: 'publish',
        };
      },
    });
    for (const [version, name, suite] of CLASSIC_SUDOS) {
      const host = name === 'web1' ? world.host() : await world.addHost(name, { suite });
      assert.match((await host.exec(['sudo', '-V'])).stdout, new RegExp(`version ${version}`));
    }
  });
  after(() => world?.close());

  /** Types a command that leaves a mark, and waits until sudo has ended by itself or asks a person. */
  async function run(
    host: Host,
    file: string,
    options: { command?: string[]; user?: LabUser } & TerminalOptions = {},
  ): Promise<Ran> {
    const { command = ['touch', file], user = 'alice', ...terminalOptions } = options;
    const terminal = host.terminal(user, ['sudo', ...command], terminalOptions);
    const isAsked = terminal.see(CODE).then(
      () => terminal.type('\x03'),
      () => undefined,
    );
    const code = await terminal.exit;
    await Promise.race([isAsked, Promise.resolve()]);
    const did = host.exists(file);
    host.exists(file) && (await host.remove(file));
    return { code, text: terminal.text(), did };
  }

  /** The first one, which the policy answers and a grant comes with. */
  async function grantFor(host: Host, file: string, options?: Parameters<typeof run>[2]): Promise<void> {
    const first = await run(host, file, options);
    assert.deepEqual([first.code, first.did], [0, true], first.text);
    assert.doesNotMatch(first.text, BY_GRANT);
  }

  async function runsByGrant(host: Host, file: string, options?: Parameters<typeof run>[2]): Promise<void> {
    const ran = await run(host, file, options);
    assert.deepEqual([ran.code, ran.did], [0, true], ran.text);
    assert.match(ran.text, BY_GRANT);
  }

  async function doesNotRun(host: Host, file: string, options?: Parameters<typeof run>[2], words = NOT_REACHED) {
    const ran = await run(host, file, options);
    assert.deepEqual([ran.code, ran.did], [1, false], ran.text);
    assert.doesNotMatch(ran.text, BY_GRANT);
    assert.match(ran.text, words);
  }

  const journalOf = async (host: Host): Promise<GrantEntry[]> =>
    host.exists(JOURNAL)
      ? (await host.read(JOURNAL))
          .trimEnd()
          .split('\n')
          .map((line) => grantEntry.parse(JSON.parse(line)))
      : [];

  const hostId = (host: Host): string => world.server.data.host(`${host.name}.example.com`)!.id;
  const toldOf = (host: Host): EventRecord[] =>
    world.server.data
      .events()
      .filter(
        ({ event, hostId: id, data }) =>
          id === hostId(host) && (TOLD as readonly string[]).includes(event) && data.journalHash !== undefined,
      );

  /** Waits until the server has every entry of the journal, and holds one against the other. */
  async function agree(host: Host): Promise<void> {
    let journal: GrantEntry[] = [];
    await until(
      `the journal of ${host.name} at the server`,
      async () => {
        journal = await journalOf(host);
        const over = new Set(journal.flatMap((entry) => (entry.kind === 'run' ? [entry.nonce] : [])));
        const uses = journal.filter((entry) => entry.kind === 'use');
        return uses.every(({ record }) => over.has(record.nonce)) && toldOf(host).length === journal.length;
      },
      150_000,
    );
    const events = toldOf(host);
    assert.deepEqual(
      events.map(({ data }) => data.journalHash),
      journal.map(({ hash }) => hash),
      'the same, in the same order',
    );
    for (const { event, data } of events)
      if (event === 'grant_used_offline') assert.deepEqual([data.problem, data.gap], [null, false]);
  }

  /** What is taken away goes for all hosts, so they go through it side by side. */
  const hosts = (): Host[] => CLASSIC_SUDOS.map(([, name]) => world.host(name));
  const each = async (work: (host: Host) => Promise<unknown>): Promise<void> => {
    const ended = await Promise.allSettled(hosts().map(work));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  };

  async function withoutServer(work: () => Promise<void>): Promise<void> {
    await world.server.stop();
    try {
      await work();
    } finally {
      await world.server.start();
    }
  }

  async function withoutNetwork(work: () => Promise<void>): Promise<void> {
    await each((host) => host.sh('ip link set eth0 down'));
    try {
      await work();
    } finally {
      await each((host) => host.sh('ip link set eth0 up'));
    }
  }

  /** One mark for each host: a grant names its host, and so do the requests. */
  const marks = (): ((host: Host) => string) => {
    const files = new Map(hosts().map((host) => [host, mark()]));
    return (host) => files.get(host)!;
  };

  for (const [what, without] of sampled([
    ['the network is gone', withoutNetwork],
    ['the server is stopped', withoutServer],
  ] as const))
    test(`${what}: exactly the same command runs, nothing else does, and all of it is told later`, {
      skip,
    }, async () => {
      const [file, other] = [marks(), marks()];
      await each((host) => grantFor(host, file(host)));
      const known = world.server.data.countChallenges();
      const uses = new Map<Host, number>();
      await each(async (host) => uses.set(host, (await journalOf(host)).length));
      await without(() =>
        each(async (host) => {
          const [same, another] = [file(host), other(host)];
          await runsByGrant(host, same);
          await runsByGrant(host, same);
          await Promise.all([
            doesNotRun(host, another, { command: ['tee', another] }),
            doesNotRun(host, another, { command: ['touch', another] }),
            doesNotRun(host, another, { command: ['touch', same, another] }),
            doesNotRun(host, another, { command: ['-u', 'bob', 'touch', same] }),
            doesNotRun(host, another, { command: ['touch', same], cwd: '/usr' }),
            doesNotRun(host, another, { command: ['touch', same], env: { LS_COLORS: 'another' } }),
            doesNotRun(host, another, { command: ['touch', same], user: 'bob' }),
          ]);
          assert.equal(host.exists(same), false);
          await until('both runs in the journal', async () => {
            const written = (await journalOf(host)).slice(uses.get(host));
            return written.filter((entry) => entry.kind === 'run' && entry.run.state === 'ended').length === 2;
          });
        }),
      );
      await each(async (host) => {
        await agree(host);
        const requests = world.server.data.challenges(known).filter(({ host_id }) => host_id === hostId(host));
        assert.deepEqual(
          requests.map(({ status, outcome, run_state }) => [status, outcome, run_state]),
          Array(2).fill(['approved', 'granted', 'ended']),
        );
        const code = requests[0]!.user_code;
        const olga = world.person('olga');
        const { view } = granted(await olga.query<{ view: Record<string, unknown> }>('challenges.get', { code }));
        assert.notEqual(view.offline, null);
        const page = await olga.web.visit(`${world.server.url}/approve/${code}`);
        assert.match(page.text, /Without asking, by a grant/);
        assert.match(page.text, /Ended with status 0 after/);
      });
    });

  for (const [what, change, undo] of sampled([
    ['another policy', () => world.server.setPolicy(BY_PERSON), () => world.server.setPolicy(BY_ITSELF)],
    ['an account that is disabled', () => directory(['alice']), () => directory([])],
  ] as const))
    test(`${what} takes a grant back, and with no server it does not run any more`, { skip }, async () => {
      const file = marks();
      await each(async (host) => {
        await grantFor(host, file(host));
        await runsByGrant(host, file(host));
      });
      await change();
      try {
        // The host hears of it by itself: what runs until then, runs by the grant.
        await each((host) =>
          until(`${host.name} to ask`, async () => !BY_GRANT.test((await run(host, file(host))).text), 150_000),
        );
        await world.server.stop();
        await each((host) => doesNotRun(host, file(host)));
      } finally {
        await undo();
        await world.server.start();
      }
      await each(async (host) => {
        await agree(host);
        await until('the policy to answer again', async () => (await run(host, file(host))).code === 0);
      });
    });

  const restart = async (host: Host): Promise<void> => {
    await host.sh('systemctl daemon-reload; systemctl restart identree-agent');
    await agentReady(host);
  };
  const secondsSinceBoot = async (host: Host): Promise<number> => Number.parseFloat(await host.sh('cat /proc/uptime'));

  /** Starts an agent that holds a grant for no longer than that, and has a wall clock of its own; null: as it was. */
  async function atClock(host: Host, longest: string | null): Promise<void> {
    const conf = (await host.read('/etc/identree/client.conf')).replace(/^IDENTREE_OFFLINE_GRANT=.*\n/m, '');
    const unit = '/etc/systemd/system/identree-agent.service.d/clock.conf';
    const preload = `LD_PRELOAD=/usr/local/lib/lab/labclock.so LAB_CLOCK=${CLOCK}`;
    await host.write(CLOCK, '0');
    if (longest === null) await host.remove(unit);
    else await host.write(unit, `[Service]\nEnvironment=${preload}\n`);
    const limit = longest === null ? '' : `IDENTREE_OFFLINE_GRANT=${longest}\n`;
    await host.write('/etc/identree/client.conf', `${conf}${limit}`, 0o600);
    await restart(host);
  }

  test('a clock that is set back ends a grant, and makes none longer', { skip }, async () => {
    const file = marks();
    await each((host) => atClock(host, '1h'));
    await each((host) => grantFor(host, file(host)));
    await withoutServer(() =>
      each(async (host) => {
        await runsByGrant(host, file(host));
        await host.write(CLOCK, '-1800');
        await doesNotRun(host, file(host));
        await host.write(CLOCK, '0');
        await doesNotRun(host, file(host));
      }),
    );
    await each((host) => atClock(host, '20s'));
    const over = new Map<Host, number>();
    await each(async (host) => {
      await grantFor(host, file(host));
      over.set(host, (await secondsSinceBoot(host)) + 20);
    });
    await withoutServer(() =>
      each(async (host) => {
        // Set back by half of it, once that is not before the grant: by the wall clock alone it would have time left.
        await until('half of the time', async () => (await secondsSinceBoot(host)) > over.get(host)! - 9);
        await host.write(CLOCK, '-10');
        await until('all of the time', async () => (await secondsSinceBoot(host)) >= over.get(host)!);
        await doesNotRun(host, file(host));
        await host.write(CLOCK, '0');
      }),
    );
    await each((host) => atClock(host, null));
  });

  test('neither a restart nor a folder of another time or another host gives a grant', { skip }, async () => {
    const [from, to] = [world.host('web1'), world.host('thirteen')];
    const file = mark();
    const state = '/var/lib/identree';
    await grantFor(from, file);
    await runsByGrant(from, file);
    await agree(from);
    await from.sh(`cp -a ${state} ${state}.backup`);
    const strange = await from.read(JOURNAL);
    const own = await to.read(JOURNAL);
    const told = toldOf(to).length;
    const [first] = await journalOf(from);
    assert.equal(first?.kind, 'use');
    await withoutServer(async () => {
      await to.sh('systemctl stop identree-agent');
      await to.write(JOURNAL, strange, 0o600);
      await to.remove('/var/lib/identree/offline-grants.reported');
      await restart(to);
      await doesNotRun(to, file);
      // What it has of grants on its disk is what it did by them.
      await from.sh('systemctl stop identree-agent');
      await from.sh(`rm -rf ${state}/*; cp -a ${state}.backup/* ${state}/`);
      await restart(from);
      await doesNotRun(from, file);
    });
    // Its log says of each that it is not told, and the server hears of none.
    await until('the other host to have looked at what it was given', async () =>
      (await to.sh('journalctl -u identree-agent --no-pager')).includes('under an earlier enrolment'),
    );
    assert.equal(toldOf(to).length, told);
    await to.sh('systemctl stop identree-agent');
    await to.write(JOURNAL, own, 0o600);
    await restart(to);
  });
});
