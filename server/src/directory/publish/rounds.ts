import { canonicalSha256 } from '#shared/digest.ts';
import type { Leaver, Subject } from '../../auth/standing.ts';
import type { Database, UnitOfWork } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Entry } from '../../ldap/entry.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import { nextTurn } from '../../platform/slices.ts';
import { type GuardResult, type GuardSettings, guard } from '../guards/guard.ts';
import type { NewHost } from '../guards/guard-hosts.ts';
import { deleteHold, type HoldRow, insertHold, listHolds } from '../guards/hold-store.ts';
import { type LocalPower, powerIndex } from '../guards/power.ts';
import { groupsOf } from '../numbers/groups-of.ts';
import { userOwner } from '../numbers/ids.ts';
import { mapGroupName, mapUserName } from '../numbers/names.ts';
import { type Assigned, type Numbers, UidMapBroken } from '../numbers/numbers.ts';
import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import {
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  EMPTY_SNAPSHOT,
  identityKey,
  snapshotHash,
} from '../source/model.ts';
import type { DirectorySource, SourceProblem } from '../source/source.ts';
import type { EnrolledHost, ServedRule, StoredRule } from '../tree/model.ts';
import { buildTree } from '../tree/tree.ts';
import { packSnapshot, readPublished, touchPublished, writePublished } from './published-store.ts';
import { createStamps } from './stamps.ts';

export interface RoundsDeps {
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
  hosts: () => Promise<readonly NewHost[]>;
  /** Nothing stands between these hosts and the directory any more. */
  admitHosts: (work: UnitOfWork, ids: readonly string[]) => Promise<void>;
  /** What hosts that are enrolled and not revoked say of their own files. */
  hostPower: () => Promise<readonly HostPower[]>;
  /** Linux account, without regard to case → person it is bound to by sign-in. */
  pinned: () => Promise<ReadonlyMap<string, { issuer: string; subject: string }>>;
  /** Authenticates what is kept in the database; 32 bytes from outside of it. */
  macKey: Uint8Array;
  /** Gives the LDAP engine what hosts see from now on. */
  publish: (entries: readonly Entry[], usn: number) => void | Promise<void>;
  /**
   * Called before hosts see it, with all who were disabled or removed. Disabled people are named each time. Rejects:
   * nothing is published, and it is tried again.
   */
  onLeft: (leavers: readonly Leaver[]) => Promise<void>;
  signal: AbortSignal;
}

/** What one host says of its own files. */
export interface HostPower {
  readonly hostId: string;
  readonly hostname: string;
  /** Of everything that it says. */
  readonly digest: string;
  readonly power: readonly Omit<LocalPower, 'host'>[];
  /** The part of it that files give beside local accounts. */
  readonly grants: readonly Omit<LocalPower, 'host'>[];
}

/** What hosts see, as far as others need to know it. */
export interface Served {
  /** Digest of everything that it was built from: equal digests, equal entries. */
  readonly from: string;
  /** Digest of the bindings of accounts to people that it was built with. */
  readonly pinned: string;
  /** Generation of the UID map that it was built with: an operator may have changed the map since. */
  readonly numbers: number;
  readonly counts: { readonly people: number; readonly groups: number; readonly sudoRules: number };
  readonly usn: number;
  /** In the order in which they were written. */
  readonly rules: readonly ServedRule[];
  readonly lints: readonly Lint[];
  /** When a sudo rule begins or ends next; null when none does. */
  readonly nextBoundary: number | null;
  /** People who are disabled, and their Linux accounts. */
  readonly disabledPeople: readonly Subject[];
  readonly disabledAccounts: readonly string[];
}

export interface RoundRequest {
  /** False: builds again from what the source said last. */
  readonly fetch: boolean;
  /** What hosts see now; null: nothing. */
  readonly served:
    | (Pick<Served, 'from' | 'pinned' | 'numbers' | 'nextBoundary'> & { readonly awaitedNames: readonly string[] })
    | null;
}

export type RoundReport = {
  /** How long the source took; null when it was not asked. */
  readonly fetchSeconds: number | null;
  /** What was kept in the database was not written by this installation, and was not used. */
  readonly forged: boolean;
} & (
  | { readonly ok: true /** Null: hosts see what they saw. */; readonly served: Served | null }
  | { readonly ok: false; readonly why: 'source'; readonly problem: SourceProblem }
  /** The UID map cannot be trusted. */
  | { readonly ok: false; readonly why: 'uid_map'; readonly message: string }
  | { readonly ok: false; readonly why: 'error'; readonly message: string }
);

export type Rounds = ReturnType<typeof createRounds>;

const TOUCH_EVERY_MS = 10 * 60_000;

/**
 * One round after the other: fetches, holds back what needs an operator, assigns numbers and names, builds, stamps,
 * stores, publishes, in that order. What it remembers between rounds can be had from the database again.
 */
export function createRounds(deps: RoundsDeps) {
  const { db, clock, settings, source, signal } = deps;
  const stamps = createStamps({ db, clock });

  let loaded = false;
  let published: DirectorySnapshot | null = null;
  let publishedHash = '';
  let forged = false;
  let candidate: DirectorySnapshot | null = null;
  let sourceLints: readonly Lint[] = [];
  let lastTouchAt = 0;

  /** What was published last, by whichever process. */
  async function load(): Promise<void> {
    if (loaded || !source) return;
    const last = await readPublished(db.query, deps.macKey);
    if (last.state === 'forged') {
      forged = true;
      // Not null: compared with nothing, everything that gives power waits for an operator.
      published = EMPTY_SNAPSHOT;
    } else if (last.state === 'ok') {
      published = last.published.snapshot;
      publishedHash = last.published.hash;
      lastTouchAt = last.published.fetchedAt;
    }
    loaded = true;
  }

  const accountOf = ({ username }: { username: string }) => {
    const mapped = mapUserName(username, settings.names);
    return mapped.ok ? mapped.name : null;
  };

  const rulesAreServed = settings.sudoSource !== 'claims' || !settings.people;

  /** Names that are served as netgroups of hosts. */
  const netgroupsOf = (hosts: readonly EnrolledHost[]): ReadonlySet<string> =>
    new Set(settings.netgroups ? hosts.flatMap(({ group }) => group ?? []) : []);

  /** What hosts give to names that the directory has, or is asked to have; and to numbers, which it may come to. */
  function localPowerIn(wanted: DirectorySnapshot, reports: readonly HostPower[]): LocalPower[] {
    if (reports.length === 0) return [];
    const names = new Set<string>();
    for (const { users, groups } of [wanted, published ?? EMPTY_SNAPSHOT]) {
      for (const user of users) names.add(accountOf(user)?.toLowerCase() ?? '');
      for (const group of groups) {
        const mapped = mapGroupName(group.name, settings.names);
        if (mapped.ok) names.add(mapped.name.toLowerCase());
      }
    }
    return reports.flatMap(({ hostname, power }) =>
      power
        .filter(({ type, name }) => type === 'uid' || type === 'gid' || names.has(name.toLowerCase()))
        .map((one) => ({ ...one, host: hostname })),
    );
  }

  /** Finds the rules of the database that name a group as `%group`, without regard to case: it gives power by them. */
  function rulesForGroups(stored: readonly StoredRule[]): (group: Pick<DirectoryGroup, 'name'>) => readonly string[] {
    if (!rulesAreServed) return () => [];
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

  /**
   * Why a source cannot be used although most of it can be read: a rule is for a group that was left out of it, and without
   * an exception or a higher order, another rule could reach further.
   */
  async function rulesLeftBehind(groups: readonly string[]): Promise<SourceProblem | null> {
    if (groups.length === 0) return null;
    const rulesFor = rulesForGroups(await deps.storedRules());
    for (const name of groups) {
      const [rule] = rulesFor({ name });
      if (rule) return { code: 'invalid', message: `group “${name}” cannot be read, and the rule ${rule} is for it` };
    }
    return null;
  }

  /** Names that have an owner: users' own, and those that were left within the quarantine. */
  async function ownersOfNames(now: number): Promise<Map<string, string>> {
    const owners = new Map<string, string>();
    for (const [name, record] of await deps.numbers.names()) {
      const { owner, issuer, subject, leftAt } = record;
      const kept = leftAt === null ? owner === 'user' : now - leftAt < settings.names.quarantineMs;
      if (kept) owners.set(name, `${owner} ${issuer} ${subject}`);
    }
    return owners;
  }

  async function noteFetch(): Promise<void> {
    const now = clock.now();
    if (!source || !candidate || now - lastTouchAt <= TOUCH_EVERY_MS) return;
    await db.transaction((work) => touchPublished(work, now));
    lastTouchAt = now;
  }

  /**
   * From a snapshot to what hosts see.
   *
   * @param fetched whether the source said so in this process. What is only remembered asks an operator nothing and
   * takes back no question.
   * @returns null when nothing changed.
   */
  async function publishFrom(
    wanted: DirectorySnapshot,
    fetched: boolean,
    before: RoundRequest['served'],
  ): Promise<Served | null> {
    const stored = await deps.storedRules();
    const hosts = await deps.hosts();
    const holds = await listHolds(db.query);
    const bindings = await deps.pinned();
    const pinned = canonicalSha256([...bindings].sort(([a], [b]) => (a < b ? -1 : 1)).map((one) => one));
    const reports = await deps.hostPower();
    const hostFacts = hosts.map(({ id, hostname, group }) => [id, hostname, group]);
    const said = reports.map(({ hostId, digest }) => [hostId, digest]);
    const digestOf = (hash: string, withheld: ReadonlySet<string>, apart: ReadonlySet<string>) =>
      canonicalSha256([hash, stored, hostFacts, sourceLints, said, [...withheld].sort(), [...apart].sort()]);
    const awaitsNames = (before?.awaitedNames.length ?? 0) > 0;
    const crossed = before !== null && before.nextBoundary !== null && clock.now() >= before.nextBoundary;
    const wantedHash = snapshotHash(wanted);
    await nextTurn();
    // Most rounds find nothing new, and then the numbers of a hundred thousand people need not be read.
    const sameNumbers = before?.numbers === (await deps.numbers.generation());
    const asBefore =
      sameNumbers && before?.pinned === pinned && before?.from === digestOf(wantedHash, new Set(), new Set());
    if (asBefore && wantedHash === publishedHash && holds.length === 0 && !crossed && !awaitsNames) {
      await noteFetch();
      return null;
    }

    const decided = new Map(holds.map(({ digest, state }) => [digest, state]));
    const owners = await ownersOfNames(clock.now());
    const lastNames = await deps.numbers.lastNames();
    const { was, will } = await deps.numbers.forecast();
    const guarded = guard({
      published,
      candidate: wanted,
      decided,
      accountOf,
      lastNameOf: (user) => lastNames(userOwner(user)) ?? null,
      owners,
      pinned: bindings,
      claimsGivePower: settings.sudoSource !== 'store',
      power: powerIndex(rulesAreServed ? stored : [], netgroupsOf(hosts), localPowerIn(wanted, reports)),
      hosts: {
        hosts,
        stored: rulesAreServed ? stored : [],
        localOf: ({ id }) =>
          reports
            .filter(({ hostId }) => hostId === id)
            .flatMap(({ hostname, grants }) => grants.map((one) => ({ ...one, host: hostname }))),
        settings: { expand: settings.sudo.hostWildcards === 'expand', netgroups: settings.netgroups },
      },
      was,
      will,
      settings: deps.guards,
    });
    await nextTurn();
    const hash = snapshotHash(guarded.publish);
    await nextTurn();
    const now = clock.now();
    // A rule begins or ends, or a name that a person waits for was released or has been left for long enough.
    const due = crossed || (before?.awaitedNames ?? []).some((name) => !owners.has(name));
    const from = digestOf(hash, guarded.wishes.withheld, guarded.hosts.apart);
    const sameHolds =
      !fetched ||
      (guarded.arising.length === holds.length && guarded.arising.every(({ digest }) => decided.has(digest)));
    if (from === before?.from && sameNumbers && sameHolds && !due) {
      await noteFetch();
      return null;
    }

    const assigned = await deps.numbers.assign(guarded.publish, guarded.wishes);
    const tree = await buildTree(
      {
        snapshot: guarded.publish,
        assigned,
        storedRules: stored,
        hosts: hosts.map((host) => ({ ...host, apart: guarded.hosts.apart.has(host.id) })),
        settings,
        now,
      },
      signal,
    );
    const disabled = guarded.publish.users.filter((user) => user.disabled);
    await deps.onLeft([...disabledLeavers(disabled, assigned), ...removedLeavers(guarded.publish, owners)]);
    const stamped = await stamps.stamp(tree.entries, signal);
    await store(guarded, hash, tree.counts, { fetched, holds, decided, now });
    await deps.publish(stamped.entries, stamped.usn);
    return {
      from,
      pinned,
      numbers: assigned.generation,
      counts: tree.counts,
      usn: stamped.usn,
      rules: tree.rules,
      lints: [...sourceLints, ...guarded.lints, ...assigned.lints, ...tree.lints],
      nextBoundary: tree.nextBoundary,
      disabledPeople: disabled.map(({ issuer, id }) => ({ issuer, subject: id })),
      disabledAccounts: disabled.flatMap((user) => assigned.nameOf(userOwner(user)) ?? []),
    };
  }

  const leaver = (reason: Leaver['reason'], user: DirectoryUser, account: string | null): Leaver => ({
    issuer: user.issuer,
    subject: user.id,
    account,
    reason,
  });

  const disabledLeavers = (users: readonly DirectoryUser[], assigned: Pick<Assigned, 'nameOf'>): Leaver[] =>
    users.map((user) => leaver('disabled', user, assigned.nameOf(userOwner(user)) ?? null));

  /** People whom hosts still see and the source no longer knows. */
  function removedLeavers(now: DirectorySnapshot, owners: ReadonlyMap<string, string>): Leaver[] {
    const known = new Set(now.users.map(identityKey));
    const gone = (published?.users ?? []).filter((user) => !known.has(identityKey(user)));
    return gone.map((user) => {
      const account = accountOf(user);
      // Another person may be served under the name that this one only would have had.
      const isOwner = account !== null && owners.get(account) === `user ${identityKey(user)}`;
      return leaver('removed', user, isOwner ? account : null);
    });
  }

  /** What is published, and what waits, in one transaction with the events that say so. */
  async function store(
    guarded: GuardResult,
    hash: string,
    counts: Served['counts'],
    context: {
      fetched: boolean;
      holds: readonly HoldRow[];
      decided: ReadonlyMap<string, HoldRow['state']>;
      now: number;
    },
  ): Promise<void> {
    const { fetched, holds, decided, now } = context;
    const packed =
      source && hash !== publishedHash ? await packSnapshot(guarded.publish, hash, source.name, deps.macKey) : null;
    await db.transaction(async (work) => {
      await deps.admitHosts(work, guarded.hosts.admitted);
      if (packed) {
        await writePublished(work, packed, now);
        await deps.events.append(work, {
          event: 'directory_published',
          username: '',
          data: { ...counts, source: packed.source, hash, held: guarded.arising.length },
        });
      }
      if (!fetched) return;
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
    if (!packed) return;
    published = guarded.publish;
    publishedHash = hash;
    lastTouchAt = now;
  }

  async function run(request: RoundRequest): Promise<RoundReport> {
    let fetchSeconds: number | null = null;
    const report = () => ({ fetchSeconds, forged });
    try {
      await load();
      if (request.fetch && source) {
        const start = performance.now();
        const result = await source.fetch(signal);
        fetchSeconds = (performance.now() - start) / 1000;
        await nextTurn();
        if (!result.ok) return { ...report(), ok: false, why: 'source', problem: result.problem };
        const ruled = await rulesLeftBehind(result.groupsLeftOut ?? []);
        if (ruled) return { ...report(), ok: false, why: 'source', problem: ruled };
        candidate = result.snapshot;
        sourceLints = result.lints ?? [];
      }
      // Without a source there is nothing to fetch; after a restart, what was published is all there is.
      const remembered = source ? (forged ? null : published) : EMPTY_SNAPSHOT;
      const wanted = candidate ?? remembered;
      const served = wanted && (await publishFrom(wanted, candidate !== null || !source, request.served));
      return { ...report(), ok: true, served };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UidMapBroken) return { ...report(), ok: false, why: 'uid_map', message: error.message };
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { ...report(), ok: false, why: 'error', message };
    }
  }

  return {
    /** One at a time. Rejects only when the signal aborts. */
    run,
    /** Names of the groups that an account is served in; empty in bridge mode. */
    async groupsOf(account: string): Promise<string[]> {
      await load();
      return groupsOf(account, published ?? EMPTY_SNAPSHOT, await deps.numbers.names(), settings.names);
    },
  };
}
