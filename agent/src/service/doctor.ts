import { type HostCheck, type HostChecks, hostChecks, MAX_CHECKS, MAX_CHECKS_BYTES } from '#shared/host-checks.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Line } from '../status/line.ts';

/** What the agent finds when it looks at its host now and then, for those who look after many hosts. */
export interface Doctor {
  /** What the server does not have yet; null: nothing. Starts the next look when it is time, and never waits for it. */
  news(): HostChecks | null;
  /** The server has answered. @param takes whether it wants to be told; @param told what it was told with that */
  heard(takes: boolean, told: HostChecks | null): void;
  /** The host is not as it was when it was looked at: it is looked at anew with the next heartbeat, not when it is time. */
  changed(): void;
  /** The server has not heard yet how the host is since it changed; at first, how it is at all. */
  isAwaited(): boolean;
}

/** Looking asks the directory and starts a few programs. */
const INTERVAL_MS = 15 * 60_000;

const cutTo = (text: string, max: number): string => {
  const shown = visibleText(text.replace(/\s+/g, ' ').trim()) || '–';
  const cut = shown.length > max ? `${shown.slice(0, max - 1)}…` : shown;
  // What the server does not take in one line, such as half a character at the cut, would keep it from all the others.
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd');
};

/** As it is told: what is wrong first, if not all of it fits. */
export function toldOf(lines: readonly Line[], at: number): HostChecks | null {
  const told = lines.map(
    ({ what, value, problem }): HostCheck => ({
      what: cutTo(what, 40),
      value: cutTo(value, 200),
      problem: problem === null ? null : cutTo(problem, 400),
    }),
  );
  const kept = [...told.filter(({ problem }) => problem !== null), ...told.filter(({ problem }) => problem === null)];
  kept.splice(MAX_CHECKS);
  while (Buffer.byteLength(JSON.stringify(kept)) > MAX_CHECKS_BYTES) kept.pop();
  return hostChecks.safeParse({ at, lines: told.filter((line) => kept.includes(line)) }).data ?? null;
}

export function createDoctor(deps: { look: () => Promise<readonly Line[]>; clock: Clock; log: Log }): Doctor {
  const { look, clock, log } = deps;
  let takes = false;
  let looking = false;
  let lookedAt: number | null = null;
  let unsent: HostChecks | null = null;
  /** How often it has changed: up to now, before the look that is unsent began, and before the one that the server has. */
  const changes = { all: 1, unsent: 0, told: 0 };

  async function start(): Promise<void> {
    looking = true;
    lookedAt = clock.monotonic();
    const before = changes.all;
    try {
      unsent = toldOf(await look(), clock.now());
      changes.unsent = before;
    } catch (error) {
      log.warn(`doctor: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      looking = false;
    }
  }

  const startIfDue = () => {
    const isDue = lookedAt === null || clock.monotonic() - lookedAt >= INTERVAL_MS;
    if (takes && isDue && !looking) void start();
  };

  return {
    news() {
      startIfDue();
      return takes ? unsent : null;
    },
    heard(wanted, told) {
      takes = wanted;
      if (told !== null && told === unsent) {
        changes.told = changes.unsent;
        unsent = null;
      }
      startIfDue();
    },
    changed() {
      changes.all += 1;
      lookedAt = null;
    },
    isAwaited: () => takes && changes.told < changes.all,
  };
}
