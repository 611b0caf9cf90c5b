import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ATTRIBUTES } from './attributes.ts';
import { CLASSES } from './classes.ts';
import { MATCHING_RULES, SYNTAXES } from './rules.ts';
import { attributeId, attributes, classes, classId, findAttribute, UNKNOWN, WITH_OPTIONS } from './schema.ts';
import { describeAttributes, describeClasses, describeMatchingRules, describeSyntaxes } from './subschema.ts';

const find = (text: string): number => findAttribute(Buffer.from(text), 0, Buffer.byteLength(text));

describe('tables', () => {
  test('no name and no OID is given twice', () => {
    const names = [
      ...ATTRIBUTES.flatMap(({ names, oid }) => [...names, oid]),
      ...CLASSES.flatMap(({ name, oid }) => [name, oid]),
    ];
    const seen = new Set<string>();
    for (const name of names) {
      assert.ok(!seen.has(name.toLowerCase()), name);
      seen.add(name.toLowerCase());
    }
  });

  test('everything that is referred to exists', () => {
    const rules = new Set(MATCHING_RULES.map(({ name }) => name));
    for (const { names, sup, equality, ordering, substring, syntax } of ATTRIBUTES) {
      if (sup !== undefined) assert.ok(attributeId(sup) >= 0, `${names[0]}: ${sup}`);
      else assert.ok(syntax !== undefined, `${names[0]} has no syntax`);
      for (const rule of [equality, ordering, substring]) assert.ok(rule === undefined || rules.has(rule), rule);
    }
    for (const { name, sup, must, may } of CLASSES) {
      assert.ok(sup === null || classId(sup) >= 0, name);
      for (const attribute of [...must, ...may]) assert.ok(attributeId(attribute) >= 0, `${name}: ${attribute}`);
    }
  });

  test('what sssd asks of a user stands together, up to the entry’s own attributes', () => {
    const asked =
      'objectClass cn uid uidNumber gidNumber gecos homeDirectory loginShell shadowLastChange shadowMin shadowMax ' +
      'shadowWarning shadowInactive shadowExpire shadowFlag nsAccountLock host sshPublicKey';
    const ids = asked.split(' ').map(attributeId);
    assert.deepEqual(
      ids,
      ids.map((_, index) => ids[0]! + index),
    );
    assert.equal(attributeId('modifyTimestamp'), attributeId('entryUSN') + 1);
  });
});

describe('attribute descriptions', () => {
  test('names in any case, other names, OIDs', () => {
    for (const text of ['memberUid', 'MEMBERUID', 'memberuid', '1.3.6.1.1.1.1.12']) {
      assert.equal(find(text), attributeId('memberUid'));
    }
    assert.equal(find('commonName'), attributeId('cn'));
  });

  test('options make an attribute that no entry has', () => {
    assert.equal(find('userCertificate;binary'), WITH_OPTIONS);
    assert.equal(find('cn;lang-de;x-foo'), WITH_OPTIONS);
  });

  test('what is none', () => {
    for (const text of ['', 'nosuch', 'cn ', 'cn;', 'cn;;binary', 'cn;bin_ary', ';binary', '2.5.4', 'posixGroup']) {
      assert.equal(find(text), UNKNOWN, text);
    }
  });

  test('subtypes belong to their supertype', () => {
    const family = attributes[attributeId('name')]!.family.map((id) => attributes[id]!.name);
    for (const name of ['cn', 'sn', 'givenName', 'ou', 'o']) assert.ok(family.includes(name), name);
    assert.ok(!family.includes('uid'));
  });
});

test('classes stand for their superclasses', () => {
  const names = classes[classId('inetOrgPerson')]!.closure.map((id) => classes[id]!.name);
  assert.deepEqual(names, ['inetOrgPerson', 'organizationalPerson', 'person', 'top']);
});

test('cn=subschema is written as RFC 4512 4.1 wants it', () => {
  const description = /^\( [0-9.]+ (NAME ('[A-Za-z0-9]+'|\( ('[A-Za-z0-9]+' )+\)) )?.*\)$/;
  for (const line of [
    ...describeAttributes(),
    ...describeClasses(),
    ...describeMatchingRules(),
    ...describeSyntaxes(),
  ]) {
    assert.match(line, description);
    assert.ok(!line.includes('undefined') && !line.includes('null') && !line.includes('  '), line);
  }
  assert.equal(describeSyntaxes().length, Object.keys(SYNTAXES).length);
  assert.ok(
    describeAttributes().includes(
      "( 1.3.6.1.1.1.1.0 NAME 'uidNumber' EQUALITY integerMatch ORDERING integerOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )",
    ),
  );
  assert.ok(
    describeClasses().includes(
      "( 1.3.6.1.1.1.2.2 NAME 'posixGroup' SUP top STRUCTURAL MUST ( cn $ gidNumber ) MAY ( userPassword $ memberUid $ description ) )",
    ),
  );
});
