import { Card, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import type { IconServer } from '@tabler/icons-react';
import type { ReactNode } from 'react';

/** In place of a list with nothing in it: what will be here, and how it comes. `children`: what to do about it. */
export function EmptyState({
  icon: Icon,
  tone = 'indigo',
  title,
  text,
  children,
}: {
  icon?: typeof IconServer;
  tone?: 'indigo' | 'green';
  title?: string;
  text: ReactNode;
  children?: ReactNode;
}) {
  return (
    <Card withBorder padding="xl" radius="lg">
      <Stack align="center" gap="md" py="xl" ta="center">
        {Icon && (
          <ThemeIcon size={56} radius="xl" variant="light" className={`tone tone-${tone}`}>
            <Icon size={30} stroke={1.75} aria-hidden="true" />
          </ThemeIcon>
        )}
        <div>
          {title !== undefined && (
            <Title order={2} size="h4" mb={4}>
              {title}
            </Title>
          )}
          <Text c="dimmed" maw={title === undefined ? undefined : 480}>
            {text}
          </Text>
        </div>
        {children}
      </Stack>
    </Card>
  );
}
