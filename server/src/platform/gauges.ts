import { Gauge } from 'prom-client';

/** So long one look serves all who ask, milliseconds: one page of metrics, or those of several Prometheus servers. */
const KEPT_MS = 1000;
/** Longer than this nobody waits for a page of metrics, milliseconds. */
const PATIENCE_MS = 3000;

/**
 * Reads something once for all who ask within a second. A failure is told to those who wait for it, and forgotten.
 *
 * @param now milliseconds of a clock that nobody sets
 */
export function shortly<T>(read: () => Promise<T>, now: () => number = () => performance.now()): () => Promise<T> {
  let last: { at: number; answer: Promise<T> } | null = null;
  return () => {
    if (last !== null && now() - last.at < KEPT_MS) return last.answer;
    const look = { at: now(), answer: read() };
    last = look;
    look.answer.catch(() => {
      if (last === look) last = null;
    });
    return look.answer;
  };
}

/** What a gauge shows: one number, or one for each combination of labels. */
export type Shown<Label extends string> = number | readonly { labels: Record<Label, string>; value: number }[];

/**
 * A gauge that is looked at when the metrics are read, and shows what is so then: no combination of labels outlives what
 * it is about. What cannot be read in time, because the database is away, has no value then: neither the last one nor 0,
 * and everything else on the page is there.
 */
export function readGauge<Label extends string = never>(options: {
  /** Without `identree_`. */
  name: string;
  help: string;
  labelNames?: readonly Label[];
  read: () => Promise<Shown<Label>> | Shown<Label>;
}): Gauge<Label> {
  const gauge = new Gauge<Label>({
    name: `identree_${options.name}`,
    help: options.help,
    labelNames: options.labelNames ?? [],
    registers: [],
    async collect() {
      const shown = (await inTime(options.read)) ?? [];
      gauge.reset();
      // Without labels, one that was reset says 0.
      if ((options.labelNames ?? []).length === 0) gauge.remove();
      if (typeof shown === 'number') gauge.set(shown);
      else for (const { labels, value } of shown) gauge.set(labels as never, value);
    },
  });
  return gauge;
}

/** What is read, or null when that fails or takes too long for who waits for a page of metrics. */
export async function inTime<T>(read: () => Promise<T> | T): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE_MS);
  });
  try {
    return await Promise.race([read(), patience]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
