import { globSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import {
  type Expression,
  type ImportClause,
  type NamedExports,
  type NamedImports,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import {
  isAwaitExpression,
  isExportDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isMetaProperty,
  isNamedExports,
  isNamedImports,
  isNewExpression,
  isObjectBindingPattern,
  isPropertyAccessExpression,
  isStringLiteral,
  isVariableDeclaration,
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
  /** Names of the exports that are wanted, types among them; `*` when they are not listed. */
  names: readonly string[];
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
  const found = (specifier: string, wanted: Pick<Import, 'typeOnly' | 'names'>, started = false): Import => ({
    specifier,
    file: resolveImport(root, from, specifier),
    ...wanted,
    started,
  });
  return [
    ...source.imports.filter(isStringLiteral).map(({ text, parent }) => found(text, wantedBy(parent))),
    ...startedPrograms(source).map((specifier) => found(specifier, { typeOnly: false, names: ALL }, true)),
  ];
}

const ALL = ['*'];

/**
 * What an import or a re-export wants. Only of `import type` nothing is left at run time: of `import { type T }` an empty
 * import stays, and the file that it names is run.
 */
function wantedBy(node: Node): Pick<Import, 'typeOnly' | 'names'> {
  if (isImportDeclaration(node)) {
    const { importClause } = node;
    return { typeOnly: importClause?.phaseModifier === SyntaxKind.TypeKeyword, names: namesOfImport(importClause) };
  }
  if (isExportDeclaration(node)) {
    const { exportClause } = node;
    return {
      typeOnly: node.isTypeOnly,
      names: exportClause && isNamedExports(exportClause) ? namesIn(exportClause) : ALL,
    };
  }
  // `import('x').T`: the literal stands in a type of its own.
  return { typeOnly: isImportTypeNode(node.parent), names: namesOfDynamic(node) };
}

function namesOfImport(clause: ImportClause | undefined): readonly string[] {
  if (!clause) return ALL;
  const { name, namedBindings } = clause;
  const listed = !namedBindings ? [] : isNamedImports(namedBindings) ? namesIn(namedBindings) : ALL;
  return name ? ['default', ...listed] : listed;
}

/** Of `const { a, b: c } = await import('x')`. */
function namesOfDynamic({ parent }: Node): readonly string[] {
  const declared = parent.parent;
  if (!isAwaitExpression(parent) || !isVariableDeclaration(declared) || !isObjectBindingPattern(declared.name))
    return ALL;
  const { elements } = declared.name;
  if (elements.some(({ dotDotDotToken }) => dotDotDotToken)) return ALL;
  return elements.map(({ propertyName, name }) => (propertyName ?? name)!.getText());
}

/** Names as the other file exports them. */
const namesIn = ({ elements }: NamedImports | NamedExports): string[] =>
  elements.map(({ propertyName, name }) => (propertyName ?? name).text);

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
