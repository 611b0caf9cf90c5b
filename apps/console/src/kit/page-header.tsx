import { Group, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect, useRef } from 'react';
import { pageAt } from '#shared/console.ts';
import { takeArrival, usePath } from '../router.tsx';
import { useMe } from '../server/me.ts';

/**
 * Name of the page, what it is for, and its main action. Also names the browser tab.
 *
 * @param given what it is called where it is about one of many; else as the navigation calls it.
 */
export function PageHeader({
  title: given,
  text,
  children,
}: {
  title?: string;
  text: ReactNode;
  children?: ReactNode;
}) {
  const ofPage = pageAt(usePath(), useMe().role).title;
  const title = given ?? ofPage;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // A page may arrive late, when somebody types in a dialog already: what is typed there stays there.
    if (takeArrival() && !document.activeElement?.closest('[role="dialog"]')) {
      heading.current?.focus({ preventScroll: true });
    }
  }, []);
  useEffect(() => {
    document.documentElement.dataset.page = title;
    dispatchEvent(new Event('identree:title'));
  }, [title]);
  return (
    <Group justify="space-between" align="flex-start" gap="md" mb="lg" wrap="wrap">
      <div className="page-title">
        <Title order={1} size="h2" tabIndex={-1} ref={heading}>
          {title}
        </Title>
        <Text c="dimmed" mt={2}>
          {text}
        </Text>
      </div>
      {children}
    </Group>
  );
}
