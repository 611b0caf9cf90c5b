import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import ldapjs, { type Client as LdapJs, type SearchOptions } from 'ldapjs';
import { Client, type ClientOptions } from 'ldapts';
import { OID } from '../../server/src/ldap/protocol/operation.ts';
import {
  BASE_DN,
  copyAgentCertificate,
  type DirectoryWorld,
  group,
  openDirectoryWorld,
  SERVICE,
  user,
} from '../harness/directory.ts';
import { SERVER_NAME } from '../harness/lab.ts';
import type { RunResult } from '../harness/run.ts';
import { skip } from '../harness/world.ts';
import { GROUPS, PEOPLE, SUDOERS } from './seen.ts';

const NAMES = ['ada', 'barbara', 'dennis', 'edsger', 'frances', 'grace', 'linus'];
const HOST_DN = `uid=web1.example.com,ou=identree-hosts,${BASE_DN}`;
const ADA = `uid=ada,${PEOPLE}`;

/** How a client comes to the directory, and who it is then. */
const WAYS = [
  { way: 'plain', tls: null, identity: SERVICE.dn },
  { way: 'StartTLS and a certificate', tls: 'starttls', identity: HOST_DN },
  { way: 'LDAPS and a certificate', tls: 'ldaps', identity: HOST_DN },
] as const;
type Way = (typeof WAYS)[number];

/** Programs that others wrote, against the server. */
describe('LDAP clients that nobody here wrote', { concurrency: 4 }, () => {
  let world: DirectoryWorld;
  /** Anew each time: both libraries write into it. */
  let own: () => ConnectionOptions;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      content: {
        users: NAMES.map((name) => user(name)),
        groups: [group('ops', ['ada'], { sudoCommands: 'ALL' }), group('developers', ['linus', 'grace'])],
      },
      env: { IDENTREE_LDAP_BIND_DN: SERVICE.dn, IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password },
    });
    const host = world.host();
    await copyAgentCertificate(host);
    const [ca, cert, key] = await Promise.all(
      ['ca.crt', 'client.crt', 'client.key'].map((name) => host.read(`/etc/identree/${name}`)),
    );
    own = () => ({ ca, cert, key, servername: SERVER_NAME });
  });
  after(() => world?.close());

  const url = ({ tls }: Pick<Way, 'tls'>, name: string): string =>
    tls === 'ldaps' ? `ldaps://${name}:636` : `ldap://${name}:389`;
  const sorted = (values: unknown): string[] => [values ?? []].flat().map(String).sort();

  describe('the tools of OpenLDAP on Debian', () => {
    const FILES = {
      LDAPTLS_CACERT: '/etc/identree/ca.crt',
      LDAPTLS_CERT: '/etc/identree/client.crt',
      LDAPTLS_KEY: '/etc/identree/client.key',
      LDAPTLS_REQCERT: 'demand',
    };
    const env = Object.entries(FILES).map(([name, value]) => `${name}=${value}`);
    const account = ['-x', '-D', SERVICE.dn, '-w', SERVICE.password];
    const tool = (way: Pick<Way, 'tls'>, name: string, ...args: string[]): Promise<RunResult> => {
      const credentials = way.tls === null ? [] : ['-Q', '-Y', 'EXTERNAL'];
      const upgrade = way.tls === 'starttls' ? ['-ZZ'] : [];
      return world.host().exec(['env', ...env, name, '-H', url(way, SERVER_NAME), ...upgrade, ...credentials, ...args]);
    };

    for (const way of WAYS) {
      const who = way.tls === null ? account : [];
      test(`ldapwhoami, ldapsearch and ldapcompare over ${way.way}`, { skip }, async () => {
        assert.equal((await tool(way, 'ldapwhoami', ...who)).stdout.trim(), `dn:${way.identity}`);

        const found = await tool(way, 'ldapsearch', ...who, '-LLL', '-b', BASE_DN, '(uid=ada)', 'uid', 'gecos');
        assert.equal(found.stdout.trim(), `dn: ${ADA}\nuid: ada\ngecos: Ada Sample`);
        const paged = await tool(
          way,
          ...(['ldapsearch', ...who, '-LLL', '-b', PEOPLE, '-E', 'pr=2/noprompt'] as const),
          ...['(objectClass=posixAccount)', 'uid'],
        );
        assert.equal(paged.code, 0, paged.stderr);
        assert.deepEqual(sorted([...paged.stdout.matchAll(/^uid: (.*)$/gm)].map(([, name]) => name)), NAMES);

        const compare = (assertion: string) => tool(way, 'ldapcompare', ...who, ADA, assertion);
        assert.deepEqual([(await compare('uid:ADA')).code, (await compare('uid:bob')).code], [6, 5]);
        assert.equal((await compare('mobile:1')).code, 16, 'no such attribute');
      });
    }

    test('what is not there, not allowed or not known is refused with its own code', { skip }, async () => {
      const [plain] = WAYS;
      const code = async (name: string, ...args: string[]): Promise<number> => (await tool(plain, name, ...args)).code;
      assert.equal(await code('ldapsearch', ...account, '-b', `ou=nowhere,${BASE_DN}`), 32);
      assert.equal(await code('ldapsearch', ...account, '-b', 'no dn'), 34);
      assert.equal(await code('ldapsearch', '-x', '-b', BASE_DN), 48, 'anonymous bind');
      assert.equal(await code('ldapsearch', '-x', '-D', SERVICE.dn, '-w', 'wrong', '-b', BASE_DN), 49);
      assert.equal(await code('ldapsearch', ...account, '-b', BASE_DN, '-E', '!sync=ro', '(uid=ada)'), 12);
      assert.equal(await code('ldapdelete', ...account, ADA), 53, 'read-only');
      const changed = await tool(plain, 'ldappasswd', ...account, '-s', 'secret', ADA);
      assert.match(changed.stdout + changed.stderr, /\(53\)/);
      const root = await tool(plain, 'ldapsearch', ...account, '-LLL', '-b', '', '-s', 'base', '+', '*');
      assert.match(root.stdout, new RegExp(`^supportedExtension: ${OID.startTls.replaceAll('.', '\\.')}$`, 'm'));
    });
  });

  for (const way of WAYS) {
    test(`ldapts over ${way.way}`, { skip }, async () => {
      const options: ClientOptions = { url: url(way, world.lab.frontAddress), timeout: 20_000 };
      const client = new Client(way.tls === 'ldaps' ? { ...options, tlsOptions: own() } : options);
      if (way.tls === 'starttls') await client.startTLS(own());
      if (way.tls === null) await client.bind(SERVICE.dn, SERVICE.password);
      else await client.bind('EXTERNAL');
      assert.equal((await client.exop(OID.whoAmI)).value, `dn:${way.identity}`);

      const { searchEntries } = await client.search(BASE_DN, { filter: '(&(cn=developers)(objectClass=posixGroup))' });
      assert.equal(searchEntries.length, 1);
      assert.deepEqual(sorted(searchEntries[0]?.memberUid), ['grace', 'linus']);
      const people = await client.search(PEOPLE, { filter: '(uid=*)', scope: 'one', paged: { pageSize: 3 } });
      assert.deepEqual(sorted(people.searchEntries.map(({ uid }) => uid)), NAMES);
      assert.deepEqual(
        [await client.compare(ADA, 'uid', 'ada'), await client.compare(ADA, 'uid', 'bob')],
        [true, false],
      );
      await assert.rejects(client.del(ADA), /0x35/);
      await client.unbind();
    });

    test(`ldapjs over ${way.way}`, { skip }, async () => {
      const client = ldapjs.createClient({
        url: url(way, world.lab.frontAddress),
        timeout: 20_000,
        ...(way.tls === 'ldaps' ? { tlsOptions: own() } : {}),
      });
      const failed = new Promise<never>((_, reject) => {
        for (const event of ['error', 'connectError', 'connectTimeout']) client.on(event, reject);
      });
      const step = <T>(run: (done: (error: Error | null, value: T) => void) => void): Promise<T> =>
        Promise.race([
          failed,
          new Promise<T>((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value)))),
        ]);
      await step((done) => client.once('connect', () => done(null, null)));
      if (way.tls === 'starttls') await step((done) => client.starttls(own(), [], done));
      // It knows no SASL; the certificate alone says who it is.
      if (way.tls === null) await step((done) => client.bind(SERVICE.dn, SERVICE.password, done));
      assert.equal(await step((done) => client.exop(OID.whoAmI, '', done)), `dn:${way.identity}`);

      const find = (base: string, options: SearchOptions) =>
        step<Found[]>((done) => search(client, base, options, done));
      const [rule] = await find(SUDOERS, { scope: 'sub', filter: '(cn=ops)' });
      assert.deepEqual([rule?.sudoUser, rule?.sudoCommand], [['ada'], ['ALL']]);
      const people = await find(PEOPLE, {
        scope: 'one',
        filter: '(uid=*)',
        paged: { pageSize: 3 },
        attributes: ['uid'],
      });
      assert.deepEqual(sorted(people.flatMap(({ uid }) => uid ?? [])), NAMES);
      assert.equal((await find(GROUPS, { scope: 'sub', filter: '(memberUid=ada)' })).length, 2);
      const isAda = (name: string) => step<boolean | undefined>((done) => client.compare(ADA, 'uid', name, done));
      assert.deepEqual([await isAda('ada'), await isAda('bob')], [true, false]);
      await assert.rejects(
        step((done) => client.del(ADA, (error) => done(error, null))),
        ldapjs.UnwillingToPerformError,
      );
      await step((done) => client.unbind((error) => done(error ?? null, null)));
    });
  }
});

type Found = Record<string, string[]>;

/** Everything that a search of ldapjs finds. */
function search(
  client: LdapJs,
  base: string,
  options: SearchOptions,
  done: (error: Error | null, found: Found[]) => void,
): void {
  client.search(base, options, (error, response) => {
    if (error) return done(error, []);
    const found: Found[] = [];
    response.on('searchEntry', ({ pojo }) => {
      found.push(Object.fromEntries(pojo.attributes.map(({ type, values }) => [type, values])));
    });
    response.on('error', (problem) => done(problem, []));
    response.on('end', () => done(null, found));
  });
}
