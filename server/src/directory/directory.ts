import { canonicalSha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Leaver } from '../auth/standing.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Entry } from '../ldap/entry.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { groupsOf } from './groups-of.ts';
import { type GuardSettings, guard } from './guards.ts';
import { heldChange } from './held-change.ts';
import { decideHold, deleteHold, type HoldRow, insertHold, listHolds } from './hold-store.ts';
import { userOwner } from './ids.ts';
import type { Lint } from './lint.ts';
import {
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  EMPTY_SNAPSHOT,
  identityKey,
  snapshotHash,
} from './model.ts';
import { mapGroupName, mapUserName } from './names.ts';
import { type Assigned, type Numbers, UidMapBroken } from './numbers.ts';
import { packSnapshot, readPublished, touchPublished, writePublished } from './published-store.ts';
import type { DirectorySettings } from './settings.ts';
import { breathe, eachInSlices } from './slices.ts';
import type { DirectorySource, SourceProblem } from './source.ts';
import { createStamps } from './stamps.ts';
import { buildTree, type EnrolledHost, type ServedRule, type StoredRule } from './tree.ts';

export type RefreshTrigger = 'poll' | 'webhook' | 'watch' | 'scim' | 'console' | 'login' | 'signal' | 'start';

/** What the LDAP engine gets. Null entries: not ready, so it answers busy, never empty. */
export type PublishEntries = (entries: readonly Entry[] | null, usn: number) => void | Promise<void>;

export interface DirectoryMetrics {
  refreshed(trigger: RefreshTrigger): void;
  syncFailed(): void;
  syncSeconds(seconds: number): void;
  published(facts: { people: number; groups: number; sudoRules: number; usn: number; lints: readonly Lint[] }): void;
}

export interface DirectoryDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  settings: DirectorySettings;
  guards: GuardSettings;
  /** Null in bridge mode. */
  source: DirectorySource | null;
  numbers: Numbers;
  /** Rules of the database, in a stable order. */
  storedRules: () => Promise<readonly StoredRule[]>;
  /** Hosts that are enrolled and not revoked. */
  hosts: () => Promise<readonly EnrolledHost[]>;
  /** Linux account → person it is bound to by sign-in. */
  pinned: () => Promise<ReadonlyMap<string, { issuer: string; subject: string }>>;
  /** Authenticates what is kept in the database; 32 bytes from outside of it. */
  macKey: Uint8Array;
  publish: PublishEntries;
  /**
   * Called before hosts see it, with everybody who was disabled or removed. Disabled people are named each time. Rejects:
   * nothing is published, and it is tried again.
   */
  onLeft: (leavers: readonly Leaver[]) => Promise<void>;
  metrics: DirectoryMetrics;
  onError: (error: unknown, what: string) => void;
  refreshMs: number;
  /** How long the last good snapshot is served without hearing from the source. */
  cacheMaxAgeMs: number;
  /** Least time between two fetches. */
  minGapMs?: number;
}

export interface DirectoryStatus {
  readonly source: DirectorySource['name'] | null;
  readonly state: 'cold' | 'cached' | 'fresh' | 'stale' | 'broken';
  readonly lastSuccessAt: number | null;
  readonly problem: string | null;
  readonly counts: { people: number; groups: number; sudoRules: number } | null;
  readonly usn: number;
  /** When what hosts see was built last in this process; null when nothing was. */
  readonly builtAt: number | null;
  /** Fetching or building, or about to. */
  readonly busy: boolean;
}

export type Directory = ReturnType<typeof createDirectory>;

const MIN_GAP_MS = 1000;
const BACKOFF_MS = [60_000, 120_000, 240_000, 300_000];
const TOUCH_EVERY_MS = 10 * 60_000;
const MAX_TIMER_MS = 60_000;

/**
 * Keeps the LDAP engine supplied: fetches, holds back what needs an operator, assigns numbers and names, builds, stamps,
 * stores, publishes, in that order, one round at a time.
 */
export function createDirectory(deps: DirectoryDeps) {
  const { db, clock, settings, source } = deps;
  const minGapMs = deps.minGapMs ?? MIN_GAP_MS;
  const stamps = createStamps({ db, clock });
  const stopping = new AbortController();
  const startedAt = clock.now();

  let published: DirectorySnapshot | null = null;
  let publishedHash = '';
  let candidate: DirectorySnapshot | null = null;
  let builtFrom = '';
  let serving = false;
  let fresh = false;
  let broken: string | null = null;
  let problem: SourceProblem | null = null;
  let failures = 0;
  let lastSuccessAt: number | null = null;
  let lastTouchAt = 0;
  let notBefore = 0;
  let counts: DirectoryStatus['counts'] = null;
  let usn = 0;
  let builtAt: number | null = null;
  let lints: readonly Lint[] = [];
  let rules: readonly ServedRule[] = [];
  let nextBoundary: number | null = null;
  /** Linux account → who is served under it. */
  let accounts: ReadonlyMap<string, DirectoryUser> = new Map();
  let disabled: ReadonlySet<string> = new Set();

  const accountOf = ({ username }: { username: string }) => {
    const mapped = mapUserName(username, settings.names);
    return mapped.ok ? mapped.name : null;
  };

  /** Finds the rules of the database that name a group as `%group`, without regard to case: it gives power by them. */
  function rulesForGroups(stored: readonly StoredRule[]): (group: DirectoryGroup) => readonly string[] {
    if (settings.sudoSource === 'claims') return () => [];
    const named = new Map<string, string[]>();
    for (const { name, sudoUsers } of stored) {
      for (const user of sudoUsers) {
        if (!user.startsWith('%')) continue;
        const group = user.slice(1).toLowerCase();
        named.set(group, [...(named.get(group) ?? []), name]);
      }
    }
    return (group) => {
      const mapped = mapGroupName(group.name, settings.names);
      return (mapped.ok && named.get(mapped.name.toLowerCase())) || [];
    };
  }

  /** Names that are somebody's: users' own, and those that their owner left within the quarantine. */
  async function ownersOfNames(now: number): Promise<Map<string, string>> {
    const owners = new Map<string, string>();
    for (const [name, record] of await deps.numbers.names()) {
      const { owner, issuer, subject, leftAt } = record;
      const kept = leftAt === null ? owner === 'user' : now - leftAt < settings.names.quarantineMs;
      if (kept) owners.set(name, `${owner} ${issuer} ${subject}`);
    }
    return owners;
  }

  /**
   * From a snapshot to what hosts see.
   *
   * @param heard whether the source said so in this process. What is only remembered asks an operator nothing and takes
   * back no question.
   */
  async function bring(wanted: DirectorySnapshot, heard: boolean): Promise<void> {
    const stored = await deps.storedRules();
    const hosts = await deps.hosts();
    const holds = await listHolds(db.query);
    const decided = new Map(holds.map(({ digest, state }) => [digest, state]));
    const owners = await ownersOfNames(clock.now());
    const guarded = guard({
      published,
      candidate: wanted,
      decided,
      accountOf,
      owners,
      pinned: await deps.pinned(),
      claimsGivePower: settings.sudoSource !== 'store',
      rulesFor: rulesForGroups(stored),
      settings: deps.guards,
    });
    await breathe();
    const hash = snapshotHash(guarded.publish);
    await breathe();
    const now = clock.now();
    // A rule begins or ends, or a name that somebody waits for was released or has been left for long enough.
    const due =
      (nextBoundary !== null && now >= nextBoundary) ||
      lints.some(({ name }) => name !== undefined && !owners.has(name));
    const from = canonicalSha256([hash, stored, hosts.map(({ id, hostname, group }) => [id, hostname, group])]);
    const sameHolds =
      !heard || (guarded.arising.length === holds.length && guarded.arising.every(({ digest }) => decided.has(digest)));
    if (from === builtFrom && sameHolds && !due && serving) {
      if (source && candidate && now - lastTouchAt > TOUCH_EVERY_MS) {
        await db.transaction((work) => touchPublished(work, now));
        lastTouchAt = now;
      }
      return;
    }

    const granted = new Map([...guarded.granted].map(([name, key]) => [name, `user ${key}`]));
    const assigned = await deps.numbers.assign(guarded.publish, granted);
    const tree = await buildTree(
      { snapshot: guarded.publish, assigned, storedRules: stored, hosts, settings, now },
      stopping.signal,
    );
    const served = await peopleOf(guarded.publish, assigned);
    await deps.onLeft(leaversOf(served));
    const stamped = await stamps.stamp(tree.entries, stopping.signal);
    const packed =
      source && hash !== publishedHash ? await packSnapshot(guarded.publish, hash, source.name, deps.macKey) : null;

    await db.transaction(async (work) => {
      if (packed) {
        await writePublished(work, packed, now);
        await deps.events.append(work, {
          event: 'directory_published',
          username: '',
          data: { ...tree.counts, source: packed.source, hash, held: guarded.arising.length },
        });
      }
      if (!heard) return;
      const arising = new Set(guarded.arising.map(({ digest }) => digest));
      for (const row of holds) if (!arising.has(row.digest)) await deleteHold(work, row.id);
      for (const hold of guarded.arising) {
        if (decided.has(hold.digest)) continue;
        const id = deps.random.uuid();
        const { kind, subject, digest, detail } = hold;
        const row: HoldRow = {
          id,
          kind,
          subject,
          digest,
          detail: JSON.stringify(detail),
          state: 'open',
          held_at: now,
          decided_at: null,
          decided_by: null,
        };
        if (!(await insertHold(work, row))) continue;
        await deps.events.append(work, {
          event: 'directory_change_held',
          username: '',
          reason: kind,
          data: { holdId: id, subject, ...detail },
        });
      }
    });
    if (packed) {
      published = guarded.publish;
      publishedHash = hash;
      lastTouchAt = now;
    }
    ({ accounts, disabled } = served);
    counts = tree.counts;
    rules = tree.rules;
    nextBoundary = tree.nextBoundary;
    lints = [...assigned.lints, ...tree.lints];
    usn = stamped.usn;
    builtFrom = from;
    await deps.publish(stamped.entries, usn);
    builtAt = clock.now();
    serving = true;
    deps.metrics.published({ ...tree.counts, usn, lints });
  }

  async function peopleOf(snapshot: DirectorySnapshot, assigned: Pick<Assigned, 'nameOf'>) {
    const byAccount = new Map<string, DirectoryUser>();
    const out = new Set<string>();
    const known = new Set<string>();
    await eachInSlices(
      snapshot.users,
      (user) => {
        const key = identityKey(user);
        known.add(key);
        if (user.disabled) out.add(key);
        const name = assigned.nameOf(userOwner(user));
        if (name !== undefined) byAccount.set(name, user);
      },
      stopping.signal,
    );
    return { accounts: byAccount, disabled: out, known };
  }

  /** Everybody who is disabled now, and who was served until now and is no longer known. */
  function leaversOf(now: { accounts: ReadonlyMap<string, DirectoryUser>; known: ReadonlySet<string> }): Leaver[] {
    const leaver = (reason: Leaver['reason'], user: DirectoryUser, account: string): Leaver => ({
      issuer: user.issuer,
      subject: user.id,
      account,
      reason,
    });
    const leavers: Leaver[] = [];
    for (const [account, user] of now.accounts) if (user.disabled) leavers.push(leaver('disabled', user, account));
    for (const [account, user] of accounts) {
      if (!now.known.has(identityKey(user))) leavers.push(leaver('removed', user, account));
    }
    return leavers;
  }

  async function round(fetch: boolean): Promise<void> {
    try {
      if (fetch && source) {
        const start = performance.now();
        const result = await source.fetch(stopping.signal);
        deps.metrics.syncSeconds((performance.now() - start) / 1000);
        await breathe();
        if (result.ok) candidate = result.snapshot;
        else throw new SourceFailed(result.problem);
      }
      // Without a source there is nothing to fetch; after a restart, what was published is all there is.
      const wanted = candidate ?? (source ? published : EMPTY_SNAPSHOT);
      if (wanted) await bring(wanted, candidate !== null || !source);
      if (fetch) {
        problem = null;
        failures = 0;
        notBefore = 0;
        lastSuccessAt = clock.now();
        fresh = true;
      }
      broken = null;
    } catch (error) {
      if (stopping.signal.aborted) return;
      deps.metrics.syncFailed();
      failures += 1;
      if (error instanceof SourceFailed) {
        problem = error.problem;
        notBefore = clock.now() + (error.problem.retryAfterMs ?? 0);
      } else if (error instanceof UidMapBroken) {
        broken = error.message;
        // Somebody's files could get another owner: better no directory than that one.
        await withdraw();
      } else problem = { code: 'invalid', message: 'the directory could not be built. The log says why' };
      deps.onError(error, 'directory refresh');
    }
    if (serving && source && clock.now() - (lastSuccessAt ?? startedAt) > deps.cacheMaxAgeMs) await withdraw();
  }

  async function withdraw(): Promise<void> {
    serving = false;
    builtFrom = '';
    await deps.publish(null, usn);
  }

  // One round at a time; what is asked for meanwhile is one more round.
  let running: Promise<void> | null = null;
  let pendingFetch = false;
  let pendingBuild = false;
  let lastFetchAt = Number.NEGATIVE_INFINITY;
  let gapTimer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  let edgeTimer: NodeJS.Timeout | undefined;
  let stopWatching: (() => void) | undefined;

  function pump(): void {
    if (running || stopping.signal.aborted || !(pendingFetch || pendingBuild)) return;
    const wait = pendingFetch && !pendingBuild ? lastFetchAt + minGapMs - performance.now() : 0;
    clearTimeout(gapTimer);
    if (wait > 0) {
      gapTimer = setTimeout(pump, wait);
      return;
    }
    const fetch = pendingFetch && lastFetchAt + minGapMs <= performance.now();
    if (fetch) {
      pendingFetch = false;
      lastFetchAt = performance.now();
    }
    pendingBuild = false;
    running = round(fetch).finally(() => {
      running = null;
      planTimers(fetch);
      pump();
    });
  }

  function planTimers(fetched: boolean): void {
    if (stopping.signal.aborted) return;
    clearTimeout(edgeTimer);
    if (nextBoundary !== null) {
      const wait = Math.min(MAX_TIMER_MS, Math.max(10, nextBoundary - clock.now()));
      edgeTimer = setTimeout(() => rebuild(), wait).unref();
    }
    if (!fetched || !source) return;
    clearTimeout(pollTimer);
    const jitter = 0.9 + deps.random.int(2001) / 10_000;
    const ladder = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1];
    const base = failures === 0 ? deps.refreshMs : Math.max(ladder!, notBefore - clock.now());
    pollTimer = setTimeout(() => ask('poll'), base * jitter).unref();
  }

  function ask(trigger: RefreshTrigger): void {
    // A source that does not accept our key must not be hammered by whoever can reach the webhook.
    if (clock.now() < notBefore && trigger !== 'console' && trigger !== 'poll') return;
    deps.metrics.refreshed(trigger);
    pendingFetch = source !== null;
    pendingBuild ||= source === null;
    pump();
  }

  function rebuild(): void {
    pendingBuild = true;
    pump();
  }

  async function decide(
    hold: { id: string; digest: string },
    was: 'open' | 'rejected',
    state: 'confirmed' | 'rejected',
    actor: { username: string; remoteAddr: string | null },
  ): Promise<void> {
    await db.transaction(async (work) => {
      const row = await decideHold(work, { ...hold, state: was }, { state, at: clock.now(), by: actor.username });
      if (!row) throw new Refusal('not_found');
      await deps.events.append(work, {
        event: state === 'confirmed' ? 'directory_change_confirmed' : 'directory_change_rejected',
        username: '',
        actor: actor.username,
        remoteAddr: actor.remoteAddr,
        reason: row.kind,
        data: { holdId: row.id, subject: row.subject, was, ...(JSON.parse(row.detail) as object) },
      });
    });
    rebuild();
  }

  return {
    /** Serves what was published last, then follows the source. Resolves when the former is done. */
    async start(): Promise<void> {
      if (source) {
        const last = await readPublished(db.query, deps.macKey);
        if (last.state === 'forged') {
          deps.onError(
            new Error('the stored directory was changed by somebody else; it is not used'),
            'directory cache',
          );
          // Not null: compared with nothing, everything that gives power waits for an operator.
          published = EMPTY_SNAPSHOT;
        } else if (last.state === 'ok') {
          published = last.published.snapshot;
          publishedHash = last.published.hash;
          lastSuccessAt = last.published.fetchedAt;
          if (clock.now() - lastSuccessAt <= deps.cacheMaxAgeMs) {
            running = round(false);
            await running;
            running = null;
          }
        }
      }
      stopWatching = source?.watch?.(() => ask('watch'));
      ask('start');
      if (!source) await running;
    },
    /** Asks for a fetch; many at once are one. */
    refresh: ask,
    /** Rules or hosts changed: builds again from what the source said last. */
    rebuild,
    /** Resolves when nothing is under way and nothing waits. For tests and orderly ends. */
    async settled(): Promise<void> {
      while (running || pendingBuild || pendingFetch) {
        if (running) await running;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    holds: async () =>
      (await listHolds(db.query)).map((row) => ({
        ...heldChange.parse({ kind: row.kind, detail: JSON.parse(row.detail) }),
        id: row.id,
        digest: row.digest,
        subject: row.subject,
        state: row.state,
        heldAt: row.held_at,
        decidedAt: row.decided_at,
        decidedBy: row.decided_by,
      })),
    /** How many changes nobody has decided yet. */
    openHolds: async () => (await listHolds(db.query)).filter(({ state }) => state === 'open').length,
    /**
     * Lets exactly this change through. `digest` is what the operator was shown, and so is `was`: whoever lets through
     * what a colleague refused a moment ago has to know it. @throws Refusal
     */
    confirm: (
      hold: { id: string; digest: string; was?: 'open' | 'rejected' },
      actor: { username: string; remoteAddr: string | null },
    ) => decide(hold, hold.was ?? 'open', 'confirmed', actor),
    /** Keeps exactly this change out for as long as the source asks for it, or until it is confirmed. @throws Refusal */
    reject: (hold: { id: string; digest: string }, actor: { username: string; remoteAddr: string | null }) =>
      decide(hold, 'open', 'rejected', actor),
    lints: () => lints,
    /** The sudo rules that hosts see, in the order in which they were written. */
    rules: () => rules,
    /** Who is served under a Linux account; undefined when nobody is. */
    account: (name: string): Pick<DirectoryUser, 'issuer' | 'id' | 'disabled'> | undefined => accounts.get(name),
    /** Whether the source says that somebody is disabled. `key` as {@link identityKey} gives it. */
    isDisabled: (key: string): boolean => disabled.has(key),
    /** Names of the groups that an account is served in; empty in bridge mode. */
    groupsOf: async (account: string): Promise<string[]> =>
      groupsOf(account, published ?? EMPTY_SNAPSHOT, await deps.numbers.names(), settings.names),
    /** What hosts see. */
    snapshot: () => published ?? EMPTY_SNAPSHOT,
    /** The health check `ldap_sync`: null when well. */
    health(): 'stale' | 'broken' | null {
      if (broken !== null) return 'broken';
      if (!source) return serving ? null : 'stale';
      const age = clock.now() - (lastSuccessAt ?? startedAt);
      return age > 1.5 * deps.refreshMs || (!serving && failures > 0) ? 'stale' : null;
    },
    status(): DirectoryStatus {
      const stale = source !== null && clock.now() - (lastSuccessAt ?? startedAt) > 1.5 * deps.refreshMs;
      const state =
        broken !== null ? 'broken' : !serving ? 'cold' : stale ? 'stale' : fresh || !source ? 'fresh' : 'cached';
      return {
        source: source?.name ?? null,
        state,
        lastSuccessAt,
        problem: broken ?? problem?.message ?? null,
        counts,
        usn,
        builtAt,
        busy: running !== null || pendingFetch || pendingBuild,
      };
    },
    async stop(): Promise<void> {
      stopping.abort();
      stopWatching?.();
      clearTimeout(gapTimer);
      clearTimeout(pollTimer);
      clearTimeout(edgeTimer);
      await running;
    },
  };
}

class SourceFailed extends Error {
  readonly problem: SourceProblem;
  constructor(problem: SourceProblem) {
    super(problem.message);
    this.problem = problem;
  }
}
