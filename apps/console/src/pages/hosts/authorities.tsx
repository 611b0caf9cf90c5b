import { Alert, Text } from '@mantine/core';
import type { Outputs } from '../../server/api.ts';

type Authorities = Outputs['hosts']['list']['authorities'];

const dateOf = (until: number): string => new Date(until).toISOString().slice(0, 10);

/** Who signs certificates of hosts, and until when; both of them while one takes the place of the other. */
export function AuthorityLine({ authorities }: { authorities: Authorities }) {
  const ends = ({ certificate }: Authorities[number]) =>
    certificate === null ? 'cannot be read' : `ends on ${dateOf(certificate.until)}`;
  const signing = authorities.find(({ role }) => role === 'signing');
  const other = authorities.find(({ role }) => role !== 'signing');
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
  if (signing.certificate?.state !== 'good') {
    return (
      <Alert className="tone tone-yellow" color="yellow" variant="light">
        The authority for certificates of hosts {ends(signing)}. Put a new one in its place: identree-server ca rotate
      </Alert>
    );
  }
  return (
    <Text size="sm" c="dimmed">
      The authority for certificates of hosts {ends(signing)}.
    </Text>
  );
}
