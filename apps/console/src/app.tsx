import { Anchor, Button, Center, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Suspense, useCallback, useEffect } from 'react';
import { pageAt } from '#shared/console.ts';
import type { FeedEvent } from '#shared/events.ts';
import { desktop, useUnreached } from './bridge.ts';
import { Logo } from './kit/logo.tsx';
import { Failure, PageSkeleton } from './kit/query-state.tsx';
import { announceRequest, withdrawRequest } from './notify.ts';
import { PAGES } from './pages.tsx';
import { navigate, usePath } from './router.tsx';
import { api, messageOf, refresh, refusalOf, setCsrfToken } from './server/api.ts';
import { learnServerTime } from './server/clock.ts';
import { useLive } from './server/live.ts';
import { MeContext } from './server/me.ts';
import { Shell } from './shell.tsx';

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
  const onEvent = useCallback((event: FeedEvent) => {
    if (event.event === 'challenge_created') announceRequest(event);
    else if (event.topic === 'requests') withdrawRequest(event);
  }, []);
  const live = useLive(Boolean(me.data), onEvent);
  const unreached = useUnreached();
  const isUnreached = unreached !== null;
  useEffect(() => {
    if (!isUnreached) return;
    // It is back: a window that was opened meanwhile does not know who is signed in, and has no live connection to hear by.
    return () => void refresh(api.me.pathKey());
  }, [isUnreached]);

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
          <Failure message={unreached ?? messageOf(me.error)} retry={() => void me.refetch()} />
        ) : (
          <PageSkeleton label="Loading identree" />
        )}
      </Center>
    );
  }
  const shown = pageAt(path, me.data.role).path;
  const { Page } = PAGES[shown];
  return (
    <MeContext value={me.data}>
      <Shell live={live} path={shown}>
        <Suspense fallback={<PageSkeleton label="Loading" />}>
          <Page key={path} />
        </Suspense>
      </Shell>
    </MeContext>
  );
}
