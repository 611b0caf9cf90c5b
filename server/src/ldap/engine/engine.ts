import { compileFilter } from '../filter/compile.ts';
import { compileEquality } from '../filter/equality.ts';
import { evaluate } from '../filter/evaluate.ts';
import { forgetValue } from '../filter/matchers.ts';
import { isUndefined, TRUE } from '../filter/test.ts';
import { createDnForm, parseDn } from '../matching/dn.ts';
import { RESULT, type ResultCode, SCOPE } from '../protocol/operation.ts';
import type { CompareRequest, SearchRequest, Span } from '../protocol/request.ts';
import { NO_MATCH } from '../schema/rules.ts';
import { attributes, findAttribute, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { findKey } from '../snapshot/lookup.ts';
import { found, NAME_KEY, readElement, type Snapshot, shapeHas } from '../snapshot/snapshot.ts';
import { type Cursor, createCursor } from './cursor.ts';
import { compileWishes, createDereference, type Wish } from './dereference.ts';
import { plan } from './plan.ts';
import { createProjectionCache, findProjection, type ProjectionCache, sameBytes } from './projection.ts';
import { type View, visibleEntry } from './view.ts';

/** An operation that ends without looking at entries. */
export interface Refused {
  kind: 'refused';
  code: ResultCode;
  matchedDn?: Uint8Array;
  text?: string;
}

/** Answers questions about one snapshot. */
export interface Engine {
  readonly snapshot: Snapshot;
  /** Starts a search below an entry. The request's bytes are not needed any more afterwards. */
  search(request: SearchRequest, view: View, sizeLimit: number): Cursor | Refused;
  /** Compare (RFC 4511 4.10). */
  compare(request: CompareRequest, view: View): Refused;
  /** The view of an identity: finds its own entry. */
  viewOf(audience: number, dn: string | null, host: readonly string[] | null): View;
}

const NAME_SLOTS = 64;
/** Octets of a name in normal form; no longer one has anything below it. */
const LONGEST_NAME = 8192;
const form = createDnForm();

export function createEngine(snapshot: Snapshot): Engine {
  const arena = Buffer.from(snapshot.arena.buffer, snapshot.arena.byteOffset, snapshot.arena.length);
  const projections: ProjectionCache = createProjectionCache(snapshot);
  /** Names that were asked for and exist, by their bytes: clients search below the same three containers for ever. */
  const names: ({ bytes: Uint8Array; key: number } | undefined)[] = [];

  /** Number of the key of a name; -1 when no entry has it, -2 when it is no DN. */
  function resolve(bytes: Uint8Array, { start, end }: Span): number {
    let hash = 0;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
    const slot = (hash ^ (hash >>> 13)) & (NAME_SLOTS - 1);
    const cached = names[slot];
    if (cached !== undefined && sameBytes(cached.bytes, bytes, start, end)) return cached.key;
    if (!parseDn(bytes, start, end, form)) return -2;
    const key = findKey(snapshot, NAME_KEY, form.bytes, form.length);
    if (key >= 0 && end - start <= 512) names[slot] = { bytes: bytes.slice(start, end), key };
    return key;
  }

  /** noSuchObject with the nearest entry above that can be seen. */
  function missing(bytes: Uint8Array, span: Span, view: View): Refused {
    const code = RESULT.noSuchObject;
    if (!parseDn(bytes, span.start, span.end, form)) return { kind: 'refused', code: RESULT.invalidDnSyntax };
    let nearest = -1;
    // From the root down: above the first name that is missing nothing is.
    for (let i = form.rdns.length - 1; i > 0; i--) {
      const above = form.bytes.subarray(form.rdns[i]!, form.length);
      if (above.length > LONGEST_NAME) break;
      const ordinal = visibleEntry(snapshot, view, findKey(snapshot, NAME_KEY, above, above.length));
      if (ordinal >= 0) nearest = ordinal;
      else if (nearest >= 0) break;
    }
    if (nearest >= 0) {
      readElement(snapshot.arena, snapshot.start[nearest]!);
      return { kind: 'refused', code, matchedDn: snapshot.arena.slice(found.start, found.end) };
    }
    return { kind: 'refused', code };
  }

  const invalidDn: Refused = { kind: 'refused', code: RESULT.invalidDnSyntax, text: 'invalid DN' };

  return {
    snapshot,

    search(request, view, sizeLimit) {
      const { bytes } = request;
      forgetValue();
      const key = resolve(bytes, request.base);
      if (key === -2) return invalidDn;
      const base = visibleEntry(snapshot, view, key);
      if (base < 0) return missing(bytes, request.base, view);
      if (request.filter === null) {
        return { kind: 'refused', code: RESULT.adminLimitExceeded, text: 'filter too large' };
      }
      let wishes: readonly Wish[] = [];
      const { dereference } = request.controls;
      if (dereference !== null) {
        const compiled = compileWishes(dereference, bytes);
        if (typeof compiled === 'string') return { kind: 'refused', code: RESULT.protocolError, text: compiled };
        wishes = compiled;
      }
      let start = base;
      let end = snapshot.subtreeEnd[base]!;
      let parent = -1;
      if (request.scope === SCOPE.base) end = base + 1;
      else if (request.scope === SCOPE.one) {
        start++;
        parent = base;
      } else if (request.scope === SCOPE.subordinate) start++;
      const test = compileFilter(snapshot, request.filter, bytes);
      const candidates = plan(snapshot, test, start, end);
      const { attributes: list } = request;
      const projection = findProjection(projections, bytes, list.start, list.end, request.typesOnly);
      const cursor = createCursor(snapshot, arena, view, projection, candidates, parent, sizeLimit);
      if (wishes.length > 0) cursor.dereference = createDereference(wishes, dereference!.critical);
      return cursor;
    },

    compare(request, view) {
      const { bytes, attribute, value } = request;
      forgetValue();
      const key = resolve(bytes, request.entry);
      if (key === -2) return invalidDn;
      const answer = (code: ResultCode): Refused => ({ kind: 'refused', code });
      const type = findAttribute(bytes, attribute.start, attribute.end);
      if (type === UNKNOWN) return answer(RESULT.undefinedAttributeType);
      const id =
        type === WITH_OPTIONS ? findAttribute(bytes, attribute.start, bytes.indexOf(0x3b, attribute.start)) : type;
      if (snapshot.kinds[id] === NO_MATCH) return answer(RESULT.inappropriateMatching);
      const { family } = attributes[id]!;
      const tests = family.map((member) => compileEquality(snapshot, member, bytes, value.start, value.end));
      if (tests.some(isUndefined)) return answer(RESULT.invalidAttributeSyntax);
      // Whether the assertion makes sense at all does not depend on the entry.
      const ordinal = visibleEntry(snapshot, view, key);
      if (ordinal < 0) return missing(bytes, request.entry, view);
      const isThere = (member: number): boolean =>
        attributes[member]!.computed || shapeHas(snapshot, snapshot.shape[ordinal]!, member);
      if (type === WITH_OPTIONS || !family.some(isThere)) return answer(RESULT.noSuchAttribute);
      const isTrue = tests.some((test) => evaluate(snapshot, test, ordinal) === TRUE);
      return answer(isTrue ? RESULT.compareTrue : RESULT.compareFalse);
    },

    viewOf(audience, dn, host) {
      let self = -1;
      if (dn !== null) {
        const bytes = Buffer.from(dn, 'utf8');
        const key = resolve(bytes, { start: 0, end: bytes.length });
        if (key >= 0) self = snapshot.postings[snapshot.keyStart[key]!]!;
      }
      return { audience, self, host };
    },
  };
}
