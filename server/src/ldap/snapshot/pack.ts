import type { Snapshot } from './snapshot.ts';

type Column = Uint8Array | Uint16Array | Uint32Array;

/** Every column begins where a number of four octets may begin. */
const aligned = (octets: number): number => (octets + 3) & ~3;

/**
 * Moves all columns of a snapshot into one shared buffer of exactly their size: one mapping, which goes back to the
 * system as a whole when the last thread has let go of it.
 */
export function pack(snapshot: Snapshot): Snapshot {
  const columns: Column[] = [];
  const each = (value: unknown, visit: (column: Column) => Column): unknown => {
    if (ArrayBuffer.isView(value)) return visit(value as Column);
    if (Array.isArray(value)) return value.map((inner: unknown) => each(inner, visit));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, each(inner, visit)]));
  };
  each(snapshot, (column) => {
    columns.push(column);
    return column;
  });
  const shared = new SharedArrayBuffer(columns.reduce((sum, { byteLength }) => sum + aligned(byteLength), 0));
  let at = 0;
  return each(snapshot, (column) => {
    const start = at;
    at += aligned(column.byteLength);
    const { length } = column;
    let target: Column;
    if (column instanceof Uint32Array) target = new Uint32Array(shared, start, length);
    else if (column instanceof Uint16Array) target = new Uint16Array(shared, start, length);
    else target = new Uint8Array(shared, start, length);
    target.set(column);
    return target;
  }) as Snapshot;
}
