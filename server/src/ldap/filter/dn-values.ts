/** One attribute of a name, unescaped. */
export interface NamePart {
  type: string;
  value: Buffer;
}

/** Takes a DN that this server wrote apart (RFC 4514). */
export function nameParts(dn: string): NamePart[] {
  const parts: NamePart[] = [];
  for (const [, type = '', escaped = ''] of dn.matchAll(
    /(?:^|[,+])\s*([^=,+]+?)\s*=((?:[^\\,+]|\\[0-9a-fA-F]{2}|\\.)*)/gs,
  )) {
    const octets = escaped.trim().replace(/\\([0-9a-fA-F]{2})|\\(.)|([^\\]+)/gs, (_, hex, character, plain) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return Buffer.from(character ?? plain, 'utf8').toString('latin1');
    });
    parts.push({ type, value: Buffer.from(octets, 'latin1') });
  }
  return parts;
}
