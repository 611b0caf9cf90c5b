import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostChecks, MAX_CHECKS, MAX_CHECKS_BYTES } from '#shared/host-checks.ts';
import type { Clock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import type { Line } from '../status/line.ts';
import { createDoctor, toldOf } from './doctor.ts';

const LINE: Line = { what: 'sssd', value: 'failed', problem: 'Run: systemctl restart sssd' };
const MINUTE = 60_000;

/** A doctor whose looks end when the test says so. */
function world() {
  let now = 0;
  const clock: Clock = { now: () => now, monotonic: () => now, sleep: async () => undefined };
  const looks: { end(lines: Line[] | Error): Promise<void> }[] = [];
  const look = () =>
    new Promise<Line[]>((resolve, reject) => {
      looks.push({
        async end(lines) {
          if (lines instanceof Error) reject(lines);
          else resolve(lines);
          await new Promise(setImmediate);
        },
      });
    });
  const doctor = createDoctor({ look, clock, log: silentLog });
  return {
    doctor,
    looks,
    later: (ms: number) => {
      now += ms;
    },
    /** One heartbeat that the server answers. */
    beat(takes = true) {
      const news = doctor.news();
      doctor.heard(takes, news);
      return news?.lines ?? null;
    },
  };
}

describe('what a host finds at itself', () => {
  it('is told once, with a heartbeat that does not wait for it, to a server that takes it', async () => {
    const w = world();
    assert.equal(w.beat(), null);
    assert.equal(w.doctor.isAwaited(), true, 'the next heartbeat comes sooner');
    assert.equal(w.beat(), null, 'it is still looking');
    assert.equal(w.looks.length, 1);
    await w.looks[0]!.end([LINE]);
    assert.deepEqual(w.beat(), [LINE]);
    assert.equal(w.doctor.isAwaited(), false);
    assert.equal(w.beat(), null);
    assert.equal(w.looks.length, 1);
    w.later(15 * MINUTE);
    w.beat();
    assert.equal(w.looks.length, 2);
  });

  it('is looked at anew when the host has changed, and until the server has heard of that it is awaited', async () => {
    const w = world();
    w.beat();
    w.doctor.changed();
    await w.looks[0]!.end([LINE]);
    assert.deepEqual(w.beat(), [LINE], 'as it was before');
    assert.equal(w.doctor.isAwaited(), true);
    assert.equal(w.looks.length, 2, 'at once');
    await w.looks[1]!.end([]);
    assert.deepEqual(w.beat(), []);
    assert.equal(w.doctor.isAwaited(), false);
    w.doctor.changed();
    assert.equal(w.doctor.isAwaited(), true);
    assert.equal(w.beat(), null);
    assert.equal(w.looks.length, 3);
  });

  it('is nothing to a server of an earlier version', async () => {
    const w = world();
    for (let beats = 0; beats < 3; beats += 1) assert.equal(w.beat(false), null);
    assert.equal(w.looks.length, 0);
    assert.equal(w.doctor.isAwaited(), false);
  });

  it('is told again when the server did not answer, and newer findings take its place', async () => {
    const w = world();
    w.beat();
    await w.looks[0]!.end([LINE]);
    assert.deepEqual(w.doctor.news()?.lines, [LINE]);
    w.later(15 * MINUTE);
    assert.deepEqual(w.doctor.news()?.lines, [LINE], 'no answer came');
    await w.looks[1]!.end([]);
    assert.deepEqual(w.beat(), []);
  });

  it('a look that fails is tried again at its time', async () => {
    const w = world();
    w.beat();
    await w.looks[0]!.end(new Error('no'));
    assert.equal(w.beat(), null);
    w.later(15 * MINUTE);
    w.beat();
    await w.looks[1]!.end([LINE]);
    assert.deepEqual(w.beat(), [LINE]);
  });

  it('fits into a request and onto a line, with what is wrong', () => {
    const long: Line = { what: 'w'.repeat(99), value: '€'.repeat(999), problem: 'a\nb\u001b[2J'.repeat(99) };
    const good: Line = { what: 'good', value: '', problem: null };
    const told = toldOf([...Array<Line>(30).fill(good), long, ...Array<Line>(30).fill(good)], 7);
    assert.ok(told !== null && hostChecks.safeParse(told).success);
    assert.ok(told.lines.length <= MAX_CHECKS);
    assert.equal(told.lines.filter(({ problem }) => problem !== null).length, 1);
    const all = toldOf(Array<Line>(60).fill(long), 7);
    assert.ok(all !== null && Buffer.byteLength(JSON.stringify(all.lines)) <= MAX_CHECKS_BYTES);
  });

  it('one line that nobody should be shown, or that is cut in the middle of a character, costs no other', () => {
    const arabic: Line = { what: 'sudo', value: 'a\u0600b', problem: null };
    const cut: Line = { what: 'sudo', value: `${'a'.repeat(198)}😀 and more`, problem: null };
    const told = toldOf([LINE, arabic, cut], 7);
    assert.deepEqual(
      told?.lines.map(({ value }) => value),
      ['failed', 'a\ufffdb', `${'a'.repeat(198)}\ufffd…`],
    );
  });
});
