import type { FastifyInstance } from 'fastify';

const MAX_BYTES = 8 * 1024;

/**
 * Lets an encapsulated Fastify plugin read HTML forms, up to 8 KiB. A field that is given twice is refused by becoming
 * unreadable: two readers could pick different ones.
 */
export function acceptForms(app: FastifyInstance): void {
  if (app.hasContentTypeParser('application/x-www-form-urlencoded')) return;
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: MAX_BYTES },
    (_request, body, done) => {
      const fields = new Map<string, string>();
      for (const [name, value] of new URLSearchParams(String(body))) {
        if (fields.has(name)) return done(Object.assign(new Error('field given twice'), { statusCode: 400 }));
        fields.set(name, value);
      }
      done(null, Object.fromEntries(fields));
    },
  );
}
