import type { DirectorySettings } from '../settings.ts';
import { ownerKey, RESERVED } from './ids.ts';
import { mapGroupName, mapUserName } from './names.ts';
import { formatUidMap, type UidMapFile } from './uidmap-file.ts';
import type { UidMapFormatName } from './uidmap-format-names.ts';

type Settings = Pick<DirectorySettings, 'baseDn' | 'issuer' | 'accounts' | 'names'>;
type Format = (map: UidMapFile, settings: Settings) => string;

interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Who is served, under the name that hosts know. Those who are withheld have a name that must not be trusted. */
function accountsOf(map: UidMapFile, names: Settings['names']): { users: Account[]; groups: Omit<Account, 'uid'>[] } {
  const served = new Map(map.names.filter(({ leftAt }) => leftAt === null).map((row) => [ownerKey(row), row.name]));
  const users: Account[] = [];
  const groups: Omit<Account, 'uid'>[] = [];
  const there = map.numbers.filter(({ retiredAt }) => retiredAt === null);
  const uids = new Map(there.filter(({ kind }) => kind === 'uid').map((row) => [ownerKey(row), row.number]));
  for (const row of there) {
    if (row.kind !== 'gid') continue;
    const mapped = row.owner === 'user' ? mapUserName(row.name, names) : mapGroupName(row.name, names);
    // Records are of lower case, whatever hosts see.
    if (!mapped.ok || mapped.name.toLowerCase() !== served.get(ownerKey(row))) continue;
    const uid = uids.get(ownerKey(row));
    if (row.owner === 'group') groups.push({ name: mapped.name, gid: row.number });
    else if (uid !== undefined) users.push({ name: mapped.name, uid, gid: row.number });
  }
  return { users: users.sort((a, b) => a.uid - b.uid), groups: groups.sort((a, b) => a.gid - b.gid) };
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

const passwd: Format = (map, { accounts, names }) =>
  accountsOf(map, names)
    .users.map(({ name, uid, gid }) =>
      [name, 'x', uid, gid, '', homeOf(name, accounts), accounts.defaultShell].join(':').concat('\n'),
    )
    .join('');

const homeOf = (name: string, accounts: Settings['accounts']): string => accounts.defaultHome.replaceAll('%s', name);

/** RFC 2849, with RFC 2307's classes. Names that are served are of plain characters. */
const ldif: Format = (map, { baseDn, accounts, names }) => {
  const { users, groups } = accountsOf(map, names);
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
 * `json` is `uidmap.json` itself, `passwd` and `ldif` hold who is served, with the home and shell of people whose claims
 * say nothing else.
 */
export const UID_MAP_FORMATS: Readonly<Record<UidMapFormatName, Format>> = {
  json: (map, { issuer }) => formatUidMap(map, issuer),
  csv,
  ldif,
  passwd,
};
