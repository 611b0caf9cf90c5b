import type { Entry } from '../entry.ts';

export const BASE = 'dc=example,dc=com';

const uuid = (kind: number, n: number): string =>
  `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

const pad = (n: number): string => String(n).padStart(6, '0');

/** GeneralizedTime of a number of seconds after the first day of 2026. */
export const timestamp = (seconds: number): string =>
  `${new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;

const operational = (kind: number, n: number, usn: number): Entry['operational'] => ({
  entryUUID: uuid(kind, n),
  createTimestamp: timestamp(0),
  modifyTimestamp: timestamp(usn),
  entryUSN: usn,
});

const unit = (ou: string, n: number): Entry => ({
  dn: `ou=${ou},${BASE}`,
  objectClass: ['top', 'organizationalUnit'],
  attributes: [['ou', [ou]]],
  operational: operational(1, n, 1),
});

/**
 * A directory of `users` people, their private groups, a tenth as many groups of 20 members and a hundredth as many sudo
 * rules, the same at every call.
 */
export function* sampleEntries(users: number): Generator<Entry> {
  let usn = 1;
  yield {
    dn: BASE,
    objectClass: ['top', 'dcObject', 'organization'],
    attributes: [
      ['dc', ['example']],
      ['o', ['example']],
    ],
    operational: operational(1, 0, 1),
  };
  yield* ['people', 'groups', 'sudoers', 'identree-hosts'].map((ou, index) => unit(ou, index + 1));
  for (let n = 0; n < users; n++) yield person(n, ++usn);
  for (let n = 0; n < users; n++) yield privateGroup(n, ++usn);
  const groups = Math.ceil(users / 10);
  for (let n = 0; n < groups; n++) yield group(n, users, ++usn);
  for (let n = 0; n < Math.ceil(users / 100); n++) yield sudoRole(n, groups, ++usn);
}

/** Highest entryUSN of `sampleEntries(users)`. */
export const sampleUsn = (users: number): number => 1 + users * 2 + Math.ceil(users / 10) + Math.ceil(users / 100);

const uid = (n: number): string => `u${pad(n)}`;

function person(n: number, usn: number): Entry {
  const name = uid(n);
  return {
    dn: `uid=${name},ou=people,${BASE}`,
    objectClass: ['top', 'person', 'organizationalPerson', 'inetOrgPerson', 'posixAccount', 'shadowAccount'],
    attributes: [
      ['uid', [name]],
      ['cn', [`User Number ${pad(n)}`]],
      ['sn', [`Number ${pad(n)}`]],
      ['givenName', ['User']],
      ['displayName', [`User Number ${pad(n)}`]],
      ['mail', [`${name}@example.com`]],
      ['uidNumber', [String(200_000 + n)]],
      ['gidNumber', [String(200_000 + n)]],
      ['gecos', [`User Number ${pad(n)}`]],
      ['homeDirectory', [`/home/${name}`]],
      ['loginShell', ['/bin/bash']],
      ['shadowLastChange', ['1']],
      ['shadowMin', ['0']],
      ['shadowMax', ['99999']],
      ['shadowWarning', ['7']],
      ['accountStatus', ['active']],
    ],
    operational: operational(2, n, usn),
  };
}

function privateGroup(n: number, usn: number): Entry {
  const name = uid(n);
  return {
    dn: `cn=${name},ou=groups,${BASE}`,
    objectClass: ['top', 'posixGroup', 'extensibleObject'],
    attributes: [
      ['cn', [name]],
      ['gidNumber', [String(200_000 + n)]],
      ['description', [`User private group of ${name}`]],
      ['memberUid', [name]],
      ['member', [`uid=${name},ou=people,${BASE}`]],
    ],
    operational: operational(3, n, usn),
  };
}

function group(n: number, users: number, usn: number): Entry {
  const members = Array.from({ length: Math.min(20, users) }, (_, i) => uid((n * 10 + i) % users));
  const name = `g${pad(n)}`;
  return {
    dn: `cn=${name},ou=groups,${BASE}`,
    objectClass: ['top', 'posixGroup', 'extensibleObject'],
    attributes: [
      ['cn', [name]],
      ['gidNumber', [String(1_000_000 + n)]],
      ['description', [`Group ${n}`]],
      ['memberUid', members],
      ['member', members.map((member) => `uid=${member},ou=people,${BASE}`)],
    ],
    operational: operational(4, n, usn),
  };
}

function sudoRole(n: number, groups: number, usn: number): Entry {
  const name = `r${pad(n)}`;
  return {
    dn: `cn=${name},ou=sudoers,${BASE}`,
    objectClass: ['top', 'sudoRole'],
    attributes: [
      ['cn', [name]],
      ['sudoUser', [`%g${pad(n % groups)}`, uid(n)]],
      ['sudoHost', [n % 25 === 0 ? 'ALL' : `host${n % 25}.example.com`]],
      ['sudoCommand', ['/usr/bin/systemctl restart nginx', `/usr/bin/tool${n}`]],
      ['sudoRunAsUser', ['root']],
      ['sudoOption', ['log_output']],
      ['sudoOrder', [String(n + 1)]],
    ],
    operational: operational(5, n, usn),
  };
}
