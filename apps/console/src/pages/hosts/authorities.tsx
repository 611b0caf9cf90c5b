import { Alert, Code, Text } from '@mantine/core';
import type { Outputs } from '../../server/api.ts';

type Authorities = Outputs['hosts']['list']['authorities'];

const dateOf = (until: number): string => new Date(until).toISOString().slice(0, 10);

const ends = ({ certificate }: Authorities[number]) =>
  certificate === null ? 'cannot be read' : `ends on ${dateOf(certificate.until)}`;

const find = (authorities: Authorities) => ({
  signing: authorities.find(({ role }) => role === 'signing'),
  other: authorities.find(({ role }) => role !== 'signing'),
});

/** What an operator has to do about who signs certificates of hosts, or is about to: it stands before all hosts. */
export function AuthorityNotice({ authorities }: { authorities: Authorities }) {
  const { signing, other } = find(authorities);
  if (signing === undefined) return null;
  if (other !== undefined) {
    return (
      <Alert className="tone tone-indigo" variant="light">
        A new authority for certificates of hosts takes the place of the old one.{' '}
        {other.role === 'next'
          ? `The old one signs still and ${ends(signing)}, the new one ${ends(other)}.`
          : `The new one signs and ${ends(signing)}, the old one counts still and ${ends(other)}.`}
      </Alert>
    );
  }
  if (signing.certificate?.state === 'good') return null;
  return (
    <Alert className="tone tone-yellow" color="yellow" variant="light">
      The authority for certificates of hosts {ends(signing)}. Put a new one in its place:{' '}
      <Code>identree-server ca rotate</Code>
    </Alert>
  );
}

/** Until when the authority signs, where nothing is to be done about it. */
export function AuthorityLine({ authorities }: { authorities: Authorities }) {
  const { signing, other } = find(authorities);
  if (signing?.certificate?.state !== 'good' || other !== undefined) return null;
  return (
    <Text size="sm" c="dimmed">
      The authority for certificates of hosts {ends(signing)}.
    </Text>
  );
}
