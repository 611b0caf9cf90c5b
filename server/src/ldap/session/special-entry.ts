/** An entry that describes the server, outside the tree. */
export interface SpecialEntry {
  dn: string;
  objectClass: string[];
  attributes: [string, string[]][];
}
