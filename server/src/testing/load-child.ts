import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { systemClock } from '../platform/clock.ts';
import type { Told } from './journal.ts';
import { enrolTestHost } from './test-host.ts';

/** Where a server under load says what it does. */
export interface LoadChild {
  config: Config;
  /** How many hosts ask at a time. */
  hosts: number;
  /** Written once it works: its ports. */
  ready: string;
  /** What its clients were told, a line of JSON each. */
  journal: string;
}

/** What it writes when it is ready. */
export interface LoadPorts {
  http: number;
  ldap: number | null;
}

/** A server whose database or whose own time is taken away: hosts ask it for as long as it lives. */
const { config, hosts: count, ready, journal } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as LoadChild;
const app = await createApp(config);
await app.listen();
const run = String(process.pid);
const hosts = await Promise.all(
  Array.from({ length: count }, (_, i) => enrolTestHost(app, systemClock, `web${i}-${run}.example.com`)),
);
const ports: LoadPorts = {
  http: (app.http.server.address() as AddressInfo).port,
  ldap: app.directory?.ports()[0] ?? null,
};
writeFileSync(ready, JSON.stringify(ports));

const note = (told: Told): void => appendFileSync(journal, `${JSON.stringify(told)}\n`);

/** Sends something, and notes what is said when it is refused. */
async function ask(send: () => ReturnType<(typeof hosts)[number]['send']>) {
  const at = Date.now();
  const before = performance.now();
  const answer = await send();
  const ms = Math.round(performance.now() - before);
  if (answer.status < 300) return { body: answer.body, ms };
  const { code = '', message = '' } = answer.body.error ?? {};
  note({ kind: 'refused', code, message, at, ms });
  await sleep(20);
  return null;
}

await Promise.all(
  hosts.map(async (host) => {
    async function create(user: string): Promise<string | null> {
      const created = await ask(() => host.send('POST', '/challenges', host.createBody(host.record({ user }))));
      if (created === null) return null;
      const { challengeId, status } = created.body as { challengeId: string; status: 'pending' | 'approved' };
      note({ kind: 'created', id: challengeId, status, ms: created.ms });
      return challengeId;
    }
    for (;;) {
      await create('auto');
      const id = await create('alice');
      if (id === null) continue;
      const ended = await ask(() => host.send('DELETE', `/challenges/${id}`));
      if (ended !== null && ended.body.status === 'cancelled') note({ kind: 'cancelled', id, ms: ended.ms });
    }
  }),
);
