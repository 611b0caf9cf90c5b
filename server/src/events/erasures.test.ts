import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHAIN_START, ERASED, type LoggedEvent, sealEvent } from '#shared/events.ts';
import { createErasures, type Erasure } from './erasures.ts';

const event = (seq: number, name: string, data: Record<string, unknown> = {}): LoggedEvent =>
  sealEvent({ ...ERASED, seq, at: 1, event: name, challengeId: null, data, prevHash: CHAIN_START }, 'salt');
const erased = (seq: number, name: string): LoggedEvent => ({ ...event(seq, name), ...ERASED });
const says = (seq: number, more: Partial<Erasure>): LoggedEvent => {
  const said = { topic: 'sessions', events: ['user_logged_in'], from: 1, to: 1, count: 1, before: 2 };
  return event(seq, 'audit_erased', { ...said, archive: 'a file', sha256: 'its hash', ...more });
};

function unsaid(...log: LoggedEvent[]): number | null {
  const erasures = createErasures();
  for (const one of log) erasures.note(one);
  return erasures.unsaid();
}

test('what is erased and said to be is in order; what nothing says is found', () => {
  const two = [erased(1, 'user_logged_in'), event(2, 'host_enrolled'), erased(3, 'user_logged_in')];
  assert.equal(unsaid(...two, says(9, { from: 1, to: 3, count: 2 })), null);
  assert.equal(unsaid(...two, says(9, { from: 1, to: 2, count: 1 })), 3);
  assert.equal(unsaid(...two, says(9, { from: 2, to: 3, count: 1 })), 1);
  assert.equal(unsaid(...two, says(9, { events: ['user_logged_out'], from: 1, to: 3, count: 2 })), 1);
  assert.equal(unsaid(erased(1, 'user_logged_in'), says(2, { from: 1, to: 2, count: 2 })), 1, 'not even past');
});

test('what somebody had erased before does not pass for a part of what is erased around it', () => {
  const three = [1, 2, 3].map((seq) => erased(seq, 'user_logged_in'));
  assert.equal(unsaid(...three, says(9, { from: 1, to: 3, count: 2 })), 1);
  const later = [erased(10, 'user_logged_in'), erased(11, 'user_logged_in')];
  const first = says(9, { from: 1, to: 3, count: 3 });
  assert.equal(unsaid(...three, first, ...later, says(12, { from: 10, to: 11, count: 1 })), 10);
  assert.equal(unsaid(...three, first, ...later, says(12, { from: 10, to: 11, count: 2 })), null);
});

test('events that are counted with another topic since then count for what was said first', () => {
  const log = [1, 2, 3, 4].map((seq) => erased(seq, 'user_logged_in'));
  const first = says(8, { from: 1, to: 3, count: 3 });
  assert.equal(unsaid(...log, first, says(9, { topic: 'attempts', from: 2, to: 4, count: 1 })), null);
});

test('what was put back from an archive is not missed', () => {
  assert.equal(unsaid(erased(1, 'user_logged_in'), event(2, 'user_logged_in'), says(9, { to: 2, count: 2 })), null);
});
