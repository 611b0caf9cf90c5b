import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OID } from '../../server/src/ldap/protocol/operation.ts';
import { filterText } from '../../server/src/ldap/testing/filters.ts';
import { cases, randomFrom, testSeed } from '../../server/src/ldap/testing/long.ts';
import { dereferenceControl, filterElement } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { must } from '../harness/run.ts';
import { whyNoSlapd } from '../harness/slapd.ts';
import { type Asker, createAsker, type Query, type Reply, type Security } from './ask.ts';
import { canonical } from './canonical.ts';
import { DIFFERENCES } from './differences.ts';
import { compare, level } from './explain.ts';
import { type ClientQuery, NSLCD, SSSD, SUDO_LDAP } from './queries.ts';
import { createSearches, type Generated } from './searches.ts';
import { type RulesOf, readSlapdSchema } from './slapd-schema.ts';
import { SERVICE_DN, SERVICE_PASSWORD, startWorld, type World } from './world.ts';

/**
 * OpenLDAP's slapd as a second opinion: it is loaded with what our server enumerates, and both are asked the same. They
 * find the same entries with the same attributes, or fail with the same code and the same matchedDN, except for what
 * `differences.ts` lists with its reason.
 */

const missing = whyNoSlapd();

describe('side by side with slapd', { skip: missing ?? false }, () => {
  let world: World;
  let ours: Asker;
  let slapd: Asker;
  let rulesOf: RulesOf;
  const opened: Asker[] = [];

  async function open(security: Security, bound = true): Promise<[Asker, Asker]> {
    const pair: [Asker, Asker] = [
      await createAsker(world.ours, security, world.tls, { bound }),
      await createAsker(world.slapd, security, world.tls, { bound }),
    ];
    opened.push(...pair);
    return pair;
  }

  before(async () => {
    world = await startWorld();
    process.stdout.write(`# slapd ${world.slapdVersion}, ${world.entries.length} entries\n`);
    [ours, slapd] = await open('plain');
    rulesOf = await readSlapdSchema(slapd);
  });
  after(async () => {
    for (const asker of opened) asker.close();
    await world?.stop();
  });

  const show = (search: Generated): string => JSON.stringify({ ...search, filter: filterText(search.filter) });
  const onlyIn = (one: string[][], other: string[][]): string =>
    one
      .flat()
      .filter((line) => !other.flat().includes(line))
      .slice(0, 5)
      .join('\n    ');

  test('generated searches find the same, or differ in what the table explains', async () => {
    const seed = testSeed('generated searches', 2026);
    const searches = createSearches(world.entries, randomFrom(seed));
    const count = cases(4000, 60_000);
    let found = 0;
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const search = searches.next();
      const verdict = await compare(ours, slapd, rulesOf, search);
      if (verdict.kind === 'different') {
        assert.fail(
          `search ${i} of seed ${seed}: ${show(search)}\n  ours\n    ${onlyIn(verdict.ours, verdict.theirs)}\n  slapd\n    ${onlyIn(verdict.theirs, verdict.ours)}`,
        );
      }
      if (verdict.replies.some(({ entries }) => entries.length > 0)) found++;
      if (verdict.replies.some(({ code }) => code !== 0)) refused++;
    }
    // Searches that find nothing prove little.
    assert.ok(found > count / 5, `${found} of ${count} searches found entries`);
    assert.ok(refused > count / 20, `${refused} of ${count} were refused`);
  });

  describe('each difference is there', () => {
    for (const { name, example } of DIFFERENCES) {
      test(name, async () => {
        const search: Generated = {
          base: 'dc=example,dc=com',
          filter: { kind: 'present', attribute: 'objectClass' },
          attributes: ['1.1'],
          ...example,
        };
        const verdict = await compare(ours, slapd, rulesOf, search);
        assert.equal(verdict.kind, 'explained', show(search));
        assert.ok(verdict.kind === 'explained' && verdict.by.some((row) => row.name === name), 'by another row');
      });
    }
  });

  const rdnsOf = (replies: readonly Reply[]): string[] =>
    replies.flatMap(({ entries }) => entries.map(({ dn }) => dn.replace(/(?<!\\),.*$/, ''))).sort();

  async function agreeOn(pair: readonly [Asker, Asker], { query, finds }: ClientQuery): Promise<void> {
    const wanted = { ...query, filter: filterElement(query.filter) };
    const [mine, theirs] = [await pair[0].ask(wanted), await pair[1].ask(wanted)];
    const search: Generated = { ...query, filter: { kind: 'and', children: [] } };
    assert.deepEqual(level(mine, search).map(canonical), level(theirs, search).map(canonical));
    if (typeof finds === 'number') assert.equal(rdnsOf(mine).length, finds);
    else assert.deepEqual(rdnsOf(mine), [...finds].sort());
  }

  for (const security of ['plain', 'starttls', 'ldaps'] as const) {
    describe(`what clients ask (${security})`, () => {
      let pair: [Asker, Asker];
      before(async () => {
        pair = await open(security);
      });
      for (const [client, rows] of [
        ['sssd', SSSD],
        ['nslcd', NSLCD],
        ['sudo', SUDO_LDAP],
      ] as const) {
        for (const row of rows) test(`${client}: ${row.name}`, () => agreeOn(pair, row));
      }

      test('sssd: the rootDSE tells it to page and, here, to go by update numbers', async () => {
        const names =
          '* altServer namingContexts supportedControl supportedExtension supportedFeatures supportedLDAPVersion supportedSASLMechanisms domainControllerFunctionality defaultNamingContext lastUSN highestCommittedUSN'.split(
            ' ',
          );
        const query = { base: '', scope: 0, filter: '(objectclass=*)', attributes: names };
        const [mine] = await pair[0].ask(query);
        const [theirs] = await pair[1].ask(query);
        const [own, other] = [mine!.entries[0]!.attributes, theirs!.entries[0]!.attributes];
        assert.deepEqual([mine!.code, theirs!.code], [0, 0]);
        for (const name of ['namingContexts', 'supportedLDAPVersion']) assert.deepEqual(own.get(name), other.get(name));
        for (const name of ['supportedControl', 'supportedExtension', 'supportedFeatures']) {
          for (const oid of own.get(name)!) {
            const isOurs = oid === '1.3.6.1.4.1.42.2.27.8.5.1';
            assert.ok(isOurs || other.get(name)!.includes(oid) || security !== 'plain', `slapd has no ${oid}`);
          }
        }
        assert.deepEqual(own.get('lastUSN'), [String(world.entries.length)]);
        assert.equal(own.has('highestCommittedUSN') || own.has('domainControllerFunctionality'), false);
      });
    });
  }

  describe('the dereference control', () => {
    const GROUP = 'objectClass cn userPassword gidNumber member modifyTimestamp modifyTimestamp uid'.split(' ');
    const wishes: Record<string, [query: Partial<Query> & { base?: string; attributes?: string[] }, named: number]> = {
      'sssd: the members of a group': [
        {
          base: `cn=all-users,ou=groups,${BASE}`,
          scope: 0,
          attributes: GROUP.slice(0, -1),
          controls: [dereferenceControl([['member', GROUP.filter((name, at) => GROUP.indexOf(name) === at)]], true)],
          pageSize: 1000,
        },
        27,
      ],
      'every attribute of names, everywhere': [
        {
          controls: [
            dereferenceControl(
              ['member', 'memberOf', 'owner', 'seeAlso', 'manager'].map((name) => [
                name,
                ['cn', 'gidNumber', 'entryUUID'],
              ]),
            ),
          ],
        },
        100,
      ],
      'the groups of somebody': [
        {
          base: `ou=people,${BASE}`,
          filter: '(uid=alice)',
          controls: [dereferenceControl([['memberOf', ['cn', 'name']]])],
        },
        4,
      ],
      'page by page': [
        {
          base: `ou=groups,${BASE}`,
          pageSize: 3,
          controls: [dereferenceControl([['member', ['uid', 'description']]])],
        },
        60,
      ],
      'an attribute without names': [{ controls: [dereferenceControl([['cn', ['uid']]])] }, 0],
      'an attribute without names, insisted on': [{ controls: [dereferenceControl([['cn', ['uid']]], true)] }, 0],
      'the same twice': [
        {
          controls: [
            dereferenceControl([
              ['member', ['uid']],
              ['MEMBER', ['cn']],
            ]),
          ],
        },
        0,
      ],
      'nothing of the entries': [{ controls: [dereferenceControl([['member', []]])] }, 0],
      'without a value': [{ controls: [{ oid: OID.dereference }] }, 0],
      rubbish: [{ controls: [{ oid: OID.dereference, value: Buffer.from('30053003040161', 'hex') }] }, 0],
    };
    for (const [name, [query, named]] of Object.entries(wishes)) {
      test(`says the same: ${name}`, async () => {
        const wanted = { base: BASE, scope: 2, attributes: ['cn'], ...query };
        const search: Generated = { ...wanted, filter: { kind: 'and', children: [] } };
        const [mine, theirs] = [await ours.ask(wanted), await slapd.ask(wanted)];
        assert.deepEqual(level(mine, search).map(canonical), level(theirs, search).map(canonical));
        const count = mine.flatMap(({ entries }) => entries).flatMap(({ dereferenced = [] }) => dereferenced).length;
        assert.ok(count >= named, `${count} names`);
      });
    }

    test('Debian’s ldapsearch reads ours as it reads that of slapd', async () => {
      const read = async ({ port }: { port: number }): Promise<string[]> => {
        const account = ['-x', '-D', SERVICE_DN, '-w', SERVICE_PASSWORD, '-LLL', '-o', 'ldif-wrap=no'];
        const asked = ['-H', `ldap://127.0.0.1:${port}`, '-b', `cn=all-users,ou=groups,${BASE}`];
        const env = { PATH: '/usr/bin:/bin', LDAPCONF: '/dev/null' };
        const printed = await must('ldapsearch', [...account, ...asked, '-E', '!deref=member:uid', 'cn'], { env });
        return printed.split('\n').filter((line) => line.startsWith('# member: '));
      };
      const [mine, theirs] = [await read(world.ours), await read(world.slapd)];
      assert.ok(mine.some((line) => line.includes('uid=alice')) && mine.length === 27, mine.join('\n'));
      assert.deepEqual(mine.map((line) => line.toLowerCase()).sort(), theirs.map((line) => line.toLowerCase()).sort());
    });
  });

  test('sssd: with a certificate and no bind it sees the same as slapd shows anybody', async () => {
    const pair = await open('ldaps', false);
    for (const row of SSSD.filter(({ name }) => /a user by name|initgroups|sudo, all rules of/.test(name))) {
      await agreeOn(pair, row);
    }
  });
});
