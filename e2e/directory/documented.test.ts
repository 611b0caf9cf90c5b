import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  BASE_DN,
  type DirectoryWorld,
  forgetName,
  group,
  openDirectoryWorld,
  printed,
  SERVICE,
  sssdSays,
  startSssd,
  trySssd,
  user,
} from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import type { SeenSearch } from '../harness/ldap-tap.ts';
import { CODE, granted } from '../harness/person.ts';
import { relay } from '../harness/relay.ts';
import { until } from '../harness/run.ts';
import { type Slapd, startSlapd, whyNoSlapd } from '../harness/slapd.ts';
import { asked, eventsBecome, mark, skip } from '../harness/world.ts';
import { becomes } from './host-view.ts';
import {
  FILTERS,
  GROUP_ATTRIBUTES,
  GROUPS,
  hostFilter,
  PAGED,
  PEOPLE,
  ROOT_ATTRIBUTES,
  SUDO_ATTRIBUTES,
  SUDOERS,
  sudoFilter,
  USER_ATTRIBUTES,
} from './seen.ts';
import { BRIDGE_MODE_AS_PRINTED, FULL_MODE, FULL_MODE_AS_PRINTED, NSSWITCH } from './sssd-conf.ts';

/** Full mode's sssd.conf and nsswitch.conf of the founding document, on a host, against the server. */
describe('sssd with the documented file of full mode', () => {
  let world: DirectoryWorld;
  let host: Host;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      people: ['ada', 'barbara', 'dennis'],
      content: {
        users: ['ada', 'barbara', 'dennis', 'edsger', 'frances', 'grace', 'linus'].map((name) => user(name)),
        groups: [
          group('ops', ['ada', 'barbara'], { sudoCommands: 'ALL' }),
          group('temps', ['grace'], { sudoCommands: '/usr/bin/apt, /usr/bin/id' }),
          group('robots', ['dennis'], { sudoCommands: '/usr/bin/touch', sudoOptions: '!authenticate' }),
          group('developers', ['linus', 'edsger', 'ada']),
          group('elsewhere', ['frances'], { sudoCommands: 'ALL', sudoHosts: 'db1' }),
        ],
      },
      env: {
        // The file has no bind DN.
        IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true',
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_SUDO_NO_AUTHENTICATE: 'claims',
        IDENTREE_LDAP_SUDO_DEFAULTS: 'timestamp_timeout=0, insults',
      },
    });
    host = world.host();
    await host.write('/etc/nsswitch.conf', NSSWITCH);
  });
  after(() => world?.close());

  const out = (...command: string[]): Promise<string> => printed(host, command);
  const position = (): number => world.tap.seen.length;

  /**
   * Makes sssd forget a name and runs a command that needs it, until the command led to these searches: what other
   * tests or the enumeration bring in between is answered from the cache.
   */
  const asking = ([kind, name]: ['-u' | '-g', string], command: readonly string[], ...filters: readonly string[]) =>
    until(`${command.join(' ')} to ask for ${filters.join(' and ')}`, async () => {
      const since = position();
      await forgetName(host, kind, name);
      const text = await printed(host, command);
      const searches = filters.flatMap(
        (filter) => world.tap.searches(since).find((one) => one.filter === filter) ?? [],
      );
      return searches.length === filters.length && { printed: text, searches };
    });

  test('as printed it does not start: sssd takes the comment for a part of the value', { skip }, async () => {
    assert.equal(await trySssd(host, FULL_MODE_AS_PRINTED), false);
    const journal = await sssdSays(host);
    assert.match(journal, /Unable to load module none # identree handles PAM auth, not sssd/);
    assert.equal((await host.exec(['getent', 'passwd', 'ada'])).code, 2);
    assert.equal(await trySssd(host, FULL_MODE), true, 'without the comment it does');
  });

  describe('without the comment', { concurrency: 8 }, () => {
    test('connect: the root DSE is asked for first, and no bind is ever sent', { skip }, async () => {
      const root = await world.tap.sees('the root DSE', ({ base, scope }) => base === '' && scope === 'base');
      const first = world.tap.seen.find(({ connection }) => connection === root.connection);
      assert.equal(first, root);
      assert.equal(root.filter, '(objectclass=*)');
      assert.deepEqual(root.attributes, ROOT_ATTRIBUTES);
      assert.deepEqual(root.answer, { resultCode: 0, entries: 1 });
      await world.tap.sees('the first search', ({ connection, at }) => connection === root.connection && at > root.at);
      assert.deepEqual(
        world.tap.seen.filter(({ kind, from }) => kind === 'bind' && from === host.address),
        [],
      );
    });

    test('user by name: getent passwd NAME', { skip }, async () => {
      const { printed, searches } = await asking(['-u', 'ada'], ['getent', 'passwd', 'ada'], FILTERS.userByName('ada'));
      assert.match(printed, /^ada:\*:20\d{4}:20\d{4}:Ada Sample:\/home\/ada:\/bin\/bash$/);
      const [search] = searches as [SeenSearch];
      assert.deepEqual([search.base, search.scope, search.controls], [PEOPLE, 'sub', []]);
      assert.deepEqual(search.attributes, USER_ATTRIBUTES);
      assert.deepEqual(search.answer, { resultCode: 0, entries: 1 });
      assert.deepEqual([search.sizeLimit, search.timeLimit, search.typesOnly], [0, 0, false]);
    });

    test('user by uid: getent passwd UID, which is the one of the name', { skip }, async () => {
      const uid = Number((await out('getent', 'passwd', 'barbara')).split(':')[2]);
      const command = ['getent', 'passwd', String(uid)];
      const { printed, searches } = await asking(['-u', 'barbara'], command, FILTERS.userById(uid));
      assert.match(printed, /^barbara:/);
      const [search] = searches as [SeenSearch];
      assert.deepEqual([search.base, search.scope], [PEOPLE, 'sub']);
      assert.deepEqual(search.attributes, USER_ATTRIBUTES);
    });

    test('initgroups: id NAME asks for the person, then for their groups', { skip }, async () => {
      const filters = [FILTERS.ofGroups('linus'), FILTERS.groupsOf('linus')];
      const { printed, searches } = await asking(['-u', 'linus'], ['id', 'linus'], ...filters);
      assert.match(printed, /^uid=(\d+)\(linus\) gid=\1\(linus\) groups=\1\(linus\),\d+\(developers\)$/);
      const [person, groups] = searches as [SeenSearch, SeenSearch];
      assert.deepEqual([person.base, person.scope], [PEOPLE, 'sub']);
      assert.deepEqual(person.attributes, USER_ATTRIBUTES);
      assert.ok(groups.at > person.at);
      assert.deepEqual([groups.base, groups.scope, groups.controls], [GROUPS, 'sub', PAGED]);
      assert.deepEqual(
        groups.attributes,
        GROUP_ATTRIBUTES.filter((name) => name !== 'memberuid'),
      );
      assert.deepEqual(groups.answer, { resultCode: 0, entries: 2 });
    });

    test('group by name and by gid: getent group', { skip }, async () => {
      const wanted = ['ada', 'edsger', 'linus'];
      const members = (line: string): string[] | undefined => line.split(':')[3]?.split(',').sort();
      const group = async (key: string, filter: string): Promise<[string, SeenSearch]> => {
        let found!: [string, SeenSearch];
        // What sssd printed was once seen to name somebody twice while it enumerated; what it was sent is looked at below.
        await becomes(
          `the members of ${key}`,
          async () => {
            const { printed, searches } = await asking(['-g', 'developers'], ['getent', 'group', key], filter);
            found = [printed, searches[0]!];
            return members(printed);
          },
          (now) => String(now) === String(wanted),
        );
        return found;
      };
      const ldif = await out(
        ...['ldapsearch', '-x', '-LLL', '-H', 'ldap://identree.example.com', '-b', GROUPS],
        ...['(cn=developers)', 'memberUid'],
      );
      assert.deepEqual([...ldif.matchAll(/^memberUid: (.*)$/gm)].map(([, name]) => name).sort(), wanted);
      const [line, byName] = await group('developers', FILTERS.groupByName('developers'));
      assert.deepEqual(members(line), wanted);
      assert.deepEqual([byName.base, byName.scope, byName.attributes], [GROUPS, 'sub', GROUP_ATTRIBUTES]);
      const gid = Number(/^developers:\*:(\d+):/.exec(line)?.[1]);
      const [same, byId] = await group(String(gid), FILTERS.groupById(gid));
      assert.deepEqual(members(same), wanted);
      assert.deepEqual([byId.base, byId.scope, byId.attributes], [GROUPS, 'sub', GROUP_ATTRIBUTES]);
    });

    test('sudo full refresh: rules for all hosts and this one; sudo -l -U lists them', { skip }, async () => {
      const full = await world.tap.sees('a full refresh', ({ base, filter }) => {
        return base === SUDOERS && sudoFilter(filter)?.rules === '(objectClass=sudoRole)';
      });
      assert.match(sudoFilter(full.filter)!.hosts, hostFilter('web1', host.address));
      assert.deepEqual([full.scope, full.attributes, full.controls], ['sub', SUDO_ATTRIBUTES, PAGED]);
      assert.deepEqual(full.answer, { resultCode: 0, entries: 4 }, 'ops, temps, robots and the defaults');
      assert.match(await out('sudo', '-l', '-U', 'ada'), /^\s+\(root\) ALL$/m);
      assert.match(await out('sudo', '-l', '-U', 'edsger'), /not allowed to run sudo/);
      assert.match(await out('sudo', '-l', '-U', 'frances'), /not allowed to run sudo/, 'a rule for another host');
    });

    test('enumeration: everybody and every group; services, hosts and networks are none, not an error', {
      skip,
    }, async () => {
      const wanted: [string, string, string[] | null][] = [
        [PEOPLE, FILTERS.allUsers, USER_ATTRIBUTES],
        [GROUPS, FILTERS.allGroups, GROUP_ATTRIBUTES],
        [BASE_DN, '(&(objectclass=ipService)(cn=*)(ipServicePort=*)(ipServiceProtocol=*))', null],
        [BASE_DN, '(&(objectclass=ipHost)(cn=*)(ipHostNumber=*))', null],
        [BASE_DN, '(&(objectclass=ipNetwork)(cn=*)(ipNetworkNumber=*))', null],
      ];
      for (const [base, filter, attributes] of wanted) {
        const search = await world.tap.sees(`enumeration ${filter}`, (one) => one.filter === filter);
        assert.deepEqual([search.base, search.scope, search.controls], [base, 'sub', PAGED]);
        if (attributes) assert.deepEqual(search.attributes, attributes);
        const { length: people } = world.content.users;
        const entries = { [PEOPLE]: people, [GROUPS]: people + world.content.groups.length, [BASE_DN]: 0 }[base];
        assert.deepEqual(search.answer, { resultCode: 0, entries });
      }
      const names = (database: string) => async () =>
        (await out('getent', database)).split('\n').map((line) => line.split(':')[0]!);
      const all = (known: string[], now: string[]) => known.every((name) => now.includes(name)) && now;
      const people = world.content.users.map(({ username }) => username);
      const groups = world.content.groups.map(({ name }) => name);
      // The responder repeats an earlier answer for a while; nobody has asked yet.
      await until('everybody in getent passwd', async () => all(people, await names('passwd')()));
      await until('every group in getent group', async () => all([...groups, ...people], await names('group')()));
    });

    test('sudo by somebody from the directory: approved with their passkey, it runs', { skip }, async () => {
      const file = mark();
      const terminal = host.terminal('root', ['su', '-', 'ada', '--session-command', `pwd; sudo touch ${file}`]);
      const [code] = await terminal.see(CODE);
      assert.match(terminal.text(), /^\/home\/ada$/m);
      const request = asked(world, terminal, code);
      const record = JSON.parse(request.row().record) as { user: string; uid: number };
      assert.equal(record.user, 'ada');
      assert.equal(record.uid, Number(await out('id', '-u', 'ada')));
      assert.equal(host.exists(file), false);
      granted(await world.person('ada').approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.equal(host.exists(file), true);
      await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
      assert.equal(request.row().class, 'passkey');
    });

    test('cn=defaults reaches sudo: its options are in the listing of whoever asks for their own rules', {
      skip,
    }, async () => {
      // Not ada: her first two logins at once would race for her home folder (pam_mkhomedir).
      const terminal = host.terminal('root', ['su', '-', 'barbara', '--session-command', 'sudo -l']);
      const [code] = await terminal.see(CODE);
      granted(await world.person('barbara').approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.match(terminal.text(), /Matching Defaults entries[\s\S]*timestamp_timeout=0[\s\S]*insults/);
    });

    test('!authenticate never reaches a connection that did not authenticate: sudo asks', { skip }, async () => {
      const query = ['-LLL', '-b', SUDOERS, '(cn=robots)', 'sudoOption', 'sudoCommand'];
      const url = ['-x', '-H', 'ldap://identree.example.com'];
      const anonymous = await out('ldapsearch', ...url, ...query);
      assert.match(anonymous, /^sudoCommand: \/usr\/bin\/touch$/m);
      assert.doesNotMatch(anonymous, /authenticate/);
      const account = ['-D', SERVICE.dn, '-w', SERVICE.password];
      assert.match(await out('ldapsearch', ...url, ...account, ...query), /^sudoOption: !authenticate$/m);
      assert.match(await out('sudo', '-l', '-U', 'dennis'), /^\s+\(root\) \/usr\/bin\/touch$/m);

      const file = mark();
      const terminal = host.terminal('root', ['su', '-', 'dennis', '--session-command', `sudo touch ${file}`]);
      const [code] = await terminal.see(CODE);
      assert.equal(host.exists(file), false);
      granted(await world.person('dennis').deny(code));
      assert.equal(await terminal.exit, 1);
      assert.equal(host.exists(file), false);
    });

    test('a rule that is taken away is gone after the full refresh of 60 seconds', { skip }, async () => {
      const listing = (): Promise<string> => out('sudo', '-l', '-U', 'grace');
      assert.match(await listing(), /\(root\) \/usr\/bin\/apt, \/usr\/bin\/id/);
      const since = position();
      await world.change(({ groups }) => {
        groups.find(({ name }) => name === 'temps')!.customClaims = [];
      });
      await until('the rule to go', async () => /not allowed to run sudo/.test(await listing()));
      const full = world.tap.searches(since).filter(({ filter }) => {
        return sudoFilter(filter)?.rules === '(objectClass=sudoRole)';
      });
      assert.deepEqual(full.at(-1)?.answer, { resultCode: 0, entries: 3 });
      assert.match(await out('sudo', '-l', '-U', 'ada'), /\(root\) ALL/);
      const connections = world.tap.searches().filter(({ attributes }) => attributes.includes('lastUSN'));
      assert.equal(connections.length, 1, 'one connection for all of this, however long it is silent');
    });
  });

  describe('the documented file of bridge mode, where the directory of the people refers to identree for the rules', () => {
    let slapd: Slapd;
    let relayed: ReturnType<typeof relay> | null = null;
    const missing = skip || (whyNoSlapd() ?? false);
    before(async () => {
      if (missing) return;
      slapd = await startSlapd({
        baseDn: BASE_DN,
        rootDn: `cn=admin,${BASE_DN}`,
        rootPassword: 'secret',
        ldif: [
          `dn: ${BASE_DN}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example`,
          `dn: ${PEOPLE}\nobjectClass: organizationalUnit\nou: people`,
          `dn: ${GROUPS}\nobjectClass: organizationalUnit\nou: groups`,
          ...['ada', 'linus'].map(
            (name, i) =>
              `dn: uid=${name},${PEOPLE}\nobjectClass: account\nobjectClass: posixAccount\nuid: ${name}\ncn: ${name}\n` +
              `uidNumber: ${70_001 + i}\ngidNumber: ${70_001 + i}\nhomeDirectory: /home/${name}\nloginShell: /bin/bash`,
          ),
          `dn: cn=ops,${GROUPS}\nobjectClass: posixGroup\ncn: ops\ngidNumber: 70100\nmemberUid: ada`,
          `dn: ${SUDOERS}\nobjectClass: referral\nobjectClass: extensibleObject\nou: sudoers\n` +
            `ref: ldap://identree.example.com/${SUDOERS}`,
        ].join('\n\n'),
      });
      const server = createServer();
      relayed = relay(server, { host: '127.0.0.1', port: slapd.port });
      await new Promise<void>((resolve) => server.listen(389, world.lab.serverAddress, resolve));
      const ours = (await host.read('/etc/hosts')).replaceAll(/\bldap\.example\.com\b/g, '');
      await host.write('/etc/hosts', `${ours}${world.lab.serverAddress} ldap.example.com\n`);
    });
    after(async () => {
      relayed?.close();
      await slapd?.stop();
    });

    test('as printed: people come from there and their rules from identree', { skip: missing }, async () => {
      const since = position();
      await startSssd(host, BRIDGE_MODE_AS_PRINTED);
      await until('somebody from there', async () => (await out('getent', 'passwd', 'ada')).startsWith('ada:*:70001:'));
      await until('their rules', async () => /\(root\) ALL/.test(await out('sudo', '-l', '-U', 'ada')));
      const referred = world.tap.searches(since).filter(({ base }) => base === SUDOERS);
      assert.ok(referred.some(({ answer }) => answer?.resultCode === 0));
      assert.match(await out('sudo', '-l', '-U', 'linus'), /not allowed to run sudo/);
    });
  });
});
