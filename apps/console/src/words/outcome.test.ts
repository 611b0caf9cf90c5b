import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeText, type Told } from './outcome.ts';

const APPROVED: Told = {
  status: 'approved',
  outcome: 'granted',
  outcomeDetail: null,
  run: null,
  offline: null,
  record: { gate: 'plugin' },
};
const says = (fields: Partial<Told>) => outcomeText({ ...APPROVED, ...fields });
const ENDED = { state: 'ended', endedAt: 0, exitStatus: null, signal: null, durationMs: 3000 } as const;

test('what sudo did is told as it was seen', () => {
  assert.equal(says({}), 'Released to sudo');
  const offline = { grantedAt: 1, usedAt: 2, problem: null };
  assert.equal(says({ offline }), 'Released to sudo by an offline grant, and told later');
  assert.equal(says({ offline, run: { ...ENDED, exitStatus: 0 } }), 'Ended with status 0 after 3 s');
  assert.equal(says({ offline, outcome: null }), 'The host has not reported what happened.');
  assert.equal(says({ run: { state: 'started', startedAt: 0 } }), 'Running');
  assert.equal(says({ run: { ...ENDED, exitStatus: 0 } }), 'Ended with status 0 after 3 s');
  assert.equal(says({ run: { ...ENDED, signal: 'SIGKILL' } }), 'Ended by SIGKILL after 3 s');
  assert.equal(says({ run: ENDED }), 'sudo lost sight of the command after 3 s');
  assert.equal(says({ run: { state: 'refused', endedAt: 0, reason: 'no' } }), 'sudo refused it: no');
  assert.equal(says({ run: { state: 'refused', endedAt: 0, reason: '' } }), 'sudo refused it: it gave no reason.');
  assert.equal(says({ outcome: null, run: { ...ENDED, exitStatus: 1 } }), 'Ended with status 1 after 3 s');
});

test('nothing is said to have run where nobody saw it', () => {
  assert.equal(says({ record: { gate: 'pam' } }), 'Released to sudo');
  assert.equal(says({ record: { gate: 'ssh' } }), 'The login was allowed');
  assert.equal(says({ record: { gate: 'try' }, run: { ...ENDED, exitStatus: 0 } }), 'Rehearsal. Nothing ran.');
  assert.equal(says({ outcome: null }), 'The host has not reported what happened.');
  assert.equal(says({ status: 'denied', outcome: null }), 'Nothing was released');
  assert.equal(says({ status: 'pending', outcome: null }), 'Waiting for an answer');
});

test('a code of a refusal that is not known is told as it is', () => {
  const refused = (outcomeDetail: string | null) => says({ outcome: 'refused', outcomeDetail });
  assert.equal(
    refused('target_changed'),
    'The host refused: the command, its folder or its program changed after it was approved.',
  );
  assert.equal(refused('constructor'), 'The host refused: constructor');
  assert.equal(refused(null), 'The host refused: it gave no reason.');
});
