/** A key's thumbprint in groups of four, as people compare it over the phone. */
export function readableFingerprint(thumbprint: string): string {
  return thumbprint.match(/.{1,4}/g)?.join(' ') ?? '';
}
