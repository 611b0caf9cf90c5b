import type { BreakGlassState, BreakGlassUse, BreakGlassWanted } from '#shared/break-glass-api.ts';
import { commandLine } from '#shared/command-words.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { CHAIN_START } from '#shared/events.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Operator } from '../hosts/operators.ts';
import type { HostService } from '../hosts/service.ts';
import type { Host } from '../hosts/store.ts';
import type { Viewer } from '../http/viewer.ts';
import type { AssertionResponse } from '../passkeys/assertion-response.ts';
import type { Confirmations } from '../passkeys/confirmations.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keeping, Kept } from './keeping.ts';
import type { RevealRequest } from './reveal-request-store.ts';
import type { SecondPerson, WaitingReveal } from './second-person.ts';
import * as store from './store.ts';

/** Nothing is written for what a host says again, but for that it lives, this often. */
const REPORTED_EVERY_MS = 5 * 60_000;

/** What an operator sees of a host. */
export interface BreakGlassView {
  hostId: string;
  enabled: boolean;
  /** When the password was made; null: it has none. */
  createdAt: number | null;
  type: string | null;
  /** Whether it can be shown. */
  kept: boolean;
  problem: string | null;
  reportedAt: number | null;
  /** Another one was asked for, and the host does not have it yet. */
  rotationWanted: boolean;
}

export type BreakGlass = ReturnType<typeof createBreakGlass>;

/**
 * From when on a password is another one than those that are there: hosts say by their own clocks when one was made,
 * and a clock that was ahead must not let one outlive that it was shown.
 */
async function afterAll(work: UnitOfWork, hostId: string, now: number): Promise<number> {
  const told = await store.findBreakGlassHost(work.query, hostId);
  const made = (await store.escrowRecordsOf(work.query, hostId)).map(({ created_at }) => created_at);
  return Math.max(now, (told?.created_at ?? 0) + 1, ...made.map((at) => at + 1));
}

/** Writes down that somebody is about to be shown the password of a host, and asks the host for another one. */
export async function noteReveal(
  deps: { events: Pick<EventLog, 'append'>; clock: Clock },
  work: UnitOfWork,
  host: Pick<Host, 'id' | 'hostname'>,
  shown: {
    kept: readonly Kept[];
    reason: string;
    actor: string;
    remoteAddr: string | null;
    by: Record<string, string>;
  },
): Promise<void> {
  const { kept, reason, actor, remoteAddr, by } = shown;
  await store.putBreakGlassHost(work, host.id, { rotate_before: await afterAll(work, host.id, deps.clock.now()) });
  await deps.events.append(work, {
    event: 'revealed_breakglass',
    username: '',
    hostId: host.id,
    hostname: host.hostname,
    actor,
    reason,
    remoteAddr,
    data: { ids: kept.map(({ id }) => id), ...by },
  });
}

export function createBreakGlass(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  hosts: Pick<HostService, 'find' | 'lock' | 'journalTold'>;
  keeping: Keeping;
  confirmations: Confirmations;
  secondPerson: SecondPerson;
  /** A password that was made before this is replaced everywhere; null: none is. */
  rotateBefore: number | null;
  /** Where people find the passwords themselves; null: nowhere that is known here. */
  webUrl: string | null;
}) {
  const { db, events, clock, hosts, keeping, confirmations, secondPerson } = deps;

  const latest = (...times: (number | null | undefined)[]): number | null =>
    times.reduce<number | null>((a, b) => (b == null ? a : Math.max(a ?? b, b)), null);

  const hostOf = async (hostId: string): Promise<Host> => {
    const host = await hosts.find(db.query, hostId);
    if (!host) throw new Refusal('not_found');
    return host;
  };

  /** For what a passkey is asked: this host, this reason, and the request that a second person has confirmed. */
  const purposeOf = (hostId: string, reason: string, request: RevealRequest | null) =>
    canonicalSha256({ purpose: 'reveal', hostId, reason, ...(request ? { request: request.id } : {}) });

  const wantedOf = (told: { rotate_before: number | null } | null): BreakGlassWanted => ({
    escrow: keeping.isOn,
    rotateBefore: latest(deps.rotateBefore, told?.rotate_before),
  });

  return {
    /** Takes what a host says of its password, and says what is wanted. */
    async state(work: UnitOfWork, host: Host, told: BreakGlassState): Promise<BreakGlassWanted> {
      const before = await store.findBreakGlassHost(work.query, host.id);
      const now = clock.now();
      const said = {
        enabled: told.enabled ? 1 : 0,
        created_at: told.current?.createdAt ?? null,
        type: told.current?.type ?? null,
        escrow_id: told.current?.escrowId ?? null,
        problem: told.problem,
      };
      const isNew = Object.entries(said).some(([key, value]) => before?.[key as keyof typeof said] !== value);
      if (isNew || now - (before?.reported_at ?? 0) >= REPORTED_EVERY_MS) {
        await store.putBreakGlassHost(work, host.id, { ...said, reported_at: now });
      }
      if (said.created_at !== null && said.created_at !== (before?.created_at ?? null)) {
        await events.append(work, {
          event: 'rotated_breakglass',
          username: '',
          hostId: host.id,
          hostname: host.hostname,
          data: { type: said.type, id: said.escrow_id },
        });
      }
      return wantedOf(before);
    },

    /** What is wanted of a host now. */
    wanted: async (hostId: string): Promise<BreakGlassWanted> =>
      wantedOf(await store.findBreakGlassHost(db.query, hostId)),

    /** Writes down a use of the password, once. */
    async use(work: UnitOfWork, host: Host, use: BreakGlassUse, remoteAddr: string): Promise<void> {
      const { hash, ...entry } = use;
      if (use.record.hostId !== host.id) throw new Refusal('wrong_host_record');
      if (canonicalSha256(entry) !== hash) throw new Refusal('bad_request', 'the hash of a use is another');
      if (!(await store.insertUse(work, { id: use.id, hostId: host.id, at: use.at }))) return;
      const before = (await store.findBreakGlassHost(work.query, host.id))?.journal_hash ?? CHAIN_START;
      await store.putBreakGlassHost(work, host.id, { journal_hash: hash });
      await hosts.journalTold(work, host.id, 'breakGlass', use);
      const { record } = use;
      await events.append(work, {
        event: use.outcome === 'opened' ? 'break_glass_used' : 'break_glass_refused',
        username: record.user,
        hostId: host.id,
        hostname: host.hostname,
        reason: record.reason,
        remoteAddr,
        data: {
          id: use.id,
          at: use.at,
          gate: record.gate,
          service: record.service,
          mode: record.mode,
          command: commandLine(record),
          argv: record.argv,
          argvTruncated: record.argvTruncated,
          runAs: record.runAs,
          cwd: record.cwd,
          tty: record.tty,
          origin: record.origin,
          journalHash: hash,
          // Something that this host wrote down before it is missing, or its journal was begun anew.
          ...(use.prevHash === before ? {} : { gap: true }),
        },
      });
    },

    async list(viewer: Viewer): Promise<{
      escrow: boolean;
      secondPerson: boolean;
      webUrl: string | null;
      waiting: WaitingReveal[];
      hosts: BreakGlassView[];
    }> {
      const records = new Set((await store.listEscrowRecords(db.query)).map(({ id }) => id));
      const views = (await store.listBreakGlassHosts(db.query)).map((host) => {
        const wanted = latest(deps.rotateBefore, host.rotate_before);
        return {
          hostId: host.host_id,
          enabled: host.enabled === 1,
          createdAt: host.created_at,
          type: host.type,
          kept: host.escrow_id !== null && records.has(host.escrow_id),
          problem: host.problem,
          reportedAt: host.reported_at,
          rotationWanted: wanted !== null && host.created_at !== null && host.created_at < wanted,
        };
      });
      const waiting = await secondPerson.waiting(viewer);
      const { webUrl } = deps;
      return { escrow: keeping.isOn, secondPerson: secondPerson.required, webUrl, waiting, hosts: views };
    },

    /** Asks a host for another password. */
    async rotate(hostId: string, by: Operator): Promise<void> {
      if (!keeping.isOn) throw new Refusal('escrow_off');
      await db.transaction(async (work) => {
        const host = await hosts.lock(work, hostId);
        if (!host) throw new Refusal('not_found');
        await store.putBreakGlassHost(work, hostId, { rotate_before: await afterAll(work, hostId, clock.now()) });
        await events.append(work, {
          event: 'breakglass_rotation_requested',
          username: '',
          hostId,
          hostname: host.hostname,
          actor: by.username,
          remoteAddr: by.remoteAddr,
        });
      });
    },

    /** Asks for a passkey, for showing the password of this host for this reason and for nothing else. */
    async revealOptions(viewer: Viewer, { hostId, reason }: { hostId: string; reason: string }) {
      const host = await hostOf(hostId);
      if ((await store.escrowRecordsOf(db.query, host.id)).length === 0) throw new Refusal('escrow_nothing');
      const request = await secondPerson.confirmed(viewer, { hostId, reason });
      return confirmations.options(viewer, purposeOf(hostId, reason, request));
    },

    /** What may open the host, newest first. It is written down, and the host is asked for another one, before it is shown. */
    async reveal(
      viewer: Viewer,
      { hostId, reason, assertion }: { hostId: string; reason: string; assertion: AssertionResponse },
    ): Promise<Kept[]> {
      const host = await hostOf(hostId);
      const request = await secondPerson.confirmed(viewer, { hostId, reason });
      const confirm = await confirmations.take(viewer, assertion, purposeOf(hostId, reason, request));
      const kept = await keeping.reveal(db.query, host);
      await db.transaction(async (work) => {
        const now = await confirm(work);
        if (now.role !== 'admin') throw new Refusal('forbidden');
        if (request) await secondPerson.spend(work, request);
        const { username, issuer, subject } = now.person;
        const { remoteAddr } = viewer;
        const by = {
          issuer,
          subject,
          ...(request ? { request: request.id, confirmedBy: request.confirmer ?? '' } : {}),
        };
        await noteReveal(deps, work, host, { kept, reason, actor: username, remoteAddr, by });
      });
      return kept;
    },

    /** Remembers that somebody was not shown the password of a host. */
    async noteRefusal(
      { person, remoteAddr }: Viewer,
      { hostId, reason }: { hostId: string; reason: string },
      refusal: ErrorCode,
    ): Promise<void> {
      const host = await hosts.find(db.query, hostId);
      await db.transaction((work) =>
        events.append(work, {
          event: 'breakglass_reveal_refused',
          username: '',
          hostId: host?.id ?? null,
          hostname: host?.hostname ?? null,
          actor: person.username,
          reason,
          remoteAddr,
          data: { refusal, issuer: person.issuer, subject: person.subject },
        }),
      );
    },
  };
}
