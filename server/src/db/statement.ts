import {
  type Compilable,
  type CompiledQuery,
  type Expression,
  type Kysely,
  type QueryResult,
  type RawBuilder,
  SqliteAdapter,
  sql,
} from 'kysely';
import { kysely, type Query } from './query.ts';
import type { Schema } from './schema.ts';

const name = Symbol('name of a value');
/** Stands for a value in a statement that is compiled before there is one. */
type Placeholder = Readonly<{ [name]: string }>;
const isPlaceholder = (value: unknown): value is Placeholder =>
  typeof value === 'object' && value !== null && name in value;

/** What a statement may depend on beside its values. */
interface Circumstances {
  readonly driver: 'sqlite' | 'postgres';
  /** Names of the values: a row that is inserted has all of its columns. */
  readonly names: readonly string[];
}

/**
 * A statement that is compiled once, for what every request asks: building and compiling it anew takes longer than
 * SQLite takes to answer. Neither its text nor the names of its values may depend on the values.
 *
 * @param build gets placeholders in place of values
 */
export function statement<Values extends object, Row>(
  build: (query: Kysely<Schema>, given: Values, circumstances: Circumstances) => Compilable<Row>,
): (query: Query, values: Values) => Promise<QueryResult<Row>> {
  const compiled = new WeakMap<object, CompiledQuery<Row>>();
  const given = new Proxy({}, { get: (_, key): Placeholder => ({ [name]: String(key) }) }) as Values;
  return (query, values) => {
    const builder = kysely(query);
    const { adapter } = builder.getExecutor();
    let known = compiled.get(adapter);
    if (known === undefined) {
      const driver = adapter instanceof SqliteAdapter ? 'sqlite' : 'postgres';
      known = build(builder, given, { driver, names: Object.keys(values) }).compile();
      compiled.set(adapter, known);
    }
    const parameters = known.parameters.map((value) =>
      isPlaceholder(value) ? values[value[name] as keyof Values] : value,
    );
    return builder.executeQuery<Row>({ ...known, parameters });
  };
}

/** A statement that is written in SQL, of one driver. Compiled once as well. */
export const rawStatement = <Values extends object, Row>(build: (given: Values) => RawBuilder<Row>) =>
  statement<Values, Row>((query, given) => ({ compile: () => build(given).compile(query) }));

/** A row to insert, with all of its columns. */
export const rowOf = <Row extends object>(given: Row, { names }: Circumstances): Row =>
  Object.fromEntries(names.map((column) => [column, given[column as keyof Row]])) as Row;

/** The first row of a result; null when there is none. */
export const first = <Row>({ rows }: QueryResult<Row>): Row | null => rows[0] ?? null;

/**
 * Whether a text is in a list of them, however long that is.
 *
 * @param list a JSON array: one value, so that the statement is the same for lists of any length
 */
export const isAmong = (
  text: Expression<unknown>,
  list: string,
  driver: Circumstances['driver'],
): RawBuilder<boolean> =>
  driver === 'sqlite'
    ? sql<boolean>`${text} in (select value from json_each(${list}))`
    : sql<boolean>`${text} = any(array(select json_array_elements_text(${list}::json)))`;
