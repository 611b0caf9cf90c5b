import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { type Candidate, type EventFacts, type RoutingRules, routeEvent } from './routing.ts';
import { DEFAULT_PREFERENCES, preferences, routeRule } from './settings.ts';
import { severityOf } from './severity.ts';

const facts = (more: Partial<EventFacts> = {}): EventFacts => ({
  event: 'challenge_created',
  username: 'alice',
  hostname: 'web1.example.com',
  hostGroup: 'web',
  severity: 'info',
  policy: 'default',
  announces: false,
  ...more,
});

const shared = (name: string, enabled = true) => ({ name, owner: null, enabled });
const personal = (name: string, owner: string, enabled = true) => ({ name, owner, enabled });
const route = (rule: object, enabled = true) => ({ id: JSON.stringify(rule), enabled, rule: routeRule.parse(rule) });
const person = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  isAdmin: false,
  disabled: false,
  refusal: null,
  maySee: true,
  concerned: true,
  didIt: false,
  preferences: DEFAULT_PREFERENCES,
  ...more,
});
const likes = (more: object) => preferences.parse(more);

const rules = (more: Partial<RoutingRules>): RoutingRules => ({
  channels: [],
  routes: [],
  policyChannels: [],
  people: [],
  ...more,
});
const told = (about: EventFacts, given: Partial<RoutingRules>): string[] =>
  routeEvent(about, rules(given)).channels.flatMap(({ told, channel }) => (told ? [channel] : []));

describe('[N-13] a route', () => {
  const CASES: [rule: object, about: Partial<EventFacts>, fits: boolean][] = [
    // An empty list, or none, means all; so does a star, whatever there is.
    [{}, {}, true],
    [{ events: [], hosts: [], users: [] }, { event: 'host_removed', username: '', hostname: null }, true],
    [{ events: ['*'], hosts: ['*'], users: ['*'] }, { username: '', hostname: null }, true],
    // Events.
    [{ events: ['challenge_created'] }, {}, true],
    [{ events: ['challenge_created'] }, { event: 'challenge_rejected' }, false],
    [{ events: ['challenge_*'] }, { event: 'challenge_rejected' }, true],
    [{ events: ['challenge_*'] }, { event: 'host_removed' }, false],
    [{ events: ['host_removed', 'challenge_created'] }, {}, true],
    // Hosts.
    [{ hosts: ['web1.example.com'] }, {}, true],
    [{ hosts: ['web*'] }, {}, true],
    [{ hosts: ['*.example.com'] }, {}, true],
    [{ hosts: ['web?.example.com'] }, {}, true],
    [{ hosts: ['web[0-3].*'] }, {}, true],
    [{ hosts: ['web[!0-3].*'] }, {}, false],
    [{ hosts: ['db*'] }, {}, false],
    [{ hosts: ['web1'] }, {}, false],
    [{ hosts: ['db*', 'web*'] }, {}, true],
    [{ hosts: ['WEB*'] }, {}, false],
    [{ hosts: ['web*'] }, { hostname: null }, false],
    // Host groups, by their whole names.
    [{ hostGroups: ['web'] }, {}, true],
    [{ hostGroups: ['we'] }, {}, false],
    [{ hostGroups: ['web'] }, { hostGroup: null }, false],
    // Users.
    [{ users: ['alice'] }, {}, true],
    [{ users: ['al*'] }, {}, true],
    [{ users: ['bob', 'mira'] }, {}, false],
    [{ users: ['a.ice'] }, {}, false],
    [{ users: ['alice'] }, { username: '' }, false],
    // Severity and policy.
    [{ severities: ['info'] }, {}, true],
    [{ severities: ['warning', 'critical'] }, {}, false],
    [{ severities: ['critical'] }, { severity: 'critical' }, true],
    [{ policies: ['default'] }, {}, true],
    [{ policies: ['production'] }, {}, false],
    [{ policies: ['default'] }, { policy: null }, false],
    // All of a rule has to fit.
    [{ events: ['challenge_*'], hosts: ['web*'], users: ['alice'], severities: ['info'] }, {}, true],
    [{ events: ['challenge_*'], hosts: ['web*'], users: ['bob'] }, {}, false],
    [{ events: ['challenge_*'], hosts: ['db*'], users: ['alice'] }, {}, false],
  ];
  for (const [rule, about, fits] of CASES) {
    test(`${JSON.stringify(rule)} ${fits ? 'fits' : 'does not fit'} ${JSON.stringify(about)}`, () => {
      const given = { channels: [shared('ops')], routes: [route({ channels: ['ops'], ...rule })] };
      assert.deepEqual(told(facts(about), given), fits ? ['ops'] : []);
    });
  }

  test('adds to the others, and a channel that several name is told once', () => {
    const channels = [shared('ops'), shared('chat'), shared('pager')];
    const routes = [
      route({ channels: ['ops', 'chat'] }),
      route({ channels: ['chat'], hosts: ['web*'] }),
      route({ channels: ['pager'], hosts: ['db*'] }),
    ];
    const found = routeEvent(facts(), rules({ channels, routes, policyChannels: ['ops'] }));
    assert.deepEqual(
      found.channels.map(({ channel, told, by }) => [channel, told, by.map(({ rule }) => rule)]),
      [
        ['ops', true, ['route', 'policy']],
        ['chat', true, ['route', 'route']],
        ['pager', false, []],
      ],
    );
  });

  test('that is switched off, or whose channel is, tells nobody; a name that is not there is said', () => {
    const channels = [shared('ops'), shared('off', false), personal('mine', 'alice')];
    const routes = [route({ channels: ['ops'] }, false), route({ channels: ['off', 'gone', 'mine'] })];
    const found = routeEvent(facts(), rules({ channels, routes }));
    assert.deepEqual(
      found.channels.map(({ channel, told, why }) => [channel, told, why]),
      [
        ['ops', false, 'no_rule'],
        ['off', false, 'switched_off'],
        ['mine', false, 'owner'],
      ],
    );
    // What an operator writes never reaches the channel of one person.
    assert.deepEqual(found.unknown, ['gone', 'mine']);
  });

  test('with a pattern that cannot be read is not taken', () => {
    for (const bad of [{ hosts: ['web['] }, { users: ['a{b}'] }, { events: ['$('] }, { channels: [] }])
      assert.equal(routeRule.safeParse({ channels: ['ops'], ...bad }).success, false, JSON.stringify(bad));
  });
});

describe('[N-13] what a person has chosen', () => {
  const channels = [shared('ops'), personal('phone', 'alice'), personal('mail', 'alice'), personal('other', 'bob')];
  const request = facts({ announces: true });

  test('by nobody: what they may decide and what became of theirs, on all channels of their own', () => {
    const people = [person('alice')];
    assert.deepEqual(told(request, { channels, people }), ['phone', 'mail']);
    for (const event of ['challenge_approved', 'challenge_rejected', 'challenge_expired'])
      assert.deepEqual(told(facts({ event }), { channels, people }), ['phone', 'mail'], event);
    assert.deepEqual(told(facts({ event: 'user_logged_in' }), { channels, people }), []);
  });

  const CASES: [about: Partial<EventFacts>, who: Partial<Candidate>, channels: string[], why: string | null][] = [
    [{}, { preferences: likes({ channels: ['mail'] }) }, ['mail'], null],
    [{}, { preferences: likes({ enabled: false }) }, [], 'switched_off'],
    [{}, { preferences: likes({ hosts: ['db*'] }) }, [], 'host'],
    [{}, { preferences: likes({ hosts: ['web*'] }) }, ['phone', 'mail'], null],
    [{ event: 'host_removed' }, { preferences: likes({ events: [] }) }, ['phone', 'mail'], null],
    [{ event: 'host_removed' }, { preferences: likes({ events: ['challenge_*'] }) }, [], 'event'],
    [{}, { disabled: true }, [], 'account_disabled'],
    [{ announces: true }, { refusal: 'not_an_approver' }, [], 'may_not_decide'],
    // Who may decide is told, whether or not it is about them.
    [{ announces: true }, { concerned: false, maySee: false }, ['phone', 'mail'], null],
    [{ event: 'challenge_approved' }, { concerned: false }, [], 'about_others'],
    [
      { event: 'challenge_approved' },
      { concerned: false, preferences: likes({ others: true }) },
      ['phone', 'mail'],
      null,
    ],
    [{ event: 'host_removed' }, { maySee: false, preferences: likes({ events: [], others: true }) }, [], 'may_not_see'],
    [{ event: 'challenge_approved' }, { didIt: true }, [], 'did_it'],
    // A shared channel is named by administrators only, somebody else's by nobody.
    [{}, { preferences: likes({ channels: ['ops', 'phone'] }) }, ['phone'], null],
    [{}, { isAdmin: true, preferences: likes({ channels: ['ops', 'phone'] }) }, ['ops', 'phone'], null],
    [{}, { isAdmin: true, preferences: likes({ channels: ['other'] }) }, [], null],
  ];
  for (const [about, who, expected, why] of CASES) {
    test(`${JSON.stringify(about)}, ${JSON.stringify(who)}: ${expected.join(' and ') || why || 'nothing'}`, () => {
      const found = routeEvent(facts(about), rules({ channels, people: [person('alice', who)] }));
      assert.deepEqual(
        found.channels.flatMap(({ told, channel }) => (told ? [channel] : [])),
        expected,
      );
      assert.equal(found.people[0]!.why, why);
    });
  }

  test('by two who name the same shared channel: it is told once, and by whom is known', () => {
    const both = { isAdmin: true, preferences: likes({ channels: ['ops'] }) };
    const people = [person('alice', both), person('bob', both)];
    const found = routeEvent(request, rules({ channels, people }));
    const [ops] = found.channels;
    assert.deepEqual(
      ops!.by.map((one) => one.rule === 'preference' && one.person),
      ['alice', 'bob'],
    );
  });
});

test('[N-13] every event has a severity, and one of another version is worth a look', () => {
  const by = Object.groupBy(EVENT_NAMES, severityOf);
  assert.ok(by.critical!.includes('host_quarantined') && by.critical!.includes('break_glass_used'));
  assert.ok(by.warning!.includes('challenge_rejected') && by.warning!.includes('login_failed'));
  assert.ok(by.info!.includes('challenge_created'));
  assert.equal(severityOf('an_event_of_another_version'), 'warning');
});
