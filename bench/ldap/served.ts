/** What a server serves, as far as requests are made of it and answers are checked against it. */
export interface Served {
  people: { uid: string; uidNumber: string; gidNumber: string }[];
  groups: { cn: string; gidNumber: string; members: string[] }[];
  rules: { cn: string; hosts: string[] }[];
  /** Entries in all. */
  entries: number;
  /** The newest change of a person, in GeneralizedTime. */
  latest: string;
}

/** The attributes that `readServed` reads. */
export const READ = ['objectClass', 'cn', 'uid', 'uidNumber', 'gidNumber', 'memberUid', 'sudoHost', 'modifyTimestamp'];

/** @param ldif as `ldapsearch -LLL -o ldif-wrap=no` prints it. */
export function readServed(ldif: string): Served {
  const served: Served = { people: [], groups: [], rules: [], entries: 0, latest: '' };
  let values = new Map<string, string[]>();
  const one = (name: string): string => values.get(name)?.[0] ?? '';
  const all = (name: string): string[] => values.get(name) ?? [];

  function finish(): void {
    if (values.size === 0) return;
    served.entries++;
    const classes = all('objectclass');
    if (classes.includes('posixAccount')) {
      served.people.push({ uid: one('uid'), uidNumber: one('uidnumber'), gidNumber: one('gidnumber') });
      if (one('modifytimestamp') > served.latest) served.latest = one('modifytimestamp');
    }
    if (classes.includes('posixGroup')) {
      served.groups.push({ cn: one('cn'), gidNumber: one('gidnumber'), members: all('memberuid') });
    }
    if (classes.includes('sudoRole')) served.rules.push({ cn: one('cn'), hosts: all('sudohost') });
    values = new Map();
  }

  let at = 0;
  while (at < ldif.length) {
    let end = ldif.indexOf('\n', at);
    if (end < 0) end = ldif.length;
    const line = ldif.slice(at, end);
    at = end + 1;
    if (line === '') {
      finish();
      continue;
    }
    const colon = line.indexOf(': ');
    // Values in base64 have two colons; none of those that are read does.
    if (colon < 0 || line[colon - 1] === ':') continue;
    const name = line.slice(0, colon).toLowerCase();
    const known = values.get(name);
    if (known) known.push(line.slice(colon + 2));
    else values.set(name, [line.slice(colon + 2)]);
  }
  finish();
  return served;
}
