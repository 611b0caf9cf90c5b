import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { findProjects, type ImportGraph, reachable, readImportGraph } from './import-graph.ts';

const root = join(import.meta.dirname, '..');

/** A package of others that is built into a program of ours. */
export interface Built {
  name: string;
  version: string;
  /** As it calls it itself (SPDX). */
  licence: string;
  /** The texts that come with it; empty when it has none. */
  texts: readonly string[];
}

interface Manifest {
  name: string;
  version: string;
  license?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const TEXT = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** What our code runs in, and brings its own licences. */
const AROUND = 'electron';

/** The folder of a package as Node finds it from another folder; null: it is not installed. */
function folderOf(name: string, from: string): string | null {
  for (let at = from; at.startsWith(root); at = dirname(at)) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(join(folder, 'package.json'))) return folder;
  }
  return null;
}

/**
 * The packages that are built into what starts with these files, and those that they need in turn, by name. More than a
 * bundler takes: what it leaves out does no harm here.
 *
 * @param entries paths of source files from the root
 */
export function builtInto(entries: readonly string[], graph: ImportGraph = imports()): Built[] {
  const found = new Map<string, Built>();
  const imported = entries.flatMap((entry) => [...reachable(graph, entry).packages]);
  const open = imported.filter((name) => name !== AROUND).map((name) => folderOf(name, root));
  for (const folder of open) {
    if (folder === null || found.has(folder)) continue;
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    const { name, version, license = 'unknown' } = manifest;
    const files = readdirSync(folder, { withFileTypes: true }).filter((file) => file.isFile() && TEXT.test(file.name));
    const texts = files.map((file) => readFileSync(join(folder, file.name), 'utf8').trim());
    found.set(folder, { name, version, licence: license, texts });
    const needed = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
    open.push(...needed.map((other) => folderOf(other, folder)));
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

let graph: ImportGraph | undefined;

/** Of the sources of this project. */
function imports(): ImportGraph {
  graph ??= readImportGraph(root, findProjects(root));
  return graph;
}

/**
 * What a package of ours says of the rights in it: our licence, and those of everything that is built in.
 *
 * @param besides files with the licences of other things in it, by what they are
 */
export function copyrightOf(entries: readonly string[], besides: Readonly<Record<string, string>> = {}): string {
  const parts = [readFileSync(join(root, 'LICENSE'), 'utf8').trim()];
  for (const [what, file] of Object.entries(besides)) parts.push(heading(what), readFileSync(file, 'utf8').trim());
  for (const { name, version, licence, texts } of builtInto(entries))
    parts.push(heading(`${name} ${version} (${licence})`), ...texts);
  return `${parts.join('\n\n')}\n`;
}

const heading = (what: string): string => `${'-'.repeat(72)}\nThis package holds ${what}`;

/** The licence of the Node.js that is built into a program. */
export const nodeLicence = (): string => {
  const file = join(dirname(process.execPath), '../LICENSE');
  if (!existsSync(file)) throw new Error(`${relative(root, file)}: Node.js comes without its licence here`);
  return file;
};
