import type { Entry } from '../entry.ts';
import { buildSnapshot } from '../snapshot/build-snapshot.ts';
import type { SnapshotOptions } from '../snapshot/collected.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { BASE, timestamp } from './sample-entries.ts';

let made = 0;

/** An entry with everything a test does not care about filled in. */
export function entry(
  dn: string,
  objectClass: readonly string[],
  attributes: Record<string, string | readonly string[]>,
  more: Partial<Entry> & { usn?: number } = {},
): Entry {
  const { usn = 1, ...rest } = more;
  made++;
  return {
    dn,
    objectClass: ['top', ...objectClass],
    attributes: Object.entries(attributes).map(([name, values]) => [
      name,
      typeof values === 'string' ? [values] : values,
    ]),
    operational: {
      entryUUID: `00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`,
      createTimestamp: timestamp(0),
      modifyTimestamp: timestamp(usn),
      entryUSN: usn,
    },
    ...rest,
  };
}

export const baseEntry = (): Entry => entry(BASE, ['dcObject', 'organization'], { dc: 'example', o: 'example' });

export const container = (ou: string): Entry => entry(`ou=${ou},${BASE}`, ['organizationalUnit'], { ou });

export function person(uid: string, number: number, more: Record<string, string | string[]> = {}, usn = 1): Entry {
  return entry(
    `uid=${uid},ou=people,${BASE}`,
    ['person', 'organizationalPerson', 'inetOrgPerson', 'posixAccount', 'shadowAccount'],
    {
      uid,
      cn: `Name of ${uid}`,
      sn: uid,
      uidNumber: String(number),
      gidNumber: String(number),
      homeDirectory: `/home/${uid}`,
      loginShell: '/bin/bash',
      ...more,
    },
    { usn },
  );
}

export function group(cn: string, number: number, memberUid: string[], usn = 1): Entry {
  return entry(
    `cn=${cn},ou=groups,${BASE}`,
    ['posixGroup', 'extensibleObject'],
    {
      cn,
      gidNumber: String(number),
      ...(memberUid.length > 0 ? { memberUid, member: memberUid.map((uid) => `uid=${uid},ou=people,${BASE}`) } : {}),
    },
    { usn },
  );
}

export function sudoRole(cn: string, more: Record<string, string | string[]>, usn = 1): Entry {
  return entry(`cn=${cn},ou=sudoers,${BASE}`, ['sudoRole'], { cn, ...more }, { usn });
}

/** A small directory with one of everything. */
export function smallDirectory(): Entry[] {
  return [
    baseEntry(),
    container('people'),
    container('groups'),
    container('sudoers'),
    container('identree-hosts'),
    person('alice', 200001, { mail: 'alice@example.com', givenName: 'Alice', gecos: 'Alice Ahlberg' }, 10),
    person('bob', 200002, { mail: 'bob@example.com', displayName: 'Bób Ünal' }, 11),
    person('carol', 200003, { sshPublicKey: ['ssh-ed25519 AAAA carol', 'ssh-rsa BBBB carol'] }, 12),
    group('alice', 200001, ['alice'], 10),
    group('ops', 300001, ['alice', 'bob'], 13),
    group('empty', 300002, [], 14),
    sudoRole('ops', {
      sudoUser: ['alice', 'bob'],
      sudoHost: ['ALL'],
      sudoCommand: ['/usr/bin/apt', '/usr/bin/id'],
      sudoRunAsUser: 'root',
      sudoOrder: '1',
    }),
    sudoRole('web', {
      sudoUser: ['carol'],
      sudoHost: ['web1.example.com', 'web1'],
      sudoCommand: 'ALL',
      sudoOption: ['!authenticate', 'log_output'],
      sudoOrder: '2',
    }),
    entry(
      `uid=web1.example.com,ou=identree-hosts,${BASE}`,
      ['account'],
      { uid: 'web1.example.com', host: 'web1.example.com' },
      { audience: 'self' },
    ),
  ];
}

export function snapshotOf(entries: Iterable<Entry>, options: Partial<SnapshotOptions> = {}): Snapshot {
  return buildSnapshot(entries, { baseDn: BASE, generation: 1, lastUsn: 1_000_000, hashSeed: 12345, ...options });
}
