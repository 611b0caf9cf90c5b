import { Badge, Button, Group, Text } from '@mantine/core';
import { byText, type Order, type Unreadable } from '../../kit/arrange.ts';
import { List } from '../../kit/list.tsx';
import type { Column } from '../../kit/table-or-cards.tsx';
import { Ago } from '../../kit/times.tsx';
import type { Person } from '../../server/api.ts';
import { useMayChange, useMe } from '../../server/me.ts';

/** Whether somebody is the one who looks. Names are display; who somebody is, the provider says. */
function useIsMe() {
  const { person: me } = useMe();
  return (person: Person) => person.issuer === me.issuer && person.subject === me.subject;
}

function Name({ person }: { person: Person }) {
  const isMe = useIsMe();
  return (
    <>
      <Group gap="xs">
        <Text size="sm" fw={600} className="break">
          {person.displayName}
        </Text>
        {person.role === 'admin' && (
          <Badge className="tone tone-indigo" variant="light">
            Administrator
          </Badge>
        )}
        {isMe(person) && (
          <Badge className="tone tone-gray" variant="light" color="gray">
            You
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed" className="break">
        {person.username}
      </Text>
    </>
  );
}

function Recover({ person, recover }: { person: Person; recover: (person: Person) => void }) {
  const isMe = useIsMe();
  if (!useMayChange() || isMe(person)) return null;
  return (
    <Button
      variant="default"
      size="xs"
      aria-label={`Recovery code for ${person.displayName}`}
      onClick={() => recover(person)}
    >
      Recovery code
    </Button>
  );
}

const accountsOf = (person: Person) => person.accounts.join(', ') || '–';

const columns = (recover: (person: Person) => void): Column<Person>[] => [
  { name: 'name', head: 'Name', width: 15, cell: (person) => <Name person={person} /> },
  {
    name: 'accounts',
    head: 'Accounts',
    width: 9,
    cell: (person) => <span className="break">{accountsOf(person)}</span>,
  },
  { name: 'passkeys', head: 'Passkeys', width: 6.5, cell: (person) => person.passkeys },
  {
    name: 'signed-in',
    head: 'Signed in',
    width: 9,
    className: 'nowrap',
    cell: (person) => <Ago at={person.lastLoginAt} />,
  },
  {
    name: 'actions',
    head: 'Actions',
    plain: true,
    width: 9.5,
    align: 'right',
    cell: (person) => <Recover person={person} recover={recover} />,
  },
];

const ORDERS: Record<string, Order<Person>> = {
  name: (a, b) => byText(a.displayName, b.displayName) || byText(a.username, b.username),
  accounts: (a, b) => byText(accountsOf(a), accountsOf(b)),
  passkeys: (a, b) => a.passkeys - b.passkeys,
  'signed-in': (a, b) => a.lastLoginAt - b.lastLoginAt,
};

const textOf = (person: Person) =>
  [
    person.displayName,
    person.username,
    ...person.accounts,
    ...person.groups,
    person.subject,
    person.role === 'admin' ? 'administrator' : '',
  ].join(' ');

function PersonCard({ person, recover }: { person: Person; recover: (person: Person) => void }) {
  return (
    <>
      <Name person={person} />
      <dl className="facts compact spaced">
        <dt>Accounts</dt>
        <dd>{accountsOf(person)}</dd>
        <dt>Passkeys</dt>
        <dd>{person.passkeys}</dd>
        <dt>Signed in</dt>
        <dd>
          <Ago at={person.lastLoginAt} />
        </dd>
      </dl>
      <div className="card-foot">
        <Recover person={person} recover={recover} />
      </div>
    </>
  );
}

/** Everybody: searched, sorted and a page at a time. */
export function PeopleList({
  people,
  recover,
}: {
  people: readonly (Person | Unreadable)[];
  recover: (person: Person) => void;
}) {
  return (
    <List
      nouns={['person', 'people']}
      entries={people}
      columns={columns(recover)}
      orders={ORDERS}
      usual="name"
      textOf={textOf}
      placeholder="Name, account, group or subject"
      keyOf={({ id }) => id}
      card={(person) => <PersonCard person={person} recover={recover} />}
    />
  );
}
