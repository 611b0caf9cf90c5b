import { readdirSync, readFileSync, realpathSync } from 'node:fs';
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
 * The files of one built page, listed once. A request can only name an entry of this list, so no spelling of `..`,
 * no encoding and no link that leads out of the folder reaches anything else.
 *
 * @returns a look-up from URL path (`/assets/index.js`) to file; null when there is no such entry.
 */
export function listFiles(root: string): (path: string) => ShellFile | null {
  const realRoot = realpathSync(root);
  const allowed = new Map<string, { file: string; type: string }>();
  const list = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name);
      const type = TYPES[extname(entry.name)];
      // A link is neither: a build makes none, so one can only have come from somewhere else.
      if (entry.isDirectory()) list(file);
      else if (entry.isFile() && type) allowed.set(`/${relative(realRoot, file).split(sep).join('/')}`, { file, type });
    }
  };
  list(realRoot);
  return (path) => {
    const entry = allowed.get(path);
    // Checked again at each read: a file may have become a link since it was listed.
    if (!entry || !inside(entry.file, realRoot)) return null;
    const bytes = readFileSync(entry.file);
    return bytes.length > MAX_FILE_BYTES ? null : { type: entry.type, bytes };
  };
}

function inside(file: string, realRoot: string): boolean {
  try {
    return realpathSync(file).startsWith(realRoot + sep);
  } catch {
    return false;
  }
}
