import { type RawBuilder, sql } from 'kysely';

/** Whether a column holds a text somewhere, whatever the case as far as the database knows it. @param column may name its table */
export function contains(column: string, text: string): RawBuilder<boolean> {
  // SQLite has no escape character unless it is given one.
  const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`;
  return sql<boolean>`lower(${sql.ref(column)}) like lower(${pattern}) escape '\\'`;
}
