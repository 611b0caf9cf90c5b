import { OID } from '../../server/src/ldap/protocol/operation.ts';
import type { TestFilter } from '../../server/src/ldap/testing/filters.ts';
import { dereferenceControl } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import type { FoundEntry, Reply } from './ask.ts';
import type { Generated } from './searches.ts';
import type { RulesOf } from './slapd-schema.ts';

/**
 * Everything in which our server differs from slapd, with the reason. A difference counts as explained only when it is
 * gone once the thing that its row names has been taken away: from the replies (`level`) or from the search, which both
 * servers are then asked again (`without`). A row whose example shows no difference any more fails the test as well.
 */
export interface Difference {
  name: string;
  reason: string;
  /** A search that shows it; what is not given asks for everything below the base, without attributes. */
  example: Partial<Generated>;
  /** Takes the difference out of a reply. */
  level?(reply: Reply, search: Generated): Reply;
  /** The search without what makes the difference; null when there is nothing of it in there. */
  without?(search: Generated, rulesOf: RulesOf): Generated | null;
}

type Leaf = Exclude<TestFilter, { kind: 'and' | 'or' | 'not' }>;

/** True of nothing and false of nothing, for both servers. */
const UNDEFINED: TestFilter = { kind: 'equal', attribute: 'nosuch', value: 'x' };

/** Replaces leaves. */
function mapLeaves(filter: TestFilter, change: (leaf: Leaf) => TestFilter): TestFilter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { ...filter, children: filter.children.map((child) => mapLeaves(child, change)) };
    case 'not':
      return { ...filter, child: mapLeaves(filter.child, change) };
    default:
      return change(filter);
  }
}

/** What a row about assertions takes away. */
const leaves =
  (isMeant: (leaf: Leaf, rulesOf: RulesOf) => boolean) =>
  (search: Generated, rulesOf: RulesOf): Generated | null => {
    let found = false;
    const filter = mapLeaves(search.filter, (leaf) => {
      if (!isMeant(leaf, rulesOf)) return leaf;
      found = true;
      return UNDEFINED;
    });
    return found ? { ...search, filter } : null;
  };

const base =
  (isMeant: (name: string) => boolean) =>
  (search: Generated): Generated | null =>
    isMeant(search.base) ? { ...search, base: BASE } : null;

const eachEntry = (reply: Reply, change: (entry: FoundEntry) => FoundEntry['attributes']): Reply => ({
  ...reply,
  entries: reply.entries.map((entry) => ({ ...entry, attributes: change(entry) })),
});

const without = (attributes: FoundEntry['attributes'], name: string): FoundEntry['attributes'] =>
  new Map([...attributes].filter(([label]) => label !== name));

const asks = (search: Generated, name: string): boolean =>
  search.attributes.some((wanted) => wanted.toLowerCase() === name.toLowerCase());

const equal = (attribute: string, value: string): TestFilter => ({ kind: 'equal', attribute, value });
const extensible = (attribute: string, rule: string, value: string): TestFilter => ({
  kind: 'extensible',
  attribute,
  rule,
  dn: false,
  value,
});
const textOf = (leaf: Leaf): string =>
  leaf.kind === 'substring'
    ? [leaf.initial, ...leaf.any, leaf.final].join('')
    : leaf.kind === 'present'
      ? ''
      : leaf.value;
const typeOf = ({ attribute }: Leaf): string => attribute.split(';')[0]!;

const syntax = (number: number): string => `1.3.6.1.4.1.1466.115.121.1.${number}`;
const PHONE = syntax(50);
const TEXT = ['1.3.6.1.1.1.0.0', ...[11, 15, 26, 41, 44, 50].map(syntax)];
const HOSTS = `ou=identree-hosts,${BASE}`;

export const DIFFERENCES: readonly Difference[] = [
  // What is sent.
  {
    name: 'entryUSN is not operational to slapd',
    reason: 'slapd has no such attribute and lets nobody define operational ones; it was loaded as a user attribute',
    example: { attributes: ['*'] },
    level: (reply, search) =>
      asks(search, 'entryUSN') ? reply : eachEntry(reply, ({ attributes }) => without(attributes, 'entryUSN')),
  },
  {
    name: 'entryCSN',
    reason: 'belongs to replication between slapds, in which we take no part',
    example: { attributes: ['+'] },
    level: (reply) => eachEntry(reply, ({ attributes }) => without(attributes, 'entryCSN')),
  },
  {
    name: 'numSubordinates',
    reason: 'slapd tells only whether there are any; we count as well',
    example: { attributes: ['+'] },
    level: (reply) => eachEntry(reply, ({ attributes }) => without(attributes, 'numSubordinates')),
  },
  {
    name: 'the name of the subschema',
    reason: 'cn=subschema to us, cn=Subschema to slapd: the same name',
    example: { attributes: ['subschemaSubentry'] },
    level: (reply) =>
      eachEntry(reply, ({ attributes }) => {
        const name = attributes.get('subschemaSubentry');
        return name === undefined
          ? attributes
          : new Map(attributes).set(
              'subschemaSubentry',
              name.map((value) => value.toLowerCase()),
            );
      }),
  },
  {
    name: 'subordinates that only some may see',
    reason: 'host entries are hidden from most connections, and what everybody is told must not tell of them',
    example: { base: HOSTS, scope: 0, attributes: ['hasSubordinates'] },
    level: (reply) =>
      eachEntry(reply, ({ dn, attributes }) => (dn === HOSTS ? without(attributes, 'hasSubordinates') : attributes)),
  },
  {
    name: 'what a server says about itself',
    reason: 'the rootDSE names what a server can do, and slapd can do other things',
    example: { base: '', scope: 0, attributes: ['+'] },
    level: (reply, search) => (search.base === '' && search.scope === 0 ? { ...reply, entries: [] } : reply),
  },
  {
    name: 'which entries a size limit lets through',
    reason: 'RFC 4511 4.5.1.4 leaves it to the server: slapd goes by its indexes, we by the order of the tree',
    example: { base: `ou=sudoers,${BASE}`, scope: 1, sizeLimit: 9, filter: { kind: 'and', children: [] } },
    level: (reply) =>
      reply.code === 4 ? { ...reply, entries: reply.entries.map(() => ({ dn: '', attributes: new Map() })) } : reply,
  },

  // Names.
  {
    name: 'a name with values in hexadecimal',
    reason: 'RFC 4514 2.4; slapd does not read them',
    example: { base: `uid=#0405616c696365,ou=people,${BASE}` },
    without: base((name) => /=#/.test(name)),
  },
  {
    name: 'a name with attributes that nobody knows',
    reason: 'well-formed (RFC 4514 3, and an example of its section 4), so there is no such object; no name to slapd',
    example: { base: `nosuch=x,${BASE}` },
    without: base((name) => /(^|,)(xdc|nosuch|1\.2)=/.test(name)),
  },
  {
    name: 'semicolons between the parts of a name',
    reason: 'RFC 2253 4 allowed them, RFC 4514 does not; slapd still takes them',
    example: { base: `cn=a;${BASE}` },
    without: base((name) => /a;/.test(name)),
  },

  // Controls.
  {
    name: 'a paging cookie that is none',
    reason: 'unwillingToPerform; a protocol error, or nothing at all, to slapd',
    example: { controls: [{ oid: '1.2.840.113556.1.4.319', value: Buffer.from('300702010304027878', 'hex') }] },
    without: (search) =>
      search.controls?.some(({ value }) => Buffer.from(value ?? '').toString('hex') === '300702010304027878')
        ? { ...search, controls: [] }
        : null,
  },
  {
    name: 'a page of no entries',
    reason: 'gets a cookie from slapd, and from us an estimate and none: there is nothing to go on with (RFC 2696 3)',
    example: { pageSize: 0 },
    without: (search) => (search.pageSize === 0 ? { ...search, pageSize: 1 } : null),
  },
  {
    name: 'an unknown attribute among those to be dereferenced',
    reason: 'is passed over as in a search, and hosts ask for some that we do not have; a protocol error to slapd',
    example: {
      base: `ou=groups,${BASE}`,
      controls: [dereferenceControl([['member', ['uid', 'krbPrincipalName']]])],
    },
    without: (search) =>
      search.controls?.some(({ oid }) => oid === OID.dereference) ? { ...search, controls: [] } : null,
  },
  {
    name: 'which of two errors',
    reason: 'slapd looks at the name before it looks at the controls, we the other way round',
    example: { base: 'no name', controls: [{ oid: '1.2.3.4', critical: true }] },
    without: (search) => (search.controls?.length ? { ...search, controls: [] } : null),
  },

  // Filters.
  {
    name: 'a rule that slapd’s schema does not give',
    reason:
      'we compare an attribute in every way that its kind has; the published schema has fewer rules, for ' +
      'example no order of text and no substrings of loginShell, and without a rule an assertion is undefined to slapd',
    example: { filter: { kind: 'atLeast', attribute: 'uid', value: 'a' } },
    without: leaves((leaf, rulesOf) => {
      const rules = rulesOf(typeOf(leaf));
      if (rules === undefined) return false;
      switch (leaf.kind) {
        case 'equal':
          return rules.equality === null;
        case 'atLeast':
        case 'atMost':
          return rules.ordering === null;
        case 'substring':
          return rules.substring === null;
        case 'extensible':
          return leaf.rule === '' && rules.equality === null;
        default:
          return false;
      }
    }),
  },
  {
    name: 'approximate match',
    reason: 'RFC 4511 4.5.1.7.6 leaves it to the server: slapd compares how words sound, we letters and digits',
    example: { filter: { kind: 'similar', attribute: 'cn', value: 'same-name' } },
    without: leaves(({ kind }) => kind === 'similar'),
  },
  {
    name: 'a rule for text on another kind of text',
    reason: 'we compare any text by any rule for text; slapd wants the very syntax that RFC 4517 names for the rule',
    example: { filter: extensible('homeDirectory', 'caseIgnoreMatch', '/HOME/BOB') },
    without: leaves(
      (leaf, rulesOf) =>
        leaf.kind === 'extensible' &&
        /^(case|2\.5\.13\.[2-7]$)/.test(leaf.rule) &&
        (leaf.attribute === '' || TEXT.includes(rulesOf(typeOf(leaf))?.syntax ?? '')),
    ),
  },
  {
    name: 'attributes that are worked out',
    reason:
      'slapd adds some when it sends an entry and does not look at them in filters; who may see one may search for it',
    example: { filter: equal('subschemaSubentry', 'cn=subschema') },
    without: leaves(
      (leaf) =>
        /^(subschemaSubentry|hasSubordinates)$/i.test(leaf.attribute) ||
        (leaf.kind === 'extensible' && leaf.attribute === ''),
    ),
  },
  {
    name: 'characters that RFC 4518 leaves out',
    reason: 'RFC 4518 2.2 maps control characters and soft hyphens to nothing; slapd keeps them',
    example: { filter: equal('cn', 'Alice\u00ad Ahlberg') },
    without: leaves((leaf) => /[\u0000\u00ad]/.test(textOf(leaf))),
  },
  {
    name: 'letters that fold to several',
    reason: 'RFC 4518 2.2 folds ß to ss; slapd folds one letter to one letter. One entry has such a letter',
    example: { filter: equal('cn', 'GRÖSSE 日本語 🦊') },
    level: (reply) => ({ ...reply, entries: reply.entries.filter(({ dn }) => !/^cn=Größe /.test(dn)) }),
    without: base((name) => /GRÖSSE/.test(name)),
  },
  {
    name: 'space at the ends of the parts of a substring',
    reason:
      'RFC 4518 2.6.1 has two spaces between words and one at each end of a value; slapd has them in IA5 Strings only',
    example: { filter: { kind: 'substring', attribute: 'cn', initial: '', any: ['e', 'me '], final: '' } },
    without: leaves(
      (leaf) => leaf.kind === 'substring' && [leaf.initial, ...leaf.any, leaf.final].some((part) => /^ | $/.test(part)),
    ),
  },
  {
    name: 'telephone numbers',
    reason:
      'the directory serves none, so they are text like any other: hyphens count, and there are no malformed ones',
    example: { filter: equal('telephoneNumber', '+49-221-12345') },
    without: leaves((leaf, rulesOf) => rulesOf(typeOf(leaf))?.syntax === PHONE),
  },
  {
    name: 'objectIdentifierMatch on classes',
    reason:
      'the equality rule of objectClass (RFC 4512 3.3), subclasses included; asked for by name slapd finds nothing',
    example: { filter: extensible('objectClass', 'objectIdentifierMatch', 'person') },
    without: leaves(
      (leaf) =>
        leaf.kind === 'extensible' &&
        /^(objectIdentifierMatch|2\.5\.13\.0)$/.test(leaf.rule) &&
        /^(objectClass|2\.5\.4\.0|structuralObjectClass)$/i.test(leaf.attribute),
    ),
  },
  {
    name: 'superclasses of the structural class',
    reason: 'RFC 4512 3.4.6 gives it a rule without subclasses; slapd counts them as for objectClass',
    example: { filter: equal('structuralObjectClass', 'person') },
    without: leaves((leaf) => /^structuralObjectClass$/i.test(leaf.attribute)),
  },
  {
    name: 'options of objectClass',
    reason: 'RFC 4512 2.5 gives every attribute options; slapd finds those of objectClass undefined',
    example: { filter: { kind: 'not', child: { kind: 'present', attribute: 'objectClass;x' } } },
    without: leaves((leaf) => /^(objectclass|2\.5\.4\.0);/i.test(leaf.attribute)),
  },
  {
    name: 'extensible match on entryUUID',
    reason: 'equality by the rule of the attribute (RFC 4511 4.5.1.7.7); slapd finds nothing that way',
    example: { filter: extensible('entryUUID', '', '00000000-0000-4000-8000-000000000001') },
    without: leaves((leaf) => leaf.kind === 'extensible' && /^(entryuuid|1\.3\.6\.1\.1\.16\.4)$/i.test(leaf.attribute)),
  },
];
