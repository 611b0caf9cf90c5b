import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../platform/clock.ts';
import { createServers } from './failover.ts';
import { type Answer, type Transport, TransportError } from './transport.ts';

type Does = Answer | TransportError;

const answer = (status: number, body: unknown = {}): Answer => ({
  status,
  contentType: 'application/json',
  body: Buffer.from(JSON.stringify(body)),
});
const GOOD = answer(200);
const NOBODY = new TransportError('unreachable', 'ECONNREFUSED: x');
const RESET = new TransportError('broken', 'ECONNRESET: x');
const CANCELLED = new TransportError('aborted', 'cancelled');
const GATEWAY = answer(502, 'no such thing');
const TOLD = (code: string) => answer(503, { error: { code, message: 'words' } });

/** Servers that do what their names' lists say, the last of it again and again, and who was asked in which order. */
function world(does: Record<string, Does[]>) {
  const asked: string[] = [];
  const dialled: string[] = [];
  let now = 0;
  const clock: Clock = { now: () => now, monotonic: () => now, sleep: async () => undefined };
  const transports = Object.entries(does).map(
    ([name, left]): Transport => ({
      async request() {
        asked.push(name);
        now += 1000;
        const next = left.length > 1 ? left.shift()! : left[0]!;
        if (next instanceof TransportError) throw next;
        return next;
      },
      dialAhead: () => void dialled.push(name),
      close: () => undefined,
    }),
  );
  const servers = createServers(transports, clock);
  return {
    servers,
    dialled,
    now: () => now,
    /** What one request comes to, and who was asked for it. */
    async request() {
      asked.length = 0;
      const request = { method: 'GET', path: '/x', headers: {}, body: Buffer.alloc(0), timeoutMs: 5000 };
      const came = await servers.request(request).then(
        ({ status }) => String(status),
        (error: TransportError) => error.kind,
      );
      return `${came}: ${asked.join(' ')}`;
    },
  };
}

describe('several servers', () => {
  it('where nobody is, the next one gets the same request, and keeps the requests after it', async () => {
    const w = world({ a: [NOBODY, GOOD], b: [GOOD] });
    assert.equal(await w.request(), '200: a b');
    assert.equal(await w.request(), '200: b');
    assert.equal(await w.request(), '200: b');
  });

  it('what may have arrived is not sent again: the next request goes elsewhere', async () => {
    for (const first of [GATEWAY, TOLD('unavailable'), RESET]) {
      const w = world({ a: [first], b: [GOOD] });
      assert.match(await w.request(), /: a$/);
      assert.equal(await w.request(), '200: b');
      assert.equal(await w.request(), '200: b');
    }
  });

  it('the one that would be asked next is the one that is dialled ahead', async () => {
    const w = world({ a: [NOBODY, GOOD], b: [GOOD] });
    w.servers.dialAhead();
    await w.request();
    w.servers.dialAhead();
    assert.deepEqual(w.dialled, ['a', 'b']);
  });

  it('a refusal in its own words is an answer, and the server that gave it works', async () => {
    const w = world({ a: [TOLD('policy_broken')], b: [GOOD] });
    assert.equal(await w.request(), '503: a');
    assert.equal(await w.request(), '503: a');
  });

  it('who stops waiting has learned nothing about a server', async () => {
    const w = world({ a: [CANCELLED, GOOD], b: [GOOD] });
    assert.equal(await w.request(), 'aborted: a');
    assert.equal(await w.request(), '200: a');
  });

  it('all of them fail: the one that failed longest ago is asked first', async () => {
    const w = world({ a: [GATEWAY], b: [GATEWAY], c: [GATEWAY] });
    const came = [await w.request(), await w.request(), await w.request(), await w.request()];
    assert.deepEqual(came, ['502: a', '502: b', '502: c', '502: a']);
  });

  it('they are out once every one of them was asked, and none that is there', async () => {
    const w = world({ a: [GATEWAY], b: [GATEWAY], c: [NOBODY] });
    await w.request();
    await w.request();
    assert.equal(w.servers.allOutSince(0), false, 'c was not asked');
    assert.equal(await w.request(), '502: c a');
    assert.equal(w.servers.allOutSince(0), true);
    const later = w.now();
    assert.equal(w.servers.allOutSince(later), false, 'none of them was asked since');
    await w.request();
    assert.equal(w.servers.allOutSince(later), false, 'one that a stranger asked before says nothing of now');
  });

  for (const [name, alive] of Object.entries({
    'a reset': RESET,
    'a refusal': TOLD('policy_broken'),
    'an answer': GOOD,
  })) {
    it(`${name} is no outage: who sits between must not be able to make one`, async () => {
      const w = world({ a: [NOBODY], b: [alive] });
      for (let tries = 0; tries < 6; tries += 1) await w.request();
      assert.equal(w.servers.allOutSince(0), false);
    });
  }
});
