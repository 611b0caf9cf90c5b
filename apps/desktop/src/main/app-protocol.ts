import { readConsoleRequest } from './api-paths.ts';
import { contentSecurityPolicy, type ShellPage } from './csp.ts';
import type { createForwarder } from './forward.ts';
import type { ShellFile } from './page-files.ts';
import type { RandomBytes } from './pkce.ts';

type Lookup = (path: string) => ShellFile | null;
type Handler = (request: Request) => Promise<Response>;

/** Placeholder in the console's page for the nonce of its style elements. */
const NONCE_MARK = '__CSP_NONCE__';

/** Answers `app://console/…`: the console's files, and the server's procedures on the allow-list. */
export function createConsoleHandler(deps: {
  files: Lookup;
  forwarder: Pick<ReturnType<typeof createForwarder>, 'forward'>;
  random: RandomBytes;
}): Handler {
  return async (request) => {
    const read = readConsoleRequest(request.method, request.url);
    switch (read.kind) {
      case 'refused':
        return empty(read.status);
      case 'file':
        return page('console', deps.files(read.path) ?? route(deps.files, read.path), deps.random);
      case 'events':
        return deps.forwarder.forward({ ...transfer(request), target: '/api/events', stream: true, names: [] });
      case 'procedures':
        return deps.forwarder.forward({
          ...transfer(request),
          target: read.target,
          stream: false,
          names: read.names,
        });
    }
  };
}

/** Answers `app://setup/…`: the first-run and sign-in page. It has files and nothing else. */
export function createSetupHandler(deps: { files: Lookup; random: RandomBytes }): Handler {
  return async (request) => {
    const match = /^app:\/\/setup(\/[A-Za-z0-9._-]*)$/.exec(request.url);
    if (!match || request.method !== 'GET') return empty(403);
    return page('setup', deps.files(match[1] === '/' ? '/index.html' : match[1]!), deps.random);
  };
}

/** The handler of one partition: which page it may show is fixed when its window is made. */
export function onlyFor(kind: ShellPage, handler: Handler): Handler {
  return async (request) => {
    if (!request.url.startsWith(`app://${kind}/`)) return empty(403);
    try {
      return await handler(request);
    } catch {
      return empty(500);
    }
  };
}

/** The console's own routes (`/history`) all are its one page; anything that looks like a file must exist. */
function route(files: Lookup, path: string): ShellFile | null {
  return /\.[^/]*$/.test(path) ? null : files('/index.html');
}

function transfer(request: Request) {
  const { method, headers, body, signal } = request;
  return { method, headers, body, signal };
}

function page(kind: ShellPage, file: ShellFile | null, random: RandomBytes): Response {
  if (!file) return empty(404);
  const nonce = random(18).toString('base64url');
  const isHtml = file.type.startsWith('text/html');
  const body = isHtml ? file.bytes.toString('utf8').replaceAll(NONCE_MARK, nonce) : Uint8Array.from(file.bytes);
  return new Response(body, {
    headers: {
      'content-type': file.type,
      'content-security-policy': contentSecurityPolicy(kind, nonce),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
    },
  });
}

function empty(status: number): Response {
  return new Response(null, { status, headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } });
}
