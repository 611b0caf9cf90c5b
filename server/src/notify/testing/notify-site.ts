import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { App } from '../../app/app.ts';
import type { Approval } from '../../challenges/showing.ts';
import type { Database } from '../../db/database.ts';
import { kysely } from '../../db/query.ts';
import { TEST_FOLDER } from '../../db/test-postgres.ts';
import { findCursor } from '../../events/cursor-store.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { enrolTestHost } from '../../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../../testing/test-person.ts';
import type { Changed } from '../configured.ts';
import type { DeliveryView } from '../deliveries.ts';
import type { NotifySeams } from '../module.ts';
import { createTestChannels } from './test-channels.ts';

/** Waits until something holds; far longer than it takes, so that what never comes is told. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 180_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never held: ${holds}`);
    await sleep(10);
  }
}

/** Resolves when a server tells of events: what happens before it does is told to nobody. */
export async function untilItTells(app: Pick<App, 'db'>): Promise<void> {
  await until(async () => (await findCursor(app.db.query, 'notify')) !== null);
}

/** A whole server that tells people what happens, some of these people, and a host. */
export async function openNotifySite(
  t: Pick<TestContext, 'after'>,
  driver: Database['driver'],
  seams: Partial<NotifySeams> = {},
) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-notify-'));
  const policiesFile = join(folder, 'policies.json');
  const policy = (policies: object[]) => writeFile(policiesFile, JSON.stringify({ policies }), { mode: 0o600 });
  await policy([]);
  const channels = createTestChannels();
  const provider = createTestProvider();
  const notify = { createChannel: channels.createChannel, ...seams };
  const site = await createTestApp({ driver, config: { policiesFile }, app: { provider, notify } });
  const { app, clock } = site;
  t.after(async () => {
    await site.close();
    await rm(folder, { recursive: true, force: true });
  });
  await app.start();
  await untilItTells(app);
  const signIn = (name: string, groups: string[] = [], more: { passkey?: boolean } = {}) =>
    signInTestPerson(app, provider, clock, name, { groups, ...more });
  const olga = await signIn('olga', ['admins']);

  /** What of an event became of telling it. */
  const deliveries = async (filter: object = {}): Promise<DeliveryView[]> =>
    (await olga.query<{ deliveries: DeliveryView[] }>('notify.deliveries.list', { limit: 200, ...filter })).data
      .deliveries;

  const self = {
    ...site,
    policy,
    channels,
    olga,
    signIn,
    host: await enrolTestHost(app, clock, 'web1.example.com'),
    deliveries,
    /** Sets a channel up; a shared one unless it is said whose it is. */
    async channel(name: string, more: { of?: TestPerson } & Record<string, unknown> = {}): Promise<void> {
      const { of, ...input } = more;
      const settings = { url: `https://hooks.example.com/${name}/secret` };
      const made = { name, kind: 'ntfy', settings, personal: of !== undefined, ...input };
      const { data, refusal } = await (of ?? olga).mutate<Changed>('notify.channels.add', made);
      if (!data?.ok) throw new Error(`${name}: ${refusal ?? JSON.stringify(data)}`);
    },
    /** Sends events to shared channels. */
    async route(names: string[], rule: object = {}): Promise<string> {
      const { data } = await olga.mutate<{ id: string }>('notify.routes.add', { rule: { channels: names, ...rule } });
      return data.id;
    },
    /** Waits until everything that has happened is routed, and what is due of it has ended. */
    async settled(): Promise<void> {
      const { seq } = await app.events.head();
      await until(async () => ((await findCursor(app.db.query, 'notify'))?.seq ?? 0) >= seq);
      await until(async () => {
        app.notify.wake();
        const due = await sql`/* of a test */ select d.id from notify_deliveries as d
          join notify_channels as c on c.name = d.channel
          where d.status = 'queued' and d.due_at <= ${clock.now()} and c.paused = 0`.execute(kysely(app.db.query));
        return due.rows.length === 0;
      });
    },
    /** Ends every request that waits, and forgets who was told of it. */
    async quieten(): Promise<void> {
      for (const { id } of (await olga.query<{ id: string }[]>('challenges.inbox')).data)
        await olga.mutate('challenges.deny', { challengeId: id, reason: null });
      // A new minute for every limit.
      clock.advance(61_000);
      await self.settled();
      channels.told.length = 0;
    },
    /** Approves or denies as a person in front of the page would. */
    async decide(person: TestPerson, how: 'approve' | 'deny', { challengeId, userCode }: ChallengeAnswer) {
      if (how === 'deny') return (await person.mutate('challenges.deny', { challengeId, reason: 'not now' })).refusal;
      const { data } = await person.query<Approval>('challenges.get', { code: userCode });
      const assertion = person.passkey.assert(data.passkey!.options as never);
      return (await person.mutate('challenges.approve', { challengeId, assertion })).refusal;
    },
  };
  return self;
}

export type NotifySite = Awaited<ReturnType<typeof openNotifySite>>;
