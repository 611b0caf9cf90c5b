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
