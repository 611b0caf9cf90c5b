import type { HostRecord } from './decision.ts';
import { shellQuote, visibleText } from './visible-text.ts';

/**
 * What is shown as the command: the path that sudo executes with its arguments where sudo told, else what was typed.
 * `calledAs` is the name under which the program is started, where it could tell by that that it is another one.
 */
export function commandWords({ resolved, argv }: HostRecord): { words: string[]; calledAs: string | null } {
  if (!resolved) return { words: argv, calledAs: null };
  const [name = null, ...rest] = argv;
  const usual = [null, resolved.command, resolved.command.split('/').at(-1)];
  return { words: [resolved.command, ...rest], calledAs: usual.includes(name) ? null : name };
}

/** The command line as a person would read it. */
export function commandLine(record: HostRecord): string {
  if (record.gate === 'ssh') return `ssh login as ${visibleText(record.user)}`;
  const { words, calledAs } = commandWords(record);
  const shown = words.map((word) => visibleText(shellQuote(word)));
  // Within brackets, which no word has outside quotes.
  if (calledAs !== null) shown.splice(1, 0, `(as ${visibleText(shellQuote(calledAs))})`);
  return [...shown, ...(record.argvTruncated ? ['…'] : [])].join(' ');
}
