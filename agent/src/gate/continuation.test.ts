import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ARGV_SHOWN_BYTES, ENVIRONMENT_SHOWN_BYTES, type HostRecord, hostRecord } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { readToken, writeToken } from './continuation.ts';

const HEADER = join(import.meta.dirname, '../../native/plugin-agent.h');
/** What the plugin has room for. */
const ROOM = Number(/^#define TOKEN_MAX (\d+)$/m.exec(readFileSync(HEADER, 'utf8'))?.[1]);

/** As shown, and twice as long in JSON. */
const backslashes = (length: number) => '\\'.repeat(length);
/** So many bytes in all, in as many pieces as may be: each piece costs quotes and a comma. */
const pieces = (bytes: number) => Array.from({ length: 1024 }, () => backslashes(bytes / 1024));
const SHA256 = 'A'.repeat(43);

/** All that a person can choose is as long as a record may have it. */
const LONGEST: HostRecord = hostRecord.parse({
  v: 1,
  hostId: randomUUID(),
  user: 'a'.repeat(64),
  uid: 4_294_967_295,
  runAs: { user: backslashes(256), group: backslashes(256), assurance: 'resolved' },
  gate: 'plugin',
  service: 's'.repeat(32),
  mode: 'command',
  argvSha256: SHA256,
  argv: pieces(ARGV_SHOWN_BYTES),
  argvTruncated: true,
  target: {
    path: backslashes(4096),
    assurance: 'resolved',
    device: '9'.repeat(20),
    inode: '9'.repeat(20),
    sha256: SHA256,
  },
  unrestricted: ['shell', 'editor', 'interpreter', 'environment', 'user-writable-target', 'user-writable-path'],
  cwd: backslashes(4096),
  tty: backslashes(256),
  origin: backslashes(256),
  reason: '\u20ac'.repeat(2000),
  nonce: SHA256,
  createdAt: 1_800_000_000_000,
  resolved: {
    sudo: '1'.repeat(64),
    command: backslashes(4096),
    chroot: backslashes(4096),
    descriptors: Array(64).fill(1_048_576),
    descriptorsMore: 1_048_576,
    settings: { groups: Array(64).fill(backslashes(256)), groupsMore: 65_536 },
    intercepted: true,
    environment: {
      sha256: SHA256,
      names: pieces(ENVIRONMENT_SHOWN_BYTES),
      truncated: true,
      notable: Array(32).fill({ name: backslashes(64), value: backslashes(64), kind: 'interpreter' }),
    },
  },
});

const ANSWER: ChallengeAnswer = {
  challengeId: '0'.repeat(32),
  userCode: 'ABCDEF-123456',
  status: 'pending',
  approvalUrl: `https://identree.example.com/${'x'.repeat(2000)}`,
  expiresAt: 1_800_000_120_000,
  now: 1_800_000_000_000,
  approvers: ['self', 'admins'],
  verdict: null,
  approverKeys: null,
};

describe('by what the next agent goes on with a request', () => {
  it('the plugin has room for it, however long the words that somebody chooses', () => {
    const token = writeToken({ record: LONGEST, answer: ANSWER, offset: -60_000 });
    assert.ok(token.length <= ROOM, `${token.length} bytes, and there is room for ${ROOM}`);
    assert.deepEqual(readToken(token)?.record, LONGEST);
  });

  it('is no longer where the answer brings keys, a verdict and a grant', () => {
    const bare = writeToken({ record: LONGEST, answer: ANSWER, offset: 0 });
    const brought = { ...ANSWER, verdict: 'v'.repeat(50_000), approverKeys: 'k'.repeat(1_000_000), offlineGrant: 'g' };
    const token = writeToken({ record: LONGEST, answer: brought, offset: 0 });
    // Not compared piece by piece: to say in what a megabyte differs takes minutes.
    assert.ok(token.equals(bare), `${token.length} bytes in the place of ${bare.length}`);
  });
});
