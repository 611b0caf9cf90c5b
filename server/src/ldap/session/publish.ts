import type { Engine } from '../engine/engine.ts';
import { dismiss } from './lifetime.ts';
import { endOutdated } from './receive.ts';
import type { Context } from './session.ts';

/**
 * Answers from another snapshot from now on. Searches and pages under way keep the one they began with, but not for as
 * long as their client likes: each is as large as the directory.
 *
 * @param engine null: all clients are told that the server is busy, and what was begun is over.
 */
export function publish(context: Context, engine: Engine | null): void {
  const before = context.engine;
  context.engine = engine;
  if (engine === null) context.generations = [];
  else if (before !== null) context.generations.push(before.snapshot.generation);
  while (context.generations.length > context.settings.limits.snapshots) context.generations.shift();
  const oldest = engine === null ? Number.POSITIVE_INFINITY : (context.generations[0] ?? engine.snapshot.generation);
  for (const session of context.sessions) {
    // A view remembers the engine that it is of.
    session.view = null;
    endOutdated(session, oldest);
    // They were told that there is no `lastUSN` and would compare timestamps for as long as they stay connected.
    if (engine !== null && before === null && session.sawUnreadyRoot) {
      dismiss(session, 'the directory has been loaded', 'reload');
    }
  }
}
