import {
  type Answer,
  bind,
  extended,
  pagingControl,
  search,
  type TestControl,
  type TestSearch,
} from '../../server/src/ldap/testing/messages.ts';
import { type WireClient, wireClient } from '../../server/src/ldap/testing/wire-client.ts';
import { SERVICE_DN, SERVICE_PASSWORD, type Side } from './world.ts';

export interface FoundEntry {
  dn: string;
  attributes: Map<string, string[]>;
  /** What the dereference control says; absent without one. */
  dereferenced?: NonNullable<Answer['dereferenced']>;
}

/** What a server says to one search request. */
export interface Reply {
  /** Result code; null when it hung up instead. */
  code: number | null;
  matchedDn: string;
  entries: FoundEntry[];
  cookie: Buffer | null;
}

/** A search as a whole: with `pageSize` it is repeated until the server has no more. */
export interface Query extends TestSearch {
  pageSize?: number;
}

export type Security = 'plain' | 'starttls' | 'ldaps';

export interface Asker {
  /** One reply, or one per page. */
  ask(query: Query): Promise<Reply[]>;
  close(): void;
}

const START_TLS = '1.3.6.1.4.1.1466.20037';
const ENTRY = 0x64;
const MOST_PAGES = 500;

/** A client of one server that binds as the service account and comes back when it is hung up on. */
export async function createAsker(
  { port, tlsPort }: Side,
  security: Security,
  tls: { ca: string; cert: string; key: string },
  { bound = true } = {},
): Promise<Asker> {
  let client: WireClient | null = null;
  let id = 0;

  async function connected(): Promise<WireClient> {
    if (client !== null) return client;
    const fresh = security === 'ldaps' ? await wireClient(tlsPort, { tls }) : await wireClient(port);
    if (security === 'starttls') {
      fresh.write(extended(++id, START_TLS));
      await fresh.until(id);
      await fresh.upgrade(tls);
    }
    if (bound) {
      fresh.write(bind(++id, SERVICE_DN, SERVICE_PASSWORD));
      const [answer] = await fresh.until(id);
      if (answer?.code !== 0) throw new Error(`bind: ${answer?.code}`);
    }
    client = fresh;
    return fresh;
  }

  async function once(query: TestSearch): Promise<Reply> {
    const open = await connected();
    open.write(search(++id, query));
    let answers: Answer[];
    try {
      answers = await open.until(id);
    } catch {
      client = null;
      return { code: null, matchedDn: '', entries: [], cookie: null };
    }
    const done = answers.at(-1)!;
    return {
      code: done.code!,
      matchedDn: done.matchedDn ?? '',
      entries: answers
        .filter(({ tag }) => tag === ENTRY)
        .map(({ dn, attributes, dereferenced }) => ({
          dn: dn!,
          attributes: attributes!,
          ...(dereferenced ? { dereferenced } : {}),
        })),
      cookie: done.cookie ?? null,
    };
  }

  return {
    async ask({ pageSize, ...query }) {
      if (pageSize === undefined) return [await once(query)];
      const pages: Reply[] = [];
      let cookie: Buffer = Buffer.alloc(0);
      do {
        const controls: TestControl[] = [...(query.controls ?? []), pagingControl(pageSize, cookie)];
        const page = await once({ ...query, controls });
        pages.push(page);
        cookie = page.cookie ?? Buffer.alloc(0);
      } while (cookie.length > 0 && pages.length < MOST_PAGES);
      return pages;
    },
    close: () => client?.close(),
  };
}
