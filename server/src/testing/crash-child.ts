import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { systemClock } from '../platform/clock.ts';
import { enrolTestHost } from './test-host.ts';

/**
 * A server under load that waits to be killed: hosts ask, policy approves some, hosts cancel others. Takes the path of
 * a JSON configuration; writes `ready` once something was decided.
 */
const config = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Config;
const app = await createApp(config);
const run = String(process.pid);
const hosts = await Promise.all(
  Array.from({ length: 4 }, (_, i) => enrolTestHost(app, systemClock, `web${i}-${run}.example.com`)),
);
await Promise.all(
  hosts.map(async (host) => {
    for (let first = true; ; first = false) {
      await host.create(host.record({ user: 'auto' }));
      const waiting = await host.create(host.record({ user: 'alice' }));
      await host.send('DELETE', `/challenges/${waiting.challengeId}`);
      if (first) writeFileSync(join(config.keysDir, '..', 'ready'), run);
    }
  }),
);
