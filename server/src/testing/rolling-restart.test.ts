import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app/app.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { systemClock } from '../platform/clock.ts';
import { startBalancer } from './balancer.ts';
import { freePort } from './free-port.ts';
import { until } from './load.ts';
import { createTestApp } from './test-app.ts';
import { enrolTestHost } from './test-host.ts';

const RESTARTS = process.env.IDENTREE_LONG === '1' ? 20 : 2;
const SERVERS = 3;

test(`${RESTARTS} restarts of servers under load, one after the other: no request of a host fails`, {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const postgres = await makeTestPostgres();
  const site = await createTestApp({
    env: { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: postgres.dsn },
    now: Date.now(),
  });
  const policies = join(site.config.keysDir, '../policy.json');
  const rules = [{ name: 'auto', match_users: ['auto'], approval: 'none' }];
  await writeFile(policies, JSON.stringify({ policies: rules }), { mode: 0o600 });
  const hosts = await Promise.all(
    Array.from({ length: 4 }, (_, i) => enrolTestHost(site.app, systemClock, `web${i}.example.com`)),
  );

  const ports = await Promise.all(Array.from({ length: SERVERS }, freePort));
  const balancer = await startBalancer(ports);
  const servers = new Map<number, ChildProcess>();
  t.after(async () => {
    for (const server of servers.values()) server.kill('SIGKILL');
    await balancer.close();
    await site.close();
    await postgres.drop();
  });
  async function start(port: number): Promise<void> {
    const child = spawn(process.execPath, ['server/src/main.ts', 'serve'], {
      cwd: join(import.meta.dirname, '../../..'),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
        IDENTREE_EXTERNAL_URL: site.config.externalUrl,
        IDENTREE_LISTEN_ADDR: `127.0.0.1:${port}`,
        // Far longer than the balancer needs to look, also where it shares a busy machine.
        IDENTREE_STOP_DELAY: '3s',
        IDENTREE_KEYS_DIR: site.config.keysDir,
        IDENTREE_DATABASE_DRIVER: 'postgres',
        IDENTREE_DATABASE_DSN: postgres.dsn,
        IDENTREE_APPROVAL_POLICIES_FILE: policies,
        IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
        IDENTREE_OIDC_CLIENT_ID: 'identree',
        IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
        IDENTREE_ADMIN_GROUPS: 'admins',
      },
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000);
    });
    servers.set(port, child);
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
      return balancer.isWell(port);
    });
  }
  await Promise.all(ports.map(start));

  /** Sends what a host asks to the balancer, as it would over the network. */
  const way = {
    config: site.config,
    http: {
      async inject(asked: { method: string; url: string; headers: Record<string, string>; payload?: string | Buffer }) {
        const answer = await fetch(`http://127.0.0.1:${balancer.port}${asked.url}`, {
          method: asked.method,
          headers: asked.headers,
          ...(asked.payload === undefined ? {} : { body: asked.payload as string }),
        });
        const body = await answer.text();
        return { statusCode: answer.status, body, json: () => JSON.parse(body) };
      },
    },
  } as unknown as App;
  let over = false;
  const failed: string[] = [];
  let done = 0;
  const load = hosts.map(async (host, i) => {
    async function send(method: string, path: string, body?: object) {
      const answer = await host.send(method, path, body, {}, way).catch((error) => ({ status: 0, body: { error } }));
      if (answer.status < 200 || answer.status > 299)
        failed.push(`${method} ${path} ${answer.status} ${JSON.stringify(answer.body)}`);
      else done += 1;
      return answer.body as { challengeId?: string };
    }
    while (!over) {
      await send('POST', '/challenges', host.createBody(host.record({ user: 'auto' })));
      const { challengeId } = await send('POST', '/challenges', host.createBody(host.record({ user: `user${i}` })));
      await send('GET', `/challenges/${challengeId}?wait=${1 + (i % 5)}`);
      await send('DELETE', `/challenges/${challengeId}`);
      // Enough to meet every moment of a restart; more would only take time from the servers that start.
      await sleep(50);
    }
  });

  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const port = ports[restart % SERVERS]!;
    const server = servers.get(port)!;
    const ended = once(server, 'exit') as Promise<[number | null]>;
    server.kill('SIGTERM');
    // While it still answers: afterwards this is refused.
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
      return answer.status === 503 && (await answer.text()).includes('stopping');
    });
    const [code] = await ended;
    assert.equal(code, 0);
    await start(port);
  }
  over = true;
  await Promise.all(load);
  assert.deepEqual(failed, []);
  assert.ok(done > RESTARTS * 20, `${done} requests`);
});
