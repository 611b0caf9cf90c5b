import { z } from 'zod';
import { sourceGroup, sourceUser } from '../source/model.ts';
import type { SourceProblem } from '../source/source.ts';
import { type HttpGet, TransportError } from './transport.ts';

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: SourceProblem; status: number };

const PAGE_SIZE = 100;
const MAX_PAGES = 5000;
const MAX_WAIT_MS = 60_000;
const AT_ONCE = 4;
/** How long to leave a PocketID alone that does not accept the key: it masks expiry, and logs every attempt. */
const KEY_RETRY_MS = 5 * 60_000;

const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    data: z
      .array(item)
      .nullish()
      .transform((list) => list ?? []),
    pagination: z.object({ totalPages: z.int().min(0), totalItems: z.int().min(0), currentPage: z.int() }),
  });
const userPage = pageOf(sourceUser);
const groupPage = pageOf(sourceGroup);
const version = z.object({ currentVersion: z.string().max(64) });

/** Paths carry ids of the other side's making. */
const PATH_ID = /^[0-9a-fA-F-]{1,128}$/;

export type PocketIdClient = ReturnType<typeof createPocketIdClient>;

/**
 * PocketID's API as far as the directory reads it, from 1.0 (0.48 as well as it can).
 *
 * @param deps.sleep waits; rejects when the signal aborts.
 */
export function createPocketIdClient(deps: {
  baseUrl: string;
  apiKey: string;
  get: HttpGet;
  now: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}) {
  const base = deps.baseUrl.replace(/\/+$/, '');
  /** Answers that the server may confirm with 304, by URL. */
  const remembered = new Map<string, { etag: string; value: unknown }>();

  const problem = (
    code: SourceProblem['code'],
    message: string,
    status: number,
    retryAfterMs?: number,
  ): Answer<never> => ({
    ok: false,
    status,
    problem: { code, message: `PocketID: ${message}`, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });

  function retryAfter(header: string | undefined): number {
    const seconds = /^[0-9]{1,6}$/.test(header ?? '') ? Number(header) * 1000 : Date.parse(header ?? '') - deps.now();
    return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1000), MAX_WAIT_MS) : 5000;
  }

  async function getJson<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<Answer<T>> {
    const url = `${base}/api${path}`;
    const known = remembered.get(url);
    for (let attempt = 0; ; attempt += 1) {
      let answer: Awaited<ReturnType<HttpGet>>;
      try {
        const headers = { 'x-api-key': deps.apiKey, ...(known ? { 'if-none-match': known.etag } : {}) };
        answer = await deps.get(url, headers, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof TransportError)) throw error;
        return problem('unreachable', error.message, 0);
      }
      const { status } = answer;
      if (status === 429 && attempt < 3) {
        await deps.sleep(retryAfter(answer.headers['retry-after']), signal);
        continue;
      }
      if (status === 304 && known) return { ok: true, value: known.value as T };
      if (status === 401)
        return problem('unauthorised', 'the API key is not accepted. It may have expired', status, KEY_RETRY_MS);
      if (status === 403) {
        return problem(
          'unauthorised',
          'the owner of the API key is not an enabled administrator',
          status,
          KEY_RETRY_MS,
        );
      }
      if (status === 429)
        return problem('unreachable', 'asks for fewer requests', status, retryAfter(answer.headers['retry-after']));
      if (status >= 300 && status < 400)
        return problem('unreachable', 'answers with a redirect. Check the address', status);
      if (status !== 200) return problem('unreachable', `answers ${status}`, status);
      if (!/^application\/(json|[a-z.+-]+\+json)(;|$)/i.test(answer.headers['content-type'] ?? '')) {
        return problem('invalid', 'does not answer with JSON. Check the address', status);
      }
      let json: unknown;
      try {
        json = JSON.parse(answer.body);
      } catch {
        return problem('invalid', 'answers with broken JSON', status);
      }
      const parsed = schema.safeParse(json);
      if (!parsed.success) {
        const path = parsed.error.issues[0]?.path.join('.') ?? '';
        return problem('invalid', `answers in an unknown shape (${path.slice(0, 80)})`, status);
      }
      const { etag } = answer.headers;
      if (etag) remembered.set(url, { etag, value: parsed.data });
      return { ok: true, value: parsed.data };
    }
  }

  /** Runs over items, a few at once; the first problem ends it. */
  async function each<I, T>(items: readonly I[], run: (item: I) => Promise<Answer<T>>): Promise<Answer<T[]>> {
    const results: T[] = new Array(items.length);
    let next = 0;
    let failed: Answer<never> | undefined;
    const worker = async (): Promise<void> => {
      while (next < items.length && !failed) {
        const index = next;
        next += 1;
        const answer = await run(items[index]!);
        if (answer.ok) results[index] = answer.value;
        else failed ??= answer;
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
    return failed ?? { ok: true, value: results };
  }

  async function all<T>(
    path: string,
    column: string,
    schema: z.ZodType<{ data: T[]; pagination: { totalPages: number; totalItems: number } }>,
    signal: AbortSignal,
  ): Promise<Answer<T[]>> {
    // Without a sort there is no order at all, and pages overlap or skip.
    const query = (page: number) =>
      `${path}?pagination%5Bpage%5D=${page}&pagination%5Blimit%5D=${PAGE_SIZE}&sort%5Bcolumn%5D=${column}&sort%5Bdirection%5D=asc`;
    const first = await getJson(query(1), schema, signal);
    if (!first.ok) return first;
    const { totalPages, totalItems } = first.value.pagination;
    if (totalPages > MAX_PAGES) return problem('invalid', `has more than ${MAX_PAGES} pages`, 200);
    // A page after the last one is the last one again: only the count says where to stop.
    const numbers = Array.from({ length: Math.max(0, totalPages - 1) }, (_, n) => n + 2);
    const rest = await each(numbers, (page) => getJson(query(page), schema, signal));
    if (!rest.ok) return rest;
    const pages = [first.value, ...rest.value];
    const items = pages.flatMap(({ data }) => data);
    if (pages.some(({ pagination }) => pagination.totalItems !== totalItems) || items.length !== totalItems) {
      return problem('inconsistent', 'changed while it was read', 200);
    }
    return { ok: true, value: items };
  }

  return {
    users: (signal: AbortSignal) => all('/users', 'username', userPage, signal),
    groups: (signal: AbortSignal) => all('/user-groups', 'name', groupPage, signal),
    /** Groups with their members, one request each: for versions whose users do not name their groups. */
    groupDetails: (ids: readonly string[], signal: AbortSignal) =>
      each(
        ids,
        async (id): Promise<Answer<z.infer<typeof sourceGroup>>> =>
          PATH_ID.test(id)
            ? getJson(`/user-groups/${id}`, sourceGroup, signal)
            : problem('invalid', 'has a group with an unusable id', 200),
      ),
    /** Whether a person may still do things, asked now. `gone`: PocketID does not know the id any more. */
    async userState(id: string, signal: AbortSignal): Promise<'enabled' | 'disabled' | 'gone' | 'unknown'> {
      if (!PATH_ID.test(id)) return 'gone';
      const answer = await getJson(`/users/${id}`, sourceUser, signal);
      if (answer.ok) return answer.value.id !== id ? 'unknown' : answer.value.disabled ? 'disabled' : 'enabled';
      return answer.status === 404 ? 'gone' : 'unknown';
    },
    /** Null before 2.3.0. */
    async version(signal: AbortSignal): Promise<string | null> {
      const answer = await getJson('/version/current', version, signal);
      return answer.ok ? answer.value.currentVersion : null;
    },
  };
}
