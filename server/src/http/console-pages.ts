import { readFile } from 'node:fs/promises';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync } from 'fastify';
import { CONSOLE_PAGES } from '#shared/console.ts';
import { Refusal } from '#shared/errors.ts';

/** Where browsers find the program that shows what is pushed; it may act for all of the console only from the top. */
const WORKER = '/push-worker.js';

/** The console: hashed files as they are, every other page path is index.html with this answer's nonce. */
export function consolePages(distDir: string): FastifyPluginAsync {
  return async (app) => {
    const root = `${distDir}/console`;
    const index = await readFile(`${root}/index.html`, 'utf8').catch(() => null);
    const worker = await readFile(`${root}${WORKER}`, 'utf8').catch(() => null);
    await app.register(fastifyStatic, {
      root: `${root}/static`,
      prefix: '/static/',
      index: false,
      decorateReply: false,
      dotfiles: 'deny',
      preCompressed: true,
      immutable: true,
      maxAge: '1y',
    });
    for (const { path } of CONSOLE_PAGES) {
      app.get(path, (_request, reply) =>
        index === null
          ? reply.code(503).send(new Refusal('unavailable', 'the console is not built').toJSON())
          : reply.type('text/html; charset=utf-8').send(index.replaceAll('__CSP_NONCE__', reply.cspNonce)),
      );
    }
    // Like every answer that is no page it says that nothing may be loaded or asked: the worker could approve nothing if it tried.
    app.get(WORKER, (_request, reply) =>
      worker === null
        ? reply.code(404).send(new Refusal('not_found').toJSON())
        : reply.type('text/javascript; charset=utf-8').header('cache-control', 'no-cache').send(worker),
    );
    // Where earlier installations had it, and their documents still point.
    app.get('/admin/sudo-rules', (_request, reply) => reply.redirect('/sudo-rules'));
  };
}
