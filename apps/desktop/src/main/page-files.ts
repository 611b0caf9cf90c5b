import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';

export interface ShellFile {
  type: string;
  bytes: Buffer;
}

/** Kinds of file that a page can need. A file of any other kind is not served, whatever it does in the folder. */
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads the files of one built page, once. A request can only name an entry of this list, so no spelling of `..`, no
 * encoding and no link reaches anything else; and an upgrade that replaces the files under a running shell does not
 * mix two builds in one window.
 *
 * @returns a look-up from URL path (`/assets/index.js`) to file; null when there is no such entry.
 */
export function readFiles(root: string): (path: string) => ShellFile | null {
  const realRoot = realpathSync(root);
  const files = new Map<string, ShellFile>();
  const read = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name);
      const type = TYPES[extname(entry.name)];
      // A link is neither: a build makes none, so one can only have come from somewhere else.
      if (entry.isDirectory()) read(file);
      else if (entry.isFile() && type && realpathSync(file) === file && statSync(file).size <= MAX_FILE_BYTES) {
        files.set(`/${relative(realRoot, file).split(sep).join('/')}`, { type, bytes: readFileSync(file) });
      }
    }
  };
  read(realRoot);
  return (path) => files.get(path) ?? null;
}
