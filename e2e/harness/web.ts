import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';

export interface WebAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  url: string;
}

export interface WebRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  timeoutMs?: number;
}

/** One browser's worth of HTTP: a cookie jar, a trusted CA, and names that stand for lab addresses. */
export interface Web {
  send(url: string, request?: WebRequest): Promise<WebAnswer>;
  /** GET that follows redirects, as a browser does when a link is clicked. */
  visit(url: string): Promise<WebAnswer>;
  cookies(origin: string): ReadonlyMap<string, string>;
  close(): void;
}

/** @param options.resolve host name → address; other names go to the system's resolver. */
export function createWeb(options: { ca: string; resolve: Record<string, string> }): Web {
  const agent = new Agent({ ca: options.ca, keepAlive: true });
  const jars = new Map<string, Map<string, string>>();

  const jar = (host: string): Map<string, string> => {
    const found = jars.get(host) ?? new Map<string, string>();
    jars.set(host, found);
    return found;
  };

  function send(address: string, request: WebRequest = {}): Promise<WebAnswer> {
    const url = new URL(address);
    const cookies = jar(url.hostname);
    const headers: Record<string, string> = { host: url.host, accept: '*/*', ...request.headers };
    if (cookies.size > 0) headers.cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    if (request.body !== undefined) headers['content-length'] = String(Buffer.byteLength(request.body));
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const call = (secure ? httpsRequest : httpRequest)(
        {
          host: options.resolve[url.hostname] ?? url.hostname,
          port: url.port || (secure ? 443 : 80),
          path: url.pathname + url.search,
          method: request.method ?? 'GET',
          headers,
          timeout: request.timeoutMs ?? 60_000,
          ...(secure ? { agent, servername: url.hostname } : {}),
        },
        (response) => {
          for (const line of response.headers['set-cookie'] ?? []) {
            const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
            const name = pair.slice(0, pair.indexOf('='));
            const value = pair.slice(pair.indexOf('=') + 1);
            const gone = attributes.some(
              (attribute) =>
                /^max-age=(0|-)/i.test(attribute) ||
                (/^expires=/i.test(attribute) && Date.parse(attribute.slice(8)) < Date.now()),
            );
            if (gone) cookies.delete(name);
            else cookies.set(name, value);
          }
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const body = Buffer.concat(chunks);
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body,
              text: body.toString('utf8'),
              url: address,
            });
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error(`no answer from ${address}`)));
      call.on('error', reject);
      call.end(request.body);
    });
  }

  return {
    send,
    async visit(address) {
      let answer = await send(address, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
      for (let hops = 0; answer.status >= 300 && answer.status < 400 && answer.headers.location; hops++) {
        if (hops > 15) throw new Error(`redirects without end at ${answer.url}`);
        const next = new URL(answer.headers.location, answer.url).href;
        answer = await send(next, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
      }
      return answer;
    },
    cookies: (origin) => jar(new URL(origin).hostname),
    close: () => agent.destroy(),
  };
}
