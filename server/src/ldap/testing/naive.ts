import type { Entry } from '../entry.ts';
import type { TestFilter } from './filters.ts';

/**
 * A second opinion on what a filter means: slow, over plain entries and strings, and written without the tables of the
 * engine. Made for the values that the tests use.
 */

type Rule = 'fold' | 'exact' | 'integer' | 'dn' | 'class' | 'time' | 'uuid' | 'boolean' | 'none';

const RULES: Record<string, Rule> = {
  uid: 'fold',
  cn: 'fold',
  sn: 'fold',
  givenname: 'fold',
  displayname: 'fold',
  description: 'fold',
  ou: 'fold',
  o: 'fold',
  dc: 'fold',
  mail: 'fold',
  gecos: 'fold',
  host: 'fold',
  sudohost: 'fold',
  memberuid: 'exact',
  homedirectory: 'exact',
  loginshell: 'exact',
  sshpublickey: 'exact',
  sudouser: 'exact',
  sudocommand: 'exact',
  sudooption: 'exact',
  sudorunasuser: 'exact',
  uidnumber: 'integer',
  gidnumber: 'integer',
  sudoorder: 'integer',
  entryusn: 'integer',
  member: 'dn',
  objectclass: 'class',
  modifytimestamp: 'time',
  entryuuid: 'uuid',
  userpassword: 'none',
};
const ASCII = new Set([
  'dc',
  'mail',
  'gecos',
  'sudohost',
  'memberuid',
  'homedirectory',
  'loginshell',
  'sudouser',
  'sudocommand',
  'sudooption',
  'sudorunasuser',
]);
const CLASSES: Record<string, string[]> = {
  inetorgperson: ['inetorgperson', 'organizationalperson', 'person', 'top'],
  organizationalperson: ['organizationalperson', 'person', 'top'],
};
const KNOWN_CLASSES = new Set(
  'top person organizationalperson inetorgperson posixaccount shadowaccount posixgroup extensibleobject sudorole organizationalunit organization dcobject account nisnetgroup ipservice'.split(
    ' ',
  ),
);

const squeeze = (text: string): string => text.trim().replace(/\s+/g, ' ') || ' ';

function valuesOf(entry: Entry, attribute: string): string[] {
  if (attribute === 'objectclass') return [...entry.objectClass];
  if (attribute === 'entryusn') return [String(entry.operational.entryUSN)];
  if (attribute === 'modifytimestamp') return [entry.operational.modifyTimestamp];
  if (attribute === 'entryuuid') return [entry.operational.entryUUID];
  return entry.attributes.filter(([name]) => name.toLowerCase() === attribute).flatMap(([, values]) => [...values]);
}

/** Comparable form of a value; null when it does not have the syntax. */
function form(rule: Rule, text: string): string | number | null {
  switch (rule) {
    case 'fold':
      return squeeze(text).toLowerCase();
    case 'exact':
      return squeeze(text);
    case 'integer':
      return /^-?\d+$/.test(text) ? Number(text) : null;
    case 'dn':
      if (!/^\s*([a-zA-Z]+\s*=\s*[^,=+"<>;#]+)(,\s*[a-zA-Z]+\s*=\s*[^,=+"<>;#]+)*$/.test(text)) return null;
      return text
        .split(',')
        .map((part) => part.split('=').map(squeeze).join('=').toLowerCase())
        .join(',');
    case 'time': {
      const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
      if (match === null) return null;
      const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      const date = new Date(Date.UTC(year, month - 1, day));
      if (month < 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 60) return null;
      return Date.UTC(year, month - 1, day, hour, minute, second);
    }
    case 'uuid':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : null;
    default:
      return null;
  }
}

const isText = (rule: Rule): boolean => rule === 'fold' || rule === 'exact';
const isAscii = (text: string): boolean => /^[\u0000-\u007f]*$/.test(text);

/** 0 false, 1 undefined, 2 true (RFC 4511 4.5.1.7). */
export function judge(filter: TestFilter, entry: Entry): 0 | 1 | 2 {
  switch (filter.kind) {
    case 'and':
      return Math.min(2, ...filter.children.map((child) => judge(child, entry))) as 0 | 1 | 2;
    case 'or':
      return Math.max(0, ...filter.children.map((child) => judge(child, entry))) as 0 | 1 | 2;
    case 'not':
      return (2 - judge(filter.child, entry)) as 0 | 1 | 2;
    case 'extensible':
      throw new Error('not judged here');
    default:
      return judgeLeaf(filter, entry);
  }
}

type Leaf = Exclude<TestFilter, { kind: 'and' | 'or' | 'not' | 'extensible' }>;

function judgeLeaf(filter: Leaf, entry: Entry): 0 | 1 | 2 {
  const attribute = filter.attribute.toLowerCase();
  if (attribute.includes(';')) return 0;
  if (attribute === 'name') {
    const family = ['cn', 'sn', 'givenname', 'ou', 'o'];
    return Math.max(0, ...family.map((member) => judgeLeaf({ ...filter, attribute: member }, entry))) as 0 | 1 | 2;
  }
  const rule = RULES[attribute];
  if (rule === undefined) return 1;
  const values = valuesOf(entry, attribute);
  if (filter.kind === 'present') return values.length > 0 ? 2 : 0;
  const assertion = filter.kind === 'substring' ? [filter.initial, ...filter.any, filter.final].join('') : filter.value;
  if (ASCII.has(attribute) && !isAscii(assertion)) return 1;
  if (filter.kind === 'substring') {
    if (!isText(rule)) return 1;
    return values.some((value) => hasParts(form(rule, value) as string, rule, filter)) ? 2 : 0;
  }
  if (rule === 'class') {
    if (filter.kind !== 'equal') return 1;
    const wanted = assertion.trim().toLowerCase();
    if (!KNOWN_CLASSES.has(wanted)) return 1;
    const all = values.flatMap((value) => CLASSES[value.toLowerCase()] ?? [value.toLowerCase()]);
    return all.includes(wanted) ? 2 : 0;
  }
  if (rule === 'none') return filter.kind === 'equal' ? 0 : 1;
  if (assertion === '') return 1;
  const wanted = form(rule, assertion);
  if (wanted === null) return 1;
  if (filter.kind !== 'equal' && rule === 'dn') return 1;
  return values.some((value) => {
    const stored = form(rule, value)!;
    const order =
      typeof stored === 'number'
        ? stored - (wanted as number)
        : Buffer.compare(Buffer.from(stored), Buffer.from(wanted as string));
    return filter.kind === 'equal' ? order === 0 : filter.kind === 'atLeast' ? order >= 0 : order <= 0;
  })
    ? 2
    : 0;
}

function hasParts(stored: string, rule: Rule, filter: { initial: string; any: string[]; final: string }): boolean {
  const prepared = (text: string, start: boolean, end: boolean): string => {
    let result = text.replace(/\s+/g, ' ');
    if (start) result = result.trimStart();
    if (end) result = result.trimEnd();
    if (result === '') result = ' ';
    return rule === 'fold' ? result.toLowerCase() : result;
  };
  let rest = stored;
  if (filter.initial !== '') {
    const part = prepared(filter.initial, true, false);
    if (!rest.startsWith(part)) return false;
    rest = rest.slice(part.length);
  }
  let end = '';
  if (filter.final !== '') {
    end = prepared(filter.final, false, true);
  }
  for (const any of filter.any) {
    const part = prepared(any, false, false);
    const at = rest.indexOf(part);
    if (at < 0) return false;
    rest = rest.slice(at + part.length);
  }
  return rest.endsWith(end);
}
