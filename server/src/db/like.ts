import { type RawBuilder, sql } from 'kysely';

/**
 * Whether a column holds a text somewhere, whatever the case as far as the database knows it.
 *
 * @param column may name its table; or an expression
 */
export function contains(column: string | RawBuilder<string>, text: string): RawBuilder<boolean> {
  // SQLite has no escape character unless it is given one.
  const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`;
  return sql<boolean>`lower(${typeof column === 'string' ? sql.ref(column) : column}) like lower(${pattern}) escape '\\'`;
}

/**
 * The same for a column of canonical JSON, in which the members of an array count as words with a blank between them: a
 * command is looked for as it was typed, and stored argument by argument.
 */
export function jsonContains(column: string, text: string): RawBuilder<boolean> {
  return contains(sql<string>`replace(${sql.ref(column)}, '","', ' ')`, JSON.stringify(text).slice(1, -1));
}
