import type { Subject } from '../../auth/standing.ts';
import type { Database } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import { bareIssuer } from '../../platform/issuer.ts';
import type { Random } from '../../platform/random.ts';
import { createHeldChanges } from '../guards/held-changes.ts';
import type { Lint } from '../source/lint.ts';
import type { DirectorySource, SourceProblem } from '../source/source.ts';
import { readFetchedAt } from './published-store.ts';
import type { RoundReport, Served } from './round.ts';
import type { Rounds } from './rounds.ts';
import { createSchedule } from './schedule.ts';

export const REFRESH_TRIGGERS = ['poll', 'webhook', 'watch', 'scim', 'console', 'login', 'signal', 'start'] as const;
export type RefreshTrigger = (typeof REFRESH_TRIGGERS)[number];

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
  /** Null in bridge mode. */
  source: Pick<DirectorySource, 'name' | 'watch'> | null;
  rounds: Pick<Rounds, 'run' | 'groupsOf'>;
  /** Takes the directory off the air: the LDAP engine answers busy, never empty. */
  withdraw: () => void;
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
  readonly counts: Served['counts'] | null;
  readonly usn: number;
  /** When what hosts see was built last in this process; null when nothing was. */
  readonly builtAt: number | null;
  /** Fetching or building, or about to. */
  readonly busy: boolean;
}

export type Directory = ReturnType<typeof createDirectory>;

/** Keeps the LDAP engine supplied, and knows how the last rounds ended. */
export function createDirectory(deps: DirectoryDeps) {
  const { db, clock, source } = deps;
  const startedAt = clock.now();

  let served: Served | null = null;
  /** Whether hosts get answers. `served` outlives a withdrawal: who was disabled stays disabled. */
  let serving = false;
  let fresh = false;
  let broken: string | null = null;
  let problem: SourceProblem | null = null;
  let failures = 0;
  let lastSuccessAt: number | null = null;
  let notBefore = 0;
  let builtAt: number | null = null;
  let disabledPeople: ReadonlySet<string> = new Set();
  let disabledAccounts: ReadonlySet<string> = new Set();
  let forgeryReported = false;
  let stopWatching: (() => void) | undefined;

  function accept(next: Served): void {
    served = next;
    serving = true;
    builtAt = clock.now();
    disabledPeople = new Set(next.disabledPeople.map(personKey));
    disabledAccounts = new Set(next.disabledAccounts);
    deps.metrics.published({ ...next.counts, usn: next.usn, lints: next.lints });
  }

  function fail(report: Extract<RoundReport, { ok: false }>): void {
    deps.metrics.syncFailed();
    failures += 1;
    switch (report.why) {
      case 'source':
        problem = report.problem;
        notBefore = clock.now() + (report.problem.retryAfterMs ?? 0);
        deps.onError(report.problem, 'directory refresh');
        return;
      case 'uid_map':
        broken = report.message;
        // Files could get another owner: better no directory than that one.
        withdraw();
        break;
      case 'error':
        problem = { code: 'invalid', message: 'the directory could not be built. The log says why' };
    }
    deps.onError(report.message, 'directory refresh');
  }

  async function round(fetch: boolean): Promise<void> {
    const awaitedNames = (served?.lints ?? []).flatMap(({ name }) => name ?? []);
    const now = serving && served ? { ...comparable(served), awaitedNames } : null;
    const report = await deps.rounds.run({ fetch, served: now });
    if (schedule.isStopped()) return;
    if (report.fetchSeconds !== null) deps.metrics.syncSeconds(report.fetchSeconds);
    if (report.forged && !forgeryReported) {
      forgeryReported = true;
      lastSuccessAt = null;
      deps.onError('the stored directory was changed by somebody else; it is not used', 'directory cache');
    }
    if (report.ok) {
      if (report.served) accept(report.served);
      if (fetch) {
        problem = null;
        failures = 0;
        notBefore = 0;
        lastSuccessAt = clock.now();
        fresh = true;
      }
      broken = null;
    } else fail(report);
    if (serving && source && clock.now() - (lastSuccessAt ?? startedAt) > deps.cacheMaxAgeMs) withdraw();
  }

  function withdraw(): void {
    serving = false;
    deps.withdraw();
  }

  const schedule = createSchedule({
    clock,
    random: deps.random,
    round,
    outlook: () => ({ nextBoundary: served?.nextBoundary ?? null, failures, notBefore }),
    poll: source && (() => refresh('poll')),
    onError: (error) => deps.onError(error, 'directory refresh'),
    refreshMs: deps.refreshMs,
    minGapMs: deps.minGapMs,
  });

  function refresh(trigger: RefreshTrigger): void {
    // A source that does not accept our key must not be hammered by those who can reach the webhook.
    if (clock.now() < notBefore && trigger !== 'console' && trigger !== 'poll') return;
    deps.metrics.refreshed(trigger);
    if (source) schedule.fetch();
    else schedule.build();
  }

  const holds = createHeldChanges({ db, events: deps.events, clock, onDecided: schedule.build });

  return {
    /** Serves what was published last, then follows the source. Resolves when the former is done. */
    async start(): Promise<void> {
      if (source) {
        lastSuccessAt = await readFetchedAt(db.query);
        if (lastSuccessAt !== null && clock.now() - lastSuccessAt <= deps.cacheMaxAgeMs) await schedule.begin();
      }
      stopWatching = source?.watch?.(() => refresh('watch'));
      refresh('start');
      if (!source) await schedule.current();
    },
    /** Asks for a fetch; many at once are one. */
    refresh,
    /** Rules or hosts changed: builds again from what the source said last. */
    rebuild: schedule.build,
    /** The LDAP engine lost what it had: it gets everything again. */
    republish(): void {
      serving = false;
      schedule.build();
    },
    /** Resolves when nothing is under way and nothing waits. For tests and orderly ends. */
    settled: schedule.settled,
    ...holds,
    lints: () => served?.lints ?? [],
    /** The sudo rules that hosts see, in the order in which they were written. */
    rules: () => served?.rules ?? [],
    /** Whether the source says that a person is disabled: by who they are there, and by the Linux account they are served as. */
    isPersonDisabled: (person: Subject): boolean => disabledPeople.has(personKey(person)),
    isAccountDisabled: (account: string): boolean => disabledAccounts.has(account),
    /** Names of the groups that an account is served in; empty in bridge mode. */
    groupsOf: deps.rounds.groupsOf,
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
        counts: served?.counts ?? null,
        usn: served?.usn ?? 0,
        builtAt,
        busy: schedule.isBusy(),
      };
    },
    async stop(): Promise<void> {
      stopWatching?.();
      await schedule.stop();
    },
  };
}

/** One text for one person, however the issuer is written. */
const personKey = ({ issuer, subject }: Subject): string => `${bareIssuer(issuer)} ${subject}`;

const comparable = ({ from, pinned, numbers, nextBoundary }: Served) => ({ from, pinned, numbers, nextBoundary });
