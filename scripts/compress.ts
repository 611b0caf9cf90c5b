import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** What is text; pictures and fonts are compressed in themselves. */
const TEXT = /\.(js|css|svg|html|json|map)$/;
/** What fits into one packet gets there no sooner when it is smaller, bytes. */
const WORTHWHILE = 1024;

/**
 * Writes a compressed copy (`.br`, `.gz`) beside each text file of a folder. It is done when it is built, and for files
 * alone: an answer that mixes a secret with what a stranger chose must not be compressed, because its length tells.
 */
export function compressFolder(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!TEXT.test(name)) continue;
    const path = join(folder, name);
    const bytes = readFileSync(path);
    if (bytes.length < WORTHWHILE) continue;
    const best = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, best));
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }));
  }
}
