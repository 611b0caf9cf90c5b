import type { z } from 'zod';

type DeepPartial<T> = {
  [K in keyof T]?: NonNullable<T[K]> extends readonly unknown[] ? T[K] : T[K] extends object ? DeepPartial<T[K]> : T[K];
};

/** What could be read so far of some settings: one that is itself wrong is absent. */
export type Readable<S extends z.ZodRawShape> = DeepPartial<z.output<z.ZodObject<S>>>;
