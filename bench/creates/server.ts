import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from '../../server/src/app/app.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { enrolTestHost } from '../../server/src/testing/test-host.ts';
import { createTestProvider } from '../../server/src/testing/test-person.ts';
import { GRANTED_USER, type Ready, type Used } from './messages.ts';

/**
 * A whole server in a process of its own, with hosts that are enrolled. Arguments: a folder, how many hosts, and the
 * libpq URL of a Postgres; without it, it works on SQLite.
 */
const [folder = '', hostCount = '50', dsn] = process.argv.slice(2);
const database: Record<string, string> =
  dsn === undefined ? {} : { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: dsn };
const policies = [{ name: 'granted', match_users: [GRANTED_USER], approval: 'none' }];
const policiesFile = join(folder, 'policies.json');
writeFileSync(policiesFile, JSON.stringify({ policies }), { mode: 0o600 });
const app = await createApp(
  { ...testConfig(folder, database), policiesFile },
  { provider: createTestProvider(), clock: systemClock },
);
await app.start();
await app.http.listen({ host: '127.0.0.1', port: 0 });
const hosts: Ready['hosts'] = [];
for (let index = 0; index < Number(hostCount); index += 1) {
  const { id, serverId, machineId, key } = await enrolTestHost(app, systemClock, `web${index}.example.com`);
  hosts.push({ id, serverId, machineId, key: String(key.export({ type: 'pkcs8', format: 'pem' })) });
}
const address = app.http.server.address();
if (address === null || typeof address === 'string') throw new Error('the server has no port');

let utilisation = performance.eventLoopUtilization();
let cpu = process.cpuUsage();
process.on('message', async (message) => {
  if (message === 'used') {
    const { active } = performance.eventLoopUtilization(utilisation);
    const { user, system } = process.cpuUsage(cpu);
    utilisation = performance.eventLoopUtilization();
    cpu = process.cpuUsage();
    const rssMb = process.memoryUsage.rss() / 1024 / 1024;
    process.send!({ kind: 'used', mainMs: active, allMs: (user + system) / 1000, rssMb } satisfies Used);
    return;
  }
  await app.close();
  process.disconnect();
});
process.send!({ kind: 'ready', port: address.port, externalUrl: app.config.externalUrl, hosts } satisfies Ready);
