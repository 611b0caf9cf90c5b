import { SUBSCHEMA_NAME } from '../filter/computed.ts';
import { describeAttributes, describeClasses, describeMatchingRules, describeSyntaxes } from '../schema/subschema.ts';
import type { SpecialEntry } from './special-entry.ts';

/** `cn=subschema` (RFC 4512 4.2). */
export const SUBSCHEMA: SpecialEntry = {
  dn: SUBSCHEMA_NAME,
  objectClass: ['top', 'subentry', 'subschema', 'extensibleObject'],
  attributes: [
    ['cn', ['subschema']],
    ['attributeTypes', describeAttributes()],
    ['objectClasses', describeClasses()],
    ['matchingRules', describeMatchingRules()],
    ['ldapSyntaxes', describeSyntaxes()],
  ],
};
