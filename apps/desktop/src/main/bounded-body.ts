/** The other side sent more than was agreed. */
export class BodyTooLarge extends Error {
  constructor() {
    super('body too large');
  }
}

/** Reads a whole body up to `limit` bytes. @throws BodyTooLarge beyond it, having stopped the transfer. */
export async function readBounded(source: { body: ReadableStream<Uint8Array> | null }, limit: number): Promise<Buffer> {
  if (!source.body) return Buffer.alloc(0);
  const reader = source.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel().catch(() => {});
      throw new BodyTooLarge();
    }
    chunks.push(value);
  }
}
