import { z } from 'zod';
import { timestamp } from '#shared/names.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { readTrustedFile } from '../state/trusted-file.ts';
import { authoritiesOf, type HeardAuthorities, isBehind } from './authorities.ts';
import { certificateProblem, lifetimeOf } from './check.ts';
import type { Renewal } from './renew.ts';
import type { CertificateSet } from './store.ts';

const HOUR = 3_600_000;
const FIRST_RETRY = 60_000;
/** However long a server is away, it is asked so many times in the life of a certificate. */
const RETRIES = 24;

/** A fleet that was enrolled in one night must not renew in one night: each host is early by its own share of this. */
const SPREAD = 0.05;

/** When a certificate is due: two thirds of its life, less `early` (0…1) of the spread. */
export function dueAt(life: { from: number; until: number }, early: number): number {
  return life.from + (life.until - life.from) * (2 / 3 - SPREAD * early);
}

/** A renewal that is due is made within an hour, and of one that lives for minutes within a tenth of the pause before. */
const MADE_WITHIN = 2 * HOUR;

/** True once it should have been renewed. @param life of which two thirds are over when it is due */
export function isLate(life: { from: number; until: number }, now: number): boolean {
  return now > dueAt(life, 0) + Math.min(MADE_WITHIN, (life.until - life.from) / 12);
}

const attempt = z.strictObject({ at: timestamp, problem: z.string().nullable() });
/** What the last attempt came to; `identree doctor` shows it. */
export type Attempt = z.infer<typeof attempt>;

/** Null when there was none, or when nothing can be made of the file: it is only for people. */
export async function readAttempt(path: string): Promise<Attempt | null> {
  const bytes = await readTrustedFile(path).catch(() => null);
  try {
    return bytes && attempt.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}

export interface ScheduleDeps {
  /** The set in use; null or throws: there is none that can be used. */
  current: () => Promise<CertificateSet | null>;
  identity: { hostname: string; hostId: string };
  renew: () => Promise<Renewal>;
  /** What the server says of its authorities, and which ones came with the certificate. */
  heard: Pick<HeardAuthorities, 'current' | 'changed' | 'follow'>;
  granted: () => Promise<readonly string[] | null>;
  save: (attempt: Attempt) => Promise<void>;
  clock: Clock;
  log: Log;
  /** 0…1 */
  random: () => number;
}

/**
 * Keeps the certificate of this host good until stopped. One that is missing, broken or another host's is due at once, and so
 * is one when the server goes by other authorities.
 */
export async function keepCertificate(deps: ScheduleDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const early = deps.random();
  let retry = FIRST_RETRY;
  /** What a renewal did not change, though the server says that it would: said once more, it is not tried once more. */
  let vain: string | null = null;
  while (!signal.aborted) {
    let pause: number;
    let longest = HOUR;
    // Taken before anything is looked at: what is said meanwhile must not be slept through.
    const changed = deps.heard.changed();
    let isRenewed = false;
    try {
      const said = deps.heard.current()?.join() ?? null;
      const { due, longestRetry } = await whenDue(deps, early, said !== vain);
      longest = longestRetry;
      if (clock.now() < due) pause = due - clock.now();
      else {
        const renewal = await deps.renew();
        await deps.save({ at: clock.now(), problem: renewal.ok ? null : renewal.message });
        if (!renewal.ok) throw new Error(renewal.message);
        log.info(`the certificate of this host was renewed; it ends ${new Date(renewal.until).toISOString()}`);
        // Looked at again, and not at once: whatever a server sends must not make this loop turn without a pause.
        if (renewal.isWhole) {
          vain = said;
          pause = retry = FIRST_RETRY;
        } else {
          pause = retry;
          retry = Math.min(retry * 2, longest);
        }
        deps.heard.follow();
        isRenewed = true;
      }
    } catch (error) {
      log.error(
        `the certificate of this host was not renewed: ${error instanceof Error ? error.message : String(error)}`,
      );
      pause = Math.min(retry, longest);
      retry = Math.min(retry * 2, longest);
    }
    // At most an hour at a time: clocks are set, machines sleep, and root renews by hand.
    // Whatever is said meanwhile: a server that names others each time gets one renewal a minute, and no more.
    const until = isRenewed ? signal : AbortSignal.any([signal, changed]);
    await clock.sleep(Math.min(pause, HOUR) * (1 + 0.1 * deps.random()), until);
  }
}

/** `longestRetry`: a host whose certificates live for minutes cannot wait for an hour once its server is back. */
async function whenDue(
  deps: ScheduleDeps,
  early: number,
  looksAtAuthorities: boolean,
): Promise<{ due: number; longestRetry: number }> {
  const atOnce = { due: 0, longestRetry: HOUR };
  const set = await deps.current().catch((error: unknown) => {
    deps.log.warn(error instanceof Error ? error.message : String(error));
    return null;
  });
  if (set === null) return atOnce;
  const { identity } = deps;
  const expected = { ...identity, key: set.key, now: 0 };
  const problem = certificateProblem({ certificate: set.certificate, caBundle: set.ca }, expected);
  if (problem === null) {
    const life = lifetimeOf(set.certificate);
    const longestRetry = Math.min(HOUR, Math.max(FIRST_RETRY, (life.until - life.from) / RETRIES));
    const heard = looksAtAuthorities ? deps.heard.current() : null;
    if (heard !== null && isBehind(authoritiesOf(set), heard, await deps.granted())) {
      deps.log.info('the server has other authorities than this host: the certificate is renewed');
      return { due: 0, longestRetry };
    }
    return { due: dueAt(life, early), longestRetry };
  }
  deps.log.warn(`the certificate of this host cannot be used: ${problem}`);
  return atOnce;
}
