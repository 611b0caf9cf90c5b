import { consoleProcedures } from '#shared/console.ts';

/**
 * What the console in the shell may ask the server, and how. The server decides on its own what a desktop session may
 * do; this list keeps injected script in the renderer from reaching anything else with the person's credential.
 */
const ALLOWED_PROCEDURES = consoleProcedures();

/** What one address under `app://console` means. */
export type ConsoleRequest =
  | { kind: 'file'; path: string }
  | { kind: 'procedures'; names: readonly string[]; target: string }
  | { kind: 'events' }
  | { kind: 'refused'; status: 400 | 403 | 404 | 405 | 414 };

const MAX_BATCH = 20;
const MAX_QUERY = 16 * 1024;

/**
 * Reads method and address of a request by the console.
 *
 * @param url as the renderer sent it. It is never decoded and never normalised here: an address that needs either is
 * refused, so that what is checked is byte for byte what the server gets.
 */
export function readConsoleRequest(method: string, url: string): ConsoleRequest {
  const match = /^app:\/\/console(\/[^?#]*)(?:\?([^#]*))?$/.exec(url);
  if (!match) return { kind: 'refused', status: 400 };
  const path = match[1]!;
  const query = match[2] ?? '';
  if (query.length > MAX_QUERY) return { kind: 'refused', status: 414 };
  // Encoded characters, dots and empty segments are how one path is made to look like another.
  if (!/^(?:\/[A-Za-z0-9_,.~-]*)+$/.test(path) || /\/\.{0,2}(?=\/)|\/\.{1,2}$/.test(path)) {
    return { kind: 'refused', status: 400 };
  }
  if (path.startsWith('/trpc/')) return readProcedures(method, path.slice('/trpc/'.length), query);
  if (path === '/api/events') {
    if (method !== 'GET') return { kind: 'refused', status: 405 };
    return query === '' ? { kind: 'events' } : { kind: 'refused', status: 400 };
  }
  if (path === '/trpc' || path === '/api' || path.startsWith('/api/')) return { kind: 'refused', status: 403 };
  if (method !== 'GET' && method !== 'HEAD') return { kind: 'refused', status: 405 };
  return { kind: 'file', path };
}

function readProcedures(method: string, list: string, query: string): ConsoleRequest {
  const names = list.split(',');
  if (names.length > MAX_BATCH) return { kind: 'refused', status: 414 };
  const kinds = new Set<string>();
  for (const name of names) {
    // Each name of a batch counts: one allowed name must not carry another along.
    if (!Object.hasOwn(ALLOWED_PROCEDURES, name)) return { kind: 'refused', status: 403 };
    kinds.add(ALLOWED_PROCEDURES[name]!);
  }
  const [kind, other] = [...kinds];
  if (other !== undefined) return { kind: 'refused', status: 400 };
  if (method !== (kind === 'mutation' ? 'POST' : 'GET')) return { kind: 'refused', status: 405 };
  // `connectionParams` would be read by the server as the client's own word about itself.
  if (!onlyParameters(query, ['batch', 'input'])) return { kind: 'refused', status: 400 };
  return { kind: 'procedures', names, target: query === '' ? `/trpc/${list}` : `/trpc/${list}?${query}` };
}

function onlyParameters(query: string, allowed: readonly string[]): boolean {
  const names = [...new URLSearchParams(query).keys()];
  return names.every((name) => allowed.includes(name)) && new Set(names).size === names.length;
}
