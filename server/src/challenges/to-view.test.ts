import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import { sampleRecord, sampleResolved } from '#shared/testing/request-record.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Challenge } from './store.ts';
import { toView } from './to-view.ts';

const EVIL = '\u202e\u200b\x1b\x00\u{e0041}';
const HOST_ID = '0b9f6a52-5f2b-4c0e-9d0e-2f6f3f1f7a10';

function viewOf(record: HostRecord) {
  const policy = { rule: 'r', version: 'v', approval: 'passkey', approvers: ['self'] } as Challenge['policy'];
  const challenge = { ...NO_RUN, id: 'id', status: 'approved', username: 'alice', hostname: 'web1', record, policy };
  const viewer = { person: { issuer: 'i', subject: 's', username: 'alice' }, session: { kind: 'browser' } };
  return toView(
    challenge as unknown as Challenge,
    { ...viewer, role: 'user', accounts: ['alice'] } as unknown as Viewer,
    {
      ownerName: null,
      host: { group: null, lastSeenAt: null },
      policyNow: policy,
      now: 0,
    },
  );
}

const NO_RUN = { reason: null, outcome_detail: null, run_state: null };

const plugin = (argv: string[], command: string, resolved: Parameters<typeof sampleResolved>[1] = {}) =>
  sampleRecord({ hostId: HOST_ID, gate: 'plugin', argv, resolved: sampleResolved(command, resolved) });

/** Every text within a value. */
const textsOf = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(textsOf)
      : [];

test('who decided is the viewer by who they are, and not by a name that others have as well', () => {
  const policy = { rule: 'r', version: 'v', approval: 'passkey', approvers: ['self'] } as Challenge['policy'];
  const decided = { id: 'id', status: 'approved', username: 'alice', decided_by: 'one', decided_by_name: 'alice' };
  const challenge = { ...NO_RUN, ...decided, record: sampleRecord({ hostId: HOST_ID }), policy };
  const seenBy = (id: string): boolean => {
    const viewer = { person: { id, issuer: 'i', subject: id, username: 'alice' }, session: { kind: 'browser' } };
    const facts = { ownerName: null, host: { group: null, lastSeenAt: null }, policyNow: policy, now: 0 };
    const whole = { ...viewer, role: 'admin', accounts: [] } as unknown as Viewer;
    return toView(challenge as unknown as Challenge, whole, facts).decidedByViewer;
  };
  assert.deepEqual([seenBy('one'), seenBy('another')], [true, false]);
});

test('no text of a record reaches a viewer with something in it that cannot be seen, whatever a host sends', () => {
  const record: HostRecord = {
    ...plugin([EVIL, EVIL], `/${EVIL}`, {
      sudo: EVIL,
      chroot: EVIL,
      environment: {
        sha256: 'x',
        names: [EVIL],
        truncated: false,
        notable: [{ name: EVIL, value: EVIL, kind: 'loader' }],
      },
    }),
    runAs: { user: EVIL, group: EVIL, assurance: 'resolved' },
    target: { path: EVIL, assurance: 'resolved', device: '1', inode: '1', sha256: null },
    cwd: EVIL,
    tty: EVIL,
    origin: EVIL,
    reason: EVIL,
  };
  const texts = textsOf(viewOf(record));
  for (const text of texts) assert.equal(text, visibleText(text));
  assert.ok(texts.filter((text) => text.includes('\\u{202e}')).length >= 14);
});
