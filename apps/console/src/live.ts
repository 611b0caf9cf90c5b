import { useEffect, useState } from 'react';
import { api, askWhoIAm, client, refresh } from './api.ts';

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
  if (event.startsWith('challenge_') || event === 'auto_approved') {
    void refresh(api.challenges.pathKey());
  } else if (event.startsWith('host_') || event === 'certificate_issued') {
    void refresh(api.hosts.pathKey());
  } else if (event.startsWith('passkey_') || event === 'recovery_code_created') {
    void refresh(api.passkeys.pathKey());
    void refresh(api.me.pathKey());
    void refresh(api.people.pathKey());
  } else if (event.startsWith('account_')) {
    void refresh(api.people.pathKey());
  } else if (event.startsWith('directory_') || event === 'sudo_rule_modified') {
    void refresh(api.directory.pathKey());
    void refresh(api.sudoRules.pathKey());
  } else if (event.startsWith('scim_')) {
    void refresh(api.scim.pathKey());
    void refresh(api.directory.pathKey());
  } else if (event.startsWith('session_') || event.startsWith('user_logged_')) {
    void refresh(api.sessions.pathKey());
    void refresh(api.people.pathKey());
  }
}

/** Short interruptions are not worth a word. */
const OFFLINE_AFTER_MS = 1500;
const AGAIN_AFTER_MS = 2000;

/** Follows the event stream for as long as somebody is signed in. */
export function useLive(signedIn: boolean, onEvent: (event: LiveEvent) => void): LiveState {
  const [state, setState] = useState<LiveState>('connecting');
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt is another subscription.
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
    const subscription = client.events.stream.subscribe(undefined, {
      onStarted: () => {
        up();
        // Whatever happened while nobody listened.
        void refresh();
      },
      onData: ({ data }) => {
        up();
        refreshFor(data.event);
        onEvent(data);
      },
      onConnectionStateChange: ({ state: connection, error }) => {
        if (connection === 'connecting' && error) lost();
        else if (connection === 'pending') up();
      },
      onError: lost,
      onComplete: () => {
        lost();
        again = setTimeout(() => setAttempt((n) => n + 1), AGAIN_AFTER_MS);
      },
    });
    addEventListener('offline', down);
    return () => {
      clearTimeout(quiet);
      clearTimeout(again);
      removeEventListener('offline', down);
      subscription.unsubscribe();
    };
  }, [signedIn, onEvent, attempt]);
  return state;
}
