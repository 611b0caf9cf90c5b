import { posix } from 'node:path';
import type { HostFiles } from '../host-files.ts';
import { type Entry, parseSudoers } from './parse.ts';

/** An entry and the file it stands in. */
export interface Placed {
  file: string;
  entry: Entry;
}

/** sudo's own bound of includes in includes. */
const MAX_DEPTH = 128;
/** A file that includes itself twice would otherwise be read 2^128 times. */
const MAX_FILES = 1000;

/** As sudo does it: editors and package managers leave such files behind, and none of them is meant. */
const isTaken = (name: string): boolean => !name.includes('.') && !name.endsWith('~');

/**
 * Reads a sudoers file with all that it includes, in the order in which sudo reads them.
 *
 * @param hostname what `%h` in an include stands for: the name of the host without its domain.
 */
export async function readSudoers(files: HostFiles, main: string, hostname: string): Promise<Placed[]> {
  const placed: Placed[] = [];
  let count = 0;
  const fail = (file: string, line: number, reason: string) =>
    placed.push({ file, entry: { kind: 'unread', line, reason } });

  /** @param from where it is included, for what is said when it cannot be read. */
  async function readFile(path: string, depth: number, from: { file: string; line: number } | null): Promise<void> {
    if (++count > MAX_FILES) return;
    const found = await files.read(path);
    if (found === null) {
      if (from !== null) fail(from.file, from.line, `it includes ${path}, which is not there`);
      return;
    }
    if ('problem' in found) {
      fail(path, 1, found.problem);
      return;
    }
    for (const entry of parseSudoers(found.text)) {
      if (entry.kind !== 'include') {
        placed.push({ file: path, entry });
        continue;
      }
      const { line } = entry;
      const target = posix.resolve(posix.dirname(path), entry.path.replaceAll('%h', hostname.replaceAll('/', '_')));
      if (depth === MAX_DEPTH || count === MAX_FILES) fail(path, line, 'it includes too many files');
      else if (entry.folder) await readFolder(target, depth + 1, { file: path, line });
      else await readFile(target, depth + 1, { file: path, line });
    }
  }

  async function readFolder(path: string, depth: number, from: { file: string; line: number }): Promise<void> {
    const names = await files.list(path);
    if ('problem' in names) {
      fail(from.file, from.line, `it includes ${path}: ${names.problem}`);
      return;
    }
    for (const name of names.filter(isTaken)) await readFile(posix.join(path, name), depth, from);
  }

  await readFile(main, 0, null);
  return placed;
}
