import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { type OwnPostgres, startOwnPostgres, whyNoPostgres } from '../../server/src/db/test-postgres.ts';
import { until } from '../harness/run.ts';
import type { Replica } from '../harness/server.ts';
import { agentReady, openWorld, type World, skip as whyNoHost } from '../harness/world.ts';

const skip = whyNoHost || (whyNoPostgres() ?? false);

describe('a host that knows two servers which share a database', () => {
  let postgres: OwnPostgres;
  let database: pg.Client;
  let world: World;
  let second: Replica;
  before(async () => {
    if (skip) return;
    postgres = await startOwnPostgres();
    const dsn = postgres.dsn('postgres');
    database = new pg.Client({ connectionString: dsn });
    await database.connect();
    world = await openWorld({
      people: [],
      sudo: 'plugin',
      policy: [
        { name: 'bob', match_users: ['bob'], approval: 'passkey' },
        { name: 'default', approval: 'none' },
      ],
      env: { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: dsn },
    });
    second = await world.server.replica(8444);
  });
  after(async () => {
    await world?.close();
    await database?.end();
    postgres?.end();
  });

  const know = async (...urls: string[]): Promise<void> => {
    const host = world.host();
    await host.write('/etc/identree/client.conf', `IDENTREE_SERVER_URL=${urls.join(',')}\n`, 0o600);
    await host.sh('systemctl restart identree-agent');
    await agentReady(host);
  };

  const sudo = async (): Promise<void> => {
    const terminal = world.host().terminal('alice', ['sudo', 'true']);
    assert.equal(await terminal.exit, 0, terminal.text());
  };

  test('one stops, and who is refused by the other leaves nobody waiting', { skip }, async () => {
    await know(world.server.url, second.url);
    await sudo();
    process.kill(world.server.pid(), 'SIGSTOP');
    try {
      // Refused without a row: nothing says that its number was used, and the one that is stopped has it still.
      const refused = world.host().terminal('bob', ['sudo', '-n', 'true']);
      assert.equal(await refused.exit, 1, refused.text());
      assert.match(refused.text(), /approv/);
      await Promise.all([sudo(), sudo()]);
    } finally {
      process.kill(world.server.pid(), 'SIGCONT');
    }
    await sudo();
  });

  test('one stops in the middle of everything: nobody is refused, and what it then gets late makes no clone of the host', {
    skip,
  }, async () => {
    const first = world.server.pid();
    await know(world.server.url, second.url);
    await sudo();
    process.kill(first, 'SIGSTOP');
    try {
      // The first of them was sent to the one that is stopped; the others wait for its number.
      await Promise.all([sudo(), sudo(), sudo()]);
      await sudo();
    } finally {
      process.kill(first, 'SIGCONT');
    }
    // It reads what was sent to it then.
    await until(
      'the one that was stopped to have said that it knows the request',
      async () => {
        const { rows } = await database.query(
          `select 1 from events where event = 'host_request_refused' and data like '%nonce_replayed%'`,
        );
        return rows.length > 0;
      },
      60_000,
    );
    await know(world.server.url);
    await sudo();
    const { rows } = await database.query(`select state from hosts where hostname = 'web1.example.com'`);
    assert.deepEqual(rows, [{ state: 'active' }]);
  });
});
