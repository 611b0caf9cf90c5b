import { Alert, Badge, Button, Card, Group, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, type Person } from '../../server/api.ts';
import { useMayChange, useMe } from '../../server/me.ts';
import { plural } from '../../words/text.ts';
import { type Choice, ClaimDialog } from './claim-dialog.tsx';
import { RecoveryDialog } from './recovery-dialog.tsx';

/** Somebody signed in under the name of an account that belongs to somebody else. */
function ClaimCard({ person, claim, decide }: { person: Person; claim: Choice['claim']; decide: () => void }) {
  return (
    <Alert
      className="tone tone-yellow"
      color="yellow"
      variant="light"
      icon={<IconAlertTriangle />}
      title={`${person.displayName} claims the account ${claim.account}`}
    >
      <Stack gap="xs" align="flex-start">
        <Text size="sm" className="break">
          The account belongs to {claim.owner.username}. Until you decide, {person.displayName} cannot approve for it.
          Claimed <Ago at={claim.heldAt} />.
        </Text>
        {useMayChange() && (
          <Button size="xs" variant="default" onClick={decide}>
            Decide
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** Who has signed in, whose accounts are disputed, and help after a lost passkey. Administrators only. */
export default function PeoplePage() {
  const me = useMe();
  const mayChange = useMayChange();
  const people = useQuery(api.people.list.queryOptions());
  const [choice, setChoice] = useState<Choice | null>(null);
  const [recovering, setRecovering] = useState<Person | null>(null);
  const isMe = (person: Person) => person.issuer === me.person.issuer && person.subject === me.person.subject;
  return (
    <>
      <PageHeader title="People" text="Everybody who has signed in, and the Linux accounts that are theirs." />
      <QueryState query={people} label="Loading people">
        {(list) => (
          <Stack gap="md">
            {list.flatMap((person) =>
              person.claims.map((claim) => (
                <ClaimCard
                  key={`${person.id} ${claim.account}`}
                  person={person}
                  claim={claim}
                  decide={() =>
                    setChoice({ person, claim, owner: list.find(({ id }) => id === claim.owner.id) ?? null })
                  }
                />
              )),
            )}
            <Stack gap="sm" component="ul" className="plain-list">
              {list.map((person) => (
                <Card key={person.id} component="li" withBorder radius="lg" padding="md">
                  <Group justify="space-between" gap="md">
                    <div className="grow">
                      <Group gap="xs">
                        <Text fw={600} className="break">
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
                        {person.accounts.length > 0 ? `account ${person.accounts.join(', ')}` : 'no account'} ·{' '}
                        {plural(person.passkeys, 'passkey')} · signed in <Ago at={person.lastLoginAt} />
                      </Text>
                    </div>
                    {mayChange && !isMe(person) && (
                      <Button
                        variant="default"
                        size="xs"
                        aria-label={`Recovery code for ${person.displayName}`}
                        onClick={() => setRecovering(person)}
                      >
                        Recovery code
                      </Button>
                    )}
                  </Group>
                </Card>
              ))}
            </Stack>
            <ClaimDialog about={choice} close={() => setChoice(null)} />
          </Stack>
        )}
      </QueryState>
      <RecoveryDialog about={recovering} close={() => setRecovering(null)} />
    </>
  );
}
