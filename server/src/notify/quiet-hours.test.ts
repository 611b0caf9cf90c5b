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

test('[N-13] quiet hours that make no sense are not taken', () => {
  const good = { from: '22:00', to: '07:00', timeZone: 'Europe/Berlin' };
  for (const bad of [{ from: '24:00' }, { to: '7:00' }, { timeZone: 'Mars/Olympus' }, { to: '22:00' }])
    assert.equal(quietHours.safeParse({ ...good, ...bad }).success, false, JSON.stringify(bad));
});
