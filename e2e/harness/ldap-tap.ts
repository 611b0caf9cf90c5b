import { connect, type Server, type Socket } from 'node:net';
import { frameLength } from '../../server/src/ldap/ber/reader.ts';
import { SEQUENCE } from '../../server/src/ldap/ber/tag.ts';
import { OID } from '../../server/src/ldap/protocol/operation.ts';
import { type Answer, type Asked, readAnswered, readAsked, type SentControl } from './ldap-request.ts';
import { until } from './run.ts';

/** One request on its way through the tap, and how it was answered so far. */
export type Seen<T extends Asked = Asked> = T & {
  /** Position in {@link LdapTap.seen}. */
  readonly at: number;
  /** Which connection it came on, counted from 0. */
  readonly connection: number;
  readonly from: string;
  readonly controls: readonly SentControl[];
  /** Null while there is no answer. */
  answer: Answer | null;
};
export type SeenSearch = Seen<Extract<Asked, { kind: 'search' }>>;
export type SeenBind = Seen<Extract<Asked, { kind: 'bind' }>>;

/** Somebody on the way between LDAP clients and the server who writes down what they say and changes nothing. */
export interface LdapTap {
  /** Everything that was asked, oldest first. */
  readonly seen: readonly Seen[];
  /** Searches from position `since` on. */
  searches(since?: number): SeenSearch[];
  /** Waits for a search that was answered. @throws with what was seen instead */
  sees(
    what: string,
    match: (search: SeenSearch) => boolean,
    options?: { since?: number; timeoutMs?: number },
  ): Promise<SeenSearch>;
  /** Cuts all connections and accepts none until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Cuts a stream into LDAP messages; what is no message (TLS) ends the reading, never the relaying. */
function createFramer(onMessage: (message: Buffer) => boolean): (chunk: Buffer) => void {
  let kept = Buffer.alloc(0);
  let reading = true;
  return (chunk) => {
    if (!reading) return;
    kept = Buffer.concat([kept, chunk]);
    let at = 0;
    while (reading) {
      const length = frameLength(kept, at, kept.length, SEQUENCE);
      if (length < 0) reading = false;
      if (length <= 0 || at + length > kept.length) break;
      reading = onMessage(kept.subarray(at, at + length));
      at += length;
    }
    kept = Buffer.from(kept.subarray(at));
  };
}

/** Opens a tap in front of a server that speaks plain LDAP. @param options.listen opens the port of the tap */
export async function openLdapTap(options: {
  listen: () => Promise<Server>;
  upstream: { host: string; port: number };
}): Promise<LdapTap> {
  const { upstream } = options;
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let server: Server | null = null;

  function relay(client: Socket): void {
    const connection = connections++;
    const from = (client.remoteAddress ?? '').replace(/^::ffff:/, '');
    const behind = connect(upstream);
    const pending = new Map<number, Seen>();
    let secured = false;
    sockets.add(client).add(behind);
    const fromClient = createFramer((message) => {
      const { messageId, asked, controls } = readAsked(message);
      const request = { ...asked, at: seen.length, connection, from, controls, answer: null } as Seen;
      seen.push(request);
      pending.set(messageId, request);
      secured = asked.kind === 'extended' && asked.name === OID.startTls;
      return !secured;
    });
    const fromServer = createFramer((message) => {
      const { messageId, entry, resultCode } = readAnswered(message);
      const request = pending.get(messageId);
      if (request) {
        const entries = request.answer?.entries ?? 0;
        // -1 until the operation ends.
        request.answer = entry ? { resultCode: -1, entries: entries + 1 } : { resultCode, entries };
      }
      return !secured;
    });
    client.on('data', fromClient);
    behind.on('data', fromServer);
    client.pipe(behind);
    behind.pipe(client);
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  }

  async function up(): Promise<void> {
    if (server) return;
    server = await options.listen();
    server.on('connection', relay);
  }

  async function down(): Promise<void> {
    const old = server;
    server = null;
    const closed = new Promise<void>((resolve) => (old ? old.close(() => resolve()) : resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  const searches = (since = 0): SeenSearch[] =>
    seen.slice(since).filter((request): request is SeenSearch => request.kind === 'search');

  await up();
  return {
    seen,
    searches,
    sees: (what, match, { since = 0, timeoutMs } = {}) =>
      until(
        what,
        () => searches(since).find((search) => (search.answer?.resultCode ?? -1) >= 0 && match(search)),
        timeoutMs,
      ).catch((error: unknown) => {
        const others = searches(since).map(({ base, scope, filter, answer }) => {
          const outcome = answer ? `${answer.resultCode}, ${answer.entries} entries` : 'no answer';
          return `${scope} "${base}" ${filter} → ${outcome}`;
        });
        const distinct = [...new Set(others)].slice(-25);
        throw new Error(`${(error as Error).message}. Seen instead:\n${distinct.join('\n')}`);
      }),
    down,
    up,
    close: down,
  };
}
