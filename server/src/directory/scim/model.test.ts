import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, openScim, type TestScimClient } from './test-scim.ts';

/**
 * Random changes against a model that knows no paths, documents or versions: only who there is, who is active and who is
 * in which group. No answer of 200 may have done something else, and no refusal may have done anything.
 */

interface Person {
  userName: string;
  externalId: string | null;
  active: boolean;
}
interface Team {
  displayName: string;
  members: Set<string>;
}
interface World {
  people: Map<string, Person>;
  teams: Map<string, Team>;
  /** Everybody who ever was: somebody deleted cannot be added again. */
  gone: Set<string>;
}

interface Answer {
  status: number;
  body: Json;
}
/** What an operation sends, and what it should do; null where it should be refused. */
interface Step {
  send: (client: TestScimClient) => Promise<Answer>;
  done: ((world: World, made: string) => void) | null;
}

const copy = ({ people, teams, gone }: World): World => ({
  people: new Map([...people].map(([id, one]) => [id, { ...one }])),
  teams: new Map([...teams].map(([id, one]) => [id, { ...one, members: new Set(one.members) }])),
  gone: new Set(gone),
});

const LEFT_OUT = [
  { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '1' },
  { op: 'Replace', path: 'addresses[type eq "work"].formatted', value: 'x' },
  { op: 'Remove', path: 'roles[primary eq "True"]' },
  {
    op: 'add',
    value: { title: 'x', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { department: 'y' } },
  },
];

const setActive =
  (id: string, active: boolean) =>
  ({ people }: World) => {
    people.get(id)!.active = active;
  };

const patchWith = (path: string, operations: object[]) => (client: TestScimClient) =>
  client.call('PATCH', path, { Operations: operations });

/** Ways to write one change of the members. */
const removalsOf = (id: string): object[] => [
  { op: 'remove', path: `members[value eq "${id}"]` },
  { op: 'Remove', path: 'members', value: [{ value: id }] },
  { op: 'remove', path: 'members', value: { value: id } },
  { op: 'remove', path: 'members', value: id },
  { op: 'remove', path: 'MEMBERS', value: [id] },
];
const additionsOf = (id: string): object[] => [
  { op: 'add', path: 'members', value: [{ value: id, type: 'User' }] },
  { op: 'Add', path: 'members', value: { value: id } },
  { op: 'add', path: 'members', value: id },
  { op: 'add', value: { members: [{ value: id }] } },
];

/** A whole number as large as wanted: it picks what there is. */
const pick = <T>(from: readonly T[], n: number): T => from[n % from.length]!;

function stepOf(world: World, kind: number, [a, b, c]: [number, number, number]): Step {
  const [people, teams] = [[...world.people.keys()], [...world.teams.keys()]];
  const userName = `u${a % 6}`;
  const taken = (but?: string) => [...world.people].some(([id, one]) => id !== but && one.userName === userName);
  const externalTaken = (externalId: string) => [...world.people.values()].some((one) => one.externalId === externalId);
  const createPerson = (): Step => {
    const externalId = b % 3 === 0 ? null : `e${b % 7}`;
    const active = c % 2 === 0;
    return {
      send: (client) => client.call('POST', '/Users', { userName, ...(externalId ? { externalId } : {}), active }),
      done:
        taken() || (externalId !== null && externalTaken(externalId))
          ? null
          : ({ people: now }, made) => void now.set(made, { userName, externalId, active }),
    };
  };
  if (kind === 0 || people.length === 0) return createPerson();
  const person = pick(people, a);
  const asked = [...people, ...world.gone, 'never'];
  if (kind === 1 || teams.length === 0) {
    const members = [...new Set([pick(asked, a), pick(people, b)])];
    const displayName = `g${c % 4}`;
    const refused = members.includes('never');
    return {
      send: (client) => client.call('POST', '/Groups', { displayName, members: members.map((value) => ({ value })) }),
      done: refused
        ? null
        : (now, made) =>
            void now.teams.set(made, { displayName, members: new Set(members.filter((id) => now.people.has(id))) }),
    };
  }
  const team = pick(teams, b);
  switch (kind) {
    case 2: {
      const value = pick([true, false, 'True', 'False', 'true', 'false'], c);
      const active = String(value).toLowerCase() === 'true';
      const change = pick(
        [
          { op: 'Replace', path: 'active', value },
          { op: 'replace', value: { active: value } },
          { op: 'add', path: 'ACTIVE', value },
        ],
        b,
      );
      return {
        send: patchWith(`/Users/${person}`, [pick(LEFT_OUT, a), change, pick(LEFT_OUT, c)]),
        done: setActive(person, active),
      };
    }
    case 3: {
      const nothing = pick(
        [
          { op: 'remove', path: 'active' },
          { op: 'replace', path: 'active', value: null },
        ],
        c,
      );
      return {
        send: patchWith(`/Users/${person}`, [nothing]),
        done: setActive(person, false),
      };
    }
    case 4: {
      const said = pick([undefined, true, false], c);
      return {
        send: (client) =>
          client.call('PUT', `/Users/${person}`, { userName, ...(said === undefined ? {} : { active: said }) }),
        done: taken(person)
          ? null
          : ({ people: now }) => {
              const one = now.get(person)!;
              one.userName = userName;
              one.active = said ?? one.active;
            },
      };
    }
    case 5:
      return {
        send: (client) => client.raw('DELETE', `/Users/${person}`),
        done: (now) => {
          now.people.delete(person);
          now.gone.add(person);
          for (const { members } of now.teams.values()) members.delete(person);
        },
      };
    case 6: {
      const who = pick(asked, a);
      return {
        send: patchWith(`/Groups/${team}`, [pick(additionsOf(who), c)]),
        done: world.people.has(who) ? (now) => void now.teams.get(team)!.members.add(who) : null,
      };
    }
    case 7: {
      const who = pick(asked, a);
      return {
        send: patchWith(`/Groups/${team}`, [pick(removalsOf(who), c)]),
        done: (now) => void now.teams.get(team)!.members.delete(who),
      };
    }
    case 8: {
      const unclear = pick(
        [
          { op: 'remove', path: 'members', value: {} },
          { op: 'remove', path: 'members[display eq "x"]' },
          { op: 'replace', path: 'members' },
          { op: 'remove', path: 'members', value: [{ display: 'x' }] },
          { op: 'remove' },
          { op: 'add', path: 'members[', value: 'x' },
        ],
        c,
      );
      // What was right before it is not done either.
      return { send: patchWith(`/Groups/${team}`, [pick(removalsOf(person), a), unclear]), done: null };
    }
    case 9: {
      const displayName = `g${c % 4}`;
      const members = [...new Set([pick(asked, a), pick(people, b)])];
      return {
        send: (client) =>
          client.call('PUT', `/Groups/${team}`, { displayName, members: members.map((value) => ({ value })) }),
        done: members.includes('never')
          ? null
          : (now) =>
              void now.teams.set(team, { displayName, members: new Set(members.filter((id) => now.people.has(id))) }),
      };
    }
    case 10: {
      const nobody = pick(
        [
          { op: 'add', path: 'members' },
          { op: 'remove', path: 'members', value: [] },
          { op: 'add', path: 'members', value: null },
        ],
        c,
      );
      return { send: patchWith(`/Groups/${team}`, [nobody]), done: () => {} };
    }
    case 11:
      return {
        send: patchWith(`/Groups/${team}`, [
          pick(
            [
              { op: 'remove', path: 'members' },
              { op: 'replace', path: 'members', value: [] },
            ],
            c,
          ),
        ]),
        done: (now) => void now.teams.get(team)!.members.clear(),
      };
    default:
      return {
        send: (client) => client.raw('DELETE', `/Groups/${team}`),
        done: (now) => void now.teams.delete(team),
      };
  }
}

/** The same world as the server tells it. */
async function told(client: TestScimClient) {
  const [users, groups] = [
    await client.call('GET', '/Users?count=1000'),
    await client.call('GET', '/Groups?count=1000'),
  ];
  return {
    people: Object.fromEntries(
      users.body.Resources.map((one: Json) => [one.id, [one.userName, one.externalId ?? null, one.active]]),
    ),
    teams: Object.fromEntries(
      groups.body.Resources.map((one: Json) => [
        one.id,
        [one.displayName, one.members.map(({ value }: Json) => value).toSorted()],
      ]),
    ),
  };
}

const expected = ({ people, teams }: World) => ({
  people: Object.fromEntries([...people].map(([id, one]) => [id, [one.userName, one.externalId, one.active]])),
  teams: Object.fromEntries([...teams].map(([id, one]) => [id, [one.displayName, [...one.members].toSorted()]])),
});

test('no operation answers well and did something else, and none is refused and did something', async (t) => {
  const site = await openScim(t);
  let run = 0;
  const number = fc.nat({ max: 1000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 12 }), fc.tuple(number, number, number)), { minLength: 10, maxLength: 40 }),
      async (script) => {
        run += 1;
        const client = await site.client({ issuer: `https://id-${run}.example` });
        let world: World = { people: new Map(), teams: new Map(), gone: new Set() };
        for (const [kind, numbers] of script) {
          const { send, done } = stepOf(world, kind, numbers);
          const answer = await send(client);
          const what = `operation ${kind} with ${numbers}: ${answer.status} ${JSON.stringify(answer.body)}`;
          assert.equal(answer.status < 300, done !== null, what);
          const next = copy(world);
          done?.(next, answer.body.id);
          assert.deepEqual(await told(client), expected(next), what);
          world = next;
        }
      },
    ),
    { numRuns: 40 },
  );
});
