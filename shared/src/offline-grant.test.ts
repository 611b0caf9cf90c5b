import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type HostRecord, hostRecord, type ResolvedBySudo } from './decision.ts';
import { sha256 } from './digest.ts';
import { grantShape } from './offline-grant.ts';
import { sampleRecord, sampleResolved } from './testing/request-record.ts';

const HOST = randomUUID();
const TARGET = {
  path: '/usr/bin/id',
  assurance: 'resolved',
  device: '2049',
  inode: '131',
  sha256: sha256('id'),
} as const;

const record = (fields: Partial<HostRecord> = {}): HostRecord =>
  sampleRecord({ hostId: HOST, gate: 'plugin', target: TARGET, resolved: sampleResolved('/usr/bin/id'), ...fields });

/** What differs each time, or says only from where. */
const FREE = new Set(['nonce', 'createdAt', 'tty', 'origin', 'reason']);

const word = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' });
const digest = word.map(sha256);

const resolved: fc.Arbitrary<ResolvedBySudo> = fc.record({
  sudo: fc.constantFrom('1.21', '1.22'),
  command: word,
  chroot: fc.option(word),
  descriptors: fc.array(fc.integer({ min: 3, max: 60 }), { maxLength: 3 }),
  intercepted: fc.constant(false),
  environment: fc.record({
    sha256: digest,
    names: fc.array(word, { maxLength: 3 }),
    truncated: fc.boolean(),
    notable: fc.constant([]),
  }),
});

const anyRecord: fc.Arbitrary<HostRecord> = fc
  .record({
    hostId: fc.uuid({ version: 4 }),
    user: fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/),
    uid: fc.nat(70_000),
    runAs: fc.record({ user: word, group: fc.option(word), assurance: fc.constant('resolved' as const) }),
    service: fc.constantFrom('sudo', 'sudo-i'),
    argvSha256: digest,
    argv: fc.array(word, { maxLength: 3 }),
    argvTruncated: fc.boolean(),
    target: fc.record({
      path: word,
      assurance: fc.constant('resolved' as const),
      device: fc.nat(9999).map(String),
      inode: fc.nat(9999).map(String),
      sha256: digest,
    }),
    cwd: word,
    tty: fc.option(word),
    origin: fc.option(word),
    reason: fc.option(word),
    nonce: digest,
    createdAt: fc.nat(2_000_000_000),
    resolved,
  })
  .map((fields) => record(fields))
  .filter((one) => hostRecord.safeParse(one).success);

/** Every value within, by its path. */
function leaves(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const within = Object.entries(value).flatMap(([key, part]) => leaves(part, [...path, key]));
  return within.length === 0 ? [path] : within;
}

/** The same with another value at this place. */
function changed<T>(value: T, [key, ...rest]: readonly string[]): T {
  if (key === undefined) {
    if (typeof value === 'boolean') return !value as T;
    if (typeof value === 'number') return (value + 1) as T;
    return (typeof value === 'string' ? `${value}.` : 'another') as T;
  }
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[key] = changed(copy[key], rest);
  return copy as T;
}

describe('what an offline grant is for', () => {
  it('is the same however often, from wherever and for whatever reason the same command is started', () => {
    fc.assert(
      fc.property(anyRecord, anyRecord, (one, other) => {
        const again = { ...one, ...Object.fromEntries(Object.entries(other).filter(([key]) => FREE.has(key))) };
        assert.notEqual(grantShape(one), null);
        assert.equal(grantShape(again as HostRecord), grantShape(one));
      }),
    );
  });

  it('is another with any other value in it, or there is none', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), (one, which) => {
        const places = leaves(one).filter(([first]) => !FREE.has(first!));
        const place = places[which % places.length]!;
        assert.notEqual(grantShape(changed(one, place)), grantShape(one), place.join('.'));
      }),
      { numRuns: 500 },
    );
  });

  it('is another with one member more: what the record comes to say counts by itself', () => {
    assert.notEqual(grantShape({ ...record(), later: true } as HostRecord), grantShape(record()));
  });

  for (const [name, fields] of [
    ['at the PAM stage, which does not see the environment', { gate: 'pam', resolved: undefined }],
    ['for a login', { gate: 'ssh', resolved: undefined, mode: 'login' }],
    ['for a shell', { mode: 'shell' }],
    ['for a login shell', { mode: 'login-shell' }],
    ['for files to edit', { mode: 'edit' }],
    ['for what could not be read', { mode: 'unparsed' }],
    ['for what can be anything', { unrestricted: ['environment'] }],
    ['for a program that is not known', { target: null }],
    ['for a program whose content is not known', { target: { ...TARGET, sha256: null } }],
    ['in a folder that cannot be said', { cwd: null }],
    ['in a folder whose name is too long to be shown whole', { cwd: `${'/x'.repeat(2047)}…` }],
    [
      'for descriptors that are too many to be listed',
      { resolved: sampleResolved('/usr/bin/id', { descriptorsMore: 1 }) },
    ],
    [
      'for groups that are too many to be listed',
      { resolved: sampleResolved('/usr/bin/id', { settings: { groups: ['a'], groupsMore: 1 } }) },
    ],
    ['for what an allowed command started', { resolved: sampleResolved('/usr/bin/id', { intercepted: true }) }],
  ] as const satisfies readonly (readonly [string, object])[])
    it(`there is none ${name}`, () => {
      assert.equal(grantShape(record(fields as unknown as Partial<HostRecord>)), null);
    });
});
