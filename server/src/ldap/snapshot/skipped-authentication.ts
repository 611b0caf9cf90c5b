import type { Entry } from '../entry.ts';
import { attributeId, ID } from '../schema/schema.ts';

/** Whether a sudoOption lets people run commands without being asked, however it is spelled. */
function skipsAuthentication(option: string): boolean {
  return /^\s*!/.test(option) && /^[\s!]*"?authenticate\b/i.test(option);
}

/**
 * The entry as a connection may see it that has not authenticated: without an option by which sudo runs commands unasked.
 * An attacker between a host and the directory, or one who merely looks, must not find or use such a rule.
 *
 * @returns null when there is nothing to leave out.
 */
export function withoutSkippedAuthentication(entry: Entry): Entry | null {
  const options = entry.attributes.find(([name]) => attributeId(name) === ID.sudoOption);
  if (!options?.[1].some(skipsAuthentication)) return null;
  const kept = options[1].filter((option) => !skipsAuthentication(option));
  return {
    ...entry,
    attributes: entry.attributes.flatMap((attribute) => {
      if (attribute !== options) return [attribute];
      return kept.length === 0 ? [] : [[attribute[0], kept] as const];
    }),
  };
}
