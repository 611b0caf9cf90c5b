import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mapUserName } from '../numbers/names.ts';
import type { ServedAs } from '../numbers/numbers.ts';
import { type DirectorySnapshot, EMPTY_SNAPSHOT } from '../source/model.ts';
import type { EnrolledHost, StoredRule } from '../tree/model.ts';
import { testSettings, testSnapshot } from '../tree/test-tree.ts';
import { buildTree } from '../tree/tree.ts';
import { DEFAULT_GUARDS, guard } from './guard.ts';
import { type LocalPower, powerIndex } from './power.ts';
import { createTestNames } from './test-names.ts';
import { powersIn } from './test-power-model.ts';

const CHANGES = 5000;
const STEPS = 5;
const DAY = 86_400_000;

const settings = testSettings({ sudoSource: 'both', netgroups: true });

// Few names, shared by people, groups, rules and files: everything meets everything.
const name = fc.constantFrom('dbas', 'zoe', 'ops', 'ann', 'bob');
const id = fc.constantFrom('1', '2', '3', '4');
const commands = fc.constantFrom('/bin/id', '/bin/ls', 'ALL');

const snapshots: fc.Arbitrary<DirectorySnapshot> = fc
  .record({
    users: fc.uniqueArray(fc.record({ id, username: name, disabled: fc.boolean() }), {
      selector: (user) => user.id,
      maxLength: 4,
    }),
    groups: fc.uniqueArray(
      fc.record({ id: fc.constantFrom('g', 'h', 'i'), name, members: fc.uniqueArray(id), power: fc.option(commands) }),
      { selector: (group) => group.id, maxLength: 3 },
    ),
  })
  .map(({ users, groups }) => {
    const known = new Set(users.map((user) => user.id));
    const snapshot = testSnapshot(
      users,
      groups.map((group) => ({
        id: group.id,
        name: group.name,
        claims: (group.power === null ? {} : { sudoCommands: group.power, sudoOrder: '7' }) as Record<string, string>,
      })),
    );
    return {
      users: snapshot.users,
      groups: snapshot.groups.map((group) => ({
        ...group,
        userIds: groups
          .find((one) => one.id === group.id)!
          .members.filter((member) => known.has(member))
          .sort(),
      })),
    };
  });

const rules: fc.Arbitrary<StoredRule[]> = fc
  .array(
    fc.record({
      to: fc.oneof(
        name,
        name.map((group) => `%${group}`),
        fc.constant('+web'),
      ),
      // No two of these are the same hosts by chance: what is equal today need not be tomorrow, and the guard asks.
      hosts: fc.constantFrom(null, ['two'], ['+web']),
      command: commands,
      runAs: fc.constantFrom(null, null, ['%ops'], ['%zoe']),
    }),
    { maxLength: 3 },
  )
  .map((list) =>
    list.map(({ to, hosts, command, runAs }, index) => ({
      id: String(index),
      name: `rule${index}`,
      sudoUsers: [to],
      description: '',
      written: {
        hosts,
        commands: [command],
        runAsUser: runAs,
        runAsGroup: null,
        options: [],
        order: 7,
        notBefore: null,
        notAfter: null,
      },
    })),
  );

const locals: fc.Arbitrary<LocalPower[]> = fc.array(
  fc
    .oneof(
      fc.record({ type: fc.constantFrom('user' as const, 'group' as const), name }),
      fc.record({
        type: fc.constantFrom('uid' as const, 'gid' as const),
        name: fc.constantFrom('200000', '200001', '200002'),
      }),
    )
    .map((one) => ({ ...one, host: 'two', gives: 'any command', file: '/etc/sudoers', line: 1 })),
  { maxLength: 2 },
);

const hosts: EnrolledHost[] = [
  { id: '1', hostname: 'one', group: 'web' },
  { id: '2', hostname: 'two', group: null },
  { id: '3', hostname: 'three', group: null },
];

const steps = fc.array(
  fc.record({
    candidate: snapshots,
    rules,
    locals,
    days: fc.constantFrom(0, 1, 40),
    bindings: fc.constantFrom('changed' as const, 'publish' as const),
    /** Share of what may vanish at once; 0: any. */
    percent: fc.constantFrom(0, 0, 60),
    /** Whether an operator lets through everything that waits. */
    confirms: fc.boolean(),
  }),
  { minLength: STEPS, maxLength: STEPS },
);

test('power is what a naive reading of the entries finds: it never grows unasked, and nothing else is asked about', async () => {
  let changes = 0;
  let held = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const world = createTestNames(settings);
      let published: DirectorySnapshot = EMPTY_SNAPSHOT;
      for (const step of history) {
        changes += 1;
        world.advance(step.days * DAY);
        const entriesOf = async (snapshot: DirectorySnapshot, assigned: ServedAs) =>
          powersIn(
            (await buildTree({ snapshot, assigned, storedRules: step.rules, hosts, settings, now: 1_800_000_000_000 }))
              .entries,
            hosts,
            step.locals,
          );
        const had = await entriesOf(published, world.was());
        const decided = new Map<string, 'open' | 'confirmed' | 'rejected'>();
        const look = () =>
          guard({
            reporters: new Map(step.locals.map(({ host }) => [host, `id of ${host}`])),
            published,
            candidate: step.candidate,
            decided,
            accountOf: ({ username }) => {
              const mapped = mapUserName(username, settings.names);
              return mapped.ok ? mapped.name : null;
            },
            lastNameOf: () => null,
            owners: world.owners(),
            pinned: new Map(),
            claimsGivePower: true,
            power: powerIndex(step.rules, new Set(['web']), step.locals),
            hosts: { hosts: [], stored: [], localOf: () => [], settings: { expand: true, netgroups: true } },
            was: world.was(),
            will: world.will,
            settings: {
              ...DEFAULT_GUARDS,
              bindings: step.bindings,
              massChangePercent: step.percent,
              massChangeMinimum: 0,
            },
          });
        let result = look();
        const has = await entriesOf(result.publish, world.will(result.publish, result.wishes));
        // Who may run everything may run each.
        const isOld = (power: string) => had.has(power) || had.has(power.replace(/: \S+ as /, ': ALL as '));
        for (const power of has) assert.ok(isOld(power), `${power}, unasked`);

        if (result.arising.some(({ kind }) => kind === 'mass_change')) {
          // Nothing else is looked at, and what was published stays.
          world.publish(result.publish, result.wishes);
          assert.deepEqual(result.publish, published);
          continue;
        }
        const raised = result.arising.filter((hold) => hold.kind === 'power_member' || hold.kind === 'power_name');
        held += raised.length;
        const asked =
          result.lints.length > 0 ||
          result.arising.some(({ kind }) => kind === 'binding' || kind === 'power_rule') ||
          // Whom others may become is compared rule by rule: another rule may have let the same people become them.
          raised.some(({ detail }) => detail.runAs.length > 0);
        const bare = await entriesOf(step.candidate, world.will(step.candidate, {}));
        if (!asked && [...bare].every(isOld) && raised.length > 0) {
          // What is served under one name only because another was kept back is no growth that the naive reading sees.
          assert.fail(`asked about ${JSON.stringify(raised)}`);
        }
        if (step.confirms) {
          // What was let through may bring up the next question, and in the end everything is as the source says.
          for (let round = 0; round < 20; round += 1) {
            const open = result.arising.filter(({ digest }) => decided.get(digest) !== 'confirmed');
            if (open.length === 0) break;
            for (const { digest } of open) decided.set(digest, 'confirmed');
            result = look();
          }
          assert.ok(
            result.arising.every(({ digest }) => decided.get(digest) === 'confirmed'),
            'no end of questions',
          );
          // But for a name that somebody else has and keeps.
          if (result.lints.length === 0) assert.deepEqual(result.publish, step.candidate);
          assert.equal(result.wishes.withheld.size, 0);
        }
        world.publish(result.publish, result.wishes);
        published = result.publish;
      }
    }),
    { numRuns: CHANGES / STEPS },
  );
  assert.ok(changes >= CHANGES && held > 500, `${changes} changes, ${held} held`);
});
