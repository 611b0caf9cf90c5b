import { element } from '../ber/writer.ts';
import { bind, dereferenceControl, filterElement, search } from './messages.ts';
import { BASE } from './sample-entries.ts';

const leaves = (count: number, text: string): Buffer =>
  element(0xa1, ...Array.from({ length: count }, () => filterElement(text)));
const nested = (text: string): Buffer => {
  let filter = filterElement(text);
  for (let i = 1; i < 32; i++) filter = element(0xa2, filter);
  return filter;
};
/** Marks that have to be sorted before anything can be compared. */
const MARKS = '\u0301\u0316'.repeat(15_000);

/** As many as a control may name. */
const EVERYTHING = 'objectClass uid cn sn gidNumber uidNumber mail gecos loginShell displayName givenName entryUUID'
  .split(' ')
  .flatMap((name) => Array.from({ length: 10 }, () => name));

/** Searches that take as much work as the limits on messages and filters let through, each with what makes it costly. */
export function costlySearches(): { name: string; request: (id: number) => Buffer }[] {
  const filters: Record<string, Buffer> = {
    'substrings of every member': leaves(500, '(memberUid=*nobody*)'),
    'substrings of every name': leaves(500, '(name=*ü*)'),
    'attributes of the name': leaves(1000, '(ou:dn:=x)'),
    'any attribute': leaves(15, '(:caseIgnoreMatch:=ü)'),
    'how names sound': leaves(1000, '(cn~=ü-x)'),
    'order of members': leaves(1000, '(memberUid>=zzzz)'),
    'text beyond ASCII': leaves(500, '(displayName=*ü*)'),
    'names as values': leaves(1000, '(member=cn=a,ou=b,dc=c,dc=d,dc=e,dc=f)'),
    'presence, again and again': leaves(1000, '(!(mail=*))'),
    negations: nested('(description=*x*)'),
    'one long part': filterElement(`(description=*${'a'.repeat(60_000)}*)`),
    'one long value': filterElement(`(cn=${'ü'.repeat(30_000)})`),
    'one long name as a value': filterElement(`(member=${'cn=x,'.repeat(12_000)}dc=x)`),
    'heaps of marks': filterElement(`(cn=a${MARKS})`),
    'marks on a part': filterElement(`(name=*a${MARKS}*)`),
  };
  const bases: Record<string, string> = {
    'a name of thousands of parts': `${'cn=x,'.repeat(12_000)}dc=x`,
    'a name as deep as names may be': `${'cn=x,'.repeat(126)}dc=x`,
    'long parts as deep as names may be': `${`cn=${'x'.repeat(490)},`.repeat(126)}dc=x`,
    'an RDN of many parts': `${'cn=x+'.repeat(126)}cn=x,dc=x`,
    'a name with heaps of marks': `cn=a${MARKS},${BASE}`,
  };
  const attributes = Array.from({ length: 6000 }, (_, i) => `cn${i}`);
  return [
    ...Object.entries(filters).map(([name, filter]) => ({
      name,
      request: (id: number) => search(id, { base: BASE, filter }),
    })),
    ...Object.entries(bases).map(([name, base]) => ({ name, request: (id: number) => search(id, { base }) })),
    {
      name: 'thousands of attributes',
      request: (id) => search(id, { base: BASE, scope: 0, attributes }),
    },
    {
      name: 'the members of every group, with all that is known of them',
      request: (id) => search(id, { base: BASE, controls: [dereferenceControl([['member', EVERYTHING]], true)] }),
    },
  ];
}

/** A bind that is costly to read, which anybody may send. */
export const costlyBind = (id: number): Buffer => bind(id, `cn=a${MARKS}`, 'x');
