import { Group, SegmentedControl } from '@mantine/core';
import type { ReactNode } from 'react';
import { PageHeader } from '../../kit/page-header.tsx';
import { navigate, useQueryValue } from '../../router.tsx';

/** Head of both lists of the history, and the way from one to the other. */
export function HistoryHeader({ text, children }: { text: string; children?: ReactNode }) {
  const [view] = useQueryValue('view');
  return (
    <PageHeader text={text}>
      <Group gap="sm">
        {children}
        <SegmentedControl
          aria-label="What is listed"
          value={view === 'events' ? 'events' : 'requests'}
          // The filters of one list mean nothing in the other.
          onChange={(value) => navigate(value === 'events' ? '/history?view=events' : '/history')}
          data={[
            { value: 'requests', label: 'Requests' },
            { value: 'events', label: 'Events' },
          ]}
        />
      </Group>
    </PageHeader>
  );
}
