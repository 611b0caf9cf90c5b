import type { TestContext } from 'node:test';
import type { Announced } from '../../challenges/announcing.ts';
import type { Database } from '../../db/database.ts';
import { createLeases } from '../../db/leases.ts';
import type { OpenTestDatabase } from '../../db/test-databases.ts';
import { moveCursorBack } from '../../events/cursor-store.ts';
import { createEventLog, type NewEvent } from '../../events/log.ts';
import { createEventReaders } from '../../events/readers.ts';
import { manualClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import { createConfigured, type Operator } from '../configured.ts';
import { createDeliveries } from '../deliveries.ts';
import { createPlanning, type OfPolicy } from '../planning.ts';
import { createNotifyReader } from '../reader.ts';
import { createRoutes } from '../route-rules.ts';
import { type Counted, createSender, type SenderDeps } from '../sender.ts';
import { channelInput, routeRule } from '../settings.ts';
import { until, untilItTells } from './notify-site.ts';
import { createTestChannels } from './test-channels.ts';

const OPERATOR: Operator = { personId: null, isAdmin: true, username: 'olga', remoteAddr: null };

/** Processes on one database, in this one, of which only telling people is left. Requests are what the test says they are. */
export async function notifyCluster(t: TestContext, open: OpenTestDatabase, { now }: { now?: number } = {}) {
  // Who works on it ends before it goes.
  const closing: (() => unknown)[] = [];
  t.after(async () => {
    for (const close of closing.toReversed()) await close();
  });
  const db = await open({ after: (run) => void closing.push(run as () => unknown) });
  const clock = manualClock(now);
  const channels = createTestChannels();
  const writer = await createEventLog({ db, clock, onError: () => {} });
  closing.push(() => writer.close());
  const counts = new Map<string, number>();
  /** Requests that wait. */
  const waiting = new Set<string>();
  const announcing = {
    request: async (id: string): Promise<Announced> => ({
      userCode: id,
      approvalUrl: `https://identree.example.com/approve/${id}`,
      expiresAt: clock.now() + 120_000,
      command: 'sudo id',
      rule: 'default',
      refusalFor: () => null,
    }),
    open: async (ids: readonly string[]) => new Set(ids.filter((id) => waiting.has(id))),
  };
  let policy: OfPolicy = () => ({ channels: [], steps: [] });
  const configured = createConfigured({ db, events: writer, clock, ...channels, wake: () => wakeAll() });
  const routes = createRoutes({ db, events: writer, clock, random: systemRandom });
  const senders = new Set<{ wake(): void }>();
  const wakeAll = () => {
    for (const sender of senders) sender.wake();
  };
  let asked = 0;

  return {
    db,
    clock,
    channels,
    waiting,
    configured,
    deliveries: createDeliveries({ db, events: writer, clock, random: systemRandom, wake: wakeAll }),
    wake: wakeAll,
    count: (channel: string, status: Counted) => counts.get(`${channel} ${status}`) ?? 0,
    ofPolicy(next: OfPolicy): void {
      policy = next;
    },
    /** Sets a shared channel up, and sends every event about a request to it. */
    async channel(name: string, more: object = {}): Promise<void> {
      const input = channelInput.parse({ kind: 'ntfy', settings: {}, foldFrom: 0, ...more });
      const made = await configured.add(name, input, { personal: false }, OPERATOR);
      if (!made.ok) throw new Error(made.problem);
      await routes.add(routeRule.parse({ channels: [name], events: ['challenge_*'] }), true, OPERATOR);
    },
    /** Changes a channel, whatever its revision is. */
    async change(name: string, set: Parameters<typeof configured.change>[2]): Promise<void> {
      const channel = (await configured.list()).find((one) => one.name === name)!;
      await configured.change(name, channel.revision, set, OPERATOR);
    },
    operator: OPERATOR,
    /** A process that routes and delivers. */
    async start(holder: string, { lifeMs = 3600_000, ...more }: Partial<SenderDeps> & { lifeMs?: number } = {}) {
      const events = await createEventLog({ db, clock, onError: () => {} });
      const leases = createLeases({ db, clock, holder, lifeMs });
      const log = { error: () => {} };
      const sender = createSender({
        ...{ db, events, clock, leases, log, announcing },
        random: { int: () => 0 },
        createChannel: channels.createChannel,
        oneTapLink: async () => null,
        mayBeTold: async () => true,
        hostname: 'id1',
        timeoutMs: 15_000,
        forget: configured.forget,
        counted: ({ name }, status, count) =>
          void counts.set(`${name} ${status}`, (counts.get(`${name} ${status}`) ?? 0) + count),
        took: () => {},
        ...more,
      });
      senders.add(sender);
      const planning = createPlanning({
        ...{ db, clock, announcing },
        unreadable: { report: () => ({ unreadable: true, id: '', errorId: '' }) },
        people: { allAbsent: async () => new Map() },
        standing: { personMayAct: () => true },
        hosts: { facts: async () => ({ group: null, lastSeenAt: null }) },
        ofPolicy: (...about) => policy(...about),
      });
      const readers = createEventReaders({ db, events, leases, clock, log });
      const reader = readers.consume('notify', createNotifyReader({ planning, clock, wake: wakeAll }));
      sender.start();
      let stopped: Promise<void> | null = null;
      const stop = () => {
        stopped ??= (async () => {
          senders.delete(sender);
          await reader.stop();
          await sender.stop();
          await events.close();
        })();
        return stopped;
      };
      closing.push(stop);
      await untilItTells({ db: db as Database });
      return { stop, sender };
    },
    /** Requests come in, each of a transaction of its own. @returns their codes */
    async ask(count: number, about: Partial<NewEvent> = {}): Promise<string[]> {
      const made: string[] = [];
      for (let i = 0; i < count; i += 1) {
        asked += 1;
        const challengeId = `r${asked}`;
        waiting.add(challengeId);
        made.push(challengeId);
        const event = { event: 'challenge_created', username: 'alice', hostId: 'h1', hostname: 'web1' } as const;
        const said = { ...event, challengeId, data: { rule: 'default' }, ...about };
        await db.transaction((work) => writer.append(work, said));
      }
      return made;
    },
    /** A request is over. */
    async decide(challengeId: string): Promise<void> {
      waiting.delete(challengeId);
      const event = { event: 'challenge_approved', username: 'alice', hostId: 'h1', hostname: 'web1' } as const;
      await db.transaction((work) => writer.append(work, { ...event, challengeId }));
    },
    /** As if nothing had been routed yet. */
    rewind: () => db.transaction((work) => moveCursorBack(work, 'notify', 0)),
    /** How everything ended or stands that was to be told, oldest first: `event channel: status`. */
    async statuses(channel: string | null = null): Promise<string[]> {
      const filter = { channel, status: null, person: null };
      const page = await this.deliveries.list(filter, { before: null, limit: 1000 });
      return page.deliveries
        .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0) || a.step - b.step)
        .map(({ event, step, status }) => `${event}${step === 0 ? '' : ` ${step}`}: ${status}`);
    },
    /** Waits until something holds, and has everybody look again meanwhile. */
    until: (holds: () => boolean | Promise<boolean>) =>
      until(() => {
        wakeAll();
        return holds();
      }),
  };
}
