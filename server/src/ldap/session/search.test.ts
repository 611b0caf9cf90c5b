import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { element } from '../ber/writer.ts';
import { OID, OP, RESULT } from '../protocol/operation.ts';
import { baseEntry, container, person, smallDirectory, snapshotOf } from '../testing/entries.ts';
import { arbitraryFilter, encodeFilter } from '../testing/filters.ts';
import { cases } from '../testing/long.ts';
import {
  type Answer,
  abandon,
  bind,
  cancel,
  compare,
  extended,
  message,
  pagingControl,
  search,
  type TestSearch,
  unbind,
} from '../testing/messages.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { CERTIFICATE, createTestServer, SERVICE_DN, type TestConnection } from '../testing/session-harness.ts';

const ask = async (connection: TestConnection, ...messages: Uint8Array[]): Promise<Answer[]> => {
  connection.send(...messages);
  return connection.answers();
};
const sample = (users: number, generation = 1) =>
  snapshotOf(sampleEntries(users), { lastUsn: sampleUsn(users), generation });
const dnsOf = (answers: Answer[]): string[] => answers.flatMap(({ dn }) => (dn === undefined ? [] : [dn]));
const root = (id: number, attributes: string[] = ['*', '+']) => search(id, { base: '', scope: 0, attributes });

describe('rootDSE (RFC 4512 5.1)', () => {
  const rootOf = async (connection: TestConnection, attributes?: string[]): Promise<Map<string, string[]>> =>
    (await ask(connection, root(1, attributes)))[0]!.attributes!;

  test('is served to everybody, and tells sssd what it needs', async () => {
    const found = await rootOf(createTestServer({ settings: { allowAnonymous: false } }).connect());
    assert.deepEqual(found.get('namingContexts'), [BASE]);
    assert.deepEqual(found.get('defaultNamingContext'), [BASE]);
    assert.deepEqual(found.get('lastUSN'), ['1000000']);
    assert.deepEqual(found.get('supportedLDAPVersion'), ['3']);
    assert.deepEqual(found.get('subschemaSubentry'), ['cn=subschema']);
    assert.ok(found.get('supportedControl')!.includes(OID.paging));
    assert.ok(found.get('supportedExtension')!.includes(OID.whoAmI));
    assert.deepEqual(found.get('objectClass'), ['top']);
  });

  test('is never taken for that of Active Directory', async () => {
    const found = await rootOf(createTestServer().connect(), ['highestCommittedUSN', 'domainControllerFunctionality']);
    assert.equal(found.size, 0);
  });

  test('offers StartTLS only where it can be used', async () => {
    const offers = async (connection: TestConnection) =>
      (await rootOf(connection)).get('supportedExtension')!.includes(OID.startTls);
    assert.equal(await offers(createTestServer().connect()), false);
    assert.equal(await offers(createTestServer({ tls: true }).connect()), true);
    assert.equal(await offers(createTestServer({ tls: true }).connect({ secure: true })), false);
  });

  test('offers EXTERNAL to who showed a certificate, and the version to who has authenticated', async () => {
    const server = createTestServer();
    const nobody = await rootOf(server.connect());
    assert.deepEqual([nobody.has('supportedSASLMechanisms'), nobody.has('vendorVersion')], [false, false]);
    const host = await rootOf(server.connect({ certificate: CERTIFICATE }));
    assert.deepEqual([host.get('supportedSASLMechanisms'), host.get('vendorVersion')], [['EXTERNAL'], ['9.9']]);
  });

  test('filters and attribute lists mean here what they mean everywhere', async () => {
    const connection = createTestServer().connect();
    const found = async (options: TestSearch) =>
      (await ask(connection, search(1, { base: '', scope: 0, ...options })))[0]!.attributes;
    assert.deepEqual([...(await found({}))!.keys()], ['objectClass']);
    assert.deepEqual([...(await found({ attributes: ['LASTUSN'] }))!.keys()], ['lastUSN']);
    assert.equal(await found({ filter: '(objectClass=person)' }), undefined);
  });

  test('a search below the root finds no object', async () => {
    const [answer] = await ask(createTestServer().connect(), search(1, { base: '' }));
    assert.equal(answer!.code, RESULT.noSuchObject);
  });
});

describe('cn=subschema', () => {
  test('describes everything that is served', async () => {
    const [found] = await ask(
      createTestServer().connect(),
      search(1, { base: 'CN=Subschema', scope: 0, attributes: ['+'] }),
    );
    for (const name of ['attributeTypes', 'objectClasses', 'matchingRules', 'ldapSyntaxes']) {
      assert.ok(found!.attributes!.get(name)!.length > 10, name);
    }
  });

  test('needs authentication where searches do', async () => {
    const server = createTestServer({ settings: { allowAnonymous: false } });
    const [answer] = await ask(server.connect(), search(1, { base: 'cn=subschema', scope: 0 }));
    assert.equal(answer!.code, RESULT.insufficientAccessRights);
  });
});

describe('before the first snapshot', () => {
  test('every search and compare is told that the server is busy, never an empty success', async () => {
    const connection = createTestServer({ snapshot: null }).connect();
    for (const request of [
      search(1, { base: BASE }),
      search(1, { base: `ou=people,${BASE}`, scope: 1 }),
      search(1, { base: '', scope: 2 }),
      search(1, { base: BASE, controls: [pagingControl(100)] }),
      compare(1, BASE, 'dc', 'example'),
    ]) {
      const answers = await ask(connection, request);
      assert.deepEqual(
        answers.map(({ code }) => code),
        [RESULT.busy],
      );
    }
  });

  test('rootDSE and subschema are there, without lastUSN', async () => {
    const connection = createTestServer({ snapshot: null }).connect();
    const [found] = await ask(connection, root(1));
    assert.equal(found!.attributes!.has('lastUSN'), false);
    assert.equal(connection.session.sawUnreadyRoot, true);
    assert.equal((await ask(connection, search(2, { base: 'cn=subschema', scope: 0 })))[0]!.dn, 'cn=subschema');
  });
});

describe('who may ask', () => {
  test('without authentication: nothing but rootDSE and who am I', async () => {
    const connection = createTestServer({ settings: { allowAnonymous: false } }).connect();
    for (const request of [search(1, { base: BASE }), compare(1, BASE, 'dc', 'example')]) {
      assert.equal((await ask(connection, request))[0]!.code, RESULT.insufficientAccessRights);
    }
    assert.equal((await ask(connection, extended(2, OID.whoAmI)))[0]!.code, RESULT.success);
    assert.equal((await ask(connection, root(3))).length, 2);
  });

  test('where TLS is required: nothing but rootDSE without it', async () => {
    const server = createTestServer({ settings: { requireTls: true } });
    assert.equal((await ask(server.connect(), search(1, { base: BASE })))[0]!.code, RESULT.confidentialityRequired);
    assert.equal((await ask(server.connect(), compare(1, BASE, 'dc', 'x')))[0]!.code, RESULT.confidentialityRequired);
    assert.equal((await ask(server.connect({ secure: true }), search(1, { base: BASE, scope: 0 }))).length, 2);
  });

  test('options that skip authentication go to authenticated connections only', async () => {
    const server = createTestServer();
    const rule = search(2, { base: BASE, filter: '(cn=web)', attributes: ['sudoOption'] });
    const options = (answers: Answer[]) => answers.find(({ dn }) => dn)!.attributes!.get('sudoOption');
    assert.deepEqual(options(await ask(server.connect(), rule)), ['log_output']);
    const bound = await ask(server.connect(), bind(1, SERVICE_DN, 'secret'), rule);
    assert.deepEqual(options(bound), ['!authenticate', 'log_output']);
    assert.deepEqual(options(await ask(server.connect({ certificate: CERTIFICATE }), rule)), [
      '!authenticate',
      'log_output',
    ]);
  });

  test('a host sees only its own sudo rules where that is set', async () => {
    const server = createTestServer({
      settings: { scopeSudoToHost: true },
      checker: { identify: async () => ({ kind: 'host', dn: 'cn=db', hostNames: ['db1'], reference: '' }) },
    });
    const found = await ask(
      server.connect({ certificate: CERTIFICATE }),
      search(1, { base: `ou=sudoers,${BASE}`, scope: 1 }),
    );
    assert.deepEqual(dnsOf(found), [`cn=ops,ou=sudoers,${BASE}`]);
  });

  test('a host that was withdrawn is told so at its next operation, which is its last', async () => {
    let current = true;
    const server = createTestServer({ checker: { isCurrent: async () => current } });
    const connection = server.connect({ certificate: CERTIFICATE });
    const { recheck } = await import('./lifetime.ts');
    await connection.answers();
    await recheck(connection.session);
    assert.equal((await ask(connection, search(1, { base: BASE, scope: 0 }))).at(-1)!.code, RESULT.success);
    current = false;
    await recheck(connection.session);
    const [answer, notice] = await ask(connection, search(2, { base: BASE }));
    assert.equal(answer!.code, RESULT.insufficientAccessRights);
    assert.equal(notice!.responseName, OID.noticeOfDisconnection);
    assert.equal(connection.closed(), true);
  });
});

describe('paged results (RFC 2696)', () => {
  const users = (size: number, cookie: Uint8Array | string = ''): TestSearch => ({
    base: `ou=people,${BASE}`,
    scope: 1,
    attributes: ['uid'],
    controls: [pagingControl(size, cookie)],
  });

  async function pages(connection: TestConnection, size: number, between: () => void = () => {}): Promise<string[][]> {
    const found: string[][] = [];
    let cookie: Buffer | string = '';
    for (let id = 1; ; id++) {
      const answers = await ask(connection, search(id, users(size, cookie)));
      const done = answers.at(-1)!;
      assert.equal(done.code, RESULT.success);
      found.push(dnsOf(answers));
      cookie = done.cookie!;
      if (cookie.length === 0) return found;
      between();
    }
  }

  test('pages of any size together are the whole, each entry once', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    const whole = dnsOf(await ask(server.connect(), search(1, { ...users(1), controls: [] })));
    assert.equal(whole.length, 57);
    for (const size of [1, 7, 19, 56, 57, 58, 1000]) {
      const found = await pages(server.connect(), size);
      assert.deepEqual(found.flat(), whole);
      assert.ok(found.every((page, index) => page.length === Math.min(size, 57) || index === found.length - 1));
    }
  });

  test('whatever is asked for, pages of any size are what one answer is, whenever a new snapshot comes', async () => {
    const snapshot = sample(12);
    const filters = arbitraryFilter(
      ['uid', 'cn', 'uidNumber', 'memberUid', 'objectClass', 'sudoHost', 'nosuch'],
      ['u000001', 'u00002', 'posixAccount', 'posixGroup', '200010', 'g000001', 'ALL', 'User Number 000005'],
    ).map(encodeFilter);
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 40 }), fc.nat(5), async (filter, size, swapAfter) => {
        const server = createTestServer({ snapshot });
        const connection = server.connect();
        const whole = dnsOf(await ask(connection, search(1, { base: BASE, filter, attributes: ['1.1'] })));
        const found: string[] = [];
        let cookie: Buffer | string = '';
        for (let id = 2; id === 2 || cookie.length > 0; id++) {
          const controls = [pagingControl(size, cookie)];
          const answers = await ask(connection, search(id, { base: BASE, filter, attributes: ['1.1'], controls }));
          assert.equal(answers.at(-1)!.code, RESULT.success);
          found.push(...dnsOf(answers));
          cookie = answers.at(-1)!.cookie!;
          if (id === swapAfter + 2) server.publish(sample(3, 2));
        }
        assert.deepEqual(found, whole);
      }),
      { numRuns: cases(80, 3000) },
    );
  });

  test('a new snapshot in between neither skips nor repeats', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    let generation = 1;
    const found = await pages(server.connect(), 10, () => {
      if (generation < 4) server.publish(sample(57 - ++generation * 5, generation));
    });
    assert.equal(new Set(found.flat()).size, 57);
  });

  test('three older snapshots are kept for those who page through them, not more', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    const connection = server.connect();
    const cookieOf = async () => (await ask(connection, search(1, users(10)))).at(-1)!.cookie!;
    const [kept, dropped] = [await cookieOf(), await cookieOf()];
    for (let generation = 2; generation <= 4; generation++) server.publish(sample(20, generation));
    assert.equal((await ask(connection, search(2, users(10, kept)))).at(-1)!.code, RESULT.success);
    server.publish(sample(20, 5));
    assert.equal((await ask(connection, search(3, users(10, dropped)))).at(-1)!.code, RESULT.unwillingToPerform);
  });

  test('nor for a search whose answer is taken too slowly: it is told that the server is busy, and not less than all', async () => {
    const server = createTestServer({ snapshot: sample(3000), limits: { writeBuffer: 100_000 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, { base: BASE }));
    await server.settle();
    for (let generation = 2; generation <= 5; generation++) server.publish(sample(20, generation));
    connection.drain();
    const answers = await connection.answers();
    assert.equal(answers.at(-1)!.code, RESULT.busy);
    assert.ok(answers.length < 6000);
  });

  test('an idle connection keeps no older snapshot in memory', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    const connection = server.connect();
    await ask(connection, bind(1, SERVICE_DN, 'secret'), search(2, users(10)));
    assert.ok(connection.session.view !== null);
    server.publish(sample(20, 2));
    assert.ok((connection.session.view as unknown) === null);
  });

  test('the server’s own size limit does not cut paged searches short; the page size has one', async () => {
    const server = createTestServer({ snapshot: sample(57), limits: { searchResults: 10, pageSize: 20 } });
    assert.deepEqual(
      (await pages(server.connect(), 1000)).map(({ length }) => length),
      [20, 20, 17],
    );
    const unpaged = await ask(server.connect(), search(1, { ...users(1), controls: [] }));
    assert.deepEqual([dnsOf(unpaged).length, unpaged.at(-1)!.code], [10, RESULT.sizeLimitExceeded]);
    assert.ok(server.events.some(({ kind }) => kind === 'size-limit'));
  });

  test('the client’s size limit counts over all pages', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    const first = await ask(connection, search(1, { ...users(10), sizeLimit: 15 }));
    const second = await ask(connection, search(2, { ...users(10, first.at(-1)!.cookie), sizeLimit: 15 }));
    assert.deepEqual([dnsOf(second).length, second.at(-1)!.code], [5, RESULT.sizeLimitExceeded]);
  });

  test('a page and the size limit end together: the limit is told on the next page', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    const first = await ask(connection, search(1, { ...users(5), sizeLimit: 10 }));
    const second = await ask(connection, search(2, { ...users(5, first.at(-1)!.cookie), sizeLimit: 10 }));
    assert.deepEqual([dnsOf(second).length, second.at(-1)!.code], [5, RESULT.success]);
    const third = await ask(connection, search(3, { ...users(5, second.at(-1)!.cookie), sizeLimit: 10 }));
    assert.deepEqual([dnsOf(third).length, third.at(-1)!.code], [0, RESULT.sizeLimitExceeded]);
  });

  test('what the size limit fits into one page is not paged', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    for (const size of [5, 6]) {
      const answers = await ask(connection, search(size, { ...users(size), sizeLimit: 5 }));
      assert.deepEqual(
        [dnsOf(answers).length, answers.at(-1)!.code, answers.at(-1)!.cookie],
        [5, RESULT.sizeLimitExceeded, undefined],
      );
    }
  });

  test('a page of nothing is an estimate, and never a success where there is no such base', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    const [estimate] = await ask(connection, search(1, users(0)));
    assert.deepEqual([estimate!.code, estimate!.estimate, estimate!.cookie!.length], [RESULT.success, 57, 0]);
    const [gone] = await ask(connection, search(2, { ...users(0), base: `ou=gone,${BASE}` }));
    assert.equal(gone!.code, RESULT.noSuchObject);
  });

  test('a size of zero gives the rest up', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    const { cookie } = (await ask(connection, search(1, users(10)))).at(-1)!;
    const [given] = await ask(connection, search(2, users(0, cookie)));
    assert.deepEqual([given!.code, given!.cookie!.length], [RESULT.success, 0]);
    assert.equal((await ask(connection, search(3, users(10, cookie))))[0]!.code, RESULT.unwillingToPerform);
  });

  test('a cookie is good once, on its connection, for its search', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    const connection = server.connect();
    const cookieOf = async () => (await ask(connection, search(1, users(10)))).at(-1)!.cookie!;
    const refusal = async (other: TestConnection, request: Uint8Array) =>
      assert.equal((await ask(other, request)).at(-1)!.code, RESULT.unwillingToPerform);
    const used = await cookieOf();
    await ask(connection, search(2, users(10, used)));
    await refusal(connection, search(3, users(10, used)));
    await refusal(server.connect(), search(1, users(10, await cookieOf())));
    await refusal(connection, search(4, { ...users(10, await cookieOf()), filter: '(uid=*)' }));
    await refusal(connection, search(4, { ...users(10, await cookieOf()), base: BASE }));
    await refusal(connection, search(5, users(10, 'made up')));
  });

  test('a cookie does not survive a bind', async () => {
    const connection = createTestServer({ snapshot: sample(57) }).connect();
    const { cookie } = (await ask(connection, search(1, users(10)))).at(-1)!;
    await ask(connection, bind(2, SERVICE_DN, 'secret'));
    assert.equal((await ask(connection, search(3, users(10, cookie))))[0]!.code, RESULT.unwillingToPerform);
  });

  test('cookies are forgotten: the ninth takes the place of the first, and after five minutes', async () => {
    const server = createTestServer({ snapshot: sample(57) });
    const connection = server.connect();
    const cookies: Buffer[] = [];
    for (let id = 1; id <= 9; id++) cookies.push((await ask(connection, search(id, users(10)))).at(-1)!.cookie!);
    const next = async (cookie: Buffer) => (await ask(connection, search(50, users(10, cookie)))).at(-1)!.code;
    assert.equal(await next(cookies[0]!), RESULT.unwillingToPerform);
    assert.equal(await next(cookies[8]!), RESULT.success);
    server.advance(300_001);
    assert.equal(await next(cookies[7]!), RESULT.unwillingToPerform);
  });

  test('a control that cannot be read is answered, and the connection goes on', async () => {
    const connection = createTestServer().connect();
    const junk = search(1, { base: BASE, controls: [{ oid: OID.paging, value: Buffer.from('junk') }] });
    assert.equal((await ask(connection, junk))[0]!.code, RESULT.protocolError);
    assert.equal((await ask(connection, search(2, { base: BASE, scope: 0 }))).length, 2);
  });
});

describe('abandon and cancel', () => {
  const enumerate = (id: number) => search(id, { base: BASE });

  test('an abandoned search is heard of no more', async () => {
    const connection = createTestServer({ snapshot: sample(2000) }).connect();
    connection.send(enumerate(5));
    const answers = await ask(connection, abandon(6, 5));
    assert.ok(answers.length > 0 && answers.length < 4000);
    assert.ok(answers.every(({ tag }) => tag === OP.searchEntry));
  });

  test('a cancelled search ends with 118, the cancel with 0', async () => {
    const connection = createTestServer({ snapshot: sample(2000) }).connect();
    connection.send(enumerate(5));
    const answers = await ask(connection, cancel(6, 5));
    assert.deepEqual(
      answers.slice(-2).map(({ id, code }) => [id, code]),
      [
        [5, RESULT.canceled],
        [6, RESULT.success],
      ],
    );
  });

  test('what is not under way cannot be cancelled', async () => {
    const connection = createTestServer().connect();
    assert.equal((await ask(connection, cancel(1, 77)))[0]!.code, RESULT.noSuchOperation);
    assert.equal((await ask(connection, extended(1, OID.cancel)))[0]!.code, RESULT.protocolError);
    assert.deepEqual(await ask(connection, abandon(2, 77)), []);
  });

  test('a lookup is answered while an enumeration goes on', async () => {
    const connection = createTestServer({ snapshot: sample(2000) }).connect();
    connection.send(enumerate(5));
    const answers = await ask(connection, search(6, { base: BASE, filter: '(uid=u000007)' }));
    const done = (id: number) => answers.findIndex((answer) => answer.id === id && answer.tag === OP.searchDone);
    assert.ok(done(6) < done(5));
  });
});

describe('everything else', () => {
  test('changes are refused with 53', async () => {
    const connection = createTestServer().connect();
    for (const [tag, answer] of [
      [0x66, 0x67],
      [0x68, 0x69],
      [0x4a, 0x6b],
      [0x6c, 0x6d],
    ] as const) {
      const [found] = await ask(connection, message(1, element(tag, 'cn=x')));
      assert.deepEqual(
        [found!.tag, found!.code, found!.text],
        [answer, RESULT.unwillingToPerform, 'read-only directory'],
      );
    }
    assert.equal((await ask(connection, extended(2, OID.passwordModify)))[0]!.code, RESULT.unwillingToPerform);
  });

  test('an extended operation that nobody knows: 2', async () => {
    assert.equal((await ask(createTestServer().connect(), extended(1, '1.2.3.4')))[0]!.code, RESULT.protocolError);
  });

  test('a critical control that nobody knows: 12, and nothing is done', async () => {
    const answers = await ask(
      createTestServer().connect(),
      search(1, { base: BASE, controls: [{ oid: '1.2.3', critical: true }] }),
    );
    assert.deepEqual(
      answers.map(({ code }) => code),
      [RESULT.unavailableCriticalExtension],
    );
  });

  test('a base that is no DN: 34, and the connection stays', async () => {
    const connection = createTestServer().connect();
    assert.equal((await ask(connection, search(1, { base: 'no dn' })))[0]!.code, RESULT.invalidDnSyntax);
    assert.equal((await ask(connection, search(2, { base: BASE, scope: 0 }))).length, 2);
  });

  test('a scope that does not exist: 2, and the connection stays', async () => {
    const connection = createTestServer().connect();
    assert.equal((await ask(connection, search(1, { base: BASE, scope: 7 })))[0]!.code, RESULT.protocolError);
    assert.equal(connection.closed(), false);
  });

  test('unbind ends the connection without a word', async () => {
    const connection = createTestServer().connect();
    assert.deepEqual(await ask(connection, unbind(1), search(2, { base: BASE })), []);
    assert.equal(connection.closed(), true);
  });

  test('a message id that is still in use ends the connection', async () => {
    const connection = createTestServer({ snapshot: sample(2000) }).connect();
    const answers = await ask(connection, search(5, { base: BASE }), search(5, { base: BASE }));
    assert.equal(answers.at(-1)!.responseName, OID.noticeOfDisconnection);
    assert.equal(connection.closed(), true);
  });

  test('queries are counted by where they begin', async () => {
    const server = createTestServer();
    const connection = server.connect();
    for (const base of ['', BASE, `ou=people,${BASE}`, `OU=Groups,${BASE}`, `ou=sudoers,${BASE}`, 'cn=subschema']) {
      await ask(connection, search(1, { base, scope: 0 }));
    }
    assert.deepEqual(server.context.stats.queries, {
      rootdse: 1,
      subschema: 1,
      base: 1,
      people: 1,
      groups: 1,
      sudoers: 1,
      other: 0,
    });
  });

  test('a new snapshot is seen by the next search', async () => {
    const server = createTestServer();
    const connection = server.connect();
    const find = () => ask(connection, search(1, { base: BASE, filter: '(uid=newcomer)' }));
    assert.equal((await find()).length, 1);
    server.publish(snapshotOf([...smallDirectory(), person('newcomer', 9)], { generation: 2 }));
    assert.equal((await find()).length, 2);
    server.publish(snapshotOf([baseEntry(), container('people')], { generation: 3 }));
    assert.equal((await find()).length, 1);
  });
});
