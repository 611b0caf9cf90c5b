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
  /** The server waits for the first that it is told. */
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
  let wasTold = false;

  async function start(): Promise<void> {
    looking = true;
    lookedAt = clock.monotonic();
    try {
      unsent = toldOf(await look(), clock.now());
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
      if (told !== null) wasTold = true;
      if (told === unsent) unsent = null;
      startIfDue();
    },
    isAwaited: () => takes && !wasTold,
  };
}
