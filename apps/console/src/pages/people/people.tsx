import { Alert, Button, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { isUnreadable } from '../../kit/arrange.ts';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, type Person } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { type Choice, ClaimDialog } from './claim-dialog.tsx';
import { PeopleList } from './people-list.tsx';
import { ProviderCard } from './provider-card.tsx';
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
          The account belongs to {claim.owner.id === null ? 'somebody who has not signed in yet' : claim.owner.username}
          . Until you decide, {person.displayName} cannot approve for it. Claimed <Ago at={claim.heldAt} />.
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
  const people = useQuery(api.people.list.queryOptions());
  const [choice, setChoice] = useState<Choice | null>(null);
  const [recovering, setRecovering] = useState<Person | null>(null);
  return (
    <>
      <PageHeader text="Everybody who has signed in, and the Linux accounts that are theirs." />
      <QueryState query={people} label="Loading people">
        {(entries) => {
          const list = entries.filter((entry): entry is Person => !isUnreadable(entry));
          return (
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
              <PeopleList people={entries} recover={setRecovering} />
            </Stack>
          );
        }}
      </QueryState>
      <ProviderCard />
      <ClaimDialog about={choice} close={() => setChoice(null)} />
      <RecoveryDialog about={recovering} close={() => setRecovering(null)} />
    </>
  );
}
