import type { ServerResponse } from 'node:http';
import type { Seen } from './fake-server.ts';

/** How often a server says that it is there, milliseconds. */
const BEAT_MS = 15_000;

/** Requests that wait on a server, and the stream of its events, as the shell's connection meets them. For tests. */
export function createFakeInbox() {
  const streams = new Set<ServerResponse>();
  const denied: string[] = [];
  /** What the person has chosen to be told of on screen; null: a server that knows nothing of that. */
  let chosen: 'nothing' | 'all' | null = 'all';
  let waiting: { id: string; code: string; command: string; expiresAt: number; canDeny: boolean }[] = [];
  let number = 0;
  /** Answers everything from now on, when set: the server is not well. */
  let status: number | null = null;
  /** Stands in the answer to what waits, when set. */
  let ballast: string | null = null;

  function say(topic: string): void {
    for (const stream of streams) stream.write(`id: 1\ndata: ${JSON.stringify({ seq: 1, topic })}\n\n`);
  }

  function answer({ method, url, body }: Seen, response: ServerResponse): void {
    const json = (code: number, value: unknown) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (status !== null && !url.startsWith('/trpc/sessions.signOut')) {
      json(status, { error: { code: 'refused', message: 'Refused.' } });
      return;
    }
    if (url === '/api/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': connected\nid: 0\n\n');
      streams.add(response);
      // As a server does: who hears nothing for long takes the connection for dead.
      const beat = setInterval(() => response.write(': \n\n'), BEAT_MS);
      response.once('close', () => {
        clearInterval(beat);
        streams.delete(response);
      });
      return;
    }
    if (method === 'POST' && url === '/trpc/challenges.deny') {
      const { challengeId } = JSON.parse(body) as { challengeId: string };
      denied.push(challengeId);
      waiting = waiting.filter(({ id }) => id !== challengeId);
      say('requests');
    }
    if (url.startsWith('/trpc/notify.onScreen?')) {
      if (chosen === null) {
        json(404, { error: { message: 'No procedure found on path "notify.onScreen"', code: -32004 } });
        return;
      }
      const { ids } = JSON.parse(new URL(url, 'http://x').searchParams.get('input') ?? '') as { ids: string[] };
      json(200, { result: { data: { ids: chosen === 'all' ? ids : [] } } });
      return;
    }
    if (!url.startsWith('/trpc/challenges.inbox')) {
      json(200, { result: { data: [] } });
      return;
    }
    const now = Date.now();
    const data = waiting.map(({ id, code, command, expiresAt, canDeny }) => ({
      id,
      userCode: code,
      user: 'alice',
      command,
      host: { id: 'h', name: 'web1.example.com' },
      createdAt: expiresAt - 120_000,
      expiresAt,
      now,
      can: { approve: true, deny: canDeny },
    }));
    json(200, { result: { data }, ...(ballast === null ? {} : { ballast }) });
  }

  return {
    answer,
    denied,
    /** How many connections follow it now. */
    followers: () => streams.size,
    /** The person chooses to be told of nothing on screen, or of all again; null: the server is one that does not know. */
    choose(next: 'nothing' | 'all' | null): void {
      chosen = next;
    },
    /** Somebody asks. */
    ask(command = 'systemctl restart nginx', options: { leftMs?: number; canDeny?: boolean } = {}) {
      number += 1;
      const id = String(number).padStart(32, '0');
      const code = `ABCDEF-${String(number).padStart(6, '0')}`;
      const { leftMs = 120_000, canDeny = true } = options;
      waiting.push({ id, code, command, expiresAt: Date.now() + leftMs, canDeny });
      say('requests');
      return { id, code };
    },
    /** Somebody decides elsewhere. */
    settle(id: string): void {
      waiting = waiting.filter((one) => one.id !== id);
      say('requests');
    },
    say,
    /** Every connection ends, as when the server stops. */
    hangUp(): void {
      for (const stream of streams) stream.destroy();
    },
    /** The answer to what waits is as long as this from now on. */
    flood(next: string | null): void {
      ballast = next;
    },
    fail(next: number | null): void {
      status = next;
    },
  };
}
