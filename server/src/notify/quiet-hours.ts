import { z } from 'zod';

const time = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/);

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** When a person is not to be disturbed, by the clock on their wall. From after to: over midnight. */
export const quietHours = z
  .strictObject({ from: time, to: time, timeZone: z.string().max(64).refine(isTimeZone, 'not a time zone') })
  .refine(({ from, to }) => from !== to, 'they would never end');
export type QuietHours = z.infer<typeof quietHours>;

const MINUTE = 60_000;
const DAY = 24 * 60;

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));

/** Minute of the day that a clock on the wall shows. */
function wallMinute(at: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  return minutesOf(parts.format(at));
}

/**
 * Pure rule: when somebody may be told what happens now.
 *
 * @returns the same moment outside quiet hours, else when they end. Milliseconds since 1970
 */
export function afterQuiet(quiet: QuietHours | null, now: number): number {
  if (quiet === null) return now;
  const [from, to] = [minutesOf(quiet.from), minutesOf(quiet.to)];
  const isQuiet = (minute: number) => (from < to ? minute >= from && minute < to : minute >= from || minute < to);
  let at = now;
  // Where the clock is put back meanwhile, the first answer is an hour early.
  for (let look = 0; look < 3; look += 1) {
    const minute = wallMinute(at, quiet.timeZone);
    if (!isQuiet(minute)) break;
    at = at - (at % MINUTE) + ((to - minute + DAY) % DAY) * MINUTE;
  }
  if (at === now) return now;
  // Where it is put forward, an hour late.
  return at - ((wallMinute(at, quiet.timeZone) - to + DAY) % DAY) * MINUTE;
}
