import { createOutput } from '../ber/writer.ts';
import { FILLED, type Filled, fill } from '../engine/cursor.ts';
import type { Engine } from '../engine/engine.ts';
import { ANONYMOUS, type View } from '../engine/view.ts';
import { decodeRequest } from '../protocol/decode-request.ts';
import { type Answer, readAnswers, search, type TestSearch } from './messages.ts';

/** Runs a search without any connection. @param budget of each slice, to try how slices are cut. */
export function runSearch(
  engine: Engine,
  options: TestSearch,
  view: View = ANONYMOUS,
  budget = Number.POSITIVE_INFINITY,
): { entries: Answer[]; dns: string[]; code: number; outcome: Filled; matchedDn: string } {
  const request = decodeRequest(search(7, options));
  if (request.kind !== 'search') throw new Error(`not a search: ${request.kind}`);
  const sizeLimit = request.sizeLimit === 0 ? Number.POSITIVE_INFINITY : request.sizeLimit;
  const started = engine.search(request, view, sizeLimit);
  if ('kind' in started) {
    const matchedDn = Buffer.from(started.matchedDn ?? '').toString();
    return { entries: [], dns: [], code: started.code, outcome: FILLED.done, matchedDn };
  }
  const output = createOutput();
  const chunks: Buffer[] = [];
  let outcome: Filled = FILLED.more;
  while (outcome === FILLED.more) {
    output.length = 0;
    outcome = fill(started, 7, output, { left: budget });
    chunks.push(Buffer.from(output.bytes.subarray(0, output.length)));
  }
  const entries = readAnswers(Buffer.concat(chunks));
  return { entries, dns: entries.map(({ dn }) => dn!), code: 0, outcome, matchedDn: '' };
}

/** What a search writes, as it goes over the wire: entries without the result. */
export function encodedAnswer(engine: Engine, options: TestSearch, messageId: number): Buffer {
  const request = decodeRequest(search(7, options));
  if (request.kind !== 'search') throw new Error(`not a search: ${request.kind}`);
  const started = engine.search(request, ANONYMOUS, Number.POSITIVE_INFINITY);
  if ('kind' in started) throw new Error(`refused with ${started.code}`);
  const output = createOutput();
  while (fill(started, messageId, output, { left: Number.POSITIVE_INFINITY }) === FILLED.more);
  return Buffer.from(output.bytes.subarray(0, output.length));
}
