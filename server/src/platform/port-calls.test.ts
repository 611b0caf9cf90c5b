import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { type Answer, type Call, createPortAnswers, createPortCaller } from './port-calls.ts';

interface Kitchen {
  cook(dish: string, portions: number): Promise<string>;
  fail(): Promise<never>;
  unanswerable(): Promise<() => void>;
}

interface Guest {
  taste(dish: string): string;
}

/** Two sides of a real port. A slow dish is done when `ready` says so. */
function table(t: TestContext, options: { withinMs?: number; messageOf?: (error: unknown) => string } = {}) {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const ready = new Map<string, () => void>();
  const kitchen: Kitchen = {
    async cook(dish, portions) {
      if (dish.startsWith('slow ')) await new Promise<void>((resolve) => ready.set(dish, resolve));
      return `${portions} × ${dish}`;
    },
    fail: () => Promise.reject(new Error('the oven is cold')),
    unanswerable: async () => () => {},
  };
  const { messageOf, ...limit } = options;
  const forGuest = createPortCaller<Kitchen>({ send: (call) => port1.postMessage(call), ...limit });
  const forKitchen = createPortCaller<Guest>({ send: (call) => port2.postMessage(call) });
  const guestAnswers = createPortAnswers<Guest>({
    send: (answer) => port1.postMessage(answer),
    ours: { taste: (dish) => `${dish} is good` },
  });
  const kitchenAnswers = createPortAnswers<Kitchen>({
    send: (answer) => port2.postMessage(answer),
    ours: kitchen,
    ...(messageOf ? { messageOf } : {}),
  });
  port1.on('message', (message: Call | Answer) => {
    if (message.kind === 'call') guestAnswers(message);
    else forGuest.receive(message);
  });
  port2.on('message', (message: Call | Answer) => {
    if (message.kind === 'call') kitchenAnswers(message);
    else forKitchen.receive(message);
  });
  return { guest: forGuest, kitchen: forKitchen, ready };
}

test('both sides may call, and an answer goes to the call that it belongs to, whichever comes first', async (t) => {
  const { guest, kitchen, ready } = table(t);
  const slow = guest.call('cook', 'slow soup', 2);
  assert.equal(await guest.call('cook', 'bread', 4), '4 × bread');
  assert.equal(guest.open, 1);
  assert.equal(await kitchen.call('taste', 'bread'), 'bread is good');
  ready.get('slow soup')!();
  assert.equal(await slow, '2 × slow soup');
  assert.equal(guest.open, 0);
});

test('a failure arrives as its message, or as what the other side prefers to say', async (t) => {
  await assert.rejects(table(t).guest.call('fail'), { message: 'the oven is cold' });
  const said: unknown[] = [];
  const { guest } = table(t, {
    messageOf(error) {
      said.push(error);
      return 'not today';
    },
  });
  await assert.rejects(guest.call('fail'), { message: 'not today' });
  assert.match(String(said), /the oven is cold/);
});

test('an answer that cannot be cloned is a failure and not silence', async (t) => {
  await assert.rejects(table(t).guest.call('unanswerable'), /could not be cloned/);
});

test('arguments that cannot be cloned reject the call and leave nothing open', async (t) => {
  const { guest } = table(t);
  await assert.rejects(guest.call('cook', (() => {}) as never, 1), /could not be cloned/);
  assert.equal(guest.open, 0);
});

test('a call that takes too long is given up, and an answer after that reaches nobody', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { guest, kitchen, ready } = table(t, { withinMs: 30 });
  const refused = assert.rejects(guest.call('cook', 'slow soup', 1), { message: 'no answer to cook within 30 ms' });
  while (!ready.has('slow soup')) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(30);
  await refused;
  assert.equal(guest.open, 0);
  ready.get('slow soup')!();
  // In order behind the late answer.
  await kitchen.call('taste', 'soup');
  assert.equal(guest.open, 0);
});

test('when the port is closed, whatever waits and whatever comes later is told why', async (t) => {
  const { guest } = table(t);
  const waits = [guest.call('cook', 'slow soup', 1), guest.call('cook', 'slow roast', 1)];
  guest.close(new Error('the kitchen burns'));
  for (const one of waits) await assert.rejects(one, { message: 'the kitchen burns' });
  assert.equal(guest.open, 0);
  await assert.rejects(guest.call('cook', 'bread', 1), { message: 'the kitchen burns' });
});
