/** `12 seconds ago`, in the given language. Used on the server and in the page's script. */
export function relativeTime(locale: string, at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000);
  if (Math.abs(seconds) < 5) return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(0, 'second');
  const [amount, unit]: [number, Intl.RelativeTimeFormatUnit] =
    Math.abs(seconds) < 60
      ? [seconds, 'second']
      : Math.abs(seconds) < 3600
        ? [Math.trunc(seconds / 60), 'minute']
        : Math.abs(seconds) < 172_800
          ? [Math.trunc(seconds / 3600), 'hour']
          : [Math.trunc(seconds / 86_400), 'day'];
  return new Intl.RelativeTimeFormat(locale, {
    numeric: Math.abs(amount) > 1 || unit === 'second' ? 'always' : 'auto',
  }).format(amount, unit);
}

/** `1:47`, or `2:03:09` above an hour. Never negative. */
export function clockTime(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const pad = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** How long something took: `0.4 s`, `3 s`, `2 min 5 s`, `1 h 3 min`, `2 d 4 h`; never more than two units. */
export function durationText(locale: string, ms: number): string {
  if (ms < 10_000) return `${(Math.round(ms / 100) / 10).toLocaleString(locale)} s`;
  const total = Math.round(ms / 1000);
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => total >= size);
  return units
    .slice(first, first + 2)
    .map(([size, unit], i) => [Math.floor((i === 0 ? total : total % units[first]![0]) / size), unit] as const)
    .filter(([n], i) => i === 0 || n > 0)
    .map(([n, unit]) => `${n.toLocaleString(locale)} ${unit}`)
    .join(' ');
}
