import { Anchor, Button, Center, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useCallback, useEffect } from 'react';
import { api, messageOf, refusalOf, setCsrfToken } from './api.ts';
import { desktop } from './bridge.ts';
import { learnServerTime } from './clock.ts';
import { Logo } from './components/logo.tsx';
import { Failure, PageSkeleton } from './components/query-state.tsx';
import { type LiveEvent, useLive } from './live.ts';
import { MeContext } from './me.ts';
import { announceRequest } from './notify.ts';
import { InboxPage } from './pages/inbox.tsx';
import { navigate, type Path, usePath } from './router.tsx';
import { Shell } from './shell.tsx';

const AGAIN_AFTER_MS = 500;

/** In place of a page whose program did not come: the network failed, or another version of the server has other files. */
function NotLoaded() {
  return (
    <Failure
      message="The connection failed, or the server has been updated meanwhile."
      retry={() => location.reload()}
    />
  );
}

/** A page that is loaded when it is wanted. A failure is tried again once, and told; it never leaves an empty window. */
function page(load: () => Promise<{ default: React.ComponentType }>) {
  const again = () => new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS)).then(load);
  return lazy(() =>
    load()
      .catch(again)
      .catch(() => ({ default: NotLoaded })),
  );
}

const DirectoryPage = page(() => import('./pages/directory.tsx'));
const HistoryPage = page(() => import('./pages/history.tsx'));
const HostsPage = page(() => import('./pages/hosts.tsx'));
const PasskeysPage = page(() => import('./pages/passkeys.tsx'));
const SessionsPage = page(() => import('./pages/sessions.tsx'));
const PeoplePage = page(() => import('./pages/people.tsx'));
const SudoRulesPage = page(() => import('./pages/sudo-rules.tsx'));

const PAGES: Record<Path, React.ComponentType> = {
  '/': InboxPage,
  '/history': HistoryPage,
  '/hosts': HostsPage,
  '/passkeys': PasskeysPage,
  '/sessions': SessionsPage,
  '/people': PeoplePage,
  '/directory': DirectoryPage,
  '/sudo-rules': SudoRulesPage,
};
const FOR_ADMINS: readonly Path[] = ['/hosts', '/people', '/directory', '/sudo-rules'];

function SignIn() {
  const here = encodeURIComponent(location.pathname + location.search);
  return (
    <Center mih="100dvh" p="md" component="main">
      <Stack align="center" gap="lg" maw={360} ta="center">
        <Logo size={44} />
        <div>
          <Title order={1} size="h2">
            Sign in to identree
          </Title>
          <Text c="dimmed" mt="xs">
            See who is waiting for an approval on your hosts, and answer.
          </Text>
        </div>
        {desktop ? (
          <Button size="md" fullWidth onClick={() => void desktop?.signIn()}>
            Sign in with the browser
          </Button>
        ) : (
          <Button size="md" fullWidth component="a" href={`/sessions/login?return_to=${here}`}>
            Sign in
          </Button>
        )}
        {!desktop && (
          <Anchor href="/approve" size="sm">
            I have a code from a terminal
          </Anchor>
        )}
      </Stack>
    </Center>
  );
}

/** Who is signed in, the live connection, and the page that the address names. */
export function App() {
  const path = usePath();
  const me = useQuery({ ...api.me.get.queryOptions(), refetchInterval: 60_000 });
  const onEvent = useCallback((event: LiveEvent) => {
    if (event.event === 'challenge_created') announceRequest(event);
  }, []);
  const live = useLive(Boolean(me.data), onEvent);

  if (me.data) {
    setCsrfToken(me.data.csrfToken);
    learnServerTime(me.data.now, me.dataUpdatedAt);
  }
  useEffect(
    () =>
      desktop?.onDeepLink(({ code }) => {
        navigate(`/?request=${code}`);
      }),
    [],
  );

  const signedOut =
    me.data === null || (me.error && ['not_signed_in', 'session_expired'].includes(refusalOf(me.error) ?? ''));
  if (signedOut) return <SignIn />;
  if (!me.data) {
    return (
      <Center mih="100dvh" p="md" component="main">
        {me.error ? (
          <Failure message={messageOf(me.error)} retry={() => void me.refetch()} />
        ) : (
          <PageSkeleton label="Loading identree" />
        )}
      </Center>
    );
  }
  const allowed = me.data.role === 'admin' || !FOR_ADMINS.includes(path);
  const Page = allowed ? PAGES[path] : InboxPage;
  return (
    <MeContext value={me.data}>
      <Shell live={live} path={allowed ? path : '/'}>
        <Suspense fallback={<PageSkeleton label="Loading" />}>
          <Page key={path} />
        </Suspense>
      </Shell>
    </MeContext>
  );
}
