import { Card, Group, ThemeIcon } from '@mantine/core';
import type { IconKey } from '@tabler/icons-react';
import type { ReactNode } from 'react';

/** One of several things in a list: its icon, what is said of it, and beside that what can be done with it. */
export function ItemCard({
  icon: Icon,
  actions,
  children,
}: {
  icon: typeof IconKey;
  actions: ReactNode;
  children: ReactNode;
}) {
  return (
    <Card component="li" withBorder radius="lg" padding="md">
      <Group justify="space-between" gap="md">
        <Group gap="md" wrap="nowrap" className="grow">
          <ThemeIcon size={44} radius="md" variant="light" className="tone tone-indigo">
            <Icon size={24} stroke={1.75} aria-hidden="true" />
          </ThemeIcon>
          <div className="grow">{children}</div>
        </Group>
        {actions}
      </Group>
    </Card>
  );
}
