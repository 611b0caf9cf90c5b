import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { RESULT } from './protocol/operation.ts';
import { createLdapService, type LdapOptions } from './start.ts';
import { createTestCa } from './testing/certificates.ts';
import { smallDirectory, snapshotOf } from './testing/entries.ts';
import { search } from './testing/messages.ts';
import { BASE } from './testing/sample-entries.ts';
import { wireClient } from './testing/wire-client.ts';

const look = search(1, { base: BASE, scope: 0, attributes: ['1.1'] });
const own = await (await createTestCa('start CA')).issue('ldap.test', 'server');
const tls = { ...own, clientCa: [], clientCertificates: 'off' } as const;
const quiet = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

function prepare(t: TestContext, over: Partial<LdapOptions> = {}) {
  const service = createLdapService({
    options: {
      listen: { host: '127.0.0.1', port: 0 },
      tlsListen: null,
      maxMessageSize: 65_536,
      maxConnections: 1000,
      maxConnectionsPerAddress: 1000,
      maxSearchResults: 100,
      searchRate: 0,
      searchRatePerAddress: 0,
      allowAnonymous: true,
      requireTls: false,
      sudoHostScope: 'bound',
      service: null,
      ...over,
    },
    checker: { checkBind: () => null, identify: async () => null, isCurrent: async () => true },
    proofs: { key: Buffer.alloc(32), known: () => [], keep: () => {} },
    version: 'test',
    log: quiet,
  });
  t.after(() => service.close());
  return service;
}

async function answerOf(service: ReturnType<typeof prepare>): Promise<number | undefined> {
  const client = await wireClient(service.ports()[0]!);
  client.write(look);
  const code = (await client.until(1)).at(-1)!.code;
  client.close();
  return code;
}

test('a snapshot that comes before the listeners is served from the first connection on', async (t) => {
  const service = prepare(t);
  assert.deepEqual([service.isListening(), service.ports(), await service.stats()], [false, [], null]);
  service.snapshotPort().postMessage(snapshotOf(smallDirectory(), { generation: 1 }));
  await service.listen(tls, () => {});
  assert.equal(service.isListening(), true);
  assert.equal(await answerOf(service), RESULT.success);
  assert.equal((await service.stats())?.queries.base, 1);
});

test('what was withdrawn before the listeners were open is not served, a later generation is', async (t) => {
  const service = prepare(t);
  const port = service.snapshotPort();
  port.postMessage(snapshotOf(smallDirectory(), { generation: 1 }));
  service.withdraw(1);
  await service.listen(tls, () => {});
  assert.equal(await answerOf(service), RESULT.busy);
  port.postMessage(snapshotOf(smallDirectory(), { generation: 2 }));
  while ((await answerOf(service)) === RESULT.busy);
  assert.equal(await answerOf(service), RESULT.success);
});

test('an address that cannot be had is named', async (t) => {
  const occupied = createServer().listen(0, '127.0.0.1');
  await once(occupied, 'listening');
  t.after(() => occupied.close());
  const { port } = occupied.address() as { port: number };
  const service = prepare(t, { listen: { host: '127.0.0.1', port } });
  await assert.rejects(
    service.listen(tls, () => {}),
    (error: Error) => error.message.startsWith(`the directory cannot listen on 127.0.0.1:${port}: `),
  );
  assert.equal(service.isListening(), false);
});
