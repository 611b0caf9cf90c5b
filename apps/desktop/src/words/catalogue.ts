import type { en } from './en.ts';

/** The texts of one language, keys and parameters as in English. */
export type Words = Widened<typeof en>;

type Widened<T> = T extends string
  ? string
  : T extends (...args: infer A) => infer R
    ? (...args: A) => Widened<R>
    : T extends readonly (infer E)[]
      ? Widened<E>[]
      : { [K in keyof T]: Widened<T[K]> };
