import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { OID } from '../../server/src/ldap/protocol/operation.ts';
import {
  BASE_DN,
  type DirectoryWorld,
  forgetName,
  group,
  LDAP_SECRET,
  OPERATOR,
  openDirectoryWorld,
  printed,
  SERVICE,
  startSssd,
  user,
} from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import type { SeenBind, SeenSearch } from '../harness/ldap-tap.ts';
import { granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { skip } from '../harness/world.ts';
import { FILTERS, GROUPS, hostFilter, PAGED, PEOPLE, SUDO_ATTRIBUTES, SUDOERS, sudoFilter } from './seen.ts';
import { PLAIN, recommended, WITHOUT_TLS } from './sssd-conf.ts';

/** More than a page of a thousand. */
const CROWD = Array.from({ length: 1100 }, (_, i) => `crowd${i}`);

describe('sssd as we recommend it, with a service account', () => {
  let world: DirectoryWorld;
  let host: Host;
  let since = 0;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      content: {
        users: ['ada', 'barbara', 'dennis', 'edsger', 'frances', 'grace', 'grete', 'linus', ...CROWD].map((name) =>
          user(name),
        ),
        groups: [
          group('ops', ['ada', 'barbara'], { sudoCommands: 'ALL', accessHosts: 'web1.example.com' }),
          group('web', ['edsger'], { sudoCommands: '/usr/bin/id', sudoHosts: '+webservers' }),
          group('robots', ['dennis'], {
            sudoCommands: '/usr/bin/whoami',
            sudoOptions: '!authenticate',
            accessHosts: 'web1',
          }),
          group('databases', ['frances'], { accessHosts: 'db1.example.com' }),
          group('developers', ['linus', 'grace']),
        ],
      },
      env: {
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_SUDO_NO_AUTHENTICATE: 'claims',
        IDENTREE_LDAP_NETGROUPS: 'true',
        IDENTREE_LDAP_PROVISION_ENABLED: 'true',
        IDENTREE_LDAP_SECRET: LDAP_SECRET,
        // What is tested is how changes arrive, not who must agree to them.
        IDENTREE_DIRECTORY_GUARD_POWER: 'publish',
      },
    });
    host = world.host();
    const id = world.server.data.host('web1.example.com')!.id;
    assert.equal((await world.server.cli(['hosts', 'group', id, 'webservers'])).code, 0);
    await until(
      'the group to be served',
      async () => (await find(`ou=netgroups,${BASE_DN}`, 'one', 'cn')).length === 1,
    );
  });
  after(() => world?.close());

  const out = (...command: string[]): Promise<string> => printed(host, command);
  /** Values of an attribute, by ldapsearch. */
  async function find(base: string, scope: string, name: string): Promise<string[]> {
    const account = ['-D', SERVICE.dn, '-w', SERVICE.password];
    const url = ['-x', '-LLL', '-H', 'ldap://identree.example.com'];
    const found = await out('ldapsearch', ...url, ...account, '-b', base, '-s', scope, '(objectClass=*)', name);
    return [...found.matchAll(new RegExp(`^${name}: (.*)$`, 'gm'))].map(([, value]) => value!);
  }
  const sudoListing = (name: string): Promise<string> => out('sudo', '-l', '-U', name);
  async function start(changes: Record<string, string | null>, services?: string): Promise<void> {
    since = world.tap.seen.length;
    await startSssd(host, recommended(changes, services));
  }
  const becomes = (what: string, look: () => Promise<string>, wanted: RegExp): Promise<unknown> => {
    let last = '';
    return until(what, async () => {
      last = await look();
      return wanted.test(last);
    }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; it is: ${last}`);
    });
  };

  test('the file starts sssd; people, groups, rules and keys are there', { skip }, async () => {
    await start(PLAIN);
    assert.match(await out('getent', 'passwd', 'ada'), /^ada:\*:\d+:\d+:Ada Sample:\/home\/ada:\/bin\/bash$/);
    assert.match(await out('id', 'linus'), /\(developers\)$/);
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
  });

  test('bind: a simple one after the root DSE, with a password policy control that has no value', {
    skip,
  }, async () => {
    const seen = world.tap.seen.slice(since);
    const bind = seen.find((one): one is SeenBind => one.kind === 'bind')!;
    const { name, method, version, controls, answer } = bind;
    assert.deepEqual([name, method, version], [SERVICE.dn, 'simple', 3]);
    assert.deepEqual(controls, [{ oid: OID.passwordPolicy, critical: false, hasValue: false }]);
    assert.equal(answer?.resultCode, 0);
    const before = seen.filter(({ connection, at }) => connection === bind.connection && at < bind.at);
    assert.deepEqual(
      before.map((one) => one.kind === 'search' && [one.base, one.scope]),
      [['', 'base']],
    );
  });

  test('!authenticate reaches a host that authenticated: the command runs unasked', { skip }, async () => {
    assert.match(await sudoListing('dennis'), /\(root\) NOPASSWD: \/usr\/bin\/whoami/);
    const challenges = world.server.data.challenges().length;
    assert.equal(await out('su', 'dennis', '-c', 'cd /; sudo -n whoami'), 'root');
    assert.equal(world.server.data.challenges().length, challenges);
  });

  test('access: only to hosts that a group of the person names', { skip }, async () => {
    const access = (name: string): Promise<string> => out('sssctl', 'user-checks', name, '-a', 'acct', '-s', 'sshd');
    assert.match(await access('ada'), /pam_acct_mgmt: Success/);
    assert.match(await access('frances'), /pam_acct_mgmt: Permission denied/, 'db1 only');
    assert.match(await access('linus'), /pam_acct_mgmt: Permission denied/, 'no host at all');
  });

  test('sudo smart refresh: only what is newer than what the host has, by entryUSN', { skip }, async () => {
    await start({ ...PLAIN, ldap_sudo_smart_refresh_interval: '2' });
    const smart = (filter: string): number | null => {
      const match = /^\(&\(objectClass=sudoRole\)\(entryUSN>=(\d+)\)\)$/.exec(sudoFilter(filter)?.rules ?? '');
      return match ? Number(match[1]) : null;
    };
    const idle = await world.tap.sees('a smart refresh', ({ filter }) => smart(filter) !== null, { since });
    assert.deepEqual([idle.base, idle.scope, idle.controls], [SUDOERS, 'sub', PAGED]);
    assert.deepEqual(idle.attributes, SUDO_ATTRIBUTES);
    assert.match(sudoFilter(idle.filter)!.hosts, hostFilter('web1', host.address));
    assert.deepEqual(idle.answer, { resultCode: 0, entries: 0 }, 'nothing is newer');
    const [last] = (await find('', 'base', 'lastUSN')).map(Number);
    assert.ok(Math.max(...(await find(SUDOERS, 'one', 'entryUSN')).map(Number)) <= last!);
    assert.equal(smart(idle.filter), last! + 1, 'beyond what the root DSE said at connect');

    await world.change(({ groups }) => {
      groups.push(group('archive', ['grace'], { sudoCommands: '/usr/bin/rsync' }));
    });
    const delta = await world.tap.sees('the change', ({ filter, answer }) => {
      return smart(filter) !== null && answer!.entries > 0;
    });
    assert.deepEqual(delta.answer, { resultCode: 0, entries: 1 });
    await becomes('the new rule', () => sudoListing('grace'), /\(root\) \/usr\/bin\/rsync/);
    assert.ok(
      !world.tap.searches(delta.at).some(({ filter }) => sudoFilter(filter)?.rules === '(objectClass=sudoRole)'),
      'without a full refresh',
    );
    const next = await world.tap.sees('the next one', ({ filter }) => smart(filter) !== null, { since: delta.at + 1 });
    assert.ok(smart(next.filter)! > smart(idle.filter)!);
  });

  test('sudo rules refresh: expired rules are asked for by name; one that is gone is gone at once', {
    skip,
  }, async () => {
    await start({ ...PLAIN, entry_cache_sudo_timeout: '1', ldap_sudo_smart_refresh_interval: '2' });
    assert.match(await sudoListing('grace'), /rsync/);
    await world.change(({ groups }) => {
      groups.splice(
        groups.findIndex(({ name }) => name === 'archive'),
        1,
      );
    });
    await becomes('the rule to go', () => sudoListing('grace'), /not allowed to run sudo/);
    const byName = (filter: string): string[] | null => {
      const match = /^\(&\(objectClass=sudoRole\)\(\|((?:\(cn=[^()]+\))+)\)\)$/.exec(sudoFilter(filter)?.rules ?? '');
      return match ? [...match[1]!.matchAll(/\(cn=([^()]+)\)/g)].map(([, name]) => name!) : null;
    };
    const refresh = await world.tap.sees(
      'a rules refresh',
      ({ filter }) => byName(filter)?.includes('archive') === true,
      {
        since,
      },
    );
    assert.deepEqual([refresh.base, refresh.scope, refresh.controls], [SUDOERS, 'sub', PAGED]);
    assert.deepEqual(refresh.attributes, SUDO_ATTRIBUTES);
    assert.match(await sudoListing('ada'), /\(root\) ALL/, 'the others are still there');
  });

  test('netgroup: groups of hosts, for getent and for rules', { skip }, async () => {
    await becomes(
      'the netgroup',
      () => out('getent', 'netgroup', 'webservers'),
      /^webservers\s+\(web1\.example\.com,,\)$/,
    );
    const search = await world.tap.sees(
      'it',
      ({ filter }) => filter === '(&(cn=webservers)(objectclass=nisNetgroup))',
      {
        since,
      },
    );
    assert.deepEqual([search.base, search.scope], [`ou=netgroups,${BASE_DN}`, 'sub']);
    assert.deepEqual(search.attributes, [
      ...['objectClass', 'cn', 'memberNisNetgroup', 'nisNetgroupTriple', 'modifyTimestamp'],
    ]);
    assert.match(await sudoListing('edsger'), /\(root\) \/usr\/bin\/id/);
  });

  test('the hosts of a rule in every form that sssd asks for', { skip }, async () => {
    const network = host.address.replace(/\.\d+$/, '.0/24');
    const here = {
      short: 'web1',
      full: 'WEB1.example.com',
      pattern: 'web*',
      address: host.address,
      network,
      but: '!db1',
    };
    const elsewhere = { other: 'db1', others: 'db*', except: '!web1' };
    const forms = Object.entries({ ...here, ...elsewhere });
    const from = world.tap.seen.length;
    await world.change(({ users, groups }) => {
      for (const [name, sudoHosts] of forms) {
        users.push(user(name));
        groups.push(group(`for-${name}`, [name], { sudoCommands: '/usr/bin/id', sudoHosts }));
      }
    });
    // Not to be asked for before they are there: sssd remembers for a while who does not exist.
    const news = await world.tap.sees('the rules', ({ base, answer }) => base === SUDOERS && answer!.entries > 3, {
      since: from,
    });
    assert.equal(news.answer?.entries, Object.keys(here).length + 1, 'all but those for other hosts');
    await becomes('them on the host', () => sudoListing('short'), /\(root\) \/usr\/bin\/id/);
    for (const [name, sudoHosts] of forms) {
      const allowed = /\(root\) \/usr\/bin\/id/.test(await sudoListing(name));
      assert.equal(allowed, name in here, `${sudoHosts}`);
    }
  });

  test('a network that is wider than that of the host reaches it without the host filter of sssd, and only then', {
    skip,
  }, async () => {
    const forms = { wide: `${host.address.replace(/\.\d+\.\d+$/, '.0.0')}/16`, foreign: '192.0.2.0/24' };
    await world.change(({ users, groups }) => {
      for (const [name, sudoHosts] of Object.entries(forms)) {
        users.push(user(name));
        groups.push(group(`for-${name}`, [name], { sudoCommands: '/usr/bin/id', sudoHosts }));
      }
    });
    await until('them to be served', async () => (await find(`cn=for-foreign,${SUDOERS}`, 'base', 'cn')).length === 1);
    const allowed = async (name: string): Promise<boolean> => /\(root\) \/usr\/bin\/id/.test(await sudoListing(name));
    await start(PLAIN);
    assert.deepEqual([await allowed('short'), await allowed('wide')], [true, false]);
    await start({ ...PLAIN, ldap_sudo_use_host_filter: 'false' });
    assert.deepEqual([await allowed('short'), await allowed('wide')], [true, true]);
    // All rules are on the host now, and sudo tells which of them are for it.
    for (const name of ['foreign', 'other', 'others', 'except']) assert.equal(await allowed(name), false, name);
  });

  test('quotes around an argument match what no shell passes on, and Directory names the group', { skip }, async () => {
    await start({ ...PLAIN, ldap_sudo_smart_refresh_interval: '2' });
    await world.change(({ users, groups }) => {
      users.push(user('hamming'));
      const claims = { sudoCommands: '/usr/bin/printf "%s"', sudoOptions: '!authenticate', accessHosts: 'web1' };
      groups.push(group('quoting', ['hamming'], claims));
    });
    await becomes('the rule', () => sudoListing('hamming'), /printf/);
    const run = (argument: string) =>
      host.exec(['runuser', '-u', 'hamming', '--', 'sudo', '-n', '/usr/bin/printf', argument]);
    const [plain, literal] = [await run('%s'), await run('"%s"')];
    assert.deepEqual([plain.code, literal.code, literal.stdout], [1, 0, '""'], `${plain.stderr}\n${literal.stderr}`);
    type Lints = { code: string; subject: string }[];
    const lints = granted(await world.person(OPERATOR).query<Lints>('directory.lints'));
    const [lint] = lints.filter(({ code }) => code === 'sudo_argument_quoted');
    assert.match(lint?.subject ?? '', /quoting/);
  });

  test('a name that none can have on Linux is said with one that can be had, and under that one the host knows the group', {
    skip,
  }, async () => {
    await start(PLAIN);
    await world.change(({ groups }) => void groups.push({ ...group('web-team', ['grace']), name: 'Web Team' }));
    type Lints = { code: string; subject: string; detail: string }[];
    const said = await until('Directory to name it', async () =>
      granted(await world.person(OPERATOR).query<Lints>('directory.lints')).find(({ code }) => code === 'name_invalid'),
    );
    assert.equal(said.subject, 'group Web Team');
    assert.match(said.detail, /^it has a blank, .*: rename it to web-team$/);
    assert.equal((await host.exec(['getent', 'group', 'Web Team'])).code, 2);
    await world.change(({ groups }) => {
      groups.at(-1)!.name = 'web-team';
    });
    const asked = async () => {
      await forgetName(host, '-g', 'web-team');
      return out('getent', 'group', 'web-team');
    };
    await becomes('the group', asked, /^web-team:\*:\d+:grace$/m);
  });

  test('enumeration goes on with what changed, by entryUSN', { skip }, async () => {
    await start({
      ...PLAIN,
      enumerate: 'true',
      ldap_enumeration_refresh_timeout: '3',
      ldap_enumeration_refresh_offset: '0',
    });
    const changed = (kind: 'allUsers' | 'allGroups') => {
      const start = FILTERS[kind].slice(0, -1).replace(/[()&|*]/g, '\\$&');
      return new RegExp(`^${start}\\(entryUSN>=(\\d+)\\)\\(!\\(entryUSN=\\1\\)\\)\\)$`);
    };
    for (const [base, kind] of [
      [PEOPLE, 'allUsers'],
      [GROUPS, 'allGroups'],
    ] as const) {
      const { length: people } = world.content.users;
      const all = kind === 'allUsers' ? people : people + world.content.groups.length;
      const [page, last] = await until(
        'two pages',
        () => {
          // Without those that sssd gave up because an answer took long.
          const found = world.tap
            .searches(since)
            .filter(({ filter, answer }) => filter === FILTERS[kind] && answer?.resultCode === 0);
          return found.length > 1 && (found as [SeenSearch, SeenSearch]);
        },
        240_000,
      );
      assert.deepEqual([page.answer?.entries, last.answer?.entries], [1000, all - 1000]);
      const next = await world.tap.sees('the next', ({ filter }) => changed(kind).test(filter), {
        since: last.at,
        timeoutMs: 240_000,
      });
      assert.deepEqual([next.base, next.scope, next.controls], [base, 'sub', PAGED]);
      assert.deepEqual(next.answer, { resultCode: 0, entries: 0 });
    }
    await world.change(({ users }) => {
      users.push(user('margaret'));
    });
    const found = await world.tap.sees(
      'the newcomer',
      ({ filter, answer }) => changed('allUsers').test(filter) && answer!.entries > 0,
      { since },
    );
    assert.equal(found.answer?.entries, 1);
    assert.ok(!world.tap.searches().some(({ filter }) => filter === FILTERS.userByName('margaret')));
    await becomes('her line', () => out('getent', 'passwd'), /^margaret:/m);
  });

  test('wildcard: the InfoPipe lists people by a pattern', { skip }, async () => {
    await start(PLAIN, 'nss, pam, sudo, ssh, ifp');
    const list = await out(
      ...['dbus-send', '--system', '--print-reply', '--dest=org.freedesktop.sssd.infopipe'],
      ...['/org/freedesktop/sssd/infopipe/Users', 'org.freedesktop.sssd.infopipe.Users.ListByName'],
      ...['string:gr*', 'uint32:10'],
    );
    assert.equal(list.match(/object path/g)?.length, 2, list);
    const search = await world.tap.sees('the pattern', ({ filter }) => filter === FILTERS.userByName('gr*'), { since });
    assert.deepEqual([search.base, search.scope, search.controls], [PEOPLE, 'sub', PAGED]);
    assert.deepEqual(search.answer, { resultCode: 0, entries: 2 });
  });

  test('a password of its own for each host', { skip }, async () => {
    const key = createHmac('sha256', LDAP_SECRET).update('ldap-bind').digest();
    const password = createHmac('sha256', key).update('web1.example.com').digest('hex');
    const dn = `uid=web1.example.com,ou=identree-hosts,${BASE_DN}`;
    await start({ ...WITHOUT_TLS, ldap_default_bind_dn: dn, ldap_default_authtok: password });
    assert.match(await out('getent', 'passwd', 'ada'), /^ada:/);
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
    const bind = world.tap.seen.slice(since).find((one): one is SeenBind => one.kind === 'bind');
    assert.deepEqual([bind?.name, bind?.answer?.resultCode], [dn, 0]);

    const online = async (): Promise<void> => {
      since = world.tap.seen.length;
      await start({ ...WITHOUT_TLS, ldap_default_bind_dn: dn, ldap_default_authtok: password });
      assert.match(await out('getent', 'passwd', 'ada'), /^ada:/);
      assert.match(await out('sssctl', 'domain-status', 'IDENTREE', '--online'), /Online/);
    };
    /** More than enough from the address of the host to close the door to it. @returns how many were refused */
    const guess = async (name: string): Promise<number> => {
      const one = `ldapwhoami -x -H ldap://identree.example.com -D '${name}' -w wrong >/dev/null 2>&1 || echo refused`;
      return (await out('sh', '-c', `for i in $(seq 14); do (${one}) & done; wait`)).split('\n').length;
    };
    assert.equal(await guess(`cn=stranger,${BASE_DN}`), 14);
    await online();
    // A server that has just been started remembers it.
    await world.server.stop();
    await world.server.start();
    await until('it to listen', async () => (await find('', 'base', 'namingContexts')).length === 1);
    assert.equal(await guess(`cn=stranger,${BASE_DN}`), 14);
    await online();

    await start({ ...WITHOUT_TLS, ldap_default_bind_dn: dn, ldap_default_authtok: `${password.slice(0, -1)}x` });
    assert.equal(await out('getent', 'passwd', 'ada'), '', 'with another one it gets nothing');
    const refused = world.tap.seen.slice(since).find((one): one is SeenBind => one.kind === 'bind');
    assert.equal(refused?.answer?.resultCode, 49);
  });

  test('a client of the same address that never stops asking does not take the host offline', { skip }, async () => {
    await start(PLAIN);
    const ask = `ldapsearch -x -LLL -H ldap://identree.example.com -D '${SERVICE.dn}' -w '${SERVICE.password}'`;
    const flood = host.terminal('root', [
      'sh',
      '-c',
      `while true; do for i in 1 2 3 4; do ${ask} -b ${BASE_DN} >/dev/null 2>&1 & done; wait; echo again; done`,
    ]);
    await flood.see(/again/);
    try {
      for (const name of ['ada', 'barbara', 'edsger']) {
        await forgetName(host, '-u', name);
        assert.match(await out('getent', 'passwd', name), new RegExp(`^${name}:`));
      }
      assert.match(await out('sssctl', 'domain-status', 'IDENTREE', '--online'), /Online/);
      const busy = world.tap.searches(since).filter(({ answer }) => (answer?.resultCode ?? 0) > 0);
      assert.deepEqual(busy, []);
    } finally {
      flood.hangUp();
      await flood.exit;
    }
  });

  test('rfc2307bis: members by DN, nested groups asked for, unknown members looked up one by one', {
    skip,
  }, async () => {
    await start({ ...PLAIN, ldap_schema: 'rfc2307bis', ldap_access_order: 'expire' });
    assert.match(await out('id', 'linus'), /groups=\d+\(linus\),\d+\(developers\)$/);
    const dn = `uid=linus,${PEOPLE}`;
    const direct = await world.tap.sees('groups of a DN', ({ filter }) => filter === FILTERS.groupsOfMember(dn), {
      since,
    });
    assert.deepEqual([direct.base, direct.controls], [GROUPS, PAGED]);
    assert.deepEqual(direct.answer, { resultCode: 0, entries: 2 });
    const nested = await world.tap.sees(
      'groups of the group',
      ({ filter }) => filter === FILTERS.groupsOfMember(`cn=developers,${GROUPS}`),
      { since },
    );
    assert.deepEqual(nested.answer, { resultCode: 0, entries: 0 });

    await forgetName(host, '-g', 'developers');
    const members = (await out('getent', 'group', 'developers')).split(':')[3]?.split(',').sort();
    assert.deepEqual(members, ['grace', 'linus']);
    const single = await world.tap.sees('a member by DN', ({ base }) => base === `uid=grace,${PEOPLE}`, { since });
    assert.deepEqual(
      [single.scope, single.filter, single.attributes, single.answer],
      ['base', '(objectclass=posixAccount)', ['objectClass', 'uid'], { resultCode: 0, entries: 1 }],
    );
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
  });

  // `npm run test:long` takes the larger group and every level.
  const isLong = process.env.IDENTREE_LONG === '1';
  if (isLong) {
    // With ten times as many people sssd ends itself: storing them takes longer than its watchdog allows.
    test('rfc2307bis with enumeration: a large group is whole, and no member is asked for alone', {
      skip,
    }, async () => {
      await world.change(({ groups }) => {
        groups.push(group('crowd', CROWD));
      });
      const enumerate = { enumerate: 'true', ldap_enumeration_refresh_offset: '0' };
      await start({ ...PLAIN, ...enumerate, ldap_schema: 'rfc2307bis', ldap_access_order: 'expire' });
      const listed = async (): Promise<string> => {
        const lines = (await out('getent', 'group')).split('\n').map((line) => line.split(':'));
        return String(lines.find(([name]) => name === 'crowd')?.[3]?.split(',').length ?? 0);
      };
      await becomes('all members in the list of groups', listed, new RegExp(`^${CROWD.length}$`));
      const searches = world.tap.searches(since);
      assert.equal(searches.filter(({ base }) => base.startsWith('uid=crowd')).length, 0);
      const refused = searches.filter(({ answer }) => answer !== null && answer.resultCode > 0);
      assert.deepEqual(refused, []);
    });
  }

  const sizes = isLong ? [1200, 10_000] : [1200];
  describe(`groups of ${sizes.join(' and ')} members`, () => {
    before(async () => {
      if (skip) return;
      const many = Array.from({ length: sizes.at(-1)! - 1 }, (_, i) => `many${i}`);
      await world.change((content) => {
        content.users.push(...many.map((name) => user(name)));
        for (const size of sizes) content.groups.push(group(`g${size}`, ['linus', ...many.slice(0, size - 1)]));
      });
      const largest = `cn=g${sizes.at(-1)},${GROUPS}`;
      await until(
        'the largest to be served',
        async () => (await find(largest, 'base', 'memberUid')).length === sizes.at(-1),
        120_000,
      );
    });

    for (const ldap_schema of isLong ? ['rfc2307', 'rfc2307bis'] : ['rfc2307bis']) {
      for (const ldap_group_nesting_level of isLong ? ['0', '2', '5'] : ['2']) {
        test(`${ldap_schema}, nesting level ${ldap_group_nesting_level}: all members, and the host stays online`, {
          skip,
        }, async (t) => {
          await start({ ...PLAIN, ldap_schema, ldap_group_nesting_level, ldap_access_order: 'expire' });
          const groups = await out('id', 'linus');
          for (const size of sizes) {
            assert.match(groups, new RegExp(`\\(g${size}\\)`));
            await forgetName(host, '-g', `g${size}`);
            const asked = performance.now();
            const members = (await out('getent', 'group', `g${size}`)).split(':')[3]?.split(',');
            t.diagnostic(`${size} members in ${Math.round(performance.now() - asked)} ms`);
            assert.equal(members?.length, size);
          }
          // At level 0 sssd looks every member up by itself, whatever the server can do.
          const isWhole = ldap_schema === 'rfc2307bis' && ldap_group_nesting_level !== '0';
          const alone = world.tap.searches(since).filter(({ base }) => base.startsWith('uid=many'));
          if (ldap_schema === 'rfc2307' || isWhole) assert.equal(alone.length, 0, 'no member is asked for alone');
          const dereferencing = world.tap.searches(since).filter(({ controls }) => {
            return controls.some(({ oid, critical }) => oid === OID.dereference && critical);
          });
          const wanted = isWhole ? sizes.map((size) => `cn=g${size},${GROUPS}`) : [];
          assert.deepEqual([...new Set(dereferencing.map(({ base }) => base))].sort(), wanted.sort());
          assert.match(await out('sssctl', 'domain-status', 'IDENTREE', '--online'), /Online/);
          const refused = world.tap.searches(since).filter(({ answer }) => answer !== null && answer.resultCode !== 0);
          assert.deepEqual(refused, []);
        });
      }
    }
  });
});
