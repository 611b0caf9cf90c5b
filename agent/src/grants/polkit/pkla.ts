/** A section of a key file with its entries, and the line where each begins. */
export interface Section {
  name: string;
  line: number;
  entries: Map<string, { value: string; line: number }>;
}

/** Reads a key file of polkit's local authority. Lines that are none of it are told in `unread`. */
export function readKeyFile(text: string): { sections: Section[]; unread: number[] } {
  const sections: Section[] = [];
  const unread: number[] = [];
  let current: Section | undefined;
  text.split('\n').forEach((raw, index) => {
    const content = raw.trim();
    const line = index + 1;
    if (content === '' || content.startsWith('#')) return;
    const header = /^\[([^\]]+)\]$/.exec(content);
    const entry = /^([A-Za-z0-9-]+)\s*=\s*(.*)$/.exec(content);
    if (header !== null) {
      // Sections of one name are one section: what it gives and whom may stand apart.
      const known = sections.find(({ name }) => name === header[1]);
      current = known ?? { name: header[1]!, line, entries: new Map() };
      if (!known) sections.push(current);
    } else if (entry !== null && current !== undefined) current.entries.set(entry[1]!, { value: entry[2]!, line });
    else unread.push(line);
  });
  return { sections, unread };
}

export const listOf = (value: string): string[] =>
  value
    .split(';')
    .map((item) => item.trim())
    .filter((item) => item !== '');
