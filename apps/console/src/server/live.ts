import { useEffect, useState } from 'react';
import type { FeedEvent, Topic } from '#shared/events.ts';
import { api, askWhoIAm, client, type Outputs, queryClient, refresh } from './api.ts';
import { atMostEvery } from './at-most.ts';
import { keepWaiting } from './waiting.ts';

/** `offline`: nothing was heard for a moment; what is shown may be old. */
export type LiveState = 'connecting' | 'live' | 'offline';

/** What an event makes old, by what it is about. */
const OLD: Record<Topic, () => { pathKey(): readonly unknown[] }[]> = {
  // What waits is kept by itself.
  requests: () => [api.challenges.history, api.challenges.get, api.audit.events],
  hosts: () => [api.hosts, api.breakGlass, api.audit.events],
  passkeys: () => [api.passkeys, api.me, api.people, api.audit.events],
  people: () => [api.people, api.audit.events],
  sessions: () => [api.sessions, api.people, api.audit.events],
  directory: () => [api.directory, api.sudoRules, api.audit.events],
  rules: () => [api.directory, api.sudoRules, api.audit.events],
  scim: () => [api.scim, api.directory, api.audit.events],
  // Who may approve what waits.
  policy: () => [api.challenges, api.audit.events],
  // Among them is that somebody reads the log: a list that asked anew for it would be read without end.
  attempts: () => [],
  server: () => [api.audit, api.notify],
};

/** Intervals at which a page asks anew for what it shows, milliseconds. The first is at once: a person waits. */
const ANEW_EVERY_MS = 1000;
const refreshTopic = atMostEvery<Topic>(ANEW_EVERY_MS, (topic) => {
  for (const part of OLD[topic]()) void refresh(part.pathKey());
});

const inboxKey = () => api.challenges.inbox.queryKey();
const onRequest = keepWaiting<Outputs['challenges']['inbox'][number]>(
  {
    read: () => queryClient.getQueryData(inboxKey()) ?? null,
    write: (entries) => void queryClient.setQueryData(inboxKey(), [...entries]),
    isAsked: () => queryClient.isFetching({ queryKey: inboxKey() }) > 0,
    askAll: () => void refresh(inboxKey()),
    async askOne(code) {
      const { view } = await client.challenges.get.query({ code });
      return view.status === 'pending' ? view : null;
    },
  },
  ANEW_EVERY_MS,
);

/** Short interruptions are not worth a word. */
const OFFLINE_AFTER_MS = 1500;
const AGAIN_AFTER_MS = 2000;

/** Follows the event stream for as long as a person is signed in. */
export function useLive(signedIn: boolean, onEvent: (event: FeedEvent) => void): LiveState {
  const [state, setState] = useState<LiveState>('connecting');
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt is another stream.
  useEffect(() => {
    if (!signedIn) return;
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const up = () => {
      clearTimeout(quiet);
      quiet = undefined;
      setState('live');
    };
    const down = () => {
      // Each failed try says so again; the first one counts.
      quiet ??= setTimeout(() => setState('offline'), OFFLINE_AFTER_MS);
    };
    const lost = () => {
      down();
      // Perhaps the session ended: the server closes its streams then.
      askWhoIAm();
    };
    const stream = new EventSource('/api/events');
    stream.addEventListener('open', () => {
      up();
      // Whatever happened while nobody listened.
      void refresh();
    });
    stream.addEventListener('message', (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as FeedEvent;
      up();
      refreshTopic(event.topic);
      if (event.topic === 'requests') onRequest(event);
      onEvent(event);
    });
    stream.addEventListener('error', () => {
      lost();
      // It connects again by itself after a break, but never after an answer that is no stream.
      if (stream.readyState === EventSource.CLOSED) again = setTimeout(() => setAttempt((n) => n + 1), AGAIN_AFTER_MS);
    });
    addEventListener('offline', down);
    return () => {
      clearTimeout(quiet);
      clearTimeout(again);
      removeEventListener('offline', down);
      stream.close();
    };
  }, [signedIn, onEvent, attempt]);
  return state;
}
