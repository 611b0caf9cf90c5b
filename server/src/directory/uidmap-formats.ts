import { type AssignedNumber, ownerKey, RESERVED } from './ids.ts';
import type { DirectorySettings } from './settings.ts';
import { formatUidMap, type UidMapFile } from './uidmap-file.ts';

type Settings = Pick<DirectorySettings, 'baseDn' | 'issuer' | 'accounts'>;
type Format = (map: UidMapFile, settings: Settings) => string;

interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Who is there, under the name that hosts know. */
function accountsOf(map: UidMapFile): { users: Account[]; groups: { name: string; gid: number }[] } {
  const served = new Map(map.names.filter(({ leftAt }) => leftAt === null).map((row) => [ownerKey(row), row.name]));
  const nameOf = (row: AssignedNumber): string => served.get(ownerKey(row)) ?? row.name;
  const there = map.numbers.filter(({ retiredAt }) => retiredAt === null);
  const gids = new Map(there.filter(({ kind }) => kind === 'gid').map((row) => [ownerKey(row), row.number]));
  const users = there
    .filter(({ kind }) => kind === 'uid')
    .map((row) => ({ name: nameOf(row), uid: row.number, gid: gids.get(ownerKey(row)) ?? row.number }))
    .sort((a, b) => a.uid - b.uid);
  const groups = there
    .filter(({ kind, owner }) => kind === 'gid' && owner === 'group')
    .map((row) => ({ name: nameOf(row), gid: row.number }))
    .sort((a, b) => a.gid - b.gid);
  return { users, groups };
}

/** RFC 4180. A cell that a spreadsheet would compute is text. */
const cell = (value: string | number): string => {
  const text = String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const time = (at: number | null): string => (at === null ? '' : new Date(at).toISOString());

const csv: Format = (map) => {
  const order = [...map.numbers].sort((a, b) => (a.kind === b.kind ? a.number - b.number : a.kind === 'uid' ? -1 : 1));
  const rows = order.map((row) => [
    row.kind,
    row.number,
    row.issuer === RESERVED ? 'reserved' : row.owner,
    row.name,
    row.issuer,
    row.subject,
    time(row.assignedAt),
    time(row.retiredAt),
  ]);
  const head = ['kind', 'number', 'owner', 'name', 'issuer', 'subject', 'assigned_at', 'retired_at'];
  return [head, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
};

const passwd: Format = (map, { accounts }) =>
  accountsOf(map)
    .users.map(({ name, uid, gid }) =>
      [name, 'x', uid, gid, '', homeOf(name, accounts), accounts.defaultShell].join(':').concat('\n'),
    )
    .join('');

const homeOf = (name: string, accounts: Settings['accounts']): string => accounts.defaultHome.replaceAll('%s', name);

/** RFC 2849, with RFC 2307's classes. Names are of plain characters already. */
const ldif: Format = (map, { baseDn, accounts }) => {
  const { users, groups } = accountsOf(map);
  const entries = [
    ...users.map(({ name, uid, gid }) => [
      `dn: uid=${name},ou=people,${baseDn}`,
      'objectClass: account',
      'objectClass: posixAccount',
      `uid: ${name}`,
      `cn: ${name}`,
      `uidNumber: ${uid}`,
      `gidNumber: ${gid}`,
      `homeDirectory: ${homeOf(name, accounts)}`,
      `loginShell: ${accounts.defaultShell}`,
    ]),
    ...users.map(({ name, gid }) => [name, gid] as const).map(groupEntry),
    ...groups.map(({ name, gid }) => [name, gid] as const).map(groupEntry),
  ];
  function groupEntry([name, gid]: readonly [string, number]): string[] {
    return [`dn: cn=${name},ou=groups,${baseDn}`, 'objectClass: posixGroup', `cn: ${name}`, `gidNumber: ${gid}`];
  }
  return ['version: 1', ...entries.map((lines) => `\n${lines.join('\n')}`)].join('\n').concat('\n');
};

/**
 * Forms in which the map can be had. `json` is `uidmap.json` itself, `passwd` and `ldif` hold who is there, with the home
 * and shell that everybody has who says nothing else.
 */
export const UID_MAP_FORMATS: Readonly<Record<string, Format>> = {
  json: (map, { issuer }) => formatUidMap(map, issuer),
  csv,
  ldif,
  passwd,
};
