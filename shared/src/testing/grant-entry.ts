import { randomUUID } from 'node:crypto';
import type { HostRecord } from '../decision.ts';
import { canonicalSha256, sha256 } from '../digest.ts';
import { CHAIN_START } from '../events.ts';
import type { GrantEnd, GrantRun, GrantUse } from '../offline-grant.ts';
import { sampleRecord, sampleResolved } from './request-record.ts';

/** What a host asks when alice runs `sudo id` and sudo's plugin tells: a record that a grant can be for. */
export const grantableRecord = (fields: Partial<HostRecord> & Pick<HostRecord, 'hostId'>): HostRecord =>
  sampleRecord({
    gate: 'plugin',
    runAs: { user: 'root', group: null, assurance: 'resolved' },
    argv: ['id'],
    target: { path: '/usr/bin/id', assurance: 'resolved', device: '2049', inode: '131', sha256: sha256('id') },
    resolved: sampleResolved('/usr/bin/id'),
    ...fields,
  });

const sealed = <Entry extends object>(entry: Entry): Entry & { hash: string } => ({
  ...entry,
  hash: canonicalSha256(entry),
});

/** An entry of the journal of a host: a use of a grant. */
export const grantUse = (use: Pick<GrantUse, 'at' | 'grant' | 'record'>, prevHash: string = CHAIN_START): GrantUse =>
  sealed({ id: randomUUID(), kind: 'use' as const, ...use, prevHash });

/** What became of a use. */
export const grantEnd = (end: Pick<GrantEnd, 'at' | 'nonce' | 'outcome' | 'detail'>, prevHash: string): GrantEnd =>
  sealed({ id: randomUUID(), kind: 'end' as const, ...end, prevHash });

/** What sudo did with the command of a use. */
export const grantRun = (run: Pick<GrantRun, 'at' | 'nonce' | 'run'>, prevHash: string): GrantRun =>
  sealed({ id: randomUUID(), kind: 'run' as const, ...run, prevHash });
