import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Refusal } from '#shared/errors.ts';
import { INSTALL_KEY, INSTALL_SCRIPT, MANIFEST, sha256Hex, signatureOf } from '#shared/release.ts';
import { NotAsSigned, type SignedFolder, type SignedRelease } from './signed-folder.ts';

export interface InstallerDeps {
  folder: SignedFolder;
  /** Where hosts reach this server. */
  serverUrl: string;
  log: Logger;
}

/** What is small and comes from the release itself. */
type Small = (release: SignedRelease, serverUrl: string) => { type: string; body: string | Buffer };

const text = (body: string | Buffer) => ({ type: 'text/plain; charset=utf-8', body });

const SMALL: Readonly<Record<string, Small>> = {
  [`/${INSTALL_SCRIPT}`]: ({ script }) => ({ type: 'text/x-shellscript; charset=utf-8', body: script }),
  [`/${signatureOf(INSTALL_SCRIPT)}`]: ({ scriptSig }) => text(scriptSig),
  [`/${INSTALL_KEY}`]: ({ keyPem }) => text(keyPem),
  '/install-config.json': ({ version }, serverUrl) => ({
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify({ server_url: serverUrl, version })}\n`,
  }),
  '/download/version': ({ version }) => text(`${version}\n`),
  [`/download/${MANIFEST}`]: ({ manifest }) => text(manifest),
  [`/download/${signatureOf(MANIFEST)}`]: ({ manifestSig }) => text(manifestSig),
};

const METHODS = ['GET', 'HEAD'];

/** What hosts are installed from: public, because it is signed and holds no secret. */
export function installerRoutes({ folder, serverUrl, log }: InstallerDeps): FastifyPluginAsync {
  /** Whoever asks is told that it is not handed out, and the operator why. */
  let said: string | null = null;
  function notNow(error: unknown): never {
    if (!(error instanceof NotAsSigned)) throw error;
    // Once for each: everybody may ask, as often as they like.
    if (error.message !== said) log.error({ reason: error.message }, 'the installer is not handed out');
    said = error.message;
    throw new Refusal('not_as_signed');
  }

  /** Kept by caches only as long as it is the same. True when the caller has it already. */
  function hasIt(request: FastifyRequest, reply: FastifyReply, sha256: string): boolean {
    const tag = `"${sha256}"`;
    reply.header('cache-control', 'no-cache').header('etag', tag);
    return String(request.headers['if-none-match'] ?? '').includes(tag);
  }

  return async (app) => {
    for (const [url, small] of Object.entries(SMALL)) {
      app.route({
        method: METHODS,
        url,
        handler: async (request, reply) => {
          const { type, body } = small(await folder.release().catch(notNow), serverUrl);
          const bytes = Buffer.from(body);
          if (hasIt(request, reply, sha256Hex(bytes))) return reply.code(304).send();
          reply.type(type).header('content-length', bytes.length);
          return reply.send(request.method === 'HEAD' ? undefined : bytes);
        },
      });
    }
    app.route<{ Params: { name: string } }>({
      method: METHODS,
      url: '/download/:name',
      handler: async (request, reply) => {
        const release = await folder.release().catch(notNow);
        // What is asked for only chooses among the names that were signed; no path is made of it.
        const file = release.files.find(({ name }) => name === request.params.name);
        if (file === undefined) throw new Refusal('not_found');
        const handle = await folder.open(file).catch(notNow);
        const known = hasIt(request, reply, file.sha256);
        if (!known) reply.type('application/octet-stream').header('content-length', file.size);
        if (known || request.method === 'HEAD') {
          await handle.close();
          return reply.code(known ? 304 : 200).send();
        }
        return reply.send(handle.createReadStream({ start: 0, end: file.size - 1 }));
      },
    });
  };
}
