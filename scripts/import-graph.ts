import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface Import {
  /** As written. */
  specifier: string;
  /** Path from the root for files of this project, null for packages and `node:` modules. */
  file: string | null;
  /** Vanishes before the program runs. */
  typeOnly: boolean;
}

/** File → what it imports, for every source file of the project. Paths are relative to the root, with `/`. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

const STATEMENT =
  /(?:^|[;\n])\s*(?:import|export)\s+(type\s+)?((?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?)\s*from\s*['"]([^'"\n]+)['"]/g;
const BARE = /(?:^|[;\n])\s*import\s*['"]([^'"\n]+)['"]/g;
const DYNAMIC = /\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g;

const WITHOUT_COMMENTS = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;

/** The imports of one source text: static, bare, dynamic and re-exports. */
export function scanImports(source: string): { specifier: string; typeOnly: boolean }[] {
  const text = source.replace(WITHOUT_COMMENTS, '');
  const found: { specifier: string; typeOnly: boolean }[] = [];
  for (const [, type, clause = '', specifier = ''] of text.matchAll(STATEMENT)) {
    const names = /\{([^}]*)\}/.exec(clause)?.[1]?.split(',') ?? [];
    const listed = names.map((name) => name.trim()).filter((name) => name !== '');
    const onlyTypes =
      clause.trim().startsWith('{') && listed.length > 0 && listed.every((name) => name.startsWith('type '));
    found.push({ specifier, typeOnly: type !== undefined || onlyTypes });
  }
  for (const [, specifier = ''] of text.matchAll(BARE)) found.push({ specifier, typeOnly: false });
  for (const [match, specifier = ''] of text.matchAll(DYNAMIC)) {
    // `typeof import('x')` and `import('x').Y` in a type are rare here; taking them for values errs on the strict side.
    found.push({ specifier, typeOnly: match === '' });
  }
  return found;
}

/** Reads every source file below `folders`. */
export function readImportGraph(root: string, folders: readonly string[]): ImportGraph {
  const graph = new Map<string, Import[]>();
  for (const folder of folders) {
    for (const file of globSync('**/*.{ts,tsx}', {
      cwd: join(root, folder),
      exclude: ['**/node_modules', '**/dist'],
    })) {
      const path = join(folder, file);
      const imports = scanImports(readFileSync(join(root, path), 'utf8'));
      graph.set(
        path,
        imports.map((found) => ({ ...found, file: resolveImport(root, path, found.specifier) })),
      );
    }
  }
  return graph;
}

function resolveImport(root: string, from: string, specifier: string): string | null {
  if (specifier.startsWith('#shared/')) return join('shared/src', specifier.slice('#shared/'.length));
  if (!specifier.startsWith('.')) return null;
  return relative(root, resolve(root, dirname(from), specifier));
}

/** Name of the package that a specifier belongs to; null for files and `node:` modules. */
export function packageOf(specifier: string): string | null {
  if (/^([.#/]|node:)/.test(specifier)) return null;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Everything that runs when `entry` runs. Type-only imports do not count. */
export function reachable(graph: ImportGraph, entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = [entry];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const found of graph.get(file) ?? []) {
      if (found.typeOnly) continue;
      if (found.file !== null) open.push(found.file);
      const name = packageOf(found.specifier);
      if (name !== null) packages.add(name);
    }
  }
  return { files, packages };
}

/** One cycle of value imports, as the files on it; null when there is none. */
export function findCycle(graph: ImportGraph): string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    path.push(file);
    for (const found of graph.get(file) ?? []) {
      const cycle = found.typeOnly || found.file === null ? null : visit(found.file);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return null;
}
