import { Refusal } from '#shared/errors.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import {
  JOURNAL_NAMES,
  JOURNAL_START,
  type JournalName,
  type JournalPosition,
  type JournalProblem,
  type JournalSaid,
  type JournalsKept,
  journalHeads,
} from '#shared/journal-head.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { HostJournalsTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Operator } from './operators.ts';
import * as store from './store.ts';

/** `unproven`: it says nothing about what is known, for the host does not know yet what that is. */
export type Judged = 'same' | 'newer' | 'unproven' | JournalProblem;

/**
 * Pure rule: what a host says of a journal beside what is known of it.
 *
 * @param isEarlier it was signed before the last entry was made of which the server was told
 */
export function judge(known: JournalPosition, said: JournalSaid | null, isEarlier: boolean): Judged {
  if (said === null) return 'unreadable';
  if (said.seq < known.seq) return isEarlier ? 'unproven' : 'went_back';
  if (said.seq === known.seq) return said.hash === known.hash ? 'same' : 'forked';
  if (said.after === null || said.after.seq < known.seq) return 'unproven';
  if (said.after.seq > known.seq) return 'gap';
  return said.after.hash === known.hash ? 'newer' : 'forked';
}

/** It continues what was seen of it. */
const NO_PROBLEM = { problem: null, problem_at: null, said_seq: null, said_hash: null, said: null };

/** What people see of a journal. */
export interface JournalView {
  journal: JournalName;
  seq: number;
  heardAt: number;
  problem: JournalProblem | null;
  problemAt: number | null;
  /** How many entries the host says that it has; null: as many. */
  saidSeq: number | null;
}

export type HostJournals = ReturnType<typeof createHostJournals>;

/** The journals that hosts keep of what they did without a server: what is known of them, and who disagrees. */
export function createHostJournals(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  serverId: string;
}) {
  const { db, events, clock, serverId } = deps;

  async function noteOne(
    work: UnitOfWork,
    host: Pick<store.Host, 'id' | 'hostname'>,
    journal: JournalName,
    heads: { found: HostJournalsTable | null; said: JournalSaid | null; at: number; token: string },
  ): Promise<void> {
    const { found, said, at, token } = heads;
    const now = clock.now();
    const begun: HostJournalsTable = {
      host_id: host.id,
      journal,
      ...(said === null ? JOURNAL_START : { seq: said.seq, hash: said.hash }),
      head: said === null ? null : token,
      heard_at: now,
      told_at: null,
      ...NO_PROBLEM,
    };
    const known = found ?? begun;
    const judged = judge(known, said, known.told_at !== null && at <= known.told_at);
    if (judged === 'unproven') return;
    const about = { username: '', hostId: host.id, hostname: host.hostname };
    const moved = said === null ? {} : { seq: said.seq, hash: said.hash, head: token, heard_at: now };
    if (judged === 'same' || judged === 'newer') {
      // What could not be shown does not come back by what follows it.
      const heals = known.problem !== null && known.problem !== 'gap';
      if (found !== null && judged === 'same' && known.head !== null && !heals) return;
      await store.putJournal(work, { ...known, ...moved, ...(heals ? NO_PROBLEM : {}) });
      const data = { journal, seq: said?.seq, hash: said?.hash };
      if (heals) await events.append(work, { event: 'host_journal_followed', ...about, data });
      return;
    }
    const saidNow = { said_seq: said?.seq ?? null, said_hash: said?.hash ?? null };
    if (known.problem === judged && known.said_seq === saidNow.said_seq && known.said_hash === saidNow.said_hash)
      return;
    await store.putJournal(work, {
      ...known,
      ...(judged === 'gap' ? moved : {}),
      problem: judged,
      problem_at: known.problem_at ?? now,
      ...saidNow,
      said: token,
    });
    // Once: a host that says another thing each time would fill the log with it.
    if (known.problem !== null) return;
    await events.append(work, {
      event: 'host_journal_contradicted',
      ...about,
      data: {
        journal,
        problem: judged,
        seq: known.seq,
        hash: known.hash,
        saidSeq: saidNow.said_seq,
        saidHash: saidNow.said_hash,
      },
    });
  }

  return {
    /** Takes the heads that came with a heartbeat. @throws Refusal when the host did not sign them for this server */
    async noteJournals(work: UnitOfWork, host: store.Host, token: string | undefined): Promise<void> {
      if (token === undefined) return;
      const key = { kty: 'OKP', crv: 'Ed25519', x: host.api_key, kid: host.api_key_thumbprint } as const;
      const read = await verifyToken(tokenType.journalHeads, token, [key], journalHeads);
      if (!read.ok || read.payload.iss !== host.id || read.payload.aud !== serverId)
        throw new Refusal('bad_request', 'the heads of its journals are not signed by this host for this server');
      const { at, journals } = read.payload;
      const rows = await store.journalsOf(work.query, host.id);
      for (const journal of JOURNAL_NAMES) {
        const found = rows.find((row) => row.journal === journal) ?? null;
        await noteOne(work, host, journal, { found, said: journals[journal], at, token });
      }
    },

    /** An entry of a journal was told, and its hash is right: what is known goes on to it, if it is the next one. */
    async journalTold(
      work: UnitOfWork,
      hostId: string,
      journal: JournalName,
      entry: { at: number; prevHash: string; hash: string },
    ): Promise<void> {
      // A clock that was far ahead when the entry was made must not put off for long that heads are held against it.
      const toldAt = Math.min(entry.at, clock.now() + CLOCK_SKEW_SECONDS * 1000);
      await store.moveJournal(work, { hostId, journal, prevHash: entry.prevHash, hash: entry.hash, toldAt });
    },

    /** What is known of the journals of a host, for the host. */
    async journalsKept(work: UnitOfWork, hostId: string): Promise<JournalsKept> {
      const rows = await store.journalsOf(work.query, hostId);
      const of = (name: JournalName) => {
        const row = rows.find(({ journal }) => journal === name);
        return row ? { seq: row.seq, hash: row.hash, problem: row.problem } : null;
      };
      return { breakGlass: of('breakGlass'), offlineGrants: of('offlineGrants') };
    },

    journalViews: async (hostId: string): Promise<JournalView[]> =>
      (await store.journalsOf(db.query, hostId)).map((row) => ({
        journal: row.journal,
        seq: row.seq,
        heardAt: row.heard_at,
        problem: row.problem,
        problemAt: row.problem_at,
        saidSeq: row.said_seq,
      })),

    /** Takes the journals of a host as they are from here on: somebody has looked why they are not those that were seen. */
    async acceptJournals(hostId: string, by: Operator): Promise<void> {
      await db.transaction(async (work) => {
        const host = await store.lockHost(work, hostId);
        if (!host) throw new Refusal('not_found');
        for (const row of await store.journalsOf(work.query, hostId)) {
          if (row.problem === null || row.said_seq === null || row.said_hash === null) continue;
          const { said_seq: seq, said_hash: hash, said: head } = row;
          const goesOn = row.problem === 'gap' ? {} : { seq, hash, head, told_at: null };
          await store.putJournal(work, { ...row, ...goesOn, ...NO_PROBLEM });
          await events.append(work, {
            event: 'host_journal_accepted',
            username: '',
            hostId,
            hostname: host.hostname,
            actor: by.username,
            remoteAddr: by.remoteAddr,
            data: { journal: row.journal, problem: row.problem, from: row.seq, to: seq, hash },
          });
        }
      });
    },
  };
}
