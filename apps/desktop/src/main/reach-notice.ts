import { CHANNELS } from '../channels.ts';
import type { Words } from '../words/catalogue.ts';
import type { ServerView } from './server-view.ts';
import type { Window } from './window.ts';

/** Tells the page of a server why that server is not reached, and that it is again. */
export function createReachNotice({ window, words }: { window: Window; words: Words }) {
  let told: string | null = null;

  /** In words; null while it is reached. */
  function why(view: ServerView | undefined): string | null {
    if (!view || view.reach === 'live' || view.reach === 'connecting' || view.reach === 'signed_out') return null;
    return words.notReached[view.reach](new URL(view.profile.origin).host);
  }

  return {
    /** The page asks; from now on it is told of changes. */
    asked(view: ServerView | undefined): string | null {
      told = why(view);
      return told;
    },
    update(view: ServerView | undefined): void {
      const next = why(view);
      if (next === told || window.kind() !== 'console') return;
      told = next;
      window.send(CHANNELS.reach, next);
    },
  };
}
