/** One RDN of a suffix: attribute type in lower case and its value, unescaped. */
export interface BaseRdn {
  readonly type: string;
  readonly value: string;
}

/**
 * Reads a suffix such as `dc=example,dc=com`. Only the attribute types that a suffix may have, one per RDN.
 *
 * @returns null when it is none.
 */
export function parseBaseDn(dn: string): BaseRdn[] | null {
  if (dn.length > 512) return null;
  const parts = dn.match(/(?:\\.|[^\\,])+/gs) ?? [];
  if (parts.join(',') !== dn) return null;
  const rdns: BaseRdn[] = [];
  for (const part of parts) {
    const match = /^\s*(dc|o|ou|c)\s*=\s*(.*?)(?<!\\)\s*$/is.exec(part);
    if (!match?.[1] || !match[2] || /(?<!\\)[+"<>;=]/.test(match[2])) return null;
    const value = match[2].replace(/\\([0-9a-fA-F]{2})|\\(.)/gs, (_all, hex: string | undefined, char: string) =>
      hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (/[\x00-\x1f\x7f]/.test(value)) return null;
    rdns.push({ type: match[1].toLowerCase(), value });
  }
  return rdns.length > 0 ? rdns : null;
}
