import { useEffect, useState } from 'react';
import { api, client, queryClient } from './api.ts';

/** `offline`: nothing was heard for a moment; what is shown may be old. */
export type LiveState = 'connecting' | 'live' | 'offline';

export interface LiveEvent {
  event: string;
  username: string;
  hostname: string | null;
  challengeId: string | null;
  code: string | null;
}

/** Which answers of the server an event makes old. */
function refreshFor(event: string): void {
  const refresh = (queryKey: readonly unknown[]) => void queryClient.invalidateQueries({ queryKey });
  if (event.startsWith('challenge_') || event === 'auto_approved') {
    refresh(api.challenges.pathKey());
  } else if (event.startsWith('host_') || event === 'certificate_issued') {
    refresh(api.hosts.pathKey());
  } else if (event.startsWith('passkey_') || event === 'recovery_code_created') {
    refresh(api.passkeys.pathKey());
    refresh(api.me.pathKey());
    refresh(api.people.pathKey());
  } else if (event.startsWith('account_')) {
    refresh(api.people.pathKey());
  } else if (event.startsWith('session_') || event.startsWith('user_logged_')) {
    refresh(api.sessions.pathKey());
    refresh(api.people.pathKey());
  }
}

/** Follows the event stream for as long as somebody is signed in. */
export function useLive(signedIn: boolean, onEvent: (event: LiveEvent) => void): LiveState {
  const [state, setState] = useState<LiveState>('connecting');
  useEffect(() => {
    if (!signedIn) return;
    let quiet: ReturnType<typeof setTimeout> | undefined;
    const set = (next: LiveState) => {
      clearTimeout(quiet);
      // Short interruptions are not worth a word.
      if (next === 'offline') quiet = setTimeout(() => setState('offline'), 1500);
      else setState(next);
    };
    const subscription = client.events.stream.subscribe(undefined, {
      onStarted: () => {
        set('live');
        // Whatever happened while nobody listened.
        void queryClient.invalidateQueries();
      },
      onData: ({ data }) => {
        set('live');
        refreshFor(data.event);
        onEvent(data);
      },
      onConnectionStateChange: ({ state: connection, error }) => {
        if (connection === 'connecting' && error) set('offline');
        else if (connection === 'pending') set('live');
      },
      onError: () => set('offline'),
    });
    const offline = () => set('offline');
    addEventListener('offline', offline);
    return () => {
      clearTimeout(quiet);
      removeEventListener('offline', offline);
      subscription.unsubscribe();
    };
  }, [signedIn, onEvent]);
  return state;
}
