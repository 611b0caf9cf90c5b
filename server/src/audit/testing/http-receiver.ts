import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';

export interface Received {
  url: string;
  headers: IncomingHttpHeaders;
  /** As it was sent, or unpacked where it says that it is compressed. */
  body: string;
  /** The same, as bytes. */
  bytes: Buffer;
}

export interface Answered {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

/** A receiver on loopback that keeps what it is sent. */
export async function httpReceiver(t: Pick<TestContext, 'after'>, answer: (received: Received) => Answered) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const sent = Buffer.concat(chunks);
    const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    const one = { url: request.url ?? '', headers: request.headers, body: bytes.toString('utf8'), bytes };
    received.push(one);
    const { status, body: text = '', headers = {} } = answer(one);
    response.writeHead(status, headers).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}
