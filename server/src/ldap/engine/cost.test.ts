import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createOutput, element } from '../ber/writer.ts';
import { dnKey } from '../matching/dn.ts';
import { decodeRequest } from '../protocol/decode-request.ts';
import { costlyBind, costlySearches } from '../testing/costly-requests.ts';
import { baseEntry, container, entry, snapshotOf } from '../testing/entries.ts';
import { filterElement, search } from '../testing/messages.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { FILLED, fill, SLICE } from './cursor.ts';
import { createEngine } from './engine.ts';
import { ANONYMOUS } from './view.ts';

/**
 * Nothing that a client can send within the limits keeps the others waiting: beginning a search and each slice of it
 * take a few milliseconds.
 */

const MOST_MS = 10;

/** Milliseconds of the processor: what else the machine does meanwhile is not counted. */
function elapsed(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** The best of some tries: the compiler and the collector are not what is measured. */
const best = (work: () => void, tries = 12): number => Math.min(...Array.from({ length: tries }, () => elapsed(work)));

const output = createOutput();

describe('the costliest searches that the limits let through', () => {
  const engine = createEngine(snapshotOf(sampleEntries(2000), { lastUsn: sampleUsn(2000) }));
  const start = (bytes: Buffer) => {
    const request = decodeRequest(bytes);
    return request.kind === 'search' ? engine.search(request, ANONYMOUS, Number.POSITIVE_INFINITY) : null;
  };

  for (const { name, request } of costlySearches()) {
    test(name, () => {
      const bytes = request(1);
      assert.ok(bytes.length <= 64 * 1024, 'larger than a message may be');
      const beginning = best(() => void start(bytes));
      assert.ok(beginning < MOST_MS, `${beginning} ms to begin`);
      const cursor = start(bytes);
      if (cursor === null || 'kind' in cursor) return;
      const slices: number[] = [];
      for (let outcome: number = FILLED.more; outcome === FILLED.more && slices.length < 200; ) {
        output.length = 0;
        slices.push(
          elapsed(() => {
            outcome = fill(cursor, 1, output, { left: SLICE });
          }),
        );
      }
      const typical = slices.toSorted((a, b) => a - b)[Math.floor(slices.length / 2)]!;
      assert.ok(slices.length === 1 || typical < MOST_MS / 5, `${typical} ms a slice`);
    });
  }
});

test('the more a filter asks, even for what is not there, the fewer entries are looked at in a slice', () => {
  const engine = createEngine(snapshotOf(sampleEntries(2000), { lastUsn: sampleUsn(2000) }));
  const slices = (assertions: number): number => {
    const filter = element(0xa1, ...Array.from({ length: assertions }, () => filterElement('(sudoCommand=*q*)')));
    const request = decodeRequest(search(1, { base: BASE, filter }));
    assert.ok(request.kind === 'search');
    const cursor = engine.search(request, ANONYMOUS, Number.POSITIVE_INFINITY);
    assert.ok(!('kind' in cursor));
    for (let count = 1; ; count++) {
      output.length = 0;
      if (fill(cursor, 1, output, { left: SLICE }) !== FILLED.more) return count;
    }
  };
  assert.ok(slices(15) > 3 * slices(2), `${slices(15)} and ${slices(2)} slices`);
});

test('an entry with very many values is not looked at for ever', () => {
  const members = Array.from({ length: 100_000 }, (_, i) => `member number ${i}`);
  const group = entry(`cn=big,ou=groups,${BASE}`, ['posixGroup'], { cn: 'big', gidNumber: '1', memberUid: members });
  const engine = createEngine(snapshotOf([baseEntry(), container('groups'), group]));
  const [costly] = costlySearches();
  const request = decodeRequest(costly!.request(1));
  assert.ok(request.kind === 'search');
  const spent = best(() => {
    const cursor = engine.search(request, ANONYMOUS, Number.POSITIVE_INFINITY);
    assert.ok(!('kind' in cursor));
    let outcome: number = FILLED.more;
    while (outcome === FILLED.more) outcome = fill(cursor, 1, output, { left: SLICE });
    assert.equal(outcome, FILLED.effort);
  });
  assert.ok(spent < 300, `${spent} ms`);
});

test('a name that nobody has to authenticate for', () => {
  const request = decodeRequest(costlyBind(1));
  assert.ok(request.kind === 'bind');
  const name = Buffer.from(request.bytes.subarray(request.name.start, request.name.end)).toString();
  const spent = best(() => void dnKey(name));
  assert.ok(spent < MOST_MS, `${spent} ms`);
});
