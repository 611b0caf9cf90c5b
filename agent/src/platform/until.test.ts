import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { systemClock } from './clock.ts';
import { createUntil } from './until.ts';

describe('a signal until', () => {
  it('aborts with the other one, for the same reason, and with one that is aborted already', () => {
    const other = new AbortController();
    const { signal } = createUntil(other.signal);
    assert.equal(signal.aborted, false);
    other.abort('hangup');
    assert.deepEqual([signal.aborted, signal.reason], [true, 'hangup']);
    assert.deepEqual(createUntil(other.signal).signal.reason, 'hangup');
  });

  it('aborts when it is ended, leaves the other one alone and does not listen to it any more', () => {
    const other = new AbortController();
    const until = createUntil(other.signal);
    until.end();
    until.end();
    assert.deepEqual([until.signal.aborted, other.signal.aborted], [true, false]);
    assert.equal(getEventListeners(other.signal, 'abort').length, 0);
  });
});

describe('sleep', () => {
  it('is over after its time, at once when it is cut short, and never rejects', async () => {
    const cut = new AbortController();
    const began = performance.now();
    await systemClock.sleep(20);
    assert.ok(performance.now() - began >= 19);
    const sleeping = systemClock.sleep(60_000, cut.signal);
    cut.abort();
    await sleeping;
    await systemClock.sleep(60_000, cut.signal);
    assert.equal(getEventListeners(cut.signal, 'abort').length, 0);
  });

  it('that is over listens to nothing', async () => {
    const { signal } = new AbortController();
    await systemClock.sleep(1, signal);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});
