import { globSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import {
  type Expression,
  type ImportDeclaration,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import {
  isExportDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isMetaProperty,
  isNamedExports,
  isNamedImports,
  isNewExpression,
  isPropertyAccessExpression,
  isStringLiteral,
} from 'typescript/unstable/ast/is';
import type { FileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

export interface Import {
  /** As written. */
  specifier: string;
  /** Path from the root for files of this project, null for packages and `node:` modules. */
  file: string | null;
  /** Vanishes before the program runs. */
  typeOnly: boolean;
  /** Not imported, but started: as a thread or a process of its own. */
  started: boolean;
  /** Names of the exports that are used as values; `*` when they are not listed. */
  values: readonly string[];
}

/** File → what it imports, for every source file of the project. Paths are relative to the root, with `/`. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

/** Every `tsconfig.json` of the project, as paths from its root. */
export const findProjects = (root: string): string[] =>
  globSync('**/tsconfig.json', { cwd: root, exclude: ['**/node_modules', '**/dist'] }).sort();

/**
 * What every file of the TypeScript projects imports, as the compiler reads it: static, bare and dynamic imports,
 * re-exports, `import('x').T` in types, and files that are started as programs of their own.
 *
 * @param projects paths of `tsconfig.json` files from the root
 * @param fs files that stand in for those on the disk
 */
export function readImportGraph(root: string, projects: readonly string[], fs?: FileSystem): ImportGraph {
  const api = new API({ cwd: root, ...(fs ? { fs } : {}) });
  try {
    const snapshot = api.updateSnapshot({ openProjects: projects.map((project) => join(root, project)) });
    const graph = new Map<string, Import[]>();
    for (const { program } of snapshot.getProjects()) {
      for (const name of program.getSourceFileNames()) {
        const file = relative(root, name);
        if (file.startsWith('..') || file.includes('node_modules/') || graph.has(file)) continue;
        const source = program.getSourceFile(name);
        if (source) graph.set(file, importsOf(source, root, file));
      }
    }
    return graph;
  } finally {
    api.close();
  }
}

function importsOf(source: SourceFile, root: string, from: string): Import[] {
  const found = (specifier: string, values: readonly string[] | null, started = false): Import => ({
    specifier,
    file: resolveImport(root, from, specifier),
    typeOnly: values === null,
    started,
    values: values ?? [],
  });
  return [
    ...source.imports.filter(isStringLiteral).map(({ text, parent }) => found(text, valuesOf(parent))),
    ...startedPrograms(source).map((specifier) => found(specifier, ['*'], true)),
  ];
}

/**
 * Names of the values that an import or a re-export brings; null when nothing of it is left at run time. That is so for
 * `import type` alone: of `import { type T }` an empty import stays, and the file that it names is run.
 */
function valuesOf(node: Node): string[] | null {
  if (isImportDeclaration(node)) return valuesOfImport(node);
  if (isExportDeclaration(node)) {
    if (node.isTypeOnly) return null;
    if (!node.exportClause || !isNamedExports(node.exportClause)) return ['*'];
    return node.exportClause.elements
      .filter(({ isTypeOnly }) => !isTypeOnly)
      .map(({ propertyName, name }) => (propertyName ?? name).text);
  }
  // `import('x').T`: the literal stands in a type of its own.
  return isImportTypeNode(node.parent) ? null : ['*'];
}

function valuesOfImport({ importClause }: ImportDeclaration): string[] | null {
  if (!importClause) return ['*'];
  if (importClause.phaseModifier === SyntaxKind.TypeKeyword) return null;
  const { name, namedBindings } = importClause;
  const listed = !namedBindings
    ? []
    : isNamedImports(namedBindings)
      ? namedBindings.elements
          .filter(({ isTypeOnly }) => !isTypeOnly)
          .map(({ propertyName, name }) => (propertyName ?? name).text)
      : ['*'];
  return name ? ['default', ...listed] : listed;
}

/** `new URL('./program.ts', import.meta.url)`: threads and child processes are started by it. */
function startedPrograms(source: SourceFile): string[] {
  if (!source.text.includes('import.meta.url')) return [];
  const programs: string[] = [];
  const visit = (node: Node): undefined => {
    if (isNewExpression(node) && node.expression.getText(source) === 'URL') {
      const [path, base] = node.arguments ?? [];
      if (path && isStringLiteral(path) && /^\.{1,2}\/.*\.tsx?$/.test(path.text) && base && isModuleUrl(base))
        programs.push(path.text);
    }
    node.forEachChild(visit);
  };
  visit(source);
  return programs;
}

const isModuleUrl = (node: Expression): boolean =>
  isPropertyAccessExpression(node) && node.name.text === 'url' && isMetaProperty(node.expression);

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

/**
 * Groups of files that import each other in a circle, types included; each group sorted, the groups in order of their
 * first file. Empty when every file can be understood after those it imports.
 */
export function findCircles(graph: ImportGraph): string[][] {
  // Tarjan's algorithm: a strongly connected component is a set of files that all reach each other.
  const index = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const own = index.size;
    index.set(file, own);
    stack.push(file);
    onStack.add(file);
    let low = own;
    let importsItself = false;
    for (const { file: target } of graph.get(file) ?? []) {
      if (target === null || !graph.has(target)) continue;
      if (target === file) importsItself = true;
      if (!index.has(target)) low = Math.min(low, visit(target));
      else if (onStack.has(target)) low = Math.min(low, index.get(target) ?? own);
    }
    if (low === own) {
      const circle = stack.splice(stack.indexOf(file));
      for (const member of circle) onStack.delete(member);
      if (circle.length > 1 || importsItself) circles.push(circle.sort());
    }
    return low;
  };
  for (const file of [...graph.keys()].sort()) if (!index.has(file)) visit(file);
  return circles.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
}
