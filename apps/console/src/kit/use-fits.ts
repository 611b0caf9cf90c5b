import { type RefObject, useLayoutEffect, useRef, useState } from 'react';

/**
 * Whether a table fits into its box as it is, whatever else is beside it: both are measured. Null before the first look;
 * nothing is painted until then.
 *
 * @param rem what the table needs to be readable.
 */
export function useFits(rem: number): { box: RefObject<HTMLDivElement | null>; fits: boolean | null } {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState<number | null>(null);
  // The widest box in which the table stuck out: one long value is enough.
  const [tooNarrow, setTooNarrow] = useState(0);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const table = box.current?.querySelector('table');
    const room = table?.parentElement?.clientWidth ?? 0;
    if (table && box.current && table.offsetWidth > room + 1) setTooNarrow(box.current.clientWidth);
  });

  if (width === null) return { box, fits: null };
  const pixels = rem * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  return { box, fits: width >= pixels && width > tooNarrow };
}
