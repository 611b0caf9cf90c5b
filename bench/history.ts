import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../server/src/app/app.ts';
import { kysely } from '../server/src/db/query.ts';
import { lockHead } from '../server/src/events/store.ts';
import type { Viewer } from '../server/src/http/viewer.ts';
import { systemClock } from '../server/src/platform/clock.ts';
import { testConfig } from '../server/src/testing/test-config.ts';
import { enrolTestHost } from '../server/src/testing/test-host.ts';
import { createTestProvider } from '../server/src/testing/test-person.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:history`: what people look at, with 200,000 requests and 1,000,000 events behind it. On SQLite each query
 * holds up everybody else for as long as it takes: the time of the main thread is what is measured.
 *
 *   --json     one JSON object on standard output
 *   --quick    a tenth of it
 */

const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const REQUESTS = quick ? 20_000 : 200_000;
const EVENTS = REQUESTS * 5;
const WAITING = 500;
const RUNS = 40;
const GOAL_MS = 20;
/** Rows of one statement; SQLite binds at most 32,766 values. */
const ROWS = 500;

const folder = mkdtempSync(join(tmpdir(), 'identree-bench-history-'));
const app = await createApp(testConfig(folder), { provider: createTestProvider(), clock: systemClock });
try {
  const host = await enrolTestHost(app, systemClock, 'web1.example.com');
  const { challengeId } = await host.create();
  const { db } = app;
  const [request] = await kysely(db.query).selectFrom('challenges').selectAll().where('id', '=', challengeId).execute();
  const [event] = await kysely(db.query)
    .selectFrom('events')
    .selectAll()
    .where('challenge_id', '=', challengeId)
    .execute();
  if (!request || !event) throw new Error('the first request was not written');
  const idOf = (index: number): string => index.toString(16).padStart(32, '0');
  note(`${REQUESTS} requests ...`);
  for (let from = 0; from < REQUESTS; from += ROWS) {
    const rows = Array.from({ length: ROWS }, (_, offset) => {
      const index = from + offset;
      return {
        ...request,
        id: idOf(index),
        nonce: `nonce ${index}`,
        user_code: `code ${index}`,
        username: index % 2 === 0 ? 'mira' : `user${index % 500}`,
        status: index < REQUESTS - WAITING ? ('approved' as const) : ('pending' as const),
        created_at: request.created_at - (REQUESTS - index) * 1000,
        expires_at: index < REQUESTS - WAITING ? request.created_at : request.created_at + 3_600_000,
        lease_until: request.created_at + 3_600_000,
      };
    });
    await db.transaction(async (work) => {
      for (let part = 0; part < rows.length; part += 100)
        await kysely(work.query)
          .insertInto('challenges')
          .values(rows.slice(part, part + 100))
          .execute();
    });
  }
  note(`${EVENTS} events ...`);
  for (let from = 0; from < EVENTS; from += ROWS) {
    await db.transaction(async (work) => {
      // The server itself may write something meanwhile.
      const { seq } = await lockHead(work.query);
      const rows = Array.from({ length: ROWS }, (_, offset) => ({
        ...event,
        seq: seq + 1 + offset,
        challenge_id: idOf(Math.floor((from + offset) / 5)),
      }));
      await kysely(work.query).insertInto('events').values(rows).execute();
      await kysely(work.query)
        .updateTable('event_head')
        .set({ seq: seq + ROWS })
        .execute();
    });
  }

  const viewer = (role: Viewer['role'], accounts: string[]): Viewer => ({
    person: {
      ...{ id: 'x', issuer: 'https://idp', subject: 'x', sourceId: null, epoch: 0 },
      ...{ username: 'x', displayName: 'x', groups: [] },
    },
    role,
    accounts,
    session: { idHash: 'x', handle: 'x', kind: 'desktop', authTime: 0, csrfToken: 'x' },
    remoteAddr: '192.0.2.1',
  });
  const admin = viewer('admin', []);
  const mira = viewer('user', ['mira']);
  const page = { order: 'newest', beyond: null, limit: 50, status: null, search: null } as const;
  const middle = { createdAt: request.created_at - (REQUESTS / 2) * 1000, id: idOf(REQUESTS / 2) };
  const looks: Record<string, () => Promise<unknown>> = {
    'inbox, administrator': () => app.challenges.inbox(admin),
    'inbox, person': () => app.challenges.inbox(mira),
    'history, administrator': () => app.challenges.history(admin, page),
    'history, person': () => app.challenges.history(mira, page),
    'history, half way back': () => app.challenges.history(admin, { ...page, beyond: middle }),
    'history, oldest first': () => app.challenges.history(admin, { ...page, order: 'oldest' }),
    'of a person, oldest first': () => app.challenges.history(mira, { ...page, order: 'oldest' }),
    'a status without a hit': () => app.challenges.history(admin, { ...page, status: 'denied' }),
    'of a person without a hit': () => app.challenges.history(mira, { ...page, status: 'cancelled' }),
    'a search without a hit': () => app.challenges.history(admin, { ...page, search: 'no such thing' }),
    'of a person, a search without a hit': () => app.challenges.history(mira, { ...page, search: 'no such thing' }),
    'a search with hits': () => app.challenges.history(admin, { ...page, search: 'mira' }),
    'one request by its code': () => app.challenges.approval(admin, `code ${REQUESTS / 2}`, null),
    'events, a batch': () => app.events.read(EVENTS / 2, 200),
    'what is overdue': () => app.settling.reap(),
  };
  const results: BenchResult[] = [];
  for (const [metric, look] of Object.entries(looks)) {
    const samples: number[] = [];
    for (let run = 0; run < RUNS + 5; run += 1) {
      const before = process.threadCpuUsage();
      await look();
      const { user, system } = process.threadCpuUsage(before);
      // The first ones pay for code that is compiled on the way.
      if (run >= 5) samples.push((user + system) / 1000);
    }
    results.push({ metric: `${metric}, p95`, unit: 'ms', value: round(percentile(samples, 0.95)), goal: GOAL_MS });
  }
  printReport(
    { bench: 'history', results, run: { requests: REQUESTS, events: EVENTS }, machine: machineFacts() },
    json,
  );
  for (const { metric } of misses(results)) note(`not reached: ${metric}`);
  process.exitCode = misses(results).length > 0 ? 1 : 0;
} finally {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
}
