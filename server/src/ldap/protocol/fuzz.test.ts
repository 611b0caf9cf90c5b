import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costlyBind, costlySearches } from '../testing/costly-requests.ts';
import { cases, randomFrom, testSeed } from '../testing/long.ts';
import { mutateOften } from '../testing/mutate.ts';
import { VALID_MESSAGES as VALID } from '../testing/valid-messages.ts';
import type { FilterNode } from './decode-filter.ts';
import { decodeRequest } from './decode-request.ts';
import type { Request } from './request.ts';

/** Everything a request points at lies within its bytes. */
function assertBounded(request: Request, length: number): void {
  const check = (value: unknown, key: string): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    const span = value as { start?: number; end?: number };
    if (typeof span.start === 'number') {
      assert.ok(span.start >= 0 && span.start <= span.end! && span.end! <= length, `${key} out of bounds`);
    }
    for (const [name, inner] of Object.entries(value)) check(inner, name);
  };
  check(request, 'request');
  const walk = (node: FilterNode): void => {
    for (const position of [node.attributeEnd, node.valueEnd, node.ruleEnd]) assert.ok(position <= length);
    for (const child of node.children) walk(child);
  };
  if (request.kind === 'search' && request.filter !== null) walk(request.filter);
}

function nodesOf(filter: FilterNode | null): number {
  return filter === null ? 0 : filter.children.reduce((sum, child) => sum + nodesOf(child), 1);
}

test('mutated messages become a request or a protocol error, and nothing else', () => {
  const count = cases(6000, 300_000);
  const random = randomFrom(testSeed('mutated messages'));
  let requests = 0;
  for (let i = 0; i < count; i++) {
    const data = mutateOften(random, random.pick(VALID));
    const request = decodeRequest(data);
    if (request.kind === 'protocol-error') {
      assert.equal(typeof request.text, 'string');
      continue;
    }
    requests++;
    assert.ok(request.messageId >= 1);
    assertBounded(request, data.length);
  }
  // Mutations that never got past the first octet would prove little.
  assert.ok(requests > count / 100, `${requests} of ${count} were still requests`);
});

test('reading takes time and room in proportion to what was sent', () => {
  const count = cases(3000, 100_000);
  const random = randomFrom(testSeed('cost of mutated messages'));
  let octets = 0;
  const started = process.threadCpuUsage();
  for (let i = 0; i < count; i++) {
    const data = mutateOften(random, random.pick(VALID));
    octets += data.length;
    const request = decodeRequest(data);
    // Every node of a filter is made of at least two octets.
    if (request.kind === 'search') assert.ok(nodesOf(request.filter) <= 1 + data.length / 2);
  }
  const { user, system } = process.threadCpuUsage(started);
  const perKiB = ((user + system) / octets) * 1024;
  // Making the mutants is in there as well.
  assert.ok(perKiB < 200, `${perKiB} µs per KiB`);
});

test('no single message takes longer to read than its length allows', () => {
  const random = randomFrom(testSeed('slow messages'));
  const large = [...VALID, ...costlySearches().map(({ request }) => request(1)), costlyBind(1)];
  const microseconds = (work: () => void): number => {
    const before = process.threadCpuUsage();
    work();
    const { user, system } = process.threadCpuUsage(before);
    return user + system;
  };
  for (let i = 0; i < cases(1500, 30_000); i++) {
    const data = mutateOften(random, random.pick(large));
    const allowed = 100 + (data.length / 1024) * 50;
    const read = (): void => void decodeRequest(data);
    let spent = microseconds(read);
    // The compiler and the collector take their time from somebody; again and again it is the message.
    for (let again = 0; again < 30 && spent > allowed; again++) spent = microseconds(read);
    assert.ok(spent <= allowed, `${spent} µs for ${data.length} octets: ${data.subarray(0, 200).toString('hex')}`);
  }
});

test('random bytes become a request or a protocol error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      const request = decodeRequest(data);
      if (request.kind !== 'protocol-error') assertBounded(request, data.length);
    }),
    { numRuns: cases(2000, 100_000) },
  );
});

test('what lies around a message is not looked at', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...VALID),
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ maxLength: 20 }),
      (data, before, after) => {
        const surrounded = Buffer.concat([before, data, after]);
        const inside = decodeRequest(surrounded, before.length, before.length + data.length);
        const alone = decodeRequest(data);
        assert.equal(inside.kind, alone.kind);
        assert.equal((inside as Request).messageId, (alone as Request).messageId);
      },
    ),
    { numRuns: cases(500, 20_000) },
  );
});

test('the cut-off beginning of a message is never a message', () => {
  for (const data of VALID) {
    for (let length = 0; length < data.length; length++) {
      assert.equal(decodeRequest(data, 0, length).kind, 'protocol-error');
    }
  }
});
