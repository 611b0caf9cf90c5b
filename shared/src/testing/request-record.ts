import { randomBytes } from 'node:crypto';
import type { HostRecord, ResolvedBySudo } from '../decision.ts';
import { sha256 } from '../digest.ts';

/** What a host asks when alice runs `sudo id`: a record that is right in itself, with a nonce of its own. */
export const sampleRecord = (fields: Partial<HostRecord> & Pick<HostRecord, 'hostId'>): HostRecord => ({
  v: 1,
  user: 'alice',
  uid: 1000,
  runAs: { user: 'root', group: null, assurance: 'derived' },
  gate: 'pam',
  service: 'sudo',
  mode: 'command',
  argvSha256: sha256('sudo\0id\0'),
  argv: ['sudo', 'id'],
  argvTruncated: false,
  target: null,
  unrestricted: [],
  cwd: '/home/alice',
  tty: '/dev/pts/0',
  origin: null,
  reason: null,
  nonce: randomBytes(32).toString('base64url'),
  createdAt: Date.now(),
  ...fields,
});

/** What sudo itself told about the command that it would execute. */
export const sampleResolved = (command: string, fields: Partial<ResolvedBySudo> = {}): ResolvedBySudo => ({
  sudo: '1.21',
  command,
  chroot: null,
  descriptors: [],
  intercepted: false,
  environment: {
    sha256: sha256('LANG=C.UTF-8\0PATH=/usr/sbin:/usr/bin:/sbin:/bin\0'),
    names: ['LANG', 'PATH'],
    truncated: false,
    notable: [],
  },
  ...fields,
});
