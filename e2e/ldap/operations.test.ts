import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { element, integerElement } from '../../server/src/ldap/ber/writer.ts';
import { cases, randomFrom, testSeed } from '../../server/src/ldap/testing/long.ts';
import {
  type Answer,
  abandon,
  bind,
  cancel,
  compare,
  extended,
  message,
  saslBind,
  search,
} from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { type WireClient, wireClient } from '../../server/src/ldap/testing/wire-client.ts';
import { whyNoSlapd } from '../harness/slapd.ts';
import { nameOf } from './canonical.ts';
import { createSearches } from './searches.ts';
import { SERVICE_DN, SERVICE_PASSWORD, startWorld, type World } from './world.ts';

/** What is no search, side by side with slapd: the same result codes, or a reason why not. */

const missing = whyNoSlapd();
const WHO_AM_I = '1.3.6.1.4.1.4203.1.11.3';

describe('other operations side by side with slapd', { skip: missing ?? false }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.stop());

  /** Answers to messages on a connection of its own; what ends it is part of them. */
  async function talk(port: number, messages: readonly Buffer[]): Promise<string[]> {
    const client = await wireClient(port);
    const heard: string[] = [];
    const note = ({ id, tag, code, responseName, responseValue }: Answer): void => {
      if (code !== undefined) heard.push([id, tag, code, responseName ?? '', responseValue ?? ''].join(' '));
    };
    try {
      for (const [index, data] of [...messages, extended(100, WHO_AM_I)].entries()) {
        client.write(data);
        // An abandon has no answer.
        if (index < messages.length && isAbandon(data)) continue;
        note(await client.next());
      }
    } catch {
      heard.push('the end');
    }
    client.close();
    return heard;
  }

  const isAbandon = (data: Buffer): boolean => data[5] === 0x50;
  const bound = bind(1, SERVICE_DN, SERVICE_PASSWORD);
  const rows: [name: string, messages: Buffer[], differs?: string][] = [
    ['an anonymous bind', [bind(1)]],
    ['a good password', [bound]],
    ['a wrong password', [bind(1, SERVICE_DN, 'wrong')]],
    ['a failed bind after a good one', [bound, bind(2, SERVICE_DN, 'wrong')]],
    ['an anonymous bind after a good one', [bound, bind(2)]],
    ['a name without a password', [bind(1, SERVICE_DN, '')]],
    ['a name without a password after a good bind', [bound, bind(2, SERVICE_DN, '')]],
    ['a name that nobody has', [bind(1, `cn=nobody,${BASE}`, 'x')]],
    ['a name that is none', [bind(1, 'nobody', 'x')]],
    ['version 2', [bind(1, SERVICE_DN, SERVICE_PASSWORD, { version: 2 })]],
    ['version 4', [bind(1, SERVICE_DN, SERVICE_PASSWORD, { version: 4 })]],
    [
      'the control that sssd sends with a bind',
      [bind(1, SERVICE_DN, SERVICE_PASSWORD, { controls: [{ oid: '1.3.6.1.4.1.42.2.27.8.5.1' }] })],
    ],
    [
      'a bind with a critical control that nobody knows',
      [bind(1, SERVICE_DN, SERVICE_PASSWORD, { controls: [{ oid: '1.2.3', critical: true }] })],
    ],
    ['an unknown SASL mechanism', [saslBind(1, 'NO-SUCH')]],
    ['an extended operation that nobody knows', [extended(1, '1.2.3.4')]],
    ['abandoning what is not under way', [abandon(1, 77)]],
    ['cancelling what is not under way', [cancel(1, 77)]],
    ['a cancel without a value', [extended(1, '1.3.6.1.1.8')]],
    [
      'message id 0',
      [message(0, element(0x60, integerElement(2, 3), element(4), element(0x80)))],
      'RFC 4511 4.1.1.1 keeps it for what the server says unasked; slapd answers under it',
    ],
    ['an operation that does not exist', [message(1, element(0x7e))]],
    ['the answer to a request', [message(1, element(0x61, element(0x0a, Uint8Array.of(0)), element(4), element(4)))]],
    ['a search with a scope that does not exist', [search(1, { base: BASE, scope: 9 })]],
    ['a negative size limit', [search(1, { base: BASE, scope: 0, sizeLimit: -1 })]],
    [
      'a password without a name',
      [bind(1, '', 'x')],
      'slapd takes it for an anonymous bind; RFC 4513 5.1.2 lets a server refuse',
    ],
  ];

  for (const [name, messages, differs] of rows) {
    test(`${name}${differs === undefined ? '' : ` (differs: ${differs})`}`, async () => {
      const [ours, theirs] = [await talk(world.ours.port, messages), await talk(world.slapd.port, messages)];
      if (differs === undefined) assert.deepEqual(ours, theirs);
      else assert.notDeepEqual(ours, theirs);
    });
  }

  /** Differences between the two that the table of the differential test explains; those are no business of this test. */
  const isOdd = (name: string, attribute: string, value: string): boolean =>
    name === '' ||
    /=#|a;|(^|,)(xdc|nosuch|1\.2)=|GRÖSSE/.test(name) ||
    /^(entryDN|subschemaSubentry|hasSubordinates|nisNetgroupTriple|telephoneNumber|mobile|userCertificate|objectClass;|structuralObjectClass)/i.test(
      attribute,
    ) ||
    /[\u0000\u00ad]/.test(value);

  test('generated compares have the same results', async () => {
    const seed = testSeed('generated compares', 2026);
    const searches = createSearches(world.entries, randomFrom(seed));
    const clients = await Promise.all([world.ours.port, world.slapd.port].map((port) => wireClient(port)));
    const ask = async (client: WireClient, id: number, data: Buffer): Promise<string> => {
      client.write(data);
      const { code, matchedDn = '' } = (await client.until(id)).at(-1)!;
      return `${code} ${JSON.stringify(nameOf(matchedDn))}`;
    };
    for (const client of clients) await ask(client, 1, bound);
    const codes = new Map<string, number>();
    const unlike: string[] = [];
    for (let id = 2; id < cases(2000, 20_000); id++) {
      const { base, filter } = searches.next();
      if (filter.kind !== 'equal' || isOdd(base, filter.attribute, filter.value)) continue;
      const data = compare(id, base, filter.attribute, filter.value);
      const [ours, theirs] = await Promise.all(clients.map((client) => ask(client, id, data)));
      codes.set(ours!, (codes.get(ours!) ?? 0) + 1);
      if (ours !== theirs) unlike.push(`${base} ${filter.attribute}=${filter.value}: ours ${ours}, slapd ${theirs}`);
    }
    for (const client of clients) client.close();
    assert.deepEqual(unlike, []);
    for (const code of ['5 ', '6 ', '16 ', '17 ', '21 ', '32 ', '34 ']) {
      assert.ok(
        [...codes.keys()].some((key) => key.startsWith(code)),
        `no ${code}`,
      );
    }
  });
});
