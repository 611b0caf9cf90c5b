import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterQuiet, quietHours } from './quiet-hours.ts';

const at = (text: string) => Date.parse(text);
const berlin = (from: string, to: string) => quietHours.parse({ from, to, timeZone: 'Europe/Berlin' });

const CASES: [quiet: ReturnType<typeof berlin> | null, now: string, until: string][] = [
  [null, '2026-01-15T02:00:00Z', '2026-01-15T02:00:00Z'],
  [berlin('22:00', '07:00'), '2026-01-15T12:00:00Z', '2026-01-15T12:00:00Z'],
  // Before and after midnight, by the wall and not by UTC.
  [berlin('22:00', '07:00'), '2026-01-15T21:30:20Z', '2026-01-16T06:00:00Z'],
  [berlin('22:00', '07:00'), '2026-01-16T05:59:59Z', '2026-01-16T06:00:00Z'],
  [berlin('22:00', '07:00'), '2026-01-16T06:00:00Z', '2026-01-16T06:00:00Z'],
  [berlin('22:00', '07:00'), '2026-01-15T20:59:59Z', '2026-01-15T20:59:59Z'],
  // Within one day.
  [berlin('12:00', '13:30'), '2026-07-15T10:15:00Z', '2026-07-15T11:30:00Z'],
  [berlin('12:00', '13:30'), '2026-07-15T11:30:00Z', '2026-07-15T11:30:00Z'],
  // The night in which the clock is put forward, and the one in which it is put back.
  [berlin('22:00', '07:00'), '2026-03-28T23:00:00Z', '2026-03-29T05:00:00Z'],
  [berlin('22:00', '07:00'), '2026-10-24T22:00:00Z', '2026-10-25T06:00:00Z'],
];

for (const [quiet, now, until] of CASES) {
  test(`[N-13] what happens at ${now} is told ${quiet ? `outside ${quiet.from} to ${quiet.to}` : 'at once'}`, () => {
    assert.equal(new Date(afterQuiet(quiet, at(now))).toISOString(), new Date(at(until)).toISOString());
  });
}

test('[N-13] where the clock is put forward or back, they end with the first minute that is not quiet', () => {
  // On Lord Howe by half an hour, in Santiago at midnight, in Chatham at a quarter to three.
  const nights = {
    'Europe/Berlin': ['2026-03-29T01:00Z', '2026-10-25T01:00Z'],
    'America/New_York': ['2026-03-08T07:00Z', '2026-11-01T06:00Z'],
    'America/Santiago': ['2026-04-05T03:00Z', '2026-09-06T04:00Z'],
    'Australia/Lord_Howe': ['2026-04-04T15:00Z', '2026-10-03T15:30Z'],
    'Pacific/Chatham': ['2026-04-04T14:00Z', '2026-09-26T14:00Z'],
  };
  const half = (n: number) => `${String(n >> 1).padStart(2, '0')}:${n % 2 === 0 ? '00' : '30'}`;
  for (const [timeZone, changes] of Object.entries(nights)) {
    const clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    for (const change of changes) {
      const first = at(change) - 6 * 60 * 60_000;
      const walls = Array.from({ length: 36 * 60 }, (_, minute) => clock.format(first + minute * 60_000));
      for (let n = 0; n < 48 * 48; n += 5) {
        const [from, to] = [half(n % 48), half(Math.floor(n / 48))];
        if (from === to) continue;
        const isQuiet = (wall: string) => (from < to ? wall >= from && wall < to : wall >= from || wall < to);
        const began = (n * 7) % 600;
        const ended = walls.findIndex((wall, minute) => minute >= began && !isQuiet(wall));
        if (ended < 0) continue;
        const told = afterQuiet({ from, to, timeZone }, first + began * 60_000);
        assert.equal(
          new Date(told).toISOString(),
          new Date(first + ended * 60_000).toISOString(),
          `${timeZone} ${from} ${to} ${walls[began]}`,
        );
      }
    }
  }
});

test('[N-13] quiet hours that make no sense are not taken', () => {
  const good = { from: '22:00', to: '07:00', timeZone: 'Europe/Berlin' };
  for (const bad of [{ from: '24:00' }, { to: '7:00' }, { timeZone: 'Mars/Olympus' }, { to: '22:00' }])
    assert.equal(quietHours.safeParse({ ...good, ...bad }).success, false, JSON.stringify(bad));
});
