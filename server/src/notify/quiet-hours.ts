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

/** A clock on the wall of a time zone. @returns the minute of the day that it shows */
function wallClock(timeZone: string): (at: number) => number {
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  return (at) => minutesOf(clock.format(at));
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
  const wallMinute = wallClock(quiet.timeZone);
  const minute = wallMinute(now);
  if (!isQuiet(minute)) return now;
  const begins = now - (now % MINUTE);
  const end = begins + ((to - minute + DAY) % DAY) * MINUTE;
  if (wallMinute(end) === to) return end;
  // The clock is put forward or back meanwhile, perhaps over the very minute at which they end.
  let at = begins;
  while (isQuiet(wallMinute(at))) at += MINUTE;
  return at;
}
