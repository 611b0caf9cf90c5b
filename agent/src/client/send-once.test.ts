import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FAILOVER_MS, sendOnce } from './send-once.ts';
import { type Answer, TransportError, type TransportRequest } from './transport.ts';

const says = (status: number, body: unknown = {}): Answer => ({
  status,
  contentType: 'application/json',
  body: Buffer.from(JSON.stringify(body)),
});
const refusal = (code: string, status = 403) => says(status, { error: { code, message: 'words' } });
const KNOWN = refusal('nonce_replayed', 401);

/** Servers that answer when the test says so, and a request that goes to them in their order. */
async function world(count: number) {
  const asked: TransportRequest[] = [];
  const replies = Array.from({ length: count }, () => Promise.withResolvers<Answer>());
  const hung: number[] = [];
  let patience = Promise.withResolvers<void>();
  const sent = sendOnce({
    order: replies.map((_, index) => index),
    ask(index, request) {
      asked.push(request);
      request.signal?.addEventListener('abort', () =>
        replies[index]!.reject(new TransportError('aborted', 'cancelled')),
      );
      return replies[index]!.promise;
    },
    hangs: (index) => void hung.push(index),
    clock: {
      now: () => 0,
      monotonic: () => 0,
      async sleep(ms, signal) {
        assert.equal(ms, FAILOVER_MS);
        const stopped = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
        await Promise.race([patience.promise, stopped]);
      },
    },
    request: { method: 'POST', path: '/x', headers: { signature: 'one' }, body: Buffer.from('{}'), timeoutMs: 65_000 },
  });
  const state = { answer: 'none', settled: false };
  sent.answer.then(
    ({ status }) => {
      state.answer = String(status);
    },
    (error: TransportError) => {
      state.answer = error.kind;
    },
  );
  void sent.settled.then(() => {
    state.settled = true;
  });
  const seen = async () => {
    for (let n = 0; n < 5; n += 1) await turn();
    return `${state.answer}, ${state.settled ? 'settled' : 'on its way'}`;
  };
  await turn();
  return {
    asked,
    hung,
    seen,
    async wait() {
      patience.resolve();
      await seen();
      patience = Promise.withResolvers<void>();
    },
    answer(index: number, came: Answer | TransportError) {
      if (came instanceof TransportError) replies[index]!.reject(came);
      else replies[index]!.resolve(came);
      return seen();
    },
  };
}

describe('a request that counts once', () => {
  it('is answered by the first that answers, and nobody else is asked', async () => {
    const w = await world(2);
    assert.equal(await w.answer(0, says(201)), '201, settled');
    assert.equal(w.asked.length, 1);
  });

  it('goes to the next one while the first says nothing, to the letter, and is settled by its answer', async () => {
    const w = await world(2);
    await w.wait();
    const [first, again] = w.asked.map(({ timeoutMs, signal, ...letters }) => letters);
    assert.deepEqual(again, first);
    assert.deepEqual(w.hung, [0]);
    assert.equal(await w.seen(), 'none, on its way');
    assert.equal(await w.answer(1, says(201)), '201, settled');
    assert.equal(w.asked[0]!.signal!.aborted, true, 'the first is not listened to any more');
  });

  it('one that hangs is followed by the next, and that one by the next', async () => {
    const w = await world(3);
    await w.wait();
    await w.wait();
    assert.equal(w.asked.length, 3);
    assert.equal(await w.answer(2, says(201)), '201, settled');
  });

  it('a refusal answers, but the number is on its way until the one that hangs can have it no more', async () => {
    const w = await world(2);
    await w.wait();
    assert.equal(await w.answer(1, refusal('approval_required')), '403, on its way');
    assert.equal(await w.answer(0, new TransportError('broken', 'time')), '403, settled');
  });

  it('known to the second: the first has taken it, its number is free to be followed, and its answer is waited for', async () => {
    const w = await world(2);
    await w.wait();
    assert.equal(await w.answer(1, KNOWN), 'none, settled');
    assert.equal(await w.answer(0, says(201)), '201, settled');
  });

  it('known to the second, and the first is gone: there is no answer', async () => {
    const w = await world(2);
    await w.answer(0, new TransportError('broken', 'ECONNRESET: x'));
    assert.equal(await w.answer(1, KNOWN), 'broken, settled');
  });

  it('known to the only one that was asked is a refusal', async () => {
    const w = await world(2);
    assert.equal(await w.answer(0, KNOWN), '401, settled');
  });

  it('a first that comes back when the second has it does not refuse it', async () => {
    const w = await world(2);
    await w.wait();
    assert.equal(await w.answer(0, KNOWN), 'none, settled');
    assert.equal(await w.answer(1, says(201)), '201, settled');
  });

  it('one that is silent and one that is not there are no outage', async () => {
    for (const [first, second] of [
      ['broken', 'unreachable'],
      ['unreachable', 'broken'],
    ] as const) {
      const w = await world(2);
      await w.answer(0, new TransportError(first, 'x'));
      assert.equal(await w.answer(1, new TransportError(second, 'x')), 'broken, settled');
    }
    const hanging = await world(2);
    await hanging.wait();
    assert.equal(await hanging.answer(1, new TransportError('unreachable', 'x')), 'none, on its way');
    assert.equal(await hanging.answer(0, new TransportError('broken', 'x')), 'broken, settled');
    const gateway = await world(2);
    await gateway.wait();
    await gateway.answer(1, says(502, 'no such thing'));
    assert.equal(await gateway.answer(0, new TransportError('broken', 'x')), 'broken, settled');
  });

  it('none is there', async () => {
    const w = await world(2);
    await w.answer(0, new TransportError('unreachable', 'x'));
    assert.equal(await w.answer(1, new TransportError('unreachable', 'x')), 'unreachable, settled');
  });
});
