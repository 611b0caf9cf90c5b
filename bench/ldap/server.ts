import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { must } from '../../e2e/harness/run.ts';
import { createApp } from '../../server/src/app/app.ts';
import { search } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { wireClient } from '../../server/src/ldap/testing/wire-client.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { enrolTestHost } from '../../server/src/testing/test-host.ts';

/**
 * The whole server in a process of its own, with people from a file, anonymous searches and no limits of rate. Prints
 * where it listens once it serves them all and what that took; ends with its standard input.
 */

const CHANGED = 20;
const { users, folder, account, password } = JSON.parse(process.argv[2]!) as {
  users: number;
  folder: string;
  account: string;
  password: string;
};

const file = join(folder, 'people.json');
const [port, tlsPort] = [await freePort(), await freePort()];
const config = testConfig(folder, {
  IDENTREE_DIRECTORY_SOURCE: 'file',
  IDENTREE_DIRECTORY_FILE: file,
  IDENTREE_DIRECTORY_GUARD_POWER: 'publish',
  IDENTREE_LDAP_BASE_DN: BASE,
  IDENTREE_LDAP_LISTEN_ADDR: `127.0.0.1:${port}`,
  IDENTREE_LDAP_TLS_LISTEN_ADDR: `127.0.0.1:${tlsPort}`,
  IDENTREE_LDAP_EXTERNAL_URL: `ldaps://ldap.test:${tlsPort}`,
  IDENTREE_LDAP_TLS_CLIENT_CERTIFICATES: 'required',
  IDENTREE_LDAP_BIND_DN: account,
  IDENTREE_LDAP_BIND_PASSWORD: password,
  IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true',
  IDENTREE_LDAP_SUDO_USER_STYLE: 'group',
  IDENTREE_LDAP_MAX_SEARCH_RESULTS: '0',
  IDENTREE_LDAP_MAX_CONNECTIONS_PER_IP: '4096',
  IDENTREE_LDAP_SEARCH_RATE: '0',
  IDENTREE_LDAP_SEARCH_RATE_PER_IP: '0',
});

/** What the server did until `isServed`, in milliseconds. */
async function timed(isServed: () => Promise<boolean>): Promise<{ ms: number; cpuMs: number }> {
  const [started, before] = [performance.now(), process.cpuUsage()];
  while (!(await isServed())) await sleep(50);
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - started, cpuMs: (user + system) / 1000 };
}

async function served(base: string, attribute: string): Promise<string | undefined> {
  const client = await wireClient(port);
  client.write(search(1, { base, scope: 0, attributes: [attribute] }));
  const [entry] = await client.until(1);
  client.close();
  return entry?.attributes?.get(attribute)?.[0];
}

async function writePeople(changed: number): Promise<string> {
  const next = `${file}.next`;
  await must(process.execPath, [join(import.meta.dirname, 'people.ts'), next, String(users), String(changed)]);
  return next;
}

const workers = new Set<Worker>();
process.on('worker', (worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
});

await rename(await writePeople(0), file);
const app = await createApp(config, { clock: systemClock });
const sync = timed(async () => (await served('', 'lastUSN').catch(() => undefined)) !== undefined);
await app.listen();
const first = await sync;
const next = await writePeople(CHANGED);
// A second is the least by which sssd can tell that an entry has changed.
await sleep(1000);
await rename(next, file);
const last = `uid=u${String(CHANGED - 1).padStart(6, '0')},ou=people,${BASE}`;
const change = await timed(async () => (await served(last, 'givenName')) === 'Renamed');

const host = await enrolTestHost(app, systemClock, 'web1.example.com');
// In service: the thread that worked on the directory ends when there has been nothing to do for a minute.
while (workers.size > 1) await sleep(500);
const ready = {
  port,
  tlsPort,
  pid: process.pid,
  first,
  change,
  tls: { ca: host.grant.caBundle, certificate: host.grant.certificate, key: host.tlsKey },
};
process.stdout.write(`${JSON.stringify(ready)}\n`);
process.stdin.on('end', () => void app.close().then(() => process.exit(0))).resume();
