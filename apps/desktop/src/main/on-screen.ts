import { z } from 'zod';
import { challengeId } from '#shared/names.ts';

/** As many as a server answers about at a time. */
const AT_ONCE = 100;

const answer = z.object({ result: z.object({ data: z.object({ ids: z.array(challengeId).max(AT_ONCE) }) }) });

/**
 * Of which requests the person is told by notifications, as they chose it at the server for everything that tells them. Each
 * is asked about once, when it comes. A server that does not answer, or knows nothing of it, is taken to say yes: who is not
 * told lets a colleague wait.
 *
 * @param ask sends a query to the server
 * @returns asks about requests that wait, and says of each whether it is told
 */
export function createOnScreen(
  ask: (target: string, names: readonly string[]) => Promise<Response>,
): (ids: readonly string[]) => Promise<(id: string) => boolean> {
  let known = new Map<string, boolean>();

  async function toldOf(ids: readonly string[]): Promise<ReadonlySet<string>> {
    try {
      const input = encodeURIComponent(JSON.stringify({ ids }));
      const response = await ask(`/trpc/notify.onScreen?input=${input}`, ['notify.onScreen']);
      return new Set(answer.parse(await response.json()).result.data.ids);
    } catch {
      return new Set(ids);
    }
  }

  return async (ids) => {
    const fresh = ids.filter((id) => !known.has(id));
    const told = new Map<string, boolean>();
    for (let at = 0; at < fresh.length; at += AT_ONCE) {
      const some = fresh.slice(at, at + AT_ONCE);
      const yes = await toldOf(some);
      for (const id of some) told.set(id, yes.has(id));
    }
    known = new Map(ids.map((id) => [id, known.get(id) ?? told.get(id) ?? true]));
    const now = known;
    return (id) => now.get(id) ?? true;
  };
}
