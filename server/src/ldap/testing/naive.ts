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

const squeeze = (text: string): string => text.trim().replace(/\s+/g, ' ') || (text === '' ? '' : ' ');

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
      return /^(?:0|-?[1-9]\d*)$/.test(text) ? Number(text) : null;
    case 'dn':
      // A value may be empty (RFC 4514, section 3).
      if (!/^\s*([a-zA-Z]+\s*=\s*[^,=+"<>;#]*)(,\s*[a-zA-Z]+\s*=\s*[^,=+"<>;#]*)*$/.test(text)) return null;
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
    case 'similar':
      throw new Error('not judged here');
    default:
      return judgeLeaf(filter, entry);
  }
}

type Leaf = Extract<TestFilter, { kind: 'present' | 'substring' }> | Ordered;
type Ordered = { kind: 'equal' | 'atLeast' | 'atMost'; attribute: string; value: string };

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
    return values.some((value) => hasParts(value, rule, filter)) ? 2 : 0;
  }
  if (rule === 'class') {
    if (filter.kind !== 'equal') return 1;
    const wanted = assertion.toLowerCase();
    if (!KNOWN_CLASSES.has(wanted)) return 1;
    const all = values.flatMap((value) => CLASSES[value.toLowerCase()] ?? [value.toLowerCase()]);
    return all.includes(wanted) ? 2 : 0;
  }
  if (rule === 'none') return filter.kind === 'equal' ? 0 : 1;
  if (assertion === '' && !ASCII.has(attribute)) return 1;
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

/** Words with two spaces between them and one at each end that is wanted (RFC 4518 2.6.1). */
function spaced(text: string, rule: Rule, before: boolean, after: boolean): string {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const result = `${before ? ' ' : ''}${words.join('  ')}${after ? ' ' : ''}`;
  return rule === 'fold' ? result.toLowerCase() : result;
}

function hasParts(stored: string, rule: Rule, filter: { initial: string; any: string[]; final: string }): boolean {
  const part = (text: string, before: boolean, after: boolean): string =>
    text.trim() === '' ? ' ' : spaced(text, rule, before || /^\s/.test(text), after || /\s$/.test(text));
  let rest = spaced(stored, rule, true, true);
  if (filter.initial !== '') {
    const initial = part(filter.initial, true, false);
    if (!rest.startsWith(initial)) return false;
    rest = rest.slice(initial.length);
  }
  for (const text of filter.any) {
    const any = part(text, false, false);
    const at = rest.indexOf(any);
    if (at < 0) return false;
    rest = rest.slice(at + any.length);
  }
  return filter.final === '' || rest.endsWith(part(filter.final, false, true));
}
