import { Card, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CopyLine } from '../../kit/copy-line.tsx';
import { api } from '../../server/api.ts';

/** What the identity provider has to know about this server. Quiet while it loads: the page is about people. */
export function ProviderCard() {
  const { data } = useQuery(api.people.signIn.queryOptions());
  if (!data) return null;
  return (
    <Card component="section" withBorder radius="lg" padding="lg" mt="md" aria-labelledby="provider">
      <Stack gap="md">
        <div>
          <Title order={2} size="h4" id="provider">
            Identity provider
          </Title>
          <Text size="sm" c="dimmed" className="break">
            Members of {data.adminGroups.join(', ')} in the claim {data.groupsClaim} are administrators, from their next
            sign-in on.
          </Text>
        </div>
        <dl className="facts compact">
          <dt>Issuer</dt>
          <dd>
            <code className="break">{data.issuer}</code>
          </dd>
          <dt>Client</dt>
          <dd>
            <code className="break">{data.clientId}</code>
          </dd>
          <dt className="beside-box">Redirect URI</dt>
          <dd>
            <CopyLine text={data.redirectUri} label="Copy the redirect URI" />
          </dd>
          <dt className="beside-box">After signing out</dt>
          <dd>
            <CopyLine text={data.signedOutUri} label="Copy the post logout redirect URI" />
          </dd>
          <dt className="beside-box">Back-channel logout</dt>
          <dd>
            <CopyLine text={data.backchannelUri} label="Copy the back-channel logout URI" />
          </dd>
        </dl>
      </Stack>
    </Card>
  );
}
