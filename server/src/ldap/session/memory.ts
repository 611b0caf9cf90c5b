import type { Cursor } from '../engine/cursor.ts';
import { hangUp } from './respond.ts';
import type { Context, Session } from './session.ts';

/** Counts what is kept for a client. When all of them keep too much, those who keep most have to go. */
export function account(session: Session): void {
  const { context } = session;
  const own = session.ended ? 0 : kept(session);
  if (own === session.held) return;
  context.held += own - session.held;
  session.held = own;
  while (context.held > context.settings.limits.memory && dropGreediest(context));
}

function kept({ backlog, partial, transport, running, pages }: Session): number {
  const unhandled = (backlog?.length ?? 0) + (partial?.bytes.length ?? 0);
  return unhandled + transport.pending() + weightOf(running) + weightOf(pages);
}

/** Octets that searches take, roughly. */
export function weightOf(searches: readonly { cursor: Cursor }[]): number {
  let octets = 0;
  for (const { cursor } of searches) octets += cursor.weight;
  return octets;
}

export function release(session: Session): void {
  session.context.held -= session.held;
  session.held = 0;
}

/** Half of what may be kept is kept: from here on all clients get small portions. */
export const isTight = (context: Context): boolean => context.held > context.settings.limits.memory / 2;

function dropGreediest(context: Context): boolean {
  let greediest: Session | null = null;
  for (const session of context.sessions) {
    if (session.held > (greediest?.held ?? 0)) greediest = session;
  }
  if (greediest === null) return false;
  release(greediest);
  hangUp(greediest, 'memory');
  greediest.transport.destroy();
  return true;
}
