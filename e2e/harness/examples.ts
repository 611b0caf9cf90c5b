import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');
const BLOCK = /(?:<!-- example: ([a-z-]+) -->\n\n)?^```\w*\n([\s\S]*?)^```$/gm;

/** The examples of a page of the documentation, for tests that run them as printed. */
export interface Examples {
  /** The text of an example, which then counts as tried. @throws when the page has none of this name */
  text(name: string): string;
  /** Names of those that no test has asked for. */
  untried(): string[];
}

/**
 * Reads the code blocks of a page by the name in the comment above each.
 *
 * @param page path from the top folder
 * @throws when a block has no name, because then nobody would notice that it is not tried; or when two have the same
 */
export async function readExamples(page: string): Promise<Examples> {
  const found = new Map<string, string>();
  for (const [block, name, text] of (await readFile(join(ROOT, page), 'utf8')).matchAll(BLOCK)) {
    if (name === undefined) throw new Error(`${page}: a block without <!-- example: NAME --> above it:\n${block}`);
    if (found.has(name)) throw new Error(`${page}: two examples are called ${name}`);
    found.set(name, text!);
  }
  const tried = new Set<string>();
  return {
    text(name) {
      const text = found.get(name);
      if (text === undefined) throw new Error(`${page} has no example ${name}`);
      tried.add(name);
      return text;
    },
    untried: () => [...found.keys()].filter((name) => !tried.has(name)),
  };
}

/** The settings that an example exports or assigns, as a shell hands them on. */
export async function settingsOf(example: string): Promise<Record<string, string>> {
  // Settings of the tests themselves are none of the example.
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
  const printed = await must('sh', ['-ec', `set -a\n${example}\nenv`], { env });
  return Object.fromEntries([...printed.matchAll(/^(IDENTREE_\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}
