import type { Logger } from 'pino';
import { z } from 'zod';
import { BREAK_GLASS_PASSWORD_MAX, type EscrowRequest } from '#shared/break-glass-api.ts';
import { canonicalJson } from '#shared/canonical-json.ts';
import { Refusal } from '#shared/errors.ts';
import { type SealedPassword, sealedPassword } from '#shared/sealed-password.ts';
import type { Database } from '../db/database.ts';
import type { Query } from '../db/query.ts';
import type { EventLog } from '../events/log.ts';
import type { Host } from '../hosts/store.ts';
import type { Clock } from '../platform/clock.ts';
import { type EscrowBackend, type EscrowEntry, EscrowFailure } from './backend.ts';
import * as store from './store.ts';

/** Each holds a connection to the keeper, and a host that waits for it. */
const MOST_AT_ONCE = 5;

const location = z.record(z.string(), z.string());

/** A password that is kept, as an operator is shown it. */
export type Kept = { id: string; createdAt: number; type: string } & (
  | { password: string; sealed: null }
  /** This server cannot read it; it takes some of those it is sealed to. */
  | { password: null; sealed: SealedPassword }
);

/** What is handed to whoever keeps it. A sealed one is JSON, which no password is: a password is shorter. */
const textOf = (request: EscrowRequest): string =>
  'password' in request ? request.password : canonicalJson(request.sealed);

/** The recipients and how many of them it takes, for the event. */
const sealedTo = (request: EscrowRequest) =>
  'password' in request
    ? {}
    : { threshold: request.sealed.threshold, recipients: request.sealed.parts.map(({ recipient }) => recipient) };

function readText(text: string): { password: string; sealed: null } | { password: null; sealed: SealedPassword } {
  if (text.length <= BREAK_GLASS_PASSWORD_MAX) return { password: text, sealed: null };
  return { password: null, sealed: sealedPassword.parse(JSON.parse(text)) };
}

export type Keeping = ReturnType<typeof createKeeping>;

/** Keeps the passwords of hosts with the keeper that is configured. Every method throws a Refusal when it cannot. */
export function createKeeping(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  log: Logger;
  backend: EscrowBackend | null;
  /** Told what became of each password that was to be kept. */
  counted: (status: 'success' | 'failure') => void;
}) {
  const { db, events, clock, log, backend } = deps;
  let busy = 0;

  const refuse = (error: unknown, what: string): Refusal => {
    if (!(error instanceof EscrowFailure)) throw error;
    log.error({ backend: backend?.name, err: error }, what);
    return new Refusal('escrow_failed', error.message);
  };

  const locationOf = (record: store.EscrowRecord) => location.parse(JSON.parse(record.location));
  const entryOf = (record: Pick<store.EscrowRecord, 'id' | 'host_id'>, hostname: string): EscrowEntry => ({
    id: record.id,
    hostId: record.host_id,
    hostname,
  });

  /** The keeper of this one. Another one may be configured by now. */
  function backendOf(record: store.EscrowRecord): EscrowBackend {
    if (backend?.name === record.backend) return backend;
    throw new Refusal('escrow_failed', `it is kept by ${record.backend}, which is not configured any more`);
  }

  /** True when this very password is kept already: its host did not hear the answer. */
  async function isKept(query: Query, hostId: string, id: string): Promise<boolean> {
    const known = await store.findEscrowRecord(query, id);
    if (known && known.host_id !== hostId) throw new Refusal('forbidden', 'an id of another host');
    return known !== null;
  }

  return {
    isOn: backend !== null,
    isKept,

    /** Keeps a password. Resolves once it is, and can be shown: its host lets go of it then. */
    async keep(host: Pick<Host, 'id' | 'hostname'>, request: EscrowRequest, remoteAddr: string): Promise<void> {
      if (backend === null) throw new Refusal('escrow_off');
      if (busy >= MOST_AT_ONCE) throw new Refusal('escrow_busy');
      busy += 1;
      const entry = { id: request.id, hostId: host.id, hostname: host.hostname };
      try {
        const text = textOf(request);
        const where = await backend.store(entry, text);
        // What cannot be had again is not kept.
        if ((await backend.retrieve(entry, where)) !== text) {
          throw new EscrowFailure('what is kept is not what was handed over');
        }
        const keptAt = clock.now();
        await db.transaction(async (work) => {
          const fresh = await store.insertEscrowRecord(work, {
            id: request.id,
            host_id: host.id,
            type: request.type,
            created_at: request.createdAt,
            kept_at: keptAt,
            backend: backend.name,
            location: JSON.stringify(where),
          });
          if (!fresh) return;
          await events.append(work, {
            event: 'breakglass_escrowed',
            username: '',
            hostId: host.id,
            hostname: host.hostname,
            remoteAddr,
            data: { id: request.id, type: request.type, backend: backend.name, ...sealedTo(request) },
          });
          // After the event, which lets one writer through at a time: the newest is the one that was kept last, whatever
          // the clocks of this server and of others say.
          const others = (await store.escrowRecordsOf(work.query, host.id)).filter(({ id }) => id !== request.id);
          const newest = Math.max(0, ...others.map(({ kept_at }) => kept_at));
          if (newest >= keptAt) await store.dateEscrowRecord(work, request.id, newest + 1);
        });
        deps.counted('success');
      } catch (error) {
        deps.counted('failure');
        throw refuse(error, 'a break-glass password could not be kept');
      } finally {
        busy -= 1;
      }
    },

    /**
     * What may open a host: the one that it says it has, and newer ones of which it has not said anything yet. Whoever
     * stands before it tries the newest first.
     */
    async reveal(query: Query, host: Pick<Host, 'id' | 'hostname'>): Promise<Kept[]> {
      const told = await store.findBreakGlassHost(query, host.id);
      const candidates = candidatesOf(await store.escrowRecordsOf(query, host.id), told);
      if (candidates.length === 0) throw new Refusal('escrow_nothing');
      try {
        const kept = candidates.map(
          async (record): Promise<Kept> => ({
            id: record.id,
            createdAt: record.created_at,
            type: record.type,
            ...readText(await backendOf(record).retrieve(entryOf(record, host.hostname), locationOf(record))),
          }),
        );
        return await Promise.all(kept);
      } catch (error) {
        throw error instanceof Refusal ? error : refuse(error, 'a break-glass password could not be had');
      }
    },

    /** Lets go of what opens nothing any more, and encrypts anew what is under a key of before. */
    async tidy(hostnameOf: (query: Query, hostId: string) => Promise<string | null>): Promise<void> {
      const told = new Map((await store.listBreakGlassHosts(db.query)).map((host) => [host.host_id, host]));
      for (const record of await store.listEscrowRecords(db.query)) {
        if (record.backend !== backend?.name) continue;
        const hostname = await hostnameOf(db.query, record.host_id);
        if (hostname === null) continue;
        const entry = entryOf(record, hostname);
        try {
          if (await isOver(record, told.get(record.host_id) ?? null)) {
            await backend.remove(entry, locationOf(record));
            await db.transaction((work) => store.deleteEscrowRecord(work, record.id));
            continue;
          }
          const anew = backend.rewrap?.(entry, locationOf(record)) ?? null;
          if (anew) await db.transaction((work) => store.moveEscrowRecord(work, record.id, JSON.stringify(anew)));
        } catch (error) {
          refuse(error, 'a break-glass password of before could not be tidied up');
        }
      }
    },
  };

  /** Whether its host has another one, that is kept too, and newer. */
  async function isOver(record: store.EscrowRecord, told: store.BreakGlassHost | null): Promise<boolean> {
    if (told?.escrow_id == null || told.escrow_id === record.id) return false;
    const current = await store.findEscrowRecord(db.query, told.escrow_id);
    return current?.host_id === record.host_id && record.kept_at < current.kept_at;
  }
}

/** Pure rule: which of the kept ones, newest first, may open their host. */
export function candidatesOf<R extends { id: string }>(
  records: readonly R[],
  told: { escrow_id: string | null } | null,
): R[] {
  const current = records.findIndex((record) => record.id === told?.escrow_id);
  return current === -1 ? records.slice() : records.slice(0, current + 1);
}
