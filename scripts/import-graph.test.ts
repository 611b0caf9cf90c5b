import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { findCircles, type Import, reachable, readImportGraph } from './import-graph.ts';

/** The graph of a project that consists of these files. */
function graphOf(files: Record<string, string>) {
  const config = JSON.stringify({
    compilerOptions: { module: 'nodenext', allowImportingTsExtensions: true, noEmit: true, types: [] },
    include: ['src'],
  });
  const placed = Object.entries(files).map(([path, text]) => [`/project/src/${path}`, text]);
  const fs = createVirtualFileSystem({ '/project/tsconfig.json': config, ...Object.fromEntries(placed) });
  return readImportGraph('/project', ['tsconfig.json'], fs);
}

const importsOf = (source: string): readonly Import[] => graphOf({ 'a.ts': source }).get('src/a.ts') ?? [];

const shown = (found: readonly Import[]): string[] =>
  found.map(({ specifier, typeOnly, names }) => `${specifier}: ${[...(typeOnly ? ['type'] : []), ...names].join(' ')}`);

describe('what a file imports', () => {
  const cases: [string, string[]][] = [
    [`import a from 'x';`, ['x: default']],
    [`import a, { b as c } from 'x';`, ['x: default b']],
    [`import * as a from 'x';`, ['x: *']],
    [`import 'x';`, ['x: *']],
    [`import {\n  a,\n  b,\n} from 'x';`, ['x: a b']],
    [`import type { A, B as C } from 'x';`, ['x: type A B']],
    [`import type A from 'x';`, ['x: type default']],
    [`import { type A, b } from 'x';`, ['x: A b']],
    // Node strips the name and keeps the import.
    [`import { type A } from 'x';`, ['x: A']],
    [`export { a as b } from 'x';`, ['x: a']],
    [`export * from 'x';`, ['x: *']],
    [`export * as a from 'x';`, ['x: *']],
    [`export type { A } from 'x';`, ['x: type A']],
    [`export type * from 'x';`, ['x: type *']],
    [`const a = await import('x');`, ['x: *']],
    [`const { a, b: c } = await import('x');`, ['x: a b']],
    [`const { a, ...b } = await import('x');`, ['x: *']],
    [`const a = { page: () => import('x') };`, ['x: *']],
    [`let a: import('x').A;`, ['x: type *']],
    [`let a: typeof import('x');`, ['x: type *']],
    [`const a = new Worker(new URL('./x.ts', import.meta.url));`, ['./x.ts: *']],
    [`const a = new URL('./x.css', import.meta.url);`, []],
    [`// import a from 'x';\n/* import b from 'y'; */`, []],
    ["const a = `\nimport b from 'x';\n`;", []],
    [`const a = "import('x')";`, []],
  ];
  for (const [source, expected] of cases) {
    test(source, () => assert.deepEqual(shown(importsOf(source)), expected));
  }
});

test('files of the project are told from packages, and found from where they are imported', () => {
  const graph = graphOf({ 'a.ts': `import './b/c.ts';\nimport '#shared/d.ts';\nimport 'e';`, 'b/c.ts': 'export {};' });
  assert.deepEqual(
    graph.get('src/a.ts')?.map(({ file }) => file),
    ['src/b/c.ts', 'shared/src/d.ts', null],
  );
});

test('circles are found whether values or types run in them, and each by itself', () => {
  const graph = graphOf({
    'a.ts': `import type { B } from './b.ts';`,
    'b.ts': `import { c } from './c.ts';`,
    'c.ts': `let a: import('./a.ts').A;`,
    'd.ts': `import './e.ts';\nimport './a.ts';`,
    'e.ts': `import './d.ts';`,
    'f.ts': `import './a.ts';\nimport './d.ts';`,
    'g.ts': `import './g.ts';`,
  });
  assert.deepEqual(findCircles(graph), [['src/a.ts', 'src/b.ts', 'src/c.ts'], ['src/d.ts', 'src/e.ts'], ['src/g.ts']]);
});

test('what runs with a program: its values, what those load later, and the threads that they start', () => {
  const graph = graphOf({
    'main.ts': `import type { T } from './types.ts';\nimport 'pkg/part';\nawait import('./later.ts');`,
    'types.ts': `import './never.ts';`,
    'later.ts': `new Worker(new URL('./thread.ts', import.meta.url));`,
    'thread.ts': `import '@scope/pkg/part';`,
    'never.ts': 'export {};',
  });
  const { files, packages } = reachable(graph, 'src/main.ts');
  assert.deepEqual([...files].sort(), ['src/later.ts', 'src/main.ts', 'src/thread.ts']);
  assert.deepEqual([...packages].sort(), ['@scope/pkg', 'pkg']);
});
