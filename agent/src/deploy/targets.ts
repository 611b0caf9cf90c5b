import { hostName, normaliseHostName } from '#shared/names.ts';
import { CommandError, EXIT } from '../exit-codes.ts';

/** A host that is to be installed. */
export interface Target {
  /** Under which it enrols. */
  readonly name: string;
  /** What ssh connects to: a name, `user@name`, a name of ssh_config, `ssh://user@name:22`. */
  readonly destination: string;
}

/** Nothing that ssh would take for an option, or that a ProxyCommand would hand to a shell. */
const DESTINATION = /^[A-Za-z0-9_:[][A-Za-z0-9_.@:%/[\]+-]*$/;

function targetOf(name: string, destination: string, where: string): Target {
  const parsed = hostName.safeParse(normaliseHostName(name));
  if (!parsed.success) throw new CommandError(EXIT.usage, `${where}: "${name}" is not a host name.`);
  if (!DESTINATION.test(destination))
    throw new CommandError(EXIT.usage, `${where}: "${destination}" is nothing that ssh could connect to.`);
  return { name: parsed.data, destination };
}

/**
 * Which hosts are meant.
 *
 * @param words `NAME` or `NAME=DESTINATION` each
 * @param list a line for each: `NAME`, or `NAME DESTINATION`; empty lines and those that begin with `#` count for nothing
 * @throws CommandError
 */
export function parseTargets(words: readonly string[], list: string): Target[] {
  const targets = words.map((word) => {
    const cut = word.indexOf('=');
    return cut === -1 ? targetOf(word, word, word) : targetOf(word.slice(0, cut), word.slice(cut + 1), word);
  });
  for (const [index, line] of list.split('\n').entries()) {
    const [name, destination = name, ...more] = line.trim().split(/\s+/);
    if (name === undefined || name === '' || name.startsWith('#')) continue;
    const where = `line ${index + 1}`;
    if (more.length > 0) throw new CommandError(EXIT.usage, `${where}: a name, and what ssh connects to; not more.`);
    targets.push(targetOf(name, destination ?? name, where));
  }
  const seen = new Set<string>();
  for (const { name } of targets) {
    if (seen.has(name)) throw new CommandError(EXIT.usage, `${name} is named twice.`);
    seen.add(name);
  }
  return targets;
}
