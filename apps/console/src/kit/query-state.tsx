import { Alert, Button, Skeleton, Stack, VisuallyHidden } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { messageOf } from '../server/api.ts';

/** What could not be loaded, in words, with a way on. */
export function Failure({ message, retry }: { message: string; retry: () => void }) {
  return (
    <Alert color="red" icon={<IconAlertCircle />} title="This could not be loaded" role="alert">
      <Stack gap="sm" align="flex-start">
        {message}
        <Button variant="default" size="sm" onClick={retry}>
          Try again
        </Button>
      </Stack>
    </Alert>
  );
}

/** Grey shapes in place of a list that is on its way. */
export function PageSkeleton({ label, rows = 3, height = 96 }: { label: string; rows?: number; height?: number }) {
  return (
    <Stack gap="md" w="100%" maw={960} aria-busy="true">
      <VisuallyHidden role="status">{label}</VisuallyHidden>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same and never move.
        <Skeleton key={row} height={height} radius="md" />
      ))}
    </Stack>
  );
}

/** Shows a query in whichever state it is. Old data stays visible while a new try fails. */
export function QueryState<T>({
  query,
  label,
  children,
}: {
  query: UseQueryResult<T, unknown>;
  label: string;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure message={messageOf(query.error)} retry={() => void query.refetch()} />;
  return <PageSkeleton label={label} />;
}
