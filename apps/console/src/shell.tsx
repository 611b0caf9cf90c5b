import {
  AppShell,
  Badge,
  Box,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  SegmentedControl,
  Text,
  UnstyledButton,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconCloudOff, IconDeviceDesktop, IconLogout, IconMoon, IconSelector, IconSun } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect } from 'react';
import { type ConsolePath, pagesFor } from '#shared/console.ts';
import { desktop, useUnreached } from './bridge.ts';
import { Logo } from './kit/logo.tsx';
import { PAGES } from './pages.tsx';
import { Palette, PaletteButton } from './palette/palette.tsx';
import { Link } from './router.tsx';
import { api, queryClient } from './server/api.ts';
import { useDirectoryUpdates } from './server/directory-status.ts';
import type { LiveState } from './server/live.ts';
import { useMe } from './server/me.ts';
import { signOut } from './sign-out.ts';
import { isNewer } from './words/newer.ts';

/** `(2) Inbox · identree` */
function useTabTitle(waiting: number): void {
  useEffect(() => {
    const show = () => {
      const page = document.documentElement.dataset.page ?? 'Inbox';
      document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${page} · identree`;
    };
    show();
    addEventListener('identree:title', show);
    return () => removeEventListener('identree:title', show);
  }, [waiting]);
}

function ColorScheme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const option = (label: string, icon: ReactNode) => (
    <span className="scheme-option">
      {icon}
      <span className="sr-only">{label}</span>
    </span>
  );
  return (
    <SegmentedControl
      fullWidth
      size="xs"
      aria-label="Colour scheme"
      value={colorScheme}
      onChange={(value) => setColorScheme(value as 'light' | 'dark' | 'auto')}
      data={[
        { value: 'auto', label: option('Same as this device', <IconDeviceDesktop size={16} />) },
        { value: 'light', label: option('Light', <IconSun size={16} />) },
        { value: 'dark', label: option('Dark', <IconMoon size={16} />) },
      ]}
    />
  );
}

function PersonMenu() {
  const me = useMe();
  return (
    <Menu position="top-start" width="target" shadow="md">
      <Menu.Target>
        <UnstyledButton className="person-button">
          <span className="initial" aria-hidden="true">
            {[...me.person.displayName][0]?.toUpperCase() ?? '?'}
          </span>
          <span className="person-name">
            <Text component="span" size="sm" fw={600} truncate>
              {me.person.displayName}
            </Text>
            <Text component="span" size="xs" c="dimmed" truncate>
              {me.role === 'admin' ? `${me.person.username}, administrator` : me.person.username}
            </Text>
          </span>
          <span className="sr-only">, account menu</span>
          <IconSelector size={16} aria-hidden="true" />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut(me.csrfToken)}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** The desktop app is a package of the system: it says that there is a newer one, and leaves the rest to who installed it. */
function NewerVersion() {
  const { desktopVersion } = useMe();
  if (!desktop || !isNewer(desktopVersion, desktop.version)) return null;
  return (
    <Text size="xs" c="dimmed" role="note">
      identree {desktopVersion} is out; this is {desktop.version}. Update it the way it was installed.
    </Text>
  );
}

function WaitingBadge({ count, size }: { count: number; size: 'md' | 'lg' }) {
  if (count === 0) return null;
  return (
    <Badge circle={count < 100} size={size} variant="filled" role="img" aria-label={`${count} waiting`}>
      {count}
    </Badge>
  );
}

/** Navigation, connection state and the page in the middle. */
export function Shell({ live, path, children }: { live: LiveState; path: ConsolePath; children: ReactNode }) {
  const me = useMe();
  const [opened, { toggle, close }] = useDisclosure();
  const [searching, { open: search, close: stopSearching }] = useDisclosure();
  const inbox = useQuery({ ...api.challenges.inbox.queryOptions(), refetchInterval: live === 'live' ? false : 15_000 });
  const waiting = inbox.data?.length ?? 0;
  const held = useDirectoryUpdates(live);
  const unreached = useUnreached();
  const badges: Partial<Record<ConsolePath, number>> = { '/': waiting, '/directory': held };
  useTabTitle(waiting);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the page changes or something is looked for, which is the point.
  useEffect(() => close(), [path, searching]);

  return (
    <AppShell
      padding={{ base: 'md', sm: 'xl' }}
      header={{ height: { base: 56, sm: 0 } }}
      navbar={{ width: 248, breakpoint: 'sm', collapsed: { mobile: !opened } }}
    >
      <a className="skip" href="#content">
        Skip to the page
      </a>
      {/* A nav, no header: a dialog's own head would be a second banner. */}
      <Box component="nav" hiddenFrom="sm" className="top" aria-label="Top">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Link href="/" className="brand">
            <Logo />
            identree
          </Link>
          <Group gap="sm" wrap="nowrap">
            <WaitingBadge count={waiting + held} size="lg" />
            <PaletteButton open={search} compact />
            <Burger
              opened={opened}
              onClick={toggle}
              size="sm"
              aria-label={opened ? 'Close the menu' : 'Open the menu'}
              aria-expanded={opened}
            />
          </Group>
        </Group>
      </Box>

      <AppShell.Navbar p="md" aria-label="Main">
        <AppShell.Section visibleFrom="sm" mb="lg">
          <Link href="/" className="brand">
            <Logo />
            identree
          </Link>
        </AppShell.Section>
        <AppShell.Section visibleFrom="sm" mb="sm">
          <PaletteButton open={search} />
        </AppShell.Section>
        <AppShell.Section grow component={ScrollArea}>
          {pagesFor(me.role).map((page) => {
            const { icon: Icon } = PAGES[page.path];
            const count = badges[page.path] ?? 0;
            return (
              <NavLink
                key={page.path}
                renderRoot={(props) => <Link {...props} href={page.path} />}
                className="nav-link"
                active={path === page.path}
                aria-current={path === page.path ? 'page' : undefined}
                label={page.title}
                leftSection={<Icon size={20} stroke={1.75} aria-hidden="true" />}
                rightSection={count > 0 ? <WaitingBadge count={count} size="md" /> : undefined}
              />
            );
          })}
        </AppShell.Section>
        <AppShell.Section className="nav-foot">
          <NewerVersion />
          <ColorScheme />
          <PersonMenu />
        </AppShell.Section>
      </AppShell.Navbar>

      <Palette opened={searching} open={search} close={stopSearching} path={path} waiting={inbox.data ?? null} />
      <AppShell.Main id="content">
        <div className="page">
          {(live === 'offline' || unreached) && (
            <div className="offline" role="status">
              <IconCloudOff size={20} aria-hidden="true" />
              <span>{unreached ?? 'No live connection. What you see may be old; it will catch up by itself.'}</span>
              <Button
                variant="default"
                size="xs"
                className="offline-retry"
                onClick={() => void queryClient.invalidateQueries()}
              >
                Try again
              </Button>
            </div>
          )}
          {children}
        </div>
      </AppShell.Main>
    </AppShell>
  );
}
