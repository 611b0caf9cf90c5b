import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/**
 * `guards.json` beside the module whose guards it lists. Paths are relative to its folder, so that a folder can be
 * moved as it is; one that begins with `/` is relative to the root of the project.
 */
const listed = z.strictObject({
  name: z.string().min(1),
  file: z.string().regex(/^[^/]/, 'lies beside the list'),
  /** Occurs exactly once in the file. */
  find: z.string().min(1),
  replace: z.string(),
  /** Test files of which at least one must fail. Those that are not there (any more) are an error. */
  tests: z.array(z.string()).min(1),
});

/** A line of code that stops an attack, and the tests that notice its absence. Paths are relative to the root. */
export type Guard = z.infer<typeof listed>;

/** Every guard of the project, by module. */
export function collectGuards(root: string): Guard[] {
  const lists = globSync('{agent,apps,scripts,server,shared}/**/guards.json', {
    cwd: root,
    exclude: ['**/node_modules', '**/dist'],
  });
  return lists.sort().flatMap((list) => {
    const from = dirname(list);
    const fromRoot = (path: string): string => (path.startsWith('/') ? path.slice(1) : join(from, path));
    return z
      .array(listed)
      .parse(JSON.parse(readFileSync(join(root, list), 'utf8')))
      .map((guard) => ({ ...guard, file: fromRoot(guard.file), tests: guard.tests.map(fromRoot) }));
  });
}

/** Null when the guard and its tests are where the list says; else what is wrong. `root` may be a copy of the project. */
export function whyStale(root: string, { file, find, replace, tests }: Guard): string | null {
  const source = new Map<string, string>();
  for (const path of [file, ...tests]) {
    try {
      source.set(path, readFileSync(join(root, path), 'utf8'));
    } catch {
      return `not there: ${path}`;
    }
  }
  const times = source.get(file)!.split(find).length - 1;
  if (times !== 1) return `the guard stands ${times} times in ${file}`;
  // What no longer loads fails every test, and says nothing of the guard.
  if (!file.endsWith('.ts')) return null;
  try {
    stripTypeScriptTypes(source.get(file)!.replace(find, () => replace));
    return null;
  } catch (error) {
    return `without the guard ${file} is no TypeScript: ${(error as Error).message}`;
  }
}
