import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Database } from '../../db/database.ts';
import { forEachDatabase } from '../../db/test-databases.ts';
import { createEventLog } from '../../events/log.ts';
import { manualClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import type { ServedRule } from '../tree/model.ts';
import { globMatches } from './glob-match.ts';
import { type RuleInput, ruleInput } from './rule.ts';
import { createSudoRules } from './service.ts';
import { type Simulation, simulate } from './simulate.ts';

const actor = { username: 'root-admin', remoteAddr: '192.0.2.9' };
const rule = (over: Partial<RuleInput> = {}): RuleInput =>
  ruleInput.parse({ group: 'web', commands: ['/usr/bin/id'], ...over });

async function setUp(t: Pick<TestContext, 'after'>, db: Database) {
  const clock = manualClock();
  const events = await createEventLog({ db, clock, onError: () => {} });
  t.after(() => events.close());
  const rules = createSudoRules({
    db,
    events,
    clock,
    random: systemRandom,
    settings: DEFAULT_SETTINGS.sudo,
    syntax: { groups: 'strict', reserved: [] },
    hostNames: async () => ['web1'],
  });
  const create = async (over: Partial<RuleInput> = {}) => {
    const result = await rules.create(rule(over), true, actor);
    assert.ok(result.ok, JSON.stringify(result));
    return result.rule;
  };
  return { rules, create, events: () => events.read(0, 100) };
}

forEachDatabase('sudo rules of the database', (open) => {
  test('are made, changed and removed, each with an event that says what was and what is', async (t) => {
    const { rules, create, events } = await setUp(t, await open(t));
    const made = await create();
    assert.deepEqual([made.name, made.revision], ['web', 1]);
    const changed = await rules.update(made.id, 1, rule({ commands: ['/usr/bin/uptime'] }), false, actor);
    assert.ok(changed.ok && changed.rule.revision === 2);
    assert.deepEqual(await rules.remove(made.id, 2, actor), { ok: true });
    assert.deepEqual(await rules.list(), []);
    const log = await events();
    assert.deepEqual(
      log.map(({ event, reason, actor: by }) => [event, reason, by]),
      [
        ['sudo_rule_modified', 'created', 'root-admin'],
        ['sudo_rule_modified', 'updated', 'root-admin'],
        ['sudo_rule_modified', 'removed', 'root-admin'],
      ],
    );
    assert.deepEqual((log[1]!.data.before as RuleInput).commands, ['/usr/bin/id']);
    assert.deepEqual((log[1]!.data.after as RuleInput).commands, ['/usr/bin/uptime']);
  });

  test('somebody who was slower learns so and overwrites nothing', async (t) => {
    const { rules, create, events } = await setUp(t, await open(t));
    const made = await create();
    await rules.update(made.id, 1, rule({ description: 'first' }), false, actor);
    const late = await rules.update(made.id, 1, rule({ description: 'second' }), false, actor);
    assert.ok(!late.ok && late.why === 'conflict' && late.current?.rule.description === 'first');
    const removed = await rules.remove(made.id, 1, actor);
    assert.ok(!removed.ok);
    assert.equal((await rules.list())[0]?.rule.description, 'first');
    assert.equal((await events()).length, 2);
    await assert.rejects(rules.update('00000000-0000-4000-8000-000000000000', 1, rule(), false, actor), /nothing here/);
  });

  test('several rules of one group have names of their own; a wished name is had once', async (t) => {
    const { rules, create } = await setUp(t, await open(t));
    await create();
    assert.equal((await create()).name, 'web-2');
    await create({ name: 'nightly' });
    const twice = await rules.create(rule({ name: 'nightly' }), false, actor);
    assert.ok(!twice.ok && twice.why === 'invalid' && twice.problems[0]?.field === 'name');
  });

  test('a file of earlier installations is imported once, whole or not at all', async (t) => {
    const { rules } = await setUp(t, await open(t));
    const good = { group: 'web', commands: '/usr/bin/id, /usr/bin/uptime', hosts: 'web1', options: 'use_pty' };
    const bad = JSON.stringify([good, { group: 'docker', commands: '/usr/bin/id' }]);
    const refused = await rules.importFile(bad, actor, { onlyIfEmpty: true, acknowledged: false });
    assert.ok(!refused.ok && refused.why === 'invalid' && /rule 2 \(docker\): group/.test(refused.problem));
    assert.deepEqual(await rules.list(), []);
    for (let start = 0; start < 2; start += 1)
      await rules.importFile(JSON.stringify([good]), actor, { onlyIfEmpty: true, acknowledged: false });
    const [imported, ...more] = await rules.list();
    assert.deepEqual(more, []);
    assert.deepEqual(imported?.rule.commands, ['/usr/bin/id', '/usr/bin/uptime']);
    const [stored] = await rules.storedRules();
    assert.deepEqual([stored?.sudoUsers, stored?.written.hosts, stored?.written.runAsUser], [['%web'], ['web1'], null]);

    const exported = await rules.exportFile();
    await rules.remove(imported!.id, 1, actor);
    assert.deepEqual(await rules.importFile(exported, actor, { onlyIfEmpty: false, acknowledged: false }), {
      ok: true,
      imported: 1,
    });
    assert.deepEqual(await rules.importFile('null', actor, { onlyIfEmpty: false, acknowledged: false }), {
      ok: true,
      imported: 0,
    });
    for (const broken of ['{', '{}', '[{"group":1}]', '[{"group":"web"}]']) {
      assert.ok(!(await rules.importFile(broken, actor, { onlyIfEmpty: false, acknowledged: false })).ok, broken);
    }
  });

  test('an imported rule that is as good as root has to be meant too, and no name is had twice', async (t) => {
    const { rules, create } = await setUp(t, await open(t));
    await create({ name: 'nightly' });
    const asked = { onlyIfEmpty: false, acknowledged: false };
    const wide = JSON.stringify([{ group: 'web', commands: 'ALL' }]);
    assert.deepEqual(await rules.importFile(wide, actor, asked), {
      ok: false,
      why: 'warnings',
      rules: 1,
      warnings: [{ rule: 'web', code: 'sudo_equals_all', message: 'ALL' }],
    });
    assert.equal((await rules.list()).length, 1);
    const twice = JSON.stringify({
      version: 2,
      rules: [rule(), rule({ name: 'nightly' })],
    });
    const taken = await rules.importFile(twice, actor, asked);
    assert.deepEqual(taken, { ok: false, why: 'invalid', problem: 'there is a rule "nightly" already' });
    assert.equal((await rules.list()).length, 1, 'nothing of it was written');
    assert.deepEqual(await rules.importFile(wide, actor, { ...asked, acknowledged: true }), { ok: true, imported: 1 });
  });

  test('nothing is accepted that would not be served, and what is as good as root has to be meant', async (t) => {
    const { rules } = await setUp(t, await open(t));
    const cases: [Partial<RuleInput>, string][] = [
      [{ group: null }, 'group'],
      [{ group: 'docker' }, 'group'],
      [{ group: 'Web' }, 'group'],
      [{ group: null, users: ['ALL'] }, 'users'],
      [{ group: null, users: ['root'] }, 'users'],
      [{ name: 'defaults' }, 'name'],
      [{ commands: [] }, 'commands'],
      [{ commands: ['id'] }, 'commands'],
      [{ commands: ['ALL', '!/bin/su'] }, 'commands'],
      [{ hosts: ['a b'] }, 'hosts'],
      [{ options: ['!authenticate'] }, 'options'],
      [{ options: ['setenv'] }, 'options'],
      [{ runAsUser: ['!root'] }, 'runAsUser'],
      [{ runAsGroup: ['a b'] }, 'runAsGroup'],
      [{ notBefore: 2, notAfter: 1 }, 'notAfter'],
    ];
    for (const [over, field] of cases) {
      const result = await rules.create(rule(over), true, actor);
      assert.ok(!result.ok && result.why === 'invalid', JSON.stringify(over));
      assert.equal(result.problems[0]?.field, field, JSON.stringify(result));
    }
    const wide = await rules.create(rule({ commands: ['/bin/bash'] }), false, actor);
    assert.ok(!wide.ok && wide.why === 'warnings' && wide.warnings[0]?.code === 'sudo_equals_all');
    assert.ok((await rules.create(rule({ commands: ['/bin/bash'] }), true, actor)).ok);
    const later = await rules.validate(rule({ hosts: ['archive*'], commands: ['ALL', '/usr/bin/ls *'] }));
    assert.deepEqual(later, {
      problems: [],
      warnings: [
        { code: 'sudo_host_unmatched', message: 'archive* matches no enrolled host' },
        { code: 'sudo_equals_all', message: 'ALL' },
        { code: 'sudo_argument_wildcard', message: '/usr/bin/ls *' },
      ],
    });
  });

  test('a rule may say whether sudo -n comes as far as PAM, and keeps what it says through export and import', async (t) => {
    const { rules, create } = await setUp(t, await open(t));
    for (const option of ['noninteractive_auth', '!noninteractive_auth']) {
      const { id } = await create({ options: [option] });
      const exported = await rules.exportFile();
      await rules.remove(id, 1, actor);
      assert.ok((await rules.importFile(exported, actor, { onlyIfEmpty: true, acknowledged: false })).ok);
      const [imported] = await rules.list();
      assert.deepEqual(imported?.rule.options, [option]);
      const [stored] = await rules.storedRules();
      assert.deepEqual(stored?.written.options, [option]);
      await rules.remove(imported!.id, 1, actor);
    }
  });

  test('a rule that is switched off is not served', async (t) => {
    const { rules, create } = await setUp(t, await open(t));
    await create({ enabled: false });
    assert.deepEqual(await rules.storedRules(), []);
  });
});

describe('the simulator', () => {
  const served = (over: Partial<ServedRule> = {}): ServedRule => ({
    cn: 'web',
    sudoUsers: ['%web'],
    source: 'store',
    hosts: ['ALL'],
    commands: ['/usr/bin/systemctl restart nginx'],
    runAsUser: ['root'],
    runAsGroup: [],
    options: [],
    order: 1,
    notBefore: null,
    notAfter: null,
    ...over,
  });
  const ask = (over: Partial<Simulation> = {}): Simulation => ({
    user: { name: 'alice', groups: ['web'], netgroups: [] },
    host: { names: ['web1', 'web1.example.com'], addresses: ['10.1.2.3/24'], netgroups: ['www'] },
    command: '/usr/bin/systemctl restart nginx',
    runAsUser: 'root',
    runAsGroup: null,
    ...over,
  });
  const verdict = (over: Partial<ServedRule>, asked: Partial<Simulation> = {}) =>
    simulate([served(over)], [], ask(asked)).verdict;

  test('says which rule decides, with which options, and whether sudo asks', () => {
    const rules = [served(), served({ cn: 'free', order: 5, options: ['!authenticate', 'timestamp_timeout=5'] })];
    const result = simulate(rules, ['timestamp_timeout=0', 'use_pty'], ask());
    assert.deepEqual([result.verdict, result.rule, result.asksForApproval], ['allowed', 'free', false]);
    assert.deepEqual(result.options, ['use_pty', '!authenticate', 'timestamp_timeout=5']);
    const never = [served({ options: ['!noninteractive_auth'] })];
    const refused = simulate(never, ['noninteractive_auth', 'use_pty'], ask());
    assert.deepEqual([refused.options, refused.asksForApproval], [['use_pty', '!noninteractive_auth'], true]);
    assert.deepEqual(
      result.considered.map(({ rule: name, outcome }) => [name, outcome]),
      [
        ['free', 'decides'],
        ['web', 'overruled'],
      ],
    );
  });

  test('matches people, hosts, commands and who to be as sudo does', () => {
    const cases: [Partial<ServedRule>, Partial<Simulation>, string][] = [
      [{}, {}, 'allowed'],
      [{ sudoUsers: ['alice'] }, {}, 'allowed'],
      [{ sudoUsers: ['ALL', 'bob', '+x'] }, {}, 'no_rule'],
      [{ hosts: ['WEB1'] }, {}, 'allowed'],
      [{ hosts: ['web*', '!web1'] }, {}, 'no_rule'],
      [{ hosts: ['10.0.0.0/8'] }, {}, 'allowed'],
      [{ hosts: ['10.1.2.0/255.255.255.0'] }, {}, 'allowed'],
      [{ hosts: ['10.2.0.0/16', '+www'] }, {}, 'allowed'],
      [{ hosts: ['db1'] }, {}, 'no_rule'],
      [{ commands: ['/usr/bin/systemctl'] }, {}, 'allowed'],
      [{ commands: ['/usr/bin/'] }, {}, 'allowed'],
      [{ commands: ['/usr/'] }, {}, 'no_rule'],
      [{ commands: ['/usr/bin/systemctl ""'] }, {}, 'no_rule'],
      [{ commands: ['/usr/bin/systemctl restart *'] }, {}, 'allowed'],
      [{ commands: ['/usr/*/systemctl'] }, {}, 'allowed'],
      [{ commands: ['/*'] }, {}, 'no_rule'],
      [{ commands: ['ALL', '!/usr/bin/systemctl'] }, {}, 'denied'],
      [{ runAsUser: ['www-data'] }, {}, 'no_rule'],
      [{ runAsUser: ['www-data'] }, { runAsUser: 'www-data' }, 'allowed'],
      [{ runAsUser: [], runAsGroup: ['adm'] }, { runAsUser: 'alice', runAsGroup: 'adm' }, 'allowed'],
      [{ runAsUser: [], runAsGroup: ['adm'] }, {}, 'no_rule'],
      [{}, { runAsGroup: 'adm' }, 'no_rule'],
    ];
    for (const [over, asked, expected] of cases)
      assert.equal(verdict(over, asked), expected, JSON.stringify([over, asked]));
  });

  test('says when sssd on the host would never ask for the rule', () => {
    const delivered = (hosts: string[]) => simulate([served({ hosts })], [], ask()).considered[0]?.delivered;
    assert.deepEqual(
      ['ALL', '+x', 'web1.example.com', '10.1.2.3', '10.1.2.0/24'].map((host) => delivered([host])),
      [true, true, true, true, true],
    );
    assert.deepEqual(
      ['10.0.0.0/8', 'web*', '!db1', 'db1'].map((host) => delivered([host])),
      [false, false, false, false],
    );
  });

  test('patterns match as fnmatch(3) does, and none takes long', () => {
    const reference = (pattern: string, text: string) => {
      const source = pattern
        .replace(/[.+^${}()|\\/]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.');
      return new RegExp(`^${source}$`, 's').test(text);
    };
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 8 });
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?', '.'), maxLength: 6 });
    fc.assert(
      fc.property(patterns, letters, (pattern, text) =>
        assert.equal(globMatches(pattern, text, false), reference(pattern, text)),
      ),
      { numRuns: 3000 },
    );
    assert.ok(!globMatches(`${'*a'.repeat(400)}b`, 'a'.repeat(4000), false));
    assert.deepEqual(
      [
        globMatches('/a*', '/a/b', true),
        globMatches('/[a-c]x', '/bx', true),
        globMatches('[!a]', 'a', false),
        globMatches('\\*', '*', false),
      ],
      [false, true, false, true],
    );
  });
});
