import type { HeartbeatRequest } from '#shared/host-api.ts';
import type { UnitOfWork } from '../db/database.ts';
import { forgetDispute, readDispute, storeDispute } from '../events/head-store.ts';
import type { LogHeads } from '../events/heads.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Host } from './store.ts';

export type LogReports = ReturnType<typeof createLogReports>;

/** What hosts say about the event log. They say it with every heartbeat; it becomes an event once. */
export function createLogReports(deps: {
  events: Pick<EventLog, 'append'>;
  heads: Pick<LogHeads, 'read'>;
  clock: Clock;
}) {
  const { events, heads, clock } = deps;
  return {
    async note(
      work: UnitOfWork,
      { id, hostname }: Pick<Host, 'id' | 'hostname'>,
      { log, checkpointSeq }: Pick<HeartbeatRequest, 'log' | 'checkpointSeq'>,
    ): Promise<void> {
      if (log === undefined) return;
      const known = await readDispute(work.query, id);
      const about = { username: '', hostId: id, hostname };
      if (log.contradiction === null) {
        if (known === null) return;
        await forgetDispute(work, id);
        await events.append(work, { event: 'host_log_followed', ...about, data: { seq: checkpointSeq } });
        return;
      }
      const head = await heads.read(log.head);
      const seq = head?.seq ?? checkpointSeq;
      if (known !== null && known.seq === seq && known.contradiction === log.contradiction) return;
      const { contradiction } = log;
      await storeDispute(work, {
        host_id: id,
        contradiction,
        seq,
        head: head === null ? null : log.head,
        at: clock.now(),
      });
      await events.append(work, {
        event: 'host_log_contradicted',
        ...about,
        data: { contradiction, seq, seenHash: head?.hash ?? null, seenAt: head?.at ?? null, signed: head !== null },
      });
    },
  };
}
