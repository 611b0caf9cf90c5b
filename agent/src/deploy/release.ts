import { INSTALL_SCRIPT, isSigned, MANIFEST, parseRelease, sha256Hex, signatureOf } from '#shared/release.ts';
import { type Transport, TransportError } from '../client/transport.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { readVerifyKey } from '../install/keys.ts';

/** What is brought to the hosts. */
export interface DeployedRelease {
  version: string;
  /** Of the manifest, in hex: another release has another, also where its installer is the same. */
  manifestSha256: string;
  script: Buffer;
  /** Of the script, in hex. */
  sha256: string;
}

/**
 * Fetches the installer that a server hands out. The server is not believed: what it gives was signed elsewhere, and is
 * checked with the key that the operator has before any host sees it.
 *
 * @param keyPath the public key
 * @throws CommandError
 */
export async function fetchRelease(
  transport: Pick<Transport, 'request'>,
  server: string,
  keyPath: string,
): Promise<DeployedRelease> {
  const key = await readVerifyKey(keyPath);
  async function fetch(path: string): Promise<Buffer> {
    const answer = await transport
      .request({ method: 'GET', path, headers: {}, body: new Uint8Array(), timeoutMs: 30_000 })
      .catch((error: unknown) => {
        if (!(error instanceof TransportError)) throw error;
        throw new CommandError(EXIT.failed, `${server} could not be asked: ${error.message}`);
      });
    if (answer.status !== 200)
      throw new CommandError(EXIT.failed, `${server}${path} is not handed out (${answer.status}).`);
    return answer.body;
  }
  async function signed(path: string, name: string): Promise<Buffer> {
    const bytes = await fetch(path);
    const signature = await fetch(signatureOf(path));
    if (!isSigned(bytes, signature.toString('utf8'), key))
      throw new CommandError(EXIT.failed, `${name} of ${server} is not signed with ${keyPath}. No host was asked.`);
    return bytes;
  }
  const script = await signed(`/${INSTALL_SCRIPT}`, INSTALL_SCRIPT);
  const manifest = await signed(`/download/${MANIFEST}`, 'The manifest');
  const release = parseRelease(manifest.toString('utf8'));
  const sha256 = sha256Hex(script);
  // Both were signed, and perhaps at different times: an old script with what is in the new packages was never tried.
  if (release?.files.find(({ name }) => name === INSTALL_SCRIPT)?.sha256 !== sha256)
    throw new CommandError(
      EXIT.failed,
      `The manifest of ${server} names another ${INSTALL_SCRIPT}. No host was asked.`,
    );
  return { version: release.version, manifestSha256: sha256Hex(manifest), script, sha256 };
}
