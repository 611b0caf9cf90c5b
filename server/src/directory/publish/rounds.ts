import { canonicalSha256 } from '#shared/digest.ts';
import type { Leaver } from '../../auth/standing.ts';
import type { Entry } from '../../ldap/entry.ts';
import { nextTurn } from '../../platform/slices.ts';
import { type GuardSettings, guard } from '../guards/guard.ts';
import type { NewHost } from '../guards/guard-hosts.ts';
import { listHolds } from '../guards/hold-store.ts';
import { powerIndex } from '../guards/power.ts';
import { groupsOf } from '../numbers/groups-of.ts';
import { userOwner } from '../numbers/ids.ts';
import { MapChanged, type Numbers, type ServedAs, UidMapBroken } from '../numbers/numbers.ts';
import type { DirectorySettings } from '../settings.ts';
import { spelledAsKnown } from '../source/issuer-spelling.ts';
import type { Lint } from '../source/lint.ts';
import { type DirectorySnapshot, EMPTY_SNAPSHOT, snapshotHash } from '../source/model.ts';
import type { DirectorySource, SourceProblem } from '../source/source.ts';
import type { EnrolledHost, StoredRule } from '../tree/model.ts';
import { buildTree } from '../tree/tree.ts';
import { createLastPublished, type LastPublishedDeps } from './last-published.ts';
import { disabledLeavers, removedLeavers, renamedLeavers } from './leavers.ts';
import { accountFor, localPowerIn, rulesForGroups } from './named-power.ts';
import type { HostPower, RoundReport, RoundRequest, Served } from './round.ts';
import { createStamps } from './stamps.ts';

export interface RoundsDeps extends LastPublishedDeps {
  settings: DirectorySettings;
  guards: GuardSettings;
  source: DirectorySource | null;
  numbers: Numbers;
  /** Rules of the database, in a stable order. */
  storedRules: () => Promise<readonly StoredRule[]>;
  /** Hosts that are enrolled and not revoked. */
  hosts: () => Promise<readonly NewHost[]>;
  /** What hosts that are enrolled and not revoked say of their own files. */
  hostPower: () => Promise<readonly HostPower[]>;
  /** Linux account, without regard to case → person it is bound to by sign-in. */
  pinned: () => Promise<ReadonlyMap<string, { issuer: string; subject: string }>>;
  /** Gives the LDAP engine what hosts see from now on. */
  publish: (entries: readonly Entry[], usn: number) => void | Promise<void>;
  /**
   * Called before names change hands, again after that, and before hosts see it, with all who were disabled, removed or
   * renamed. Disabled people are named each time. Rejects: nothing is published, and it is tried again.
   */
  onLeft: (leavers: readonly Leaver[]) => Promise<void>;
  signal: AbortSignal;
}

/** Somebody who changes the map more often than this while it is looked at does it all the time. */
const MAX_LOOKS = 5;

export type Rounds = ReturnType<typeof createRounds>;

/**
 * One round after the other: fetches, holds back what needs an operator, assigns numbers and names, builds, stamps,
 * stores, publishes, in that order. What it remembers between rounds can be had from the database again.
 */
export function createRounds(deps: RoundsDeps) {
  const { db, clock, settings, source, signal } = deps;
  const stamps = createStamps({ db, clock });

  const last = createLastPublished(deps);
  let candidate: DirectorySnapshot | null = null;
  let sourceLints: readonly Lint[] = [];

  const accountOf = (user: { username: string }) => accountFor(user, settings.names);

  const rulesAreServed = settings.sudoSource !== 'claims' || !settings.people;

  /** Names that are served as netgroups of hosts. */
  const netgroupsOf = (hosts: readonly EnrolledHost[]): ReadonlySet<string> =>
    new Set(settings.netgroups ? hosts.flatMap(({ group }) => group ?? []) : []);

  /**
   * Why a source cannot be used although most of it can be read: a rule is for a group that was left out of it, and without
   * an exception or a higher order, another rule could reach further.
   */
  async function rulesLeftBehind(groups: readonly string[]): Promise<SourceProblem | null> {
    if (groups.length === 0) return null;
    const rulesFor = rulesForGroups(rulesAreServed ? await deps.storedRules() : [], settings.names);
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
    const published = last.snapshot();
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
    if (asBefore && wantedHash === last.hash() && holds.length === 0 && !crossed && !awaitsNames) {
      if (candidate) await last.touch();
      return null;
    }

    const decided = new Map(holds.map(({ digest, state }) => [digest, state]));
    const owners = await ownersOfNames(clock.now());
    const lastNames = await deps.numbers.lastNames();
    const { was, will, lookedAt } = await deps.numbers.forecast();
    const guarded = guard({
      published,
      candidate: wanted,
      decided,
      accountOf,
      lastNameOf: (user) => lastNames(userOwner(user)) ?? null,
      owners,
      pinned: bindings,
      claimsGivePower: settings.sudoSource !== 'store',
      power: powerIndex(
        rulesAreServed ? stored : [],
        netgroupsOf(hosts),
        localPowerIn([wanted, published ?? EMPTY_SNAPSHOT], reports, settings.names),
      ),
      reporters: new Map(reports.map(({ hostId, hostname }) => [hostname, hostId])),
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
      if (candidate) await last.touch();
      return null;
    }

    const disabled = guarded.publish.users.filter((user) => user.disabled);
    const leave = (now: Pick<ServedAs, 'nameOf'>): Promise<void> =>
      deps.onLeft([
        ...disabledLeavers(disabled, now),
        ...removedLeavers(published ?? EMPTY_SNAPSHOT, guarded.publish, accountOf, owners),
        ...renamedLeavers(published ?? EMPTY_SNAPSHOT, was, now, accountOf),
      ]);
    // Before a name is another one's: from that moment on they could decide what waits, and who has left it is not known
    // any more should this end in between.
    await leave(will(guarded.publish, guarded.wishes));
    const assigned = await deps.numbers.assign(guarded.publish, guarded.wishes, lookedAt);
    // And what was asked meanwhile.
    await leave(assigned);
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
    const stamped = await stamps.stamp(tree.entries, signal);
    await last.store(guarded, hash, tree.counts, { fetched, holds, decided, now });
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

  /** Looks anew when names were given or released while it looked. */
  async function lookAndPublish(...what: Parameters<typeof publishFrom>): Promise<Served | null> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await publishFrom(...what);
      } catch (error) {
        if (!(error instanceof MapChanged) || attempt === MAX_LOOKS) throw error;
      }
    }
  }

  async function run(request: RoundRequest): Promise<RoundReport> {
    let fetchSeconds: number | null = null;
    const report = () => ({ fetchSeconds, forged: last.forged() });
    try {
      await last.load();
      if (request.fetch && source) {
        const start = performance.now();
        const result = await source.fetch(signal);
        fetchSeconds = (performance.now() - start) / 1000;
        await nextTurn();
        if (!result.ok) return { ...report(), ok: false, why: 'source', problem: result.problem };
        const ruled = await rulesLeftBehind(result.groupsLeftOut ?? []);
        if (ruled) return { ...report(), ok: false, why: 'source', problem: ruled };
        candidate = await spelledAsKnown(result.snapshot, last.snapshot(), deps.numbers.issuers);
        sourceLints = result.lints ?? [];
      }
      // Without a source there is nothing to fetch; after a restart, what was published is all there is.
      const remembered = source ? (last.forged() ? null : last.snapshot()) : EMPTY_SNAPSHOT;
      const wanted = candidate ?? remembered;
      const served = wanted && (await lookAndPublish(wanted, candidate !== null || !source, request.served));
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
      await last.load();
      return groupsOf(account, last.snapshot() ?? EMPTY_SNAPSHOT, await deps.numbers.names(), settings.names);
    },
  };
}
