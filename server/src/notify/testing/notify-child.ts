import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Absent } from '../../auth/resolve-viewer.ts';
import { type Database, openDatabase } from '../../db/database.ts';
import { createLeases } from '../../db/leases.ts';
import { createEventLog } from '../../events/log.ts';
import { createEventReaders } from '../../events/readers.ts';
import { systemClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import { createPlanning } from '../planning.ts';
import { createNotifyReader } from '../reader.ts';
import { createSender } from '../sender.ts';

/** What a process is told to be, as JSON in its first argument. */
export interface NotifyChild {
  name: string;
  driver: Database['driver'];
  dsn: string;
  /** Where its channels deliver to: a line each; several processes write to the same. */
  received: string;
  lifeMs: number;
}

/** What a receiver was given. */
export interface Received {
  id: string;
  channel: string;
  event: string;
  username: string;
}

/** A server of which only telling people is left, that waits to be killed. */
const { name, driver, dsn, received, lifeMs } = JSON.parse(process.argv[2]!) as NotifyChild;
const db = await openDatabase({ driver, dsn, maxConnections: 4 });
const clock = systemClock;
const events = await createEventLog({ db, clock, onError: () => {} });
const leases = createLeases({ db, clock, holder: `${name} ${process.pid}`, lifeMs });
const log = { error: () => {} };
const announcing = { request: async () => null, open: async () => new Set<string>() };
const sender = createSender({
  ...{ db, events, clock, leases, log, announcing },
  random: systemRandom,
  createChannel: ({ name: channel, kind }) => ({
    name: channel,
    kind,
    async deliver({ id, event, username }) {
      await sleep(1);
      appendFileSync(received, `${JSON.stringify({ id, channel, event, username } satisfies Received)}\n`);
      await sleep(1);
      return { outcome: 'delivered' };
    },
  }),
  oneTapLink: async () => null,
  mayBeTold: async () => true,
  hostname: 'id1',
  timeoutMs: 15_000,
  forget: async () => {},
  counted: () => {},
  took: () => {},
});
/** Whoever has a channel may see everything. */
const personOf = (id: string): Absent => ({
  person: {
    ...{ id, issuer: 'https://idp.example.com', subject: id, username: id, displayName: id },
    ...{ groups: [], epoch: 0, sourceId: null },
  },
  role: 'admin',
  accounts: [],
});
const planning = createPlanning({
  ...{ db, clock, announcing },
  unreadable: { report: () => ({ unreadable: true, id: '', errorId: '' }) },
  people: { allAbsent: async (_query, ids) => new Map(ids.map((id) => [id, personOf(id)])) },
  standing: { personMayAct: () => true },
  hosts: { facts: async () => ({ group: null, lastSeenAt: null }) },
  ofPolicy: () => ({ channels: [], steps: [] }),
});
createEventReaders({ db, events, leases, clock, log }).consume(
  'notify',
  createNotifyReader({ planning, clock, wake: sender.wake }),
);
sender.start();
// Its timers and its reader do not keep it alive.
setInterval(() => {}, 60_000);
