import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import type { FastifyPluginAsync } from 'fastify';
import { Gauge } from 'prom-client';
import { publicProcedure, router } from '../http/trpc.ts';
import type { Module } from '../platform/module.ts';
import { until } from '../testing/load.ts';
import { createTestApp } from '../testing/test-app.ts';
import { assemble } from './assemble.ts';

/** A server of the given modules on the ground of a test server. */
async function serverOf(modules: readonly Module[], procedures: Parameters<typeof router>[0] = {}) {
  const t = await createTestApp();
  const { app } = t;
  const { use, registry, serve } = assemble(app);
  for (const module of modules) use(module);
  const server = await serve({
    clientAddress: (peer) => peer ?? '',
    access: {
      viewerOf: async () => null,
      recheckViewers: async (all) => all.map(() => null),
      csrfGuard: async () => {},
      limitQuery: () => {},
      limitMutation: async () => {},
    },
    router: router(procedures),
    distDir: '/nonexistent',
  });
  return { ...server, registry, events: app.events, close: t.close };
}

test('modules start in the order in which they are listed and stop in the reverse one', async () => {
  const seen: string[] = [];
  const module = (name: string): Module => ({
    name,
    start: async () => void seen.push(`start ${name}`),
    stop: async () => void seen.push(`stop ${name}`),
  });
  const server = await serverOf([module('a'), module('b'), module('c')]);
  assert.deepEqual(seen, []);
  await server.start();
  assert.deepEqual(seen, ['start a', 'start b', 'start c']);
  const last = (await server.events.read(0, 1000)).at(-1);
  assert.equal(last?.event, 'server_started');
  await server.stop();
  assert.deepEqual(seen.slice(3), ['stop c', 'stop b', 'stop a']);
  await server.close();
});

test('a server that cannot start is not said to have started, and can still be stopped', async () => {
  const stopped: string[] = [];
  const server = await serverOf([
    { name: 'a', stop: async () => void stopped.push('a') },
    {
      name: 'b',
      start: () => Promise.reject(new Error('the port is taken')),
      stop: async () => void stopped.push('b'),
    },
  ]);
  await assert.rejects(server.start(), /the port is taken/);
  assert.ok(!(await server.events.read(0, 1000)).some(({ event }) => event === 'server_started'));
  await server.stop();
  assert.deepEqual(stopped, ['b', 'a']);
  await server.close();
});

test('a module whose procedures are not served, or others under their name, ends the start', async () => {
  const ofOne = router({ list: publicProcedure.query(() => 'one') });
  const one: Module = { name: 'one', procedures: { things: ofOne } };
  await assert.rejects(serverOf([one]), /things\.list of the module one is not served/);
  const ofOther = router({ list: publicProcedure.query(() => 'other') });
  await assert.rejects(serverOf([one], { things: ofOther }), /things\.list of the module one is not served/);
  const server = await serverOf([one], { things: ofOne });
  assert.equal((await server.http.inject('/trpc/things.list')).json().result.data, 'one');
  await server.stop();
  await server.close();
});

test('what a module serves, measures and says of its health is joined with the others', async () => {
  const gauge = new Gauge({ name: 'identree_answer', help: 'An answer.', registers: [] });
  gauge.set(42);
  const server = await serverOf([
    {
      name: 'first',
      routes: [async (app) => void app.get('/first', () => 'one')],
      health: [{ name: 'first', about: '', values: {}, severity: 'degraded', run: async () => 'tired' }],
    },
    { name: 'second', routes: [async (app) => void app.get('/second', () => 'two')], metrics: [gauge] },
  ]);
  assert.equal((await server.http.inject('/first')).body, 'one');
  assert.equal((await server.http.inject('/second')).body, 'two');
  assert.deepEqual((await server.http.inject('/healthz')).json(), {
    status: 'degraded',
    checks: { first: 'tired' },
    now: 1_800_000_000_000,
  });
  assert.match(await server.registry.metrics(), /^identree_answer 42$/m);
  await server.stop();
  await server.close();
});

test('hooks that one module adds do not reach another', async () => {
  const server = await serverOf([
    {
      name: 'strict',
      routes: [
        async (app) => {
          app.addHook('onRequest', async (_request, reply) => reply.code(403).send('no'));
          app.get('/strict', () => 'never');
        },
      ],
    },
    { name: 'open', routes: [async (app) => void app.get('/open', () => 'yes')] },
  ]);
  assert.equal((await server.http.inject('/strict')).statusCode, 403);
  assert.equal((await server.http.inject('/open')).body, 'yes');
  await server.stop();
  await server.close();
});

test('a server that stops answers whoever it is at work for, and says for whom that is', async () => {
  const { promise: work, resolve: done } = Promise.withResolvers<void>();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const slow: FastifyPluginAsync = async (scope) => {
    scope.get('/slow/:code', async () => {
      isAsked();
      await work;
      return { ok: true };
    });
  };
  const server = await serverOf([{ name: 'a', routes: [slow] }]);
  await server.listen();
  const { port } = server.http.server.address() as AddressInfo;
  const silent = connect(port, '127.0.0.1');
  silent.on('error', () => {});
  await once(silent, 'connect');
  const answer = fetch(`http://127.0.0.1:${port}/slow/SECRET`);
  await asked;
  const stopped = server.stop();
  await until(async () => server.stopping.waitsFor().includes('GET /slow/:code'));
  // Until whoever has sent half a request is cut off.
  await until(async () => server.stopping.unsent > 0);
  done();
  assert.deepEqual(await (await answer).json(), { ok: true });
  await stopped;
  await server.close();
});
